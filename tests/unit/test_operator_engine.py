"""How data sets become what they are declared to be: the engine on an Alluxio that is made of dictionaries."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from alnair_operator import engine as engines
from alnair_operator import loading
from alnair_operator.alluxio import Job, Mount
from alnair_operator.datasets import Dataset
from alnair_operator.engine import SETTLED, Engine, MountJob, Step
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.planning import File, Worker

Hook = Callable[[], None]


class Fake:
    """Alluxio: the source is what a sync finds; a job brings its files when it is looked at."""

    def __init__(self, source: dict[str, int] | None = None, workers: int = 2, capacity: int = 10_000) -> None:
        self.source = {f"f{index}": 10 for index in range(200)} if source is None else source
        self.table: dict[str, Mount] = {}
        self.options: dict[str, Any] = {}
        self.known: dict[str, int] = {}
        self.cached: set[str] = set()
        self.jobs: dict[int, tuple[str, ...]] = {}
        self.sent: list[str] = []
        self.numbers = itertools.count(1)
        self.broken: set[str] = set()
        self.flaky: dict[str, int] = {}
        self.size = [Worker(f"w{index}", capacity, 0) for index in range(workers)]
        self.calls: list[str] = []
        self.on_sync: Hook = lambda: None
        self.on_job: Hook = lambda: None
        self.away = False
        self.intervals: dict[str, str] = {}

    def up(self) -> None:
        if self.away:
            raise AlluxioAway("Nobody answers")

    def mounts(self) -> dict[str, Mount]:
        self.up()
        return dict(self.table)

    def mount(self, path: str, ufs: str, read_only: bool, options: dict[str, str], update: bool = False) -> None:
        self.calls.append(f"mount {path} {update}")
        if ufs == "/refused":
            raise AlluxioError("/refused cannot be mounted: permission denied")
        self.table[path] = Mount(ufs, read_only, dict(options))

    def unmount(self, path: str) -> None:
        self.calls.append(f"unmount {path}")
        del self.table[path]

    def sync_interval(self, path: str, interval: str) -> None:
        self.intervals[path] = interval

    def sync(self, path: str) -> None:
        self.up()
        self.on_sync()
        for root in self.table:
            if path == root or path.startswith(f"{root}/"):
                now = {f"{root}/{name}": length for name, length in self.source.items()}
                gone = {name for name, length in self.known.items() if name.startswith(f"{root}/") and now.get(name) != length}
                self.cached -= gone
                self.known = {name: length for name, length in self.known.items() if name not in gone} | now

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1) -> None:
        self.up()
        for name, length in sorted(self.known.items()):
            if name == path or name.startswith(f"{path}/"):
                take(File(name, length, length if name in self.cached else 0, name in self.cached))

    def pin(self, path: str, pinned: bool) -> None:
        self.calls.append(f"pin {path} {pinned}")

    def free(self, path: str) -> None:
        self.calls.append(f"free {path}")
        self.cached = {name for name in self.cached if not name.startswith(f"{path}/")}
        self.size = [Worker(worker.name, worker.capacity, 0) for worker in self.size]

    def workers(self) -> list[Worker]:
        self.up()
        return self.size

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        self.up()
        number = next(self.numbers)
        self.jobs[number] = tuple(paths)
        self.sent.extend(paths)
        return number

    def job(self, number: int) -> Job:
        self.up()
        self.on_job()
        if number not in self.jobs:
            return Job("GONE", {})
        failures = {}
        for path in self.jobs[number]:
            if self.flaky.get(path, 0) > 0:
                self.flaky[path] -= 1
                failures[f"LoadTask {path}"] = "503 slow down"
            elif path in self.broken or path not in self.known:
                failures[f"LoadTask {path}"] = "404 no such key"
            else:
                self.cached.add(path)
        return Job("FAILED", failures) if failures else Job("COMPLETED", {})

    def cancel(self, number: int) -> None:
        self.calls.append(f"cancel {number}")
        self.jobs.pop(number, None)


def declared(name: str = "x", **spec: Any) -> Dataset:
    meta = {"name": name, "namespace": "n", "generation": spec.pop("generation", 1), "creationTimestamp": "2026-01-01T00:00:00Z", "uid": name}
    meta["annotations"] = {"alnair.io/reload": spec.pop("reload", ""), "alnair.io/cancel": spec.pop("cancel", "")}
    return Dataset.of({"metadata": meta, "spec": {"source": "/srv/x", **spec}})


class Clock:
    """A clock that goes on when somebody waits."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


