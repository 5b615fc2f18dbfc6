"""Comparing a great many files: what is held in memory, what is listed, and how much is asked of Alluxio at a time."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alnair_operator import check
from alnair_operator.alluxio import Job
from alnair_operator.datasets import Dataset
from alnair_operator.jvm import AlluxioError
from alnair_operator.planning import File
from alnair_operator.sources import Entry

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

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1) -> None:
        for index in range(self.count):
            take(self.file(index))

    def file(self, index: int) -> File:
        return File(f"/d/{name(index)}", 7, 7 if self.cached else 0, self.cached, 0, f"(etag-{index:032})")

    def status(self, path: str, interval: int = -1) -> File:
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
