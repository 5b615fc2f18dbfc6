"""The workers' space: what is too large is not begun, and what is evicted for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from alnair_operator.alluxio import Alluxio, Mount
from alnair_operator.datasets import Dataset
from alnair_operator.engine import SETTLED, Engine
from alnair_operator.isolation import Guarded
from alnair_operator.jvm import AlluxioError
from alnair_operator.planning import Worker
from alnair_operator.settings import Settings

from tests.unit.operator_tools import Clock, Fake, declared, engine, settled


def test_what_is_too_large_is_not_loaded_and_let_in_when_there_is_room() -> None:
    fake, clock = Fake(capacity=1000), Clock()
    one = engine(fake, clock)
    status = settled(one, declared())
    assert status["phase"] == "TooLarge" and not fake.sent and "2.0 KiB are to be loaded" in status["message"]
    assert one.step(declared(), status).status["phase"] == "TooLarge"
    fake.size.append(Worker("w3", 10_000, 0))
    fake.size.append(Worker("w4", 10_000, 0))
    assert settled(one, declared(), one.step(declared(), status).status)["phase"] == "Complete"


def filled(used: int, **sizes: int) -> tuple[Fake, list[Dataset]]:
    """Return a cache of one worker with 3000 B, of which some are used, and the data sets in it, with so many bytes each."""
    fake = Fake()
    fake.size = [Worker("w0", 3000, used)]
    for name, size in sizes.items():
        path = f"/datasets/{name}"
        fake.table[path], fake.known[f"{path}/a"] = Mount(f"/srv/{name}", True, {}), size
        fake.cached |= {f"{path}/a"} if size else set()
    return fake, [declared(name, source=f"/srv/{name}") for name in sizes]


def with_room_made(one: Engine, dataset: Dataset, others: list[Dataset]) -> tuple[dict[str, Any], list[str]]:
    """Take steps until the data set stays as it is, and what is to be freed for it is freed as the operator asks for it."""
    status: dict[str, Any] = {}
    asked: list[str] = []
    while status.get("phase") not in SETTLED:
        step = one.step(dataset, status, others)
        status = step.status
        one.pause(step.delay)
        for name in step.victims:
            asked.append(name)
            (victim,) = [other for other in others if other.name == name]
            known = {"phase": "Complete", "observedGeneration": 1, "mounted": {"path": victim.path}}
            freed = one.step(replace(victim, cancel=f"now free to make room for {dataset.name}"), known).status
            assert freed["phase"] == "Incomplete" and f"It was freed to make room for {dataset.name}." in freed["message"]
    return status, asked


def freed(fake: Fake) -> list[str]:
    return [call for call in fake.calls if call.startswith("free")]


@pytest.mark.parametrize("wish", [{"evict": ["old"]}, {"reload": "now evict=old"}])
def test_another_is_freed_first_where_that_is_allowed(wish: dict[str, Any]) -> None:
    fake, others = filled(2900, old=2800)
    assert settled(engine(fake), declared(), others=tuple(others))["phase"] == "TooLarge" and not freed(fake)
    status, asked = with_room_made(engine(fake), declared(**wish), others)
    assert status["phase"] == "Complete" and asked == ["old"] and freed(fake) == ["free /datasets/old"]
    assert not {"evicted", "victims"} & set(status)


def test_nothing_is_freed_where_that_would_not_do() -> None:
    fake, others = filled(2900, old=1000, away=0)
    for _ in range(2):
        status, asked = with_room_made(engine(fake), declared(evict=["old", "away", "unknown"]), others)
        assert status["phase"] == "TooLarge" and asked == [] and freed(fake) == [] and fake.sent == []
        assert "2.0 KiB are to be loaded" in status["message"] and "(old, away, unknown) holds too little" in status["message"]


def test_what_another_has_mounted_at_its_path_is_not_counted_on() -> None:
    fake, others = filled(2900, old=2800)
    status, asked = with_room_made(engine(fake), declared(evict=["old"]), [replace(others[0], source="/srv/elsewhere")])
    assert status["phase"] == "TooLarge" and not asked and not freed(fake)


def test_no_more_is_freed_than_it_takes() -> None:
    fake, others = filled(2900, big=2500, small=100)
    status, asked = with_room_made(engine(fake), declared(evict=["big", "small"]), others)
    assert status["phase"] == "Complete" and asked == ["big"] and freed(fake) == ["free /datasets/big"]


def test_space_that_does_not_come_is_not_waited_for_without_end() -> None:
    fake, others = filled(2900, old=2500)
    one, status = engine(fake), dict[str, Any]()
    while status.get("phase") not in SETTLED:
        step = one.step(declared(evict=["old"]), status, others)
        status = step.status
        one.pause(step.delay)
    assert status["phase"] == "TooLarge" and fake.sent == []


def cached_once(capacity: int, workers: int = 2) -> tuple[Fake, dict[str, Any]]:
    """Return a cache that holds one copy of 2000 B, and the status of its data set."""
    fake = Fake(workers=workers)
    status = settled(engine(fake), declared())
    assert (status["phase"], status["neededBytes"]) == ("Complete", 0)
    fake.size = [Worker(worker.name, capacity, 2000 // workers) for worker in fake.size]
    fake.sent.clear()
    return fake, status


def test_a_further_copy_needs_as_much_space_as_the_first() -> None:
    fake, before = cached_once(capacity=1500)
    status = settled(engine(fake), declared(replicas=2, generation=2), before)
    assert status["phase"] == "TooLarge" and "2.0 KiB are to be loaded" in status["message"] and fake.sent == []
    fake, before = cached_once(capacity=10_000, workers=1)
    status = settled(engine(fake), declared(replicas=2, generation=2), before)
    assert status["phase"] == "TooLarge" and "2 copies are asked for, but there are 1 workers" in status["message"] and fake.sent == []
    fake, before = cached_once(capacity=10_000)
    assert settled(engine(fake), declared(replicas=2, generation=2), before)["phase"] == "Complete" and len(fake.sent) == 200


def test_a_copy_that_lacks_is_lacking() -> None:
    fake, before = cached_once(capacity=10_000)
    fake.broken = set(fake.known)
    status = settled(engine(fake), declared(replicas=2, generation=2), before)
    assert status["phase"] == "Incomplete" and "2.0 KiB are lacking" in status["message"] and status["neededBytes"] == 2000


class Told:
    """Stands for an object of Alluxio's client: each of its getters returns what it was told."""

    def __init__(self, **told: Any) -> None:
        self.told = told

    def __getattr__(self, name: str) -> Any:
        return lambda: self.told[name]


