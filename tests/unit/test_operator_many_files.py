"""Listing, loading and comparing a great many files: what is held in memory, what is listed, and how much is asked of Alluxio at a time."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from alnair_operator import check
from alnair_operator.alluxio import Job, Mount
from alnair_operator.datasets import Dataset
from alnair_operator.engine import Engine
from alnair_operator.jvm import HEAP, AlluxioError
from alnair_operator.planning import File, Worker
from alnair_operator.sources import Entry

from tests.unit.operator_tools import Clock, settled

HOME = Path(__file__).parents[2]
DATASET = Dataset.of({"metadata": {"name": "x", "namespace": "n"}, "spec": {"source": "/srv/x", "path": "/d"}})


def name(index: int) -> str:
    return f"class {index // 1000}/{index:08}.jpg"


class Many:
    """A source of so many files, and Alluxio that knows them all and has cached them, or none; none of the two holds a list."""

    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, count: int, cached: bool = True) -> None:
        self.count, self.cached = count, cached
        self.jobs: dict[int, int] = {}
        self.most = self.reading = self.most_reading = self.asked = 0
        self.lock = threading.Lock()

    def entries(self, below: str = "") -> Iterator[tuple[str, Entry]]:
        for index in range(self.count):
            yield name(index), Entry(7, f"etag-{index:032}")

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1, empty: Callable[[str], None] = lambda path: None) -> None:
        for index in range(self.count):
            take(self.file(index))

    def file(self, index: int) -> File:
        return File(f"/d/{name(index)}", 7, 7 if self.cached else 0, self.cached, 0, f"(etag-{index:032})")

    def status(self, path: str, interval: int = -1, replicas: int = 1) -> File:
        return self.file(int(path[-12:-4]))

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        self.asked += 1
        self.jobs[self.asked] = 2
        self.most = max(self.most, sum(left > 0 for left in self.jobs.values()))
        return self.asked

    def job(self, number: int) -> Job:
        self.jobs[number] -= 1
        return Job("RUNNING" if self.jobs[number] > 0 else "COMPLETED", {})

    def read(self, path: str, take: Callable[[bytes], None], cache: bool = True) -> None:
        take(path[-12:].encode())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PAUSE", 0)


def test_a_repair_asks_for_a_bounded_number_of_jobs_at_a_time(quick: None) -> None:
    alluxio = Many(64 * 100, cached=False)
    check.load(alluxio, [alluxio.file(index) for index in range(alluxio.count)], 1)
    assert (alluxio.asked, alluxio.most) == (100, check.ACTIVE_JOBS)


def test_jobs_of_which_none_ends_are_given_up(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    alluxio = Many(1)
    monkeypatch.setattr(check, "LOAD_SECONDS", 0.05)
    monkeypatch.setattr(alluxio, "job", lambda number: Job("RUNNING", {}))
    with pytest.raises(AlluxioError, match="none has ended"):
        check.load(alluxio, [alluxio.file(0)], 1)


def test_a_job_that_brings_something_is_waited_for(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    alluxio, asked = Many(1, cached=False), list[int]()
    monkeypatch.setattr(check, "LOAD_SECONDS", 0.02)

    def status(path: str, interval: int = -1, replicas: int = 1) -> File:
        asked.append(replicas)
        return alluxio.file(0)._replace(held=len(asked))

    monkeypatch.setattr(alluxio, "status", status)
    monkeypatch.setattr(alluxio, "job", lambda number: Job("RUNNING" if len(asked) < 5 else "COMPLETED", {}))
    check.load(alluxio, [alluxio.file(0)], 2)
    assert asked == [2] * 5


def test_each_file_of_the_source_is_held_once() -> None:
    def peak(call: Callable[[], Any]) -> int:
        tracemalloc.start()
        call()
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    many = Many(20_000)
    source = peak(lambda: dict(many.entries()))
    assert peak(lambda: check.compare(DATASET, many, many)) < source * 1.2
    report = check.compare(DATASET, many, many)
    assert (report.files, report.cached, report.differences) == (20_000, 20_000, [])


def test_json_lists_the_first_of_very_many_and_tells_how_many_there_are() -> None:
    many = Many(check.LISTED + 10, cached=False)
    report = check.compare(DATASET, many, many).json()
    assert (report["differing"], len(report["differences"]), report["consistent"]) == (check.LISTED + 10, check.LISTED, False)


def test_a_checksum_of_the_whole_is_of_all_files_though_the_first_are_listed() -> None:
    many = Many(check.LISTED + 10)
    sums = check.checksums(DATASET, many)
    every = [(hashlib.md5(name(index)[-12:].encode(), usedforsecurity=False).hexdigest(), name(index)) for index in range(many.count)]
    whole = "".join(f"{found}  {path}\n" for found, path in every)
    assert (sums["count"], sums["checksum"]) == (many.count, hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest())
    assert sums["files"] == {path: found for found, path in every[: check.LISTED]}


def test_not_all_files_are_queued_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "QUEUED", 10)
    begun: list[str] = []

    def call(path: str) -> str:
        begun.append(path)
        return path

    paths = [name(index) for index in range(100)]
    found = check.several(call, paths)
    assert next(found) == paths[0] and len(begun) <= 10
    assert [paths[0], *found] == paths


class Loaded(Many):
    """The same as a cluster that a data set is mounted in and loaded into; of each file it holds a byte."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.whole, self.sent, self.table = bytearray(count), dict[int, tuple[str, ...]](), dict[str, Mount]()

    def mounts(self) -> dict[str, Mount]:
        return self.table

    def mount(self, path: str, ufs: str, read_only: bool, options: dict[str, str], update: bool = False) -> None:
        self.table[path] = Mount(ufs, read_only, options)

    def sync(self, path: str, twice: bool = False) -> None:
        """All of it is known."""

    def workers(self) -> list[Worker]:
        return [Worker(name, 1 << 30, 0) for name in ("a", "b")]

    def file(self, index: int) -> File:
        whole = bool(self.whole[index])
        return File(f"/d/{name(index)}", 7, 7 * whole, whole, 0, f"(etag-{index:032})", 7 * whole)

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        self.asked += 1
        self.sent[self.asked] = paths
        self.most = max(self.most, len(self.sent))
        return self.asked

    def job(self, number: int) -> Job:
        for path in self.sent.pop(number):
            self.whole[int(path[-12:-4])] = 1
        return Job("COMPLETED", {})


