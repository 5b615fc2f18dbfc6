"""Data sets at paths where others were a short while ago: mounted when the nodes have forgotten those, by whichever process of the operator."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
from alnair_operator.alluxio import Mount
from alnair_operator.datasets import Dataset
from alnair_operator.engine import Engine
from alnair_operator.mounting import MountJob
from alnair_operator.settings import Settings
from alnair_operator.unmounted import KEY, RECORD, Unmounted

from tests.unit.operator_tools import Clock, Fake, declared, engine, settled

SECONDS = 120


class Core:
    """An API server with one ConfigMap, or without it."""

    def __init__(self, data: dict[str, str] | None = None, there: bool = True) -> None:
        self.data, self.there, self.away, self.written = data, there, False, 0

    def asked(self, name: str, namespace: str) -> None:
        assert (name, namespace) == (RECORD, "alluxio")
        if self.away:
            raise kubernetes.client.ApiException(status=500)
        if not self.there:
            raise kubernetes.client.ApiException(status=404)

    def read_namespaced_config_map(self, name: str, namespace: str, **_: Any) -> Any:
        self.asked(name, namespace)
        return SimpleNamespace(data=self.data)

    def patch_namespaced_config_map(self, name: str, namespace: str, body: Any, **_: Any) -> None:
        self.asked(name, namespace)
        self.data = {**(self.data or {}), **body["data"]}
        self.written += 1


class World:
    """Alluxio, a clock and a record that outlive a process of the operator."""

    def __init__(self, core: Core | None = None, seconds: int = SECONDS) -> None:
        self.fake, self.clock, self.core, self.seconds = Fake(), Clock(), core or Core(), seconds

    def unmounted(self) -> Unmounted:
        return Unmounted(SimpleNamespace(core=self.core, settings=Settings("alluxio")), self.seconds, self.clock)

    def process(self, **more: Any) -> Engine:
        """Return a new process of the operator."""
        return engine(self.fake, self.clock, unmounted=self.unmounted(), **more)

    def mounted_after(self, one: Engine, dataset: Dataset, status: dict[str, Any] | None = None) -> float:
        """Return the seconds until a data set is mounted."""
        begun, status = self.clock.at, status or {}
        while status.get("phase") != "Syncing":
            step = one.step(dataset, status)
            status = step.status
            self.clock.pause(step.delay)
        return self.clock.at - begun


def test_a_data_set_at_a_path_of_before_is_mounted_when_the_nodes_have_forgotten_that() -> None:
    world = World()
    one = world.process()
    one.remove(declared(), settled(one, declared()))
    # Neither the process nor the object is the one that unmounted.
    one, new = world.process(), declared("other", source="/srv/y", path="/datasets/x")
    step = one.step(new, one.step(new, {}).status)
    assert step.status["phase"] == "Mounting" and world.fake.table == {} and "mounted" not in step.status
    assert "It is mounted at 2027-01-15T08:02:" in step.status["message"] and "files that were at /datasets/x before" in step.status["message"]
    assert world.mounted_after(world.process(), new, step.status) == pytest.approx(SECONDS, abs=2)
    assert world.fake.table["/datasets/x"].ufs == "/srv/y"


@pytest.mark.parametrize(("path", "waits"), [("/datasets", True), ("/datasets/x/deep", True), ("/datasets/x2", False), ("/other", False)])
def test_what_lies_above_or_below_waits_and_what_lies_beside_does_not(path: str, waits: bool) -> None:
    world = World()
    one = world.process()
    one.remove(declared(), settled(one, declared()))
    assert (world.mounted_after(one, declared("new", path=path)) > SECONDS - 2) is waits


def test_another_source_at_the_same_path_waits_and_other_options_or_loads_do_not() -> None:
    world = World()
    one = world.process()
    status = settled(one, declared())
    status = settled(one, declared(options={"a": "b"}, readOnly=False, preload="metadata", generation=2), status)
    status = settled(one, declared(options={"a": "b"}, reload="1", generation=3), status)
    assert not any(call.startswith("unmount") for call in world.fake.calls) and world.core.written == 0
    # Its old mount goes at once: nobody reads from the source of before meanwhile.
    step = one.step(declared(source="/srv/y", generation=4), one.step(declared(source="/srv/y", generation=4), status).status)
    assert step.status["phase"] == "Mounting" and world.fake.table == {} and "mounted" not in step.status
    assert world.mounted_after(one, declared(source="/srv/y", generation=4), step.status) == pytest.approx(SECONDS, abs=2)


def test_a_path_that_a_data_set_has_left_is_one_of_before() -> None:
    world = World()
    one = world.process()
    status = settled(one, declared())
    begun = world.clock.at
    settled(one, declared(path="/datasets/z", generation=2), status)
    assert world.clock.at - begun < 60, "nothing was at the new one"
    assert world.mounted_after(one, declared("heir")) < 2 and world.mounted_after(one, declared("late", path="/datasets/x")) > SECONDS - 60


def test_the_time_of_a_job_begins_after_the_wait() -> None:
    world, asked = World(seconds=400), list[float]()

    def mount_job(dataset: Dataset, ufs: str) -> MountJob:
        asked.append(world.clock.at)
        if len(asked) > 3:
            world.fake.table[dataset.path] = Mount(ufs, True, {})
            return MountJob("done")
        return MountJob("active", "pulling")

    one = world.process()
    one.remove(declared(), settled(one, declared()))
    begun = world.clock.at
    status = settled(world.process(mount_job=mount_job), declared(source="s3://b/p", credentials="keys"))
    assert status["phase"] == "Complete", status
    assert asked[0] - begun == pytest.approx(400, abs=2), "nothing mounts meanwhile"


def test_a_process_that_is_killed_in_the_middle_of_an_unmount_has_noted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    one = world.process()
    status = settled(one, declared())

    class Killed(BaseException):
        """The end of the process."""

    def killed(path: str) -> None:
        del world.fake.table[path]
        raise Killed

    monkeypatch.setattr(world.fake, "unmount", killed)
    with pytest.raises(Killed):
        one.remove(declared(), status)
    # The next one finds nothing to unmount.
    world.process().remove(declared(), status)
    assert world.mounted_after(world.process(), declared("new", path="/datasets/x")) > SECONDS - 2


def test_what_is_long_ago_is_noted_no_more() -> None:
    world = World()
    record = world.unmounted()
    record.note("/a")
    world.clock.pause(SECONDS - 10)
    record.note("/größe b")
    assert json.loads((world.core.data or {})[KEY]) == {"/a": "2027-01-15T08:00:00Z", "/größe b": "2027-01-15T08:01:50Z"}
    world.clock.pause(20)
    record.note("/c")
    assert list(json.loads((world.core.data or {})[KEY])) == ["/c", "/größe b"]
    # Of several the last one counts.
    record.note("/größe b/deep")
    assert record.last("/größe b") == ("/größe b/deep", world.clock.at + SECONDS) and record.last("/a") is None


def test_nothing_waits_where_that_is_turned_off() -> None:
    world = World(Core(there=False), seconds=0)
    world.core.away = True
    one = world.process()
    one.remove(declared(), settled(one, declared()))
    assert world.mounted_after(one, declared()) < 2


def test_a_record_that_is_gone_or_broken_keeps_no_data_set_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    for core in (Core(there=False), Core({KEY: "[1"}), Core({KEY: '["/x"]'}), Core({KEY: '{"/x": 7}'})):
        world = World(core)
        one = world.process()
        one.remove(declared(), settled(one, declared()))
        assert world.fake.table == {} and world.mounted_after(one, declared()) > SECONDS - 2
    assert f"ConfigMap {RECORD} is not there" in caplog.text and f"ConfigMap {RECORD} holds no paths" in caplog.text


def test_what_cannot_be_noted_stays_mounted() -> None:
    world = World()
    one = world.process()
    status = settled(one, declared())
    world.core.away = True
    with pytest.raises(kubernetes.client.ApiException):
        one.remove(declared(), status)
    assert list(world.fake.table) == ["/datasets/x"]


def test_a_mount_of_somebody_else_at_the_path_of_a_data_set_that_waits_stays_when_that_goes() -> None:
    world = World()
    one = world.process()
    one.remove(declared(), settled(one, declared()))
    waiting = one.step(declared(), one.step(declared(), {}).status).status
    world.fake.table["/datasets/x"] = Mount("/theirs", True, {})
    one.remove(declared(), waiting)
    assert world.fake.table["/datasets/x"].ufs == "/theirs"
    # One that began and was not written down goes.
    world.fake.table["/datasets/x"] = Mount("/srv/x", True, {})
    one.remove(declared(), {"phase": "Mounting"})
    assert world.fake.table == {}