def engine(fake: Fake, clock: Clock | None = None, **more: Any) -> Engine:
    clock = clock or Clock()
    return Engine(fake, now=clock, pause=clock.pause, **more)


def settled(one: Engine, dataset: Dataset, status: dict[str, Any] | None = None, others: tuple[Dataset, ...] = (), steps: int = 300) -> dict[str, Any]:
    """Take steps until the data set stays as it is."""
    step = Step(status or {})
    for _ in range(steps):
        step = one.step(dataset, step.status, others)
        if step.status["phase"] in SETTLED:
            return step.status
        one.pause(step.delay)
    raise AssertionError(f"it does not settle: {step.status}")


def test_a_data_set_is_mounted_listed_loaded_and_read_back() -> None:
    fake = Fake()
    one, dataset, phases = engine(fake), declared(pin=True, syncInterval="10m"), []
    status: dict[str, Any] = {}
    while status.get("phase") != "Complete":
        step = one.step(dataset, status)
        status = step.status
        phases.append(status["phase"])
        assert all(kind == "Normal" for kind, _, _ in step.events)
    assert [phase for phase, _ in itertools.groupby(phases)] == ["Mounting", "Syncing", "Loading", "Complete"]
    figures = {"files": 200, "bytes": 2000, "cachedBytes": 2000, "cachedPercent": 100, "size": "2.0 KiB", "failedCount": 0, "observedGeneration": 1}
    assert {key: status[key] for key in figures} == figures
    assert status["conditions"][0]["status"] == "True" and status["loadedAt"]
    assert sorted(fake.sent) == sorted(fake.known), "each file is sent once"
    assert "pin /datasets/x True" in fake.calls and fake.intervals == {"/datasets/x": "10m"}
    assert "jobs" not in status and "rate" not in status


def test_a_second_run_changes_nothing_and_new_files_are_picked_up() -> None:
    fake = Fake()
    one = engine(fake)
    first = settled(one, declared())
    fake.sent.clear()
    assert settled(one, declared(reload="1"), first)["phase"] == "Complete" and fake.sent == []
    fake.source["new"] = 5
    status = settled(one, declared(reload="2"), first)
    assert fake.sent == ["/datasets/x/new"] and status["files"] == 201 and status["observedReload"] == "2"
    assert fake.calls == ["mount /datasets/x False"]


def test_what_failed_is_tried_once_more_and_then_named() -> None:
    fake = Fake()
    fake.flaky = {"/datasets/x/f1": 1}
    fake.broken = {"/datasets/x/f2"}
    status = settled(engine(fake), declared())
    assert status["phase"] == "Incomplete" and status["failedCount"] == 1 and status["cachedPercent"] == 99
    assert status["failedFiles"] == [{"path": "/datasets/x/f2", "reason": "404 no such key"}]
    assert "404 no such key" in status["message"] and "alnair.io/reload" in status["message"]
    assert fake.sent.count("/datasets/x/f2") == 2 and fake.sent.count("/datasets/x/f1") == 2 and fake.sent.count("/datasets/x/f3") <= 2
    fake.broken.clear()
    assert settled(engine(fake), declared(reload="again"), status)["phase"] == "Complete"


