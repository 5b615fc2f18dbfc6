"""How data sets become what they are declared to be."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from alnair_operator import engine as engines
from alnair_operator import loading
from alnair_operator.alluxio import Job
from alnair_operator.engine import SETTLED
from alnair_operator.jvm import AlluxioError
from alnair_operator.steps import Step

from tests.unit.operator_tools import Clock, Fake, declared, engine, settled


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


def test_the_files_that_a_load_has_brought_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    job = fake.job
    # Of four jobs, each of 64 files at most, one ends.
    monkeypatch.setattr(fake, "job", lambda number: job(number) if number == 1 else Job("RUNNING", {}))
    one, step = engine(fake), Step({})
    for _ in range(8):
        step = one.step(declared(), step.status)
    assert step.status["phase"] == "Loading" and (step.status["cachedFiles"], step.status["files"]) == (64, 200)
    assert step.status["message"] == "640 B of 2.0 KiB and 64 of 200 files are cached."
    monkeypatch.undo()
    status = settled(one, declared(), step.status)
    assert (status["phase"], status["cachedFiles"]) == ("Complete", 200)
    assert one.step(declared(cancel="1 free"), status).status["cachedFiles"] == 0


def test_a_source_without_a_file_is_not_complete() -> None:
    status = settled(engine(Fake({})), declared())
    assert status["phase"] == "Failed" and "No file was found" in status["message"]


@pytest.mark.parametrize("preload", ["all", "metadata"])
def test_a_folder_that_could_not_be_listed_is_listed_once_more_and_then_named(preload: str) -> None:
    source = {"a/1": 10, "a/2": 10, "b/1": 10, "b/c/1": 10}
    fake = Fake(dict(source))
    # Alluxio keeps such failures to itself.
    fake.unlisted = {"/datasets/x/b": 1, "/datasets/x/b/c": 2 + (preload == "all")}
    status = settled(engine(fake), declared(preload=preload))
    assert (status["phase"], status["files"], "empty" in status["message"]) == ("Complete", 4, False), status["message"]
    fake = Fake(dict(source))
    fake.unlisted = {"/datasets/x/b": 1000, "/datasets/x/honest": 0}
    status = settled(engine(fake), declared(preload=preload))
    said = " 2 folders are empty as far as Alluxio can list them, such as /datasets/x/b, /datasets/x/honest; dataset check tells whether"
    assert status["phase"] == "Complete" and status["files"] == 2 and said in status["message"]


@pytest.mark.parametrize("preload", ["all", "metadata"])
def test_a_folder_that_is_known_and_cannot_be_listed_any_more_is_named(preload: str) -> None:
    fake, meant = Fake({"a/1": 10, "b/1": 10, "b/c/1": 10}), declared(preload=preload)
    before = settled(engine(fake), meant)
    assert (before["phase"], before["files"]) == ("Complete", 3)
    fake.source["b/2"], fake.unlisted = 10, {"/datasets/x/b": 1000}
    status = settled(engine(fake), declared(preload=preload, reload="again"), before)
    assert status["files"] == 1 and " 1 folder is empty as far as Alluxio can list them, such as /datasets/x/b; dataset check" in status["message"]


def test_of_very_many_empty_folders_some_are_listed_again_and_few_are_named() -> None:
    fake = Fake({"a": 10})
    fake.unlisted, listings = {f"/datasets/x/{index:03}": 0 for index in range(500)}, list[int]()
    fake.on_sync = lambda: listings.append(1)
    status = settled(engine(fake), declared())
    assert status["phase"] == "Complete" and "500 folders are empty" in status["message"] and len(status["message"]) < 300
    assert len(listings) <= 210


def test_a_folder_that_goes_while_it_is_listed_again_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake({"a": 10})
    fake.unlisted, sync = {"/datasets/x/b": 0}, fake.sync

    def gone(path: str, twice: bool = False) -> None:
        if path == "/datasets/x/b":
            fake.unlisted.clear()
            raise AlluxioError("/datasets/x/b does not exist")
        sync(path, twice)

    monkeypatch.setattr(fake, "sync", gone)
    status = settled(engine(fake), declared())
    assert status["phase"] == "Complete" and "empty" not in status["message"]


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
    assert again.status["phase"] == "Pending" and settled(one, declared(), again.status)["phase"] == "Complete"


def test_it_is_freed_when_its_time_is_over() -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    status = settled(one, declared(ttl="1h"))
    step = one.step(declared(ttl="1h"), status)
    assert step.status["phase"] == "Complete" and step.delay <= 3600
    clock.pause(3601)
    status = one.step(declared(ttl="1h"), status).status
    assert status["phase"] == "Incomplete" and "1h after its load" in status["message"] and "free /datasets/x" in fake.calls


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


def test_a_job_that_brings_something_is_not_given_up() -> None:
    fake, clock = Fake({"a": 100}), Clock()
    fake.mount("/datasets/x", "/srv/x", True, {})
    fake.sync("/datasets/x")
    load = loading.Load(declared(), clock=clock)
    ends, fake.job = fake.job, lambda number: Job("RUNNING", {})  # type: ignore[method-assign]
    for part in range(6):
        load.step(fake, 8)
        fake.parts["/datasets/x/a"] = 10 * (part + 1)
        clock.pause(loading.STALL_SECONDS + 1)
    assert fake.sent == ["/datasets/x/a"] and load.tries == {"/datasets/x/a": 1} and not load.reasons
    # From here on nothing more comes.
    load.step(fake, 8)
    clock.pause(loading.STALL_SECONDS + 1)
    load.step(fake, 8)
    assert "brought nothing" in load.reasons["/datasets/x/a"] and fake.sent == ["/datasets/x/a"] * 2
    fake.job = ends  # type: ignore[method-assign]
    load.step(fake, 8)
    load.step(fake, 8)
    assert load.over and not load.failures


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


def test_fewer_files_are_believed_when_they_are_seen_twice() -> None:
    fake = Fake()
    one = engine(fake)
    whole = settled(one, declared())
    everything, faulty = dict(fake.source), [True]

    def on_sync() -> None:
        # One listing does not name a file; the next one does again.
        fake.source = {name: length for name, length in everything.items() if name != "f7" or not faulty}
        faulty.clear()

    fake.on_sync = on_sync
    status = settled(one, declared(reload="1"), whole)
    assert status["phase"] == "Complete" and status["files"] == 200 and "/datasets/x/f7" in fake.cached
    del everything["f7"]
    status = settled(one, declared(reload="2"), status)
    assert status["phase"] == "Complete" and status["files"] == 199


def test_a_listing_that_somebodys_reading_has_caused_is_not_believed_at_once() -> None:
    fake = Fake()
    one = engine(fake)
    whole = settled(one, declared())
    del fake.known["/datasets/x/f7"]
    fake.cached.discard("/datasets/x/f7")
    assert one.step(declared(), whole).status["phase"] == "Syncing"
    status = settled(one, declared(), one.step(declared(), whole).status)
    assert status["phase"] == "Complete" and status["files"] == 200 and "/datasets/x/f7" in fake.cached


def test_all_that_failed_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    fake.broken = {f"/datasets/x/f{index}" for index in range(50)}
    status = settled(engine(fake), declared())
    assert status["phase"] == "Incomplete" and status["failedCount"] == 50 and len(status["failedFiles"]) == 20
    told = [record.getMessage() for record in caplog.records]
    assert all(f"Data set n/x: {path} is not cached: 404 no such key" in told for path in fake.broken)


@pytest.mark.parametrize("preload", ["all", "metadata"])
def test_what_is_freed_is_not_complete_from_that_moment_on(preload: str) -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    whole = settled(one, declared(preload=preload, pin=True))
    step = one.step(declared(preload=preload, pin=True, cancel="now free"), whole)
    status = step.status
    assert "free /datasets/x" in fake.calls and status["observedCancel"] == "now free" and status["cachedBytes"] == 0
    if preload == "metadata":
        assert status["phase"] == "Complete", "it is known as before"
        return
    assert status["phase"] == "Incomplete" and "because somebody asked for it" in status["message"] and "loadedAt" not in status
    # Workers free by and by: what Alluxio says meanwhile is of before.
    late, fake.cached = set(fake.cached), set(fake.known)
    assert one.step(declared(preload=preload, pin=True, cancel="now free"), status).status["phase"] == "Incomplete"
    again = declared(preload=preload, pin=True, cancel="now free", reload="1")
    step = one.step(again, one.step(again, one.step(again, status).status).status)
    assert step.status["phase"] == "Syncing"
    fake.cached = late
    fake.sent.clear()
    assert settled(one, again, step.status)["phase"] == "Complete" and len(fake.sent) == 200


def test_what_is_freed_while_it_is_loaded_is_not_loaded_on() -> None:
    fake, status = Fake(), dict[str, Any]()
    one = engine(fake)
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(declared(), status).status
    status = one.step(declared(cancel="now free"), status).status
    assert status["phase"] == "Incomplete" and [call.split()[0] for call in fake.calls if "mount" not in call][-1] == "free"
    assert any(call.startswith("cancel") for call in fake.calls) and not one.loads and not one.room.promised


def test_a_pod_goes_only_after_a_look_that_is_not_older_than_itself() -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    status = settled(one, declared())
    assert one.fresh(declared(), clock.at) and not one.wanted
    clock.pause(30)
    assert not one.fresh(declared(), clock.at) and one.wanted == {"n/x"}
    # What cannot be looked at was not.
    fake.away = True
    assert one.step(declared(), status).status["phase"] == "Complete" and not one.fresh(declared(), clock.at)
    fake.away = False
    assert one.step(declared(), status).status["phase"] == "Complete" and not one.wanted
    assert one.fresh(declared(), clock.at) and one.fresh(declared(preload="none"), clock.at + 1000)
    # What was evicted meanwhile is loaded again for the pods that wait.
    clock.pause(30)
    fake.cached.discard("/datasets/x/f7")
    assert not one.fresh(declared(), clock.at)
    step = one.step(declared(), status)
    assert step.status["phase"] == "Syncing" and "pods wait" in step.status["message"]
    assert settled(one, declared(), step.status)["phase"] == "Complete" and one.fresh(declared(), clock.at)


def test_a_rerun_that_loads_nothing_does_not_make_it_live_longer() -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    status = settled(one, declared(ttl="1h"))
    for run in range(3):
        clock.pause(1500)
        status = settled(one, declared(ttl="1h", reload=str(run)), status)
        if run < 2:
            assert status["phase"] == "Complete"
    status = one.step(declared(ttl="1h", reload="2"), status).status
    assert status["phase"] == "Incomplete" and "1h after its load" in status["message"]
    clock.pause(60)
    status = settled(one, declared(ttl="1h", reload="again"), status)
    assert status["phase"] == "Complete" and one.step(declared(ttl="1h", reload="again"), status).status["phase"] == "Complete"


def test_jobs_of_an_earlier_load_that_hang_are_waited_for_until_they_count_as_lost() -> None:
    fake, clock = Fake(), Clock()
    one, status = engine(fake, clock), dict[str, Any]()
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(declared(), status).status
    ends, fake.job = fake.job, lambda number: Job("RUNNING" if number in fake.jobs else "GONE", {})  # type: ignore[method-assign]
    hung, waited = list(status["jobs"]), 0
    for _ in range(14):
        status = one.step(declared(reload="1"), status).status
        waited += "jobs of an earlier load" in status["message"]
        clock.pause(100)
    assert 9 <= waited <= 11 and {f"cancel {number}" for number in hung} <= set(fake.calls)
    fake.job = ends  # type: ignore[method-assign]
    status = settled(one, declared(reload="1"), status)
    assert status["phase"] == "Complete" and "waitingSince" not in status


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
    one, status, runs = engine(fake, clock), dict[str, Any](), 0
    for _ in range(1200):
        fake.away = chance.random() < 0.05
        if chance.random() < 0.1:
            one = engine(fake, clock)
        status = one.step(declared(reload=str(runs)), status).status
        clock.pause(1)
        if status["phase"] == "Complete":
            assert {f"/datasets/x/{name}" for name in everything} == fake.cached
            assert status["files"] == len(everything)
        if status["phase"] in SETTLED:
            runs += 1
        if runs == 4:
            break
    assert status["phase"] in SETTLED


@pytest.mark.parametrize("path", ["/datasets/b", "/datasets/b/sub"])
@pytest.mark.parametrize("source", ["/srv/a", "/srv/b"])
def test_a_path_that_is_changed_into_that_of_a_mounted_data_set_is_refused(path: str, source: str) -> None:
    fake = Fake()
    one = engine(fake)
    # By its name the first is the elder.
    elder, younger = declared("a", source=source), declared("b", source="/srv/b")
    before, whole = settled(one, elder, others=(younger,)), settled(one, younger)
    younger = replace(younger, mounted=whole["mounted"]["path"])
    calls = len(fake.calls)
    moved = replace(elder, path=path, generation=2, mounted=before["mounted"]["path"])
    status = settled(one, moved, before, (younger,))
    said = f"Path {path} overlaps with /datasets/b of data set n/b, which is mounted there."
    assert status["phase"] == "Failed" and status["message"].startswith(said)
    assert sorted(fake.table) == ["/datasets/a", "/datasets/b"] and fake.calls[calls:] == []
    # As is one that got as far as its mount before the other one had one.
    assert one.step(moved, {**before, "phase": "Mounting", "observedGeneration": 2}, (younger,)).status["phase"] == "Failed"
    one.remove(moved, status, [younger])
    assert sorted(fake.table) == ["/datasets/b"]
    assert settled(one, replace(younger, reload="again"), whole, (moved,))["phase"] == "Complete", "and the other one goes on as it was"


def test_what_is_at_the_path_of_another_data_set_is_not_freed_by_one_that_is_refused() -> None:
    fake = Fake()
    one, owner = engine(fake), declared(path="/datasets/x")
    whole = settled(one, owner)
    # One whose source is elsewhere, and one that would even have the same.
    for other in (declared("y", path="/datasets/x", source="/srv/y"), declared("z", path="/datasets/x")):
        failed = settled(one, other, others=(owner,))
        assert failed["phase"] == "Failed" and "overlaps" in failed["message"]
        asked = replace(other, cancel="1 free")
        status = one.step(asked, failed, (owner,)).status
        assert status == {**failed, "observedCancel": "1 free"}
        assert not [call for call in fake.calls if call.startswith("free")] and fake.cached == set(fake.known)
    assert one.step(owner, whole).status["phase"] == "Complete"


@pytest.mark.parametrize("phase", ["Pending", "Mounting"])
def test_a_cancel_before_what_is_mounted_is_looked_at_again_leaves_it_in_the_cache(phase: str) -> None:
    fake, clock = Fake(), Clock()
    one = engine(fake, clock)
    status = {**settled(one, declared()), "phase": phase, "observedReload": "2"}
    ended = one.step(declared(reload="2", cancel="now"), status).status
    assert ended["phase"] == "Incomplete" and "2.0 KiB of 2.0 KiB cached" in ended["message"] and fake.cached == set(fake.known)
    # It is whole, and so is Complete again by itself.
    clock.pause(60)
    assert one.step(declared(reload="2", cancel="now"), ended).status["phase"] == "Pending"
    assert settled(one, declared(reload="2", cancel="now"), one.step(declared(reload="2", cancel="now"), ended).status)["phase"] == "Complete"
    freed = one.step(declared(reload="2", cancel="now free"), status).status
    assert freed["phase"] == "Incomplete" and "It was freed" in freed["message"] and fake.cached == set()


def test_what_never_was_whole_is_freed_when_its_time_is_over_and_what_is_lost_later_too() -> None:
    for lost in (False, True):
        fake, clock = Fake(), Clock()
        fake.broken = set() if lost else {"/datasets/x/f2"}
        one, dataset = engine(fake, clock), declared(ttl="1h")
        status = settled(one, dataset)
        if lost:
            fake.cached.discard("/datasets/x/f2")
            status = one.step(dataset, status).status
        assert status["phase"] == "Incomplete" and len(fake.cached) == 199
        clock.pause(3500)
        step = one.step(dataset, status)
        assert fake.cached and step.delay <= 100
        clock.pause(100)
        status = one.step(dataset, step.status).status
        assert status["phase"] == "Incomplete" and "1h after its load" in status["message"] and fake.cached == set()
        clock.pause(7200)
        calls = len(fake.calls)
        assert one.step(dataset, status).status["phase"] == "Incomplete" and len(fake.calls) == calls, "it is freed once"


def test_the_share_that_is_cached_is_told_as_it_is_where_it_is_not_whole() -> None:
    fake = Fake()
    fake.broken = {"/datasets/x/f2"}
    one = engine(fake)
    status = settled(one, declared())
    assert status["cachedPercent"] == 99
    fake.cached = set(sorted(fake.cached)[:100])
    status = one.step(declared(), status).status
    assert (status["phase"], status["cachedPercent"], status["cachedBytes"]) == ("Incomplete", 50, 1000) and "100 of 200 files" in status["message"]
    known = settled(one, declared("m", path="/datasets/m", source="/srv/m", preload="metadata"))
    assert known["cachedPercent"] == 0
    fake.cached |= {name for name in fake.known if name.startswith("/datasets/m/")}
    assert one.step(declared("m", path="/datasets/m", source="/srv/m", preload="metadata"), known).status["cachedPercent"] == 100


def test_the_time_of_a_load_begins_with_it_and_what_is_freed_is_looked_at_no_more_often_than_others() -> None:
    fake, clock = Fake(), Clock()
    one, dataset = engine(fake, clock), declared(ttl="1h")
    status = settled(one, dataset)
    clock.pause(3000)
    fake.cached.discard("/datasets/x/f2")
    fake.broken = {"/datasets/x/f2"}
    again = declared(ttl="1h", reload="2")
    status = settled(one, again, status)
    clock.pause(1000)
    assert status["phase"] == "Incomplete" and one.step(again, status).status["cachedBytes"] == 1990, "it was loaded just now"
    clock.pause(3000)
    freed = one.step(again, one.step(again, status).status).status
    assert "1h after its load" in freed["message"] and not fake.cached
    clock.pause(7200)
    assert one.step(again, freed).delay == engines.VERIFY_SECONDS


def test_what_became_too_large_is_freed_when_its_time_is_over() -> None:
    fake, clock = Fake(capacity=2000), Clock()
    one, dataset = engine(fake, clock), declared(ttl="1h")
    status = settled(one, dataset)
    fake.source["huge"] = 10_000
    again = declared(ttl="1h", reload="2")
    status = settled(one, again, status)
    assert status["phase"] == "TooLarge" and fake.cached
    clock.pause(7200)
    assert one.step(again, status).status["phase"] == "Incomplete" and not fake.cached


def test_what_a_data_set_has_mounted_is_freed_though_it_is_declared_otherwise_by_now() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    wrong = declared(source="ftp://elsewhere", generation=2)
    status = settled(one, wrong, status)
    assert status["phase"] == "Failed" and fake.cached
    freed = one.step(replace(wrong, cancel="1 free"), status).status
    assert "It was freed" in freed["message"] and not fake.cached


def test_a_cancel_of_what_is_settled_asks_nobody() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    fake.away = True
    assert one.step(declared(cancel="now"), status).status == {**status, "observedCancel": "now"}
