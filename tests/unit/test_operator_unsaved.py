"""What was written to a data set and is not at its source yet outlives whatever takes its mount away."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from alnair_operator import mounting
from alnair_operator.alluxio import Alluxio
from alnair_operator.datasets import Dataset
from alnair_operator.engine import AWAY_SECONDS
from alnair_operator.handlers import Work
from alnair_operator.jvm import AlluxioAway
from alnair_operator.planning import COMING, HELD, WRITING, unsaved
from alnair_operator.settings import Settings

from tests.unit.operator_tools import Clock, Fake, declared, engine, settled

NEW = "/datasets/x/new"
OTHERS: dict[str, dict[str, Any]] = {"source": {"source": "/srv/y"}, "path": {"path": "/datasets/z"}, "read-only": {"source": "/srv/y", "readOnly": True}}


def written(fake: Fake, why: str = HELD, name: str = NEW) -> None:
    """Let a pod write a file."""
    fake.known[name], fake.unsaved[name] = 10, why
    fake.cached.add(name)


@pytest.mark.parametrize(("state", "completed", "why"), [
    ("PERSISTED", True, ""), ("NOT_PERSISTED", True, HELD), ("TO_BE_PERSISTED", True, COMING), ("LOST", True, HELD), ("LOST", False, ""),
    ("NOT_PERSISTED", False, WRITING), ("TO_BE_PERSISTED", False, WRITING), ("PERSISTED", False, WRITING),
])  # fmt: skip
def test_alluxio_says_what_the_source_has(state: str, completed: bool, why: str) -> None:
    told = {"getPath": "/d/a", "getLength": 1, "getInAlluxioPercentage": 100, "isCompleted": completed, "getLastModificationTimeMs": 0, "getUfsFingerprint": ""}
    status = SimpleNamespace(**{name: lambda found=found: found for name, found in {**told, "getPersistenceState": state}.items()})
    assert Alluxio.__new__(Alluxio).file(status).unsaved == why


def test_of_what_is_lost_and_not_back_wholly_nothing_can_be_saved() -> None:
    assert [unsaved("LOST", True, percent) for percent in (0, 99, 100)] == ["", "", HELD]


def unmounts(fake: Fake) -> list[str]:
    return [call for call in fake.calls if call.startswith("unmount")]


@pytest.mark.parametrize("other", OTHERS)
def test_another_declaration_waits_for_what_was_written_by_the_one_before(other: str) -> None:
    fake, clock = Fake(), Clock()
    one, dataset = engine(fake, clock), declared(generation=2, **{"readOnly": False, **OTHERS[other]})
    status = settled(one, declared(readOnly=False))
    written(fake)
    written(fake, WRITING, "/datasets/x/open")
    status = one.step(dataset, status).status
    step = one.step(dataset, status)
    assert step.status["phase"] == "Mounting" and step.delay == AWAY_SECONDS and not unmounts(fake)
    assert "2 files are lacking, such as /datasets/x/new (only workers hold it), /datasets/x/open (it is still being written)" in step.status["message"]
    assert "2027-01-15" not in step.status["message"] and [call for call in fake.calls if call.startswith("persist")] == [f"persist {NEW}"]
    clock.pause(step.delay)
    # What is on its way would begin anew, and so never get there.
    fake.unsaved["/datasets/x/open"] = COMING
    step = one.step(dataset, step.status)
    assert "1 files are lacking, such as /datasets/x/open (it is on its way there)" in step.status["message"] and not unmounts(fake)
    fake.unsaved.clear()
    assert settled(one, dataset, step.status)["phase"] == "Complete" and unmounts(fake) == ["unmount /datasets/x"]
    assert [call for call in fake.calls if call.startswith("persist")] == [f"persist {NEW}"]


def test_what_cannot_be_written_to_its_source_is_not_waited_for_without_end() -> None:
    fake, clock = Fake(), Clock()
    one, dataset = engine(fake, clock), declared(source="/srv/y", readOnly=False, generation=2)
    status = settled(one, declared(readOnly=False))
    written(fake)
    fake.stuck = {NEW}
    begun = clock.at
    status = settled(one, dataset, status)
    assert status["phase"] == "Failed" and f"{NEW} (only workers hold it)" in status["message"] and not unmounts(fake)
    assert mounting.SAVE_SECONDS <= clock.at - begun < mounting.SAVE_SECONDS + 60
    fake.stuck.clear()
    assert settled(one, replace(dataset, reload="again"), status)["phase"] == "Complete" and unmounts(fake) == ["unmount /datasets/x"]


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_mount_is_not_made_read_only_before_its_source_has_what_was_written(by_hand: bool) -> None:
    fake = Fake()
    one, dataset = engine(fake), declared(generation=2)
    status: dict[str, Any] = {}
    if by_hand:
        fake.mount("/datasets/x", "/srv/x", False, {})
    else:
        status = settled(one, declared(readOnly=False))
    written(fake, COMING)
    for _ in range(3):
        status = one.step(dataset, status).status
    assert "stays as it is mounted until its source has what was written there" in status["message"] and not fake.table["/datasets/x"].read_only
    fake.unsaved.clear()
    assert settled(one, dataset, status)["phase"] == "Complete" and fake.table["/datasets/x"].read_only and not unmounts(fake)


def test_a_data_set_that_goes_waits_for_what_was_written() -> None:
    fake = Fake()
    one, dataset = engine(fake), declared(readOnly=False)
    status = settled(one, dataset)
    written(fake, COMING)
    for _ in range(3):
        with pytest.raises(AlluxioAway, match="stays as it is mounted until its source has what was written there"):
            one.remove(dataset, status)
    assert not unmounts(fake) and not [call for call in fake.calls if call.startswith("persist")]
    fake.unsaved.clear()
    one.remove(dataset, status)
    assert fake.table == {}


def test_what_was_never_written_to_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    monkeypatch.setattr(fake, "each", lambda *_: pytest.fail("a million files take their time"))
    one.remove(declared(), status)
    assert fake.table == {}


@pytest.mark.parametrize("how", ["ttl", "asked"])
def test_what_is_freed_leaves_what_the_source_does_not_have(how: str) -> None:
    fake, clock = Fake(), Clock()
    one, dataset = engine(fake, clock), declared(readOnly=False, ttl="1h")
    status = settled(one, dataset)
    written(fake)
    written(fake, COMING, "/datasets/x/coming")
    # What was lost with a worker can be neither saved nor freed.
    fake.known["/datasets/x/half"] = 10
    fake.cached.add("/datasets/x/half")
    fake.half = {"/datasets/x/half"}
    clock.pause(3600)
    asked = dataset if how == "ttl" else replace(dataset, cancel="now free")
    status = one.step(asked, status).status
    assert status["phase"] == "Incomplete" and fake.cached == {NEW, "/datasets/x/coming", "/datasets/x/half"}
    said = " 3 files stay, for the source does not have what was written there, such as /datasets/x/coming, /datasets/x/new, /datasets/x/half."
    assert status["message"].endswith(said) and (status["cachedBytes"], status["cachedPercent"]) == (30, 1)
    assert [call for call in fake.calls if call.startswith("persist")] == [f"persist {NEW}"], "what is on its way would begin anew"
    # It has its time, too, and by then the source has it.
    clock.pause(3601)
    fake.unsaved.clear()
    fake.half.clear()
    status = one.step(asked, status).status
    assert not fake.cached and "stay" not in status["message"]


def test_what_is_freed_while_alluxio_goes_away_is_freed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, clock = Fake(), Clock()
    one, dataset = engine(fake, clock), declared(readOnly=False)
    status = settled(one, dataset)
    written(fake, name="/datasets/x/a")
    free = fake.free

    def gone(path: str) -> None:
        fake.away = path != dataset.path
        free(path)

    monkeypatch.setattr(fake, "free", gone)
    step = one.step(replace(dataset, cancel="now free"), status)
    assert step.status["phase"] == "Complete" and step.delay == AWAY_SECONDS and not step.status.get("observedCancel")


@pytest.mark.parametrize(("preload", "said"), [("metadata", "1 file stays, for the source does not have what was written there, such as /datasets/x/new.")])
def test_what_is_known_alone_tells_what_stays_too(preload: str, said: str) -> None:
    fake = Fake()
    one, dataset = engine(fake), declared(readOnly=False, preload=preload)
    status = settled(one, dataset)
    written(fake)
    status = one.step(replace(dataset, cancel="now free"), status).status
    assert (status["phase"], status["message"]) == ("Complete", said)


class Cluster:
    """The data set in the API, as far as its end is concerned."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item, self.away = item, False

    def all(self) -> dict[str, Any]:
        return {"n/x": self.item}

    def write_status(self, dataset: Dataset, before: dict[str, Any], after: dict[str, Any]) -> None:
        if self.away:
            raise OSError("no route to host")
        self.item["status"] = after


@pytest.mark.parametrize("away", [False, True])
def test_the_status_says_what_holds_a_data_set_that_goes(away: bool) -> None:
    fake, dataset = Fake(), declared(readOnly=False)
    one = engine(fake)
    meta = {"name": "x", "namespace": "n", "uid": "x", "generation": 1, "deletionTimestamp": "2027-01-15T08:00:00Z"}
    item: dict[str, Any] = {"metadata": meta, "spec": {"source": "/srv/x", "readOnly": False}, "status": settled(one, dataset)}
    written(fake, WRITING)
    cluster: Any = Cluster(item)
    cluster.away = away
    work = Work(cluster, cluster, one, Settings("n"))
    with pytest.raises(AlluxioAway, match=NEW):
        work.remove(item)
    assert ("message" in item["status"] and f"{NEW} (it is still being written). It is tried again." in item["status"]["message"]) is not away
    assert item["status"]["phase"] == "Complete" and "mounted" in item["status"] and not unmounts(fake)
    fake.unsaved.clear()
    work.remove(item)
    assert fake.table == {}