def test_a_load_that_is_cancelled_ends_where_it_is_until_another_is_asked_for() -> None:
    for successor in (False, True):
        fake = Fake()
        one, status = engine(fake), dict[str, Any]()

        def cut(fake: Fake = fake) -> None:
            fake.away = True

        fake.on_job = cut
        while status.get("phase") != "Loading" or not status.get("jobs"):
            fake.away = False
            status = one.step(declared(), status).status
        fake.away, fake.on_job = False, lambda: None
        ended = (engine(fake) if successor else one).step(declared(cancel="now"), status).status
        assert ended["phase"] == "Incomplete" and "was cancelled" in ended["message"] and ended["observedCancel"] == "now"
        assert [f"cancel {number}" for number in status["jobs"]] == [call for call in fake.calls if call.startswith("cancel")]
        sent = len(fake.sent)
        assert one.step(declared(cancel="now"), ended).status["phase"] == "Incomplete" and len(fake.sent) == sent
        assert settled(one, declared(cancel="now", reload="again"), ended)["phase"] == "Complete"


def test_a_cancel_before_the_mount_mounts_nothing_and_one_of_what_is_loaded_changes_nothing() -> None:
    fake = Fake()
    one = engine(fake)
    pending = one.step(declared(), {"phase": "Pending", "observedGeneration": 1}).status
    ended = one.step(declared(cancel="now"), pending).status
    assert ended["phase"] == "Failed" and "cancelled before it was mounted" in ended["message"] and fake.calls == []
    whole = settled(one, declared(cancel="now", reload="1"), ended)
    assert whole["phase"] == "Complete"
    assert one.step(declared(cancel="later", reload="1"), whole).status == {**whole, "observedCancel": "later"}


def test_an_operator_that_is_killed_at_any_step_is_followed_by_another() -> None:
    for killed in range(12):
        fake, clock, status = Fake(), Clock(), dict[str, Any]()
        one = engine(fake, clock)
        for _ in range(killed):
            status = one.step(declared(), status).status
        status = settled(engine(fake, clock), declared(), status)
        assert status["phase"] == "Complete", killed
        assert fake.cached == set(fake.known) and fake.calls.count("mount /datasets/x False") == 1


def test_jobs_of_the_process_before_are_joined() -> None:
    fake, clock = Fake(), Clock()
    one, status = engine(fake, clock), dict[str, Any]()
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(declared(), status).status
    sent = len(fake.sent)
    assert settled(engine(fake, clock), declared(), status)["phase"] == "Complete"
    assert len(fake.sent) == 200 and sent <= 200, "nothing is sent twice"


def test_what_is_too_large_is_not_loaded_and_let_in_when_there_is_room() -> None:
    fake, clock = Fake(capacity=1000), Clock()
    one = engine(fake, clock)
    status = settled(one, declared())
    assert status["phase"] == "TooLarge" and not fake.sent and "2.0 KiB are to be loaded" in status["message"]
    assert one.step(declared(), status).status["phase"] == "TooLarge"
    fake.size.append(Worker("w3", 10_000, 0))
    fake.size.append(Worker("w4", 10_000, 0))
    assert settled(one, declared(), one.step(declared(), status).status)["phase"] == "Complete"


def test_another_is_freed_first_where_that_is_allowed() -> None:
    fake = Fake()
    fake.size = [Worker("w0", 3000, 2900)]
    other = declared("old", path="/datasets/old")
    freed: list[str] = []
    one, status = engine(fake), dict[str, Any]()
    while status.get("phase") not in SETTLED:
        step = one.step(declared(evict=["old"]), status, [other])
        status = step.status
        freed += step.freed
    assert status["phase"] == "Complete" and freed == ["old"] and "free /datasets/old" in fake.calls


def test_two_loads_are_not_promised_the_same_space() -> None:
    fake = Fake(workers=1, capacity=3000)
    one, clock = engine(fake), Clock()
    first, second = declared("a"), declared("b")
    status: dict[str, Any] = {}
    while status.get("phase") != "Loading":
        status = one.step(first, status).status
    assert settled(one, second)["phase"] == "TooLarge"
    heir = engine(fake, clock)
    heir.reserved["n/a"] = 2000
    assert settled(heir, second)["phase"] == "TooLarge"


@pytest.mark.parametrize("preload", ["none", "metadata"])
def test_what_shall_not_be_loaded_is_not(preload: str) -> None:
    fake = Fake()
    status = settled(engine(fake), declared(preload=preload))
    assert status["phase"] == "Complete" and not fake.sent and status.get("files", 0) == (200 if preload == "metadata" else 0)


