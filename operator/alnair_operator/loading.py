"""A load that is under way: what is sent to the job service, what came of it, and what is sent again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from alnair_operator import planning
from alnair_operator.datasets import Dataset
from alnair_operator.planning import Batch, File, Survey

# Files that a round holds in memory; a larger data set takes several rounds.
ROUND_FILES = 50_000
TRIES = 2
# With so many failures the source is gone, and the rest is not tried.
MAX_FAILURES = 5000
# A job that ends and brings nothing for so long is given up.
STALL_SECONDS = 900
RATE_SECONDS = 30


class Cache(Protocol):
    """What a load needs of Alluxio."""

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1) -> None:
        """Hand over each file below a path."""

    def status(self, path: str, interval: int = -1, replicas: int = 1) -> File | None:
        """Return a file."""

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        """Send a job that loads files."""

    def job(self, number: int) -> Any:
        """Return how far a job is."""

    def cancel(self, number: int) -> None:
        """Cancel a job."""


def held(cache: Cache, paths: Iterable[str], replicas: int) -> int:
    """Return the bytes of all copies of files that count."""
    return sum(file.held for path in paths if (file := cache.status(path, replicas=replicas)))


class Load:
    """A load that is under way.

    It goes by rounds. A round begins with a pass over all files, which both tells what is not whole and reads back what the round before has
    brought; the first pass after a restart waits for the jobs that the status names, so that nothing is sent twice.
    """

    def __init__(self, dataset: Dataset, joined: Iterable[int] = (), clock: Callable[[], float] = time.monotonic) -> None:
        """Begin, or go on after a restart.

        Args:
            dataset: What is loaded.
            joined: Jobs that another process of the operator has sent.
            clock: Tells seconds.
        """
        self.dataset, self.clock = dataset, clock
        self.active: dict[int, Batch] = {number: Batch((), 0) for number in joined}
        self.since: dict[int, float] = {number: clock() for number in self.active}
        self.waiting: deque[Batch] = deque()
        self.tries: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        self.survey = Survey()
        self.brought = self.done = 0
        self.samples: deque[tuple[float, int]] = deque()
        self.surveyed = self.over = False

    @property
    def cached(self) -> int:
        """Return the bytes that are cached, as far as known before the next pass."""
        return min(self.survey.bytes, self.survey.cached + self.brought)

    @property
    def whole(self) -> int:
        """Return the number of files that are wholly cached, as far as known before the next pass."""
        return min(self.survey.files, self.survey.files - self.survey.lacking + self.done)

    @property
    def needed(self) -> int:
        """Return the bytes that are still to be loaded, all copies counted."""
        return max(0, self.survey.needed(self.dataset.replicas) - self.brought * self.dataset.replicas)

    def step(self, cache: Cache, limit: int) -> None:
        """Look at the jobs and send what may be sent; the load is ``over`` when nothing is left to try.

        Args:
            cache: Alluxio.
            limit: Jobs that may be active at a time.
        """
        for number in list(self.active):
            self.look(cache, number)
        if not self.active and not self.waiting:
            self.round(cache)
        while self.waiting and len(self.active) < limit:
            batch = self.waiting[0]
            number = cache.load(batch.paths, self.dataset.replicas)
            self.waiting.popleft()
            self.active[number], self.since[number] = batch, self.clock()
            for path in batch.paths:
                self.tries[path] = self.tries.get(path, 0) + 1
        now = self.clock()
        self.samples.append((now, self.survey.held + self.brought * self.dataset.replicas))
        while len(self.samples) > 2 and now - self.samples[0][0] > RATE_SECONDS:
            self.samples.popleft()

    def look(self, cache: Cache, number: int) -> None:
        """Take note of a job that is over."""
        job = cache.job(number)
        if not job.over:
            if self.clock() - self.since[number] < STALL_SECONDS:
                return
            batch = self.active[number]
            if (now := held(cache, batch.paths, self.dataset.replicas)) > batch.held:
                # Slowly, but it goes on: a large file takes its time.
                self.active[number], self.since[number] = batch._replace(held=now), self.clock()
                return
            cache.cancel(number)
            self.reasons.update({path: f"Load job {number} did not end and brought nothing within {STALL_SECONDS} s." for path in batch.paths})
        batch = self.active.pop(number)
        del self.since[number]
        if job.status == "COMPLETED":
            self.brought += batch.bytes
            self.done += len(batch.paths)
        elif job.status == "GONE":
            # The job service was restarted: that is no fault of the files.
            for path in batch.paths:
                self.tries[path] -= 1
        for told, reason in job.failures.items():
            named = [path for path in batch.paths if path and path in told]
            # Of names of which one begins the other, the longest is meant.
            for path in [max(named, key=len)] if named else batch.paths:
                if named or path not in self.reasons:
                    self.reasons[path] = reason

    def round(self, cache: Cache) -> None:
        """Read back what is cached and portion out what is not."""
        survey, lacking = Survey(), list[File]()
        failures: dict[str, str] = {}

        def take(file: File) -> None:
            survey.add(file)
            if file.whole:
                return
            if self.tries.get(file.path, 0) >= TRIES:
                if len(failures) < MAX_FAILURES:
                    failures[file.path] = self.reasons.get(
                        file.path, "Its load job said that it was done, but it is not wholly cached: it was evicted, or a worker was lost."
                    )
            elif len(lacking) < ROUND_FILES:
                lacking.append(file)

        for path in self.dataset.loaded_paths:
            cache.each(path, take, self.dataset.replicas)
        self.survey, self.failures, self.brought, self.done, self.surveyed = survey, failures, 0, 0, True
        if not lacking or len(failures) >= MAX_FAILURES:
            self.over = True
            return
        # Of those that are whole by now nothing needs to be known any more.
        left = {file.path for file in lacking} | set(failures)
        self.tries = {path: count for path, count in self.tries.items() if path in left}
        self.reasons = {path: reason for path, reason in self.reasons.items() if path in left}
        again = [file for file in lacking if self.tries.get(file.path)]
        self.waiting.extend(planning.batches(again, singly=len(again) <= planning.SINGLES, count=8))
        self.waiting.extend(planning.batches(file for file in lacking if not self.tries.get(file.path)))

    def stop(self, cache: Cache) -> None:
        """Cancel what is under way."""
        for number in self.active:
            cache.cancel(number)
        self.active.clear()
        self.waiting.clear()
