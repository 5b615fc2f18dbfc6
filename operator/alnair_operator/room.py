"""The workers' space: what of it is promised to loads, and what must be freed before another fits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from alnair_operator import planning
from alnair_operator.datasets import Dataset
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.planning import HELD, File, Survey, Worker

LOG = logging.getLogger(__name__)
# Files that a sentence names.
NAMED_FILES = 3
# The word of a wish for a load that names data sets which may be freed for it, such as evict=texts,sounds.
EVICT = "evict="


def evictable(dataset: Dataset) -> list[str]:
    """Return the names of data sets that may be freed for a load: those of the declaration, and those of the wish for this load alone."""
    words = [word.removeprefix(EVICT) for word in dataset.reload.split() if word.startswith(EVICT)]
    return [*dataset.evict, *(name for word in words for name in word.split(",") if name)]


class Kept(NamedTuple):
    """What of a data set stays in the cache though it was freed: its bytes, a sentence to be put behind another one, empty for nothing, and its files."""

    bytes: int = 0
    sentence: str = ""
    files: int = 0

    def figures(self, whole: int) -> dict[str, int]:
        """Return the share that is cached as a data set's status holds it, for so many bytes of all files."""
        return {"cachedFiles": self.files, "cachedBytes": self.bytes, "cachedPercent": min(99, self.bytes * 100 // whole) if whole else 0}


def free(alluxio: Any, dataset: Dataset) -> Kept:
    """Take a data set out of the cache, but for what its source does not have."""
    try:
        alluxio.free(dataset.path)
        return Kept()
    except AlluxioAway:
        raise
    except AlluxioError as error:
        # At the first file that its source does not have Alluxio stops.
        LOG.info("%s; it is freed file by file", error)
    files, kept, lost, held = list[tuple[str, int]](), list[str](), list[str](), 0

    def take(file: File) -> None:
        nonlocal held
        if file.unsaved:
            kept.append(file.path)
            held += file.cached
            if file.unsaved == HELD:
                lost.append(file.path)
        elif file.cached:
            files.append((file.path, file.cached))

    alluxio.each(dataset.path, take)
    for path, cached in files:
        if not tried(alluxio.free, path):
            kept.append(path)
            held += cached
    for path in lost:
        tried(alluxio.persist, path)
    if not kept:
        return Kept()
    count = f"{len(kept)} files stay" if len(kept) > 1 else "1 file stays"
    return Kept(held, f" {count}, for the source does not have what was written there, such as {', '.join(kept[:NAMED_FILES])}.", len(kept))


def tried(call: Callable[[str], None], path: str) -> bool:
    """Do something with a file; tell whether Alluxio did it."""
    try:
        call(path)
    except AlluxioAway:
        raise
    except AlluxioError as error:
        LOG.warning("%s", error)
        return False
    return True


class Room:
    """The space of all workers. Its methods may be called from several threads at once."""

    def __init__(self, alluxio: Any) -> None:
        """Begin with nothing promised."""
        self.alluxio = alluxio
        self.promised: dict[str, int] = {}
        # Two loads must not both be promised the same space.
        self.lock = threading.Lock()

    def promise(self, key: str, count: int) -> None:
        """Keep bytes for a load that has begun."""
        with self.lock:
            self.promised[key] = count

    def release(self, key: str) -> None:
        """Keep nothing for a load any more."""
        with self.lock:
            self.promised.pop(key, None)

    def admit(self, dataset: Dataset, needed: int) -> str:
        """Promise a load the bytes that it needs, or return why they are not there."""
        workers = self.alluxio.workers()
        with self.lock:
            why = self.lacks(dataset, needed, workers)
            if not why:
                self.promised[dataset.key] = needed
        return why

    def fits(self, dataset: Dataset, needed: int, gain: int = 0) -> str:
        """Return why a load would not fit, or nothing.

        Args:
            dataset: What would be loaded.
            needed: Bytes that it would add, all copies counted.
            gain: Bytes that would be freed before. Blocks are spread by chance, so each worker is taken to hold the same part of them.
        """
        workers = self.alluxio.workers()
        freed = [Worker(worker.name, worker.capacity, max(0, worker.used - gain // len(workers))) for worker in workers]
        with self.lock:
            return self.lacks(dataset, needed, freed)

    def lacks(self, dataset: Dataset, needed: int, workers: Sequence[Worker]) -> str:
        """Return why a load does not fit beside what is promised to others."""
        return planning.too_large(needed, workers, sum(count for key, count in self.promised.items() if key != dataset.key), dataset.replicas)

    def victims(self, dataset: Dataset, needed: int, others: Sequence[Dataset]) -> list[str]:
        """Return the names of the data sets that are to be freed for a load, no more than it takes; none where all that may be would not do.

        Args:
            dataset: What is to be loaded.
            needed: Bytes that it adds, all copies counted.
            others: All other data sets.
        """
        near = {other.name: other for other in others if other.namespace == dataset.namespace and not other.leaving}
        mounts, found, gain = self.alluxio.mounts(), list[str](), 0
        for name in evictable(dataset):
            if name not in near or near[name].path not in mounts or name in found:
                continue
            survey = Survey()
            self.alluxio.each(near[name].path, survey.add, planning.ALL_COPIES)
            if survey.held:
                found.append(name)
                gain += survey.held
                if not self.fits(dataset, needed, gain):
                    return found
        return []
