"""What is loaded, in which portions, and whether it fits. Nothing here speaks to anybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from alnair_operator.datasets import size

BATCH_FILES, BATCH_BYTES = 64, 256 << 20
# Files that a retry sends one by one: a file that is gone lets the whole batch fail.
SINGLES = 1000
MARGIN = 0.10
SHOWN_FAILURES = 20
# Folders without an entry that are kept of a pass, and that a sentence names.
KEPT_FOLDERS, NAMED_FOLDERS = 100, 3
# Why a source lacks a file that Alluxio has.
WRITING, HELD, COMING = "it is still being written", "only workers hold it", "it is on its way there"
# More copies of a block than any cluster has workers: where all that are held count.
ALL_COPIES = 1 << 30


class File(NamedTuple):
    """A file as Alluxio's master knows it.

    Attributes:
        path: Its path in Alluxio.
        length: Its bytes.
        cached: The bytes of it that workers hold.
        whole: Whether workers hold all of it, as often as asked for.
        changed: When the source says that it was changed, in milliseconds since 1970.
        fingerprint: What the source said of it when it was last looked at.
        held: The bytes of all its copies that count, which are as many of each block as are asked for at most.
        unsaved: Why the source does not have it as it was written through Alluxio, so that nothing may be dropped of it; empty where it has.
    """

    path: str
    length: int
    cached: int
    whole: bool
    changed: int = 0
    fingerprint: str = ""
    held: int = 0
    unsaved: str = ""


def unsaved(state: str, completed: bool, percent: int) -> str:
    """Return why the source does not have a file, as a File says it.

    Args:
        state: How far it is persisted, in Alluxio's word. What was called LOST when its worker was away stays so when that is back with all of it.
        completed: Whether who writes it has closed it.
        percent: How much of it workers hold.
    """
    if state == "LOST":
        return HELD if completed and percent >= 100 else ""
    if not completed:
        return WRITING
    return {"NOT_PERSISTED": HELD, "TO_BE_PERSISTED": COMING}.get(state, "")


class Worker(NamedTuple):
    """A worker's space, in bytes."""

    name: str
    capacity: int
    used: int


class Batch(NamedTuple):
    """Files that are loaded by one job.

    Attributes:
        paths: Their paths in Alluxio.
        bytes: Their bytes.
        held: The bytes of their copies that counted when this was last looked at.
    """

    paths: tuple[str, ...]
    bytes: int
    held: int = 0