@pytest.mark.parametrize(("locations", "replicas", "whole", "held"), [
    ((2, 1), 2, False, 160), ((3, 2), 2, True, 192), ((2, 1), 1, True, 96), ((2, 0), 2, False, 128),
])  # fmt: skip
def test_copies_that_are_held_are_counted_block_by_block(locations: tuple[int, int], replicas: int, whole: bool, held: int) -> None:
    blocks = [Told(getBlockInfo=Told(getLength=length, getLocations=Told(size=count))) for length, count in zip((64, 32), locations, strict=True)]
    status = Told(getPath="/d/a", getLength=96, getInAlluxioPercentage=100 if all(locations) else 66, isCompleted=True, getFileBlockInfos=blocks,
                  getLastModificationTimeMs=0, getUfsFingerprint="", getPersistenceState="PERSISTED")  # fmt: skip
    file = Alluxio.__new__(Alluxio).file(status, replicas)
    assert (file.whole, file.held) == (whole, held)


def test_two_loads_are_not_promised_the_same_space() -> None:
    fake = Fake(workers=1, capacity=3000)
    one, clock = engine(fake), Clock()
    first, second = declared("a"), declared("b")
    status: dict[str, Any] = {}
    while status.get("phase") != "Loading":
        status = one.step(first, status).status
    assert settled(one, second)["phase"] == "TooLarge"
    heir = engine(fake, clock)
    heir.room.promise("n/a", 2000)
    assert settled(heir, second)["phase"] == "TooLarge"


@pytest.mark.parametrize("successor", [False, True])
@pytest.mark.parametrize("change", ["overlaps", "unbound", "limited", "unloaded"])
def test_a_load_whose_declaration_becomes_one_that_is_not_loaded_leaves_no_job(change: str, successor: bool) -> None:
    fake, clock, claims = Fake(), Clock(), {"x": "/srv/x"}
    others: tuple[Dataset, ...] = ()

    def process(prefixes: dict[str, tuple[str, ...]] | None = None) -> Engine:
        return Guarded(Settings("alluxio", roots=("/srv",), prefixes=prefixes or {}), fake, now=clock, pause=clock.pause, claims=lambda dataset: claims)

    one, dataset, status = process(), declared(source="pvc://x"), dict[str, Any]()
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(dataset, status).status
    going = [f"cancel {number}" for number in status["jobs"]]
    if change == "overlaps":
        dataset, others = declared(source="pvc://x", path="/datasets/older/x", generation=2), (replace(declared("older"), created="2025-01-01T00:00:00Z"),)
    elif change == "unbound":
        dataset = declared(source="pvc://gone", generation=2)
        claims.clear()
    elif change == "unloaded":
        dataset = declared(source="pvc://x", preload="none", generation=2)
    # Who limits a namespace changes the operator, and so its process.
    if successor or change == "limited":
        one = process({"n": ("/datasets/y",)} if change == "limited" else None)
    status = settled(one, dataset, status, others)
    assert status["phase"] == ("Complete" if change == "unloaded" else "Failed") and "jobs" not in status
    assert [call for call in fake.calls if call.startswith("cancel")] == going and not fake.jobs, "nobody could end them any more"


def test_a_load_that_alluxio_refuses_to_go_on_with_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, sent = Fake(), list[int]()
    one, send = engine(fake), fake.load

    def load(paths: tuple[str, ...], replicas: int = 1) -> int:
        if sent:
            raise AlluxioError("The job service is at capacity")
        sent.append(send(paths, replicas))
        return sent[0]

    monkeypatch.setattr(fake, "load", load)
    assert settled(one, declared())["phase"] == "Failed"
    assert fake.calls[-1] == f"cancel {sent[0]}" and not fake.jobs, "no status has named it yet"