def million(work: str) -> None:
    """Do something with a million files; print the MiB that this process has grown by, and the seconds of the processor that it took."""
    before, count = resource.getrusage(resource.RUSAGE_SELF), 1_000_000
    if work == "compare":
        many = Many(count)
        report = check.compare(DATASET, many, many)
        assert (report.files, report.cached, report.differences) == (count, count, [])
    else:
        cluster = Loaded(count)
        dataset = Dataset.of({"metadata": {"name": "x", "namespace": "n", "generation": 1}, "spec": {"source": "/srv/x", "path": "/d", "preload": work}})
        clock = Clock()
        status = settled(Engine(cluster, now=clock, pause=clock.pause), dataset, steps=10_000)
        assert (status["phase"], status["files"], status["cachedPercent"]) == ("Complete", count, 100 if work == "all" else 0), status
        # Each file once, by bounded jobs; a round's last job is a smaller one.
        assert count / 64 <= cluster.asked <= count / 64 * 1.01 if work == "all" else cluster.asked == 0
        assert cluster.most <= 16
        assert len(str(status)) < 3000
    after = resource.getrusage(resource.RUSAGE_SELF)
    print((after.ru_maxrss - before.ru_maxrss) // 1024, after.ru_utime - before.ru_utime)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("work", "mebibytes", "seconds"), [("metadata", 10, 60), ("all", 60, 600), ("compare", 0, 150)])
def test_a_million_files_fit_into_the_memory_of_a_pod(work: str, mebibytes: int, seconds: int) -> None:
    limit = yaml.safe_load((HOME / "roles/dataset_operator/defaults/main.yml").read_text(encoding="utf-8"))["dataset_operator_resources"]["limits"]["memory"]
    # Beside the JVM's heap there are 200 MiB for its code and threads, and for Python. A Job that compares holds the source's files, the operator none.
    room = mebibytes or {"1Gi": 1024}[limit] - int(HEAP.removesuffix("m")) - 200
    places = os.pathsep.join(str(HOME / name) for name in (".", "operator", "collections"))
    line = f"from tests.unit.test_operator_many_files import million; million({work!r})"
    done = subprocess.run([sys.executable, "-c", line], cwd=HOME, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown, took = map(float, done.stdout.split())
    assert grown < room and took < seconds, done.stdout