class Survey:
    """What a pass over all files of a load found; holds no file, and of the folders without an entry the first ones.

    Attributes:
        files: Their number.
        bytes: Their bytes.
        cached: Their bytes that are cached.
        held: The bytes of all copies that count.
        lacking: Number of files that are not wholly cached.
        largest: Bytes of the largest file that is not wholly cached.
        empty: Number of folders in which Alluxio knows nothing.
        folders: The first of them.
    """

    def __init__(self) -> None:
        self.files = self.bytes = self.cached = self.held = self.lacking = self.largest = self.empty = 0
        self.folders: list[str] = []

    def add(self, file: File) -> None:
        """Count a file."""
        self.files += 1
        self.bytes += file.length
        self.cached += file.cached
        self.held += file.held
        if not file.whole:
            self.lacking += 1
            self.largest = max(self.largest, file.length)

    def add_empty(self, path: str) -> None:
        """Count a folder in which Alluxio knows nothing."""
        self.empty += 1
        if len(self.folders) < KEPT_FOLDERS:
            self.folders.append(path)

    @property
    def hollow(self) -> str:
        """Return a sentence on such folders, to be put behind another one: Alluxio takes a folder that it cannot list for an empty one."""
        if not self.empty:
            return ""
        folders = f"{self.empty} folders are" if self.empty > 1 else "1 folder is"
        named = ", ".join(self.folders[:NAMED_FOLDERS])
        return f" {folders} empty as far as Alluxio can list them, such as {named}; dataset check tells whether the source has files there."

    def needed(self, replicas: int) -> int:
        """Return the bytes that a load of so many copies adds."""
        return max(0, self.bytes * replicas - self.held)

    def figures(self, replicas: int) -> dict[str, Any]:
        """Return what it says as a data set's status holds it, for so many copies."""
        return {"files": self.files, "cachedFiles": self.files - self.lacking, "bytes": self.bytes, "cachedBytes": self.cached, "cachedPercent": self.percent,
                "size": size(self.bytes), "neededBytes": self.needed(replicas)}  # fmt: skip

    def lost(self, replicas: int) -> str:
        """Return what of a data set that was cached is not, as a sentence."""
        needed = size(self.needed(replicas))
        return f"{self.lacking} of {self.files} files, {needed}, are not cached any more or are new: evicted, lost with a worker, or found since."

    @property
    def percent(self) -> int:
        """Return the share that is cached, rounded down: 100 is said only where no file lacks a byte."""
        if not self.lacking:
            return 100
        return min(99, self.cached * 100 // self.bytes if self.bytes else 0)


def batches(files: Iterable[File], singly: bool = False, count: int = BATCH_FILES, limit: int = BATCH_BYTES) -> Iterator[Batch]:
    """Cut files into portions.

    Args:
        files: The files.
        singly: Whether each is a portion of its own.
        count: Files in a portion at most.
        limit: Bytes in a portion at most, unless one file alone has more.
    """
    paths: list[str] = []
    whole = held = 0
    for file in files:
        if paths and (singly or len(paths) >= count or whole + file.length > limit):
            yield Batch(tuple(paths), whole, held)
            paths, whole, held = [], 0, 0
        paths.append(file.path)
        whole += file.length
        held += file.held
    if paths:
        yield Batch(tuple(paths), whole, held)


def share(limit: int, loading: int) -> int:
    """Return how many jobs a load may have active where others load too."""
    return max(1, limit // max(1, loading))


def too_large(needed: int, workers: Sequence[Worker], reserved: int = 0, replicas: int = 1, margin: float = MARGIN) -> str:
    """Return why a load does not fit, as a sentence with both figures and what would fit; nothing where it fits.

    Args:
        needed: Bytes that the load adds, all copies counted.
        workers: The workers.
        reserved: Bytes that loads which have begun still need.
        replicas: Copies of each block, each on a worker of its own.
        margin: Share of the capacity that stays free.
    """
    if not needed:
        return ""
    if len(workers) < replicas:
        return f"{replicas} copies are asked for, but there are {len(workers)} workers with a cache: ask for fewer copies or add workers."
    free = {worker.name: max(0, int(worker.capacity * (1 - margin)) - worker.used) for worker in workers}
    total = max(0, sum(free.values()) - reserved)
    # The job service spreads blocks by chance, so each worker gets about the same.
    each = -(-needed // len(workers))
    least = min(free, key=lambda name: free[name])
    spare = max(0, free[least] - reserved // len(workers))
    if needed <= total and each <= spare:
        return ""
    held = f", {size(reserved)} of it promised to other loads" if reserved else ""
    if needed > total:
        why = f"{size(needed)} are to be loaded, but {size(total)} are free on {len(workers)} workers ({margin:.0%} kept free{held})"
    else:
        why = (
            f"{size(needed)} are to be loaded, about {size(each)} on each of {len(workers)} workers, "
            f"but worker {least} has {size(spare)} free ({margin:.0%} kept free{held})"
        )
    capacity = sum(worker.capacity for worker in workers) // len(workers)
    ways = ["a larger quota"]
    if more := more_workers(needed + reserved, list(free.values()), int(capacity * (1 - margin))):
        ways.insert(0, f"{more} more worker{'s' if more > 1 else ''} of {size(capacity)}")
    if fits := min(total, spare * len(workers)) // replicas:
        ways.append(f"a sub-path (subPaths) of at most {size(fits)}")
    return f"{why}. It would fit with {', '.join(ways[:-1])}{', or ' if len(ways) > 2 else ' or ' if ways[1:] else ''}{ways[-1]}."


def more_workers(needed: int, free: Sequence[int], usable: int) -> int:
    """Return how many empty workers would let a load in; 0 where no number would, for one that is there is full.

    Args:
        needed: Bytes to be loaded, those of other loads among them.
        free: Bytes that are free on each worker.
        usable: Bytes that an empty one would have free.
    """
    least = min(*free, usable)
    if not least:
        return 0
    # In total, and on the fullest one, which gets as much as all others.
    return max(1, -(-(needed - sum(free)) // usable), -(-needed // least) - len(free))


def window(samples: Sequence[tuple[float, int]], left: int) -> tuple[int, int | None]:
    """Return bytes per second and seconds left.

    Args:
        samples: Times in seconds and the bytes that were cached then, the oldest first.
        left: Bytes that are still to be loaded.
    """
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return 0, None
    rate = max(0, int((samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])))
    return rate, int(left / rate) if rate else None


def shown(failures: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the files that failed as the status shows them."""
    return [{"path": path, "reason": reason} for path, reason in sorted(failures.items())[:SHOWN_FAILURES]]