def test_only_sub_paths_are_loaded() -> None:
    fake = Fake({"train/a": 1, "train/b": 1, "val/a": 1})
    status = settled(engine(fake), declared(subPaths=["train"]))
    assert status["files"] == 2 and sorted(fake.sent) == ["/datasets/x/train/a", "/datasets/x/train/b"]


def test_alluxio_that_is_away_is_waited_for() -> None:
    fake = Fake()
    one, status = engine(fake), dict[str, Any]()
    for phase in ("Mounting", "Syncing", "Loading"):
        while status.get("phase") != phase:
            status = one.step(declared(), status).status
        fake.away = True
        step = one.step(declared(), status)
        assert step.status["phase"] == phase and step.delay == engines.AWAY_SECONDS and "Nobody answers" in step.status["message"]
        status, fake.away = step.status, False
    assert settled(one, declared(), status)["phase"] == "Complete"


def test_a_mount_that_is_refused_fails_with_its_reason() -> None:
    status = settled(engine(Fake()), declared(source="/refused"))
    assert status["phase"] == "Failed" and status["message"] == "/refused cannot be mounted: permission denied."
    assert status["conditions"][0]["status"] == "False"


def test_a_source_without_a_file_is_not_complete() -> None:
    status = settled(engine(Fake({})), declared())
    assert status["phase"] == "Failed" and "No file was found" in status["message"]


def test_the_mount_of_somebody_else_is_not_touched() -> None:
    fake = Fake()
    fake.table["/datasets/x"] = Mount("/other", True, {})
    status = settled(engine(fake), declared())
    assert status["phase"] == "Failed" and "/other" in status["message"] and fake.calls == []


def test_a_source_that_is_declared_anew_is_mounted_anew() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    status = settled(one, declared(source="/srv/y", generation=2), status)
    assert status["phase"] == "Complete" and status["observedGeneration"] == 2 and fake.table["/datasets/x"].ufs == "/srv/y"
    status = settled(one, declared(source="/srv/y", path="/datasets/z", readOnly=False, generation=3), status)
    assert list(fake.table) == ["/datasets/z"] and not fake.table["/datasets/z"].read_only


def test_credentials_are_seen_by_a_job_alone() -> None:
    fake, answers = Fake(), [MountJob("active", "pulling"), MountJob("done")]

    def mount_job(dataset: Dataset, ufs: str) -> MountJob:
        answer = answers.pop(0)
        if answer.state == "done":
            fake.table[dataset.path] = Mount(ufs, True, {"s3a.secretKey": "******"})
        return answer

    status = settled(engine(fake, mount_job=mount_job), declared(source="s3://b/p", credentials="keys"))
    assert status["phase"] == "Complete" and fake.calls == []
    failing = engine(fake, mount_job=lambda dataset, ufs: MountJob("failed", "403 Forbidden"))
    status = settled(failing, declared("y", source="s3://b/p", credentials="keys"))
    assert status["phase"] == "Failed" and "403 Forbidden" in status["message"] and "Secret keys" in status["message"]


def test_a_data_set_that_goes_while_a_job_mounts_it_leaves_no_mount() -> None:
    fake, left = Fake(), [False, True]
    dataset = declared(source="s3://b/p", credentials="keys")
    one = engine(fake, mount_job=lambda dataset, ufs: MountJob("active"), end_mounts=lambda dataset: left.pop(0))
    with pytest.raises(AlluxioAway, match="has not ended yet"):
        one.remove(dataset, {"phase": "Mounting"})
    # The Job did it at its last moment.
    fake.table["/datasets/x"] = Mount("s3://b/p", True, {})
    one.remove(dataset, {"phase": "Mounting"})
    assert fake.table == {}


def test_what_is_lost_after_the_load_is_seen() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    assert one.step(declared(), status).status["phase"] == "Complete"
    fake.cached.discard("/datasets/x/f7")
    step = one.step(declared(), status)
    assert step.status["phase"] == "Incomplete" and step.events[0][:2] == ("Warning", "Incomplete")
    # As long as it is so; what was repaired, or read through the cache, is read back.
    assert one.step(declared(), step.status).status["phase"] == "Incomplete"
    fake.cached.add("/datasets/x/f7")
    again = one.step(declared(), step.status)
    assert again.status["phase"] == "Syncing"
    assert one.step(declared(), again.status).status["phase"] == "Complete"


def test_it_is_freed_when_its_time_is_over() -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    status = settled(one, declared(ttl="1h"))
    step = one.step(declared(ttl="1h"), status)
    assert step.status["phase"] == "Complete" and step.delay <= 3600
    clock.pause(3601)
    status = one.step(declared(ttl="1h"), status).status
    assert status["phase"] == "Incomplete" and "1h after its load" in status["message"] and "free /datasets/x" in fake.calls


def test_a_data_set_that_goes_is_unmounted_and_its_jobs_are_cancelled() -> None:
    fake = Fake()
    one, status = engine(fake), dict[str, Any]()
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(declared(), status).status
    one.remove(declared(), status)
    assert fake.table == {} and any(call.startswith("cancel") for call in fake.calls)
    one.remove(declared(), status)


def test_a_job_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, clock = Fake({"a": 1}), Clock()
    monkeypatch.setattr(fake, "job", lambda number: Job("RUNNING" if number in fake.jobs else "GONE", {}))
    load = loading.Load(declared(), clock=clock)
    fake.mount("/datasets/x", "/srv/x", True, {})
    fake.sync("/datasets/x")
    for _ in range(10):
        load.step(fake, 8)
        clock.pause(loading.STALL_SECONDS + 1)
    assert load.over and "did not end" in load.failures["/datasets/x/a"] and fake.sent == ["/datasets/x/a"] * 2


def test_a_large_data_set_goes_by_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "ROUND_FILES", 30)
    fake = Fake()
    assert settled(engine(fake), declared())["phase"] == "Complete" and len(fake.sent) == 200


def test_jobs_that_the_service_has_forgotten_are_no_failure_of_the_files() -> None:
    fake = Fake()
    forgotten = [3]

    def forget() -> None:
        if forgotten[0]:
            forgotten[0] -= 1
            fake.jobs.clear()

    fake.on_job = forget
    assert settled(engine(fake), declared())["phase"] == "Complete"


@pytest.mark.parametrize("seed", range(50))
def test_complete_is_never_said_of_what_is_not(seed: int) -> None:
    """Faults come by chance: files that fail, that change, that vanish and come back, evictions, lost jobs, a cluster that goes away, operators that are killed."""
    chance = random.Random(seed)
    fake, clock = Fake({f"f{index}": 10 for index in range(chance.randint(1, 300))}), Clock()
    everything = dict(fake.source)

    def on_sync() -> None:
        fake.source = {name: length for name, length in everything.items() if chance.random() > 0.001} if chance.random() < 0.2 else dict(everything)
        if chance.random() < 0.2:
            everything[chance.choice(sorted(everything))] += 1
            fake.source = dict(everything)

    def on_job() -> None:
        if chance.random() < 0.05 and fake.cached:
            fake.cached.discard(chance.choice(sorted(fake.cached)))
        if chance.random() < 0.02:
            fake.jobs.clear()
        if chance.random() < 0.05 and fake.known:
            fake.flaky[chance.choice(sorted(fake.known))] = chance.randint(1, 3)

    fake.on_sync, fake.on_job = on_sync, on_job
    one, status = engine(fake, clock), dict[str, Any]()
    for _ in range(400):
        fake.away = chance.random() < 0.05
        if chance.random() < 0.1:
            one = engine(fake, clock)
        status = one.step(declared(), status).status
        clock.pause(1)
        if status["phase"] == "Complete":
            assert set(fake.known) <= fake.cached
            break
        if status["phase"] in SETTLED:
            break
    assert status["phase"] in SETTLED
    assert status["phase"] != "Complete" or len(fake.known) == status["files"]
