"""Whether the cache holds what the source holds: compared file by file, put right, and summed up."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import posixpath
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from alnair_operator import planning
from alnair_operator.datasets import Dataset, size
from alnair_operator.jvm import AlluxioError
from alnair_operator.loading import held
from alnair_operator.planning import Batch, File
from alnair_operator.sources import Entry, Source

THREADS = 8
# How many load jobs of a repair are active at a time, and how long none of them may end before it is given up.
ACTIVE_JOBS, LOAD_SECONDS, PAUSE = 16, 1800, 0.2
# Files of a table, and of JSON, which goes through Ansible and so must stay small.
SHOWN, LISTED = 50, 5000
# Files that are queued at a time to be read.
QUEUED = 1000
# What may be wrong with a file, with the sentence for the table.
UNKNOWN, GONE, LENGTH, CHANGED = "unknown", "gone", "length", "changed"
CONTENT, UNREADABLE, UNCACHED, UNSAVED = "content", "unreadable", "uncached", "unsaved"


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of which the cache and the source differ.

    Attributes:
        path: Relative to the data set.
        kind: unknown (Alluxio does not know it), gone (at the source), length, changed, content, unreadable, uncached (though all is to be loaded),
            unsaved (written through Alluxio, and not at the source yet).
        reason: A sentence.
        kept: Whether the source itself cannot be looked at, so that what is cached is left as it is.
    """

    path: str
    kind: str
    reason: str
    kept: bool = False


@dataclass
class Report:
    """What a comparison found.

    Attributes:
        files: Files at the source.
        bytes: Their bytes.
        cached: Files that are wholly cached, as often as asked for.
        compared: Files whose bytes were compared.
        uncompared: Where bytes were asked for: files that are not cached, so that there is no copy to compare.
        differences: Files that differ.
        seconds: How long it took.
    """

    name: str
    source: str
    path: str
    content: bool = False
    files: int = 0
    bytes: int = 0
    cached: int = 0
    compared: int = 0
    uncompared: int = 0
    differences: list[Difference] = field(default_factory=list)
    repaired: int | None = None
    seconds: float = 0.0

    def json(self) -> dict[str, Any]:
        """Return it as JSON; of the files that differ the first ones."""
        found = {key: getattr(self, key) for key in ("name", "source", "path", "content", "files", "bytes", "cached", "compared", "uncompared")}
        found |= {"differing": len(self.differences), "consistent": not self.differences, "seconds": round(self.seconds, 3)}
        if self.repaired is not None:
            found["repaired"] = self.repaired
        found["differences"] = [{"path": item.path, "kind": item.kind, "reason": item.reason} for item in self.differences[:LISTED]]
        return found

    def table(self) -> str:
        """Return it as a table."""
        lines = [f"{item.kind:<11} {item.path}  ({item.reason})" for item in self.differences[:SHOWN]]
        if len(self.differences) > SHOWN:
            lines.append(f"... and {len(self.differences) - SHOWN} more")
        if lines:
            lines = [f"{'DIFFERENCE':<11} FILE", *lines, ""]
        compared = f", {self.compared} compared byte by byte, {self.uncompared} not cached and so not compared" if self.content else ""
        put_right = f" {self.repaired} were put right." if self.repaired is not None else ""
        end = f"{len(self.differences)} differ." if self.differences else "Nothing differs."
        return "\n".join([*lines, f"{self.name}: {self.files} files, {size(self.bytes)}, at {self.source}; {self.cached} cached{compared}. {end}{put_right}"])


def relative(path: str, dataset: Dataset) -> str:
    """Return a path of Alluxio's as it is below the data set."""
    return posixpath.relpath(path, dataset.path)


def digest(read: Any, path: str) -> str:
    """Return the MD5 of what is read."""
    found = hashlib.md5(usedforsecurity=False)
    read(path, found.update)
    return found.hexdigest()


def compare(dataset: Dataset, alluxio: Any, source: Source, content: bool = False, sample: int = 0, only: Iterable[str] | None = None) -> Report:
    """Compare the cache with the source.

    Args:
        dataset: The data set.
        alluxio: Alluxio, as in alluxio.py.
        source: The source.
        content: Whether bytes are compared, too.
        sample: Of how many files, chosen by chance; 0 for all.
        only: Files to look at, relative to the data set; None for all.
    """
    began = time.monotonic()
    report = Report(dataset.name, dataset.source, dataset.path, content)
    chosen = None if only is None else set(only)
    # What Alluxio knows, too, goes from here: of a million files none is held twice.
    there: dict[str, Entry] = {}
    # What of the source cannot be looked at, and so cannot be told from what is gone; of a folder all that lies below it.
    closed: dict[str, str] = {}
    for top in dataset.loaded_paths:
        below = relative(top, dataset)
        for path, entry in source.entries("" if below == "." else below):
            if entry.length < 0:
                closed[path] = entry.mark
            elif chosen is None or path in chosen:
                there[path] = entry
    report.files, report.bytes = len(there), sum(entry.length for entry in there.values())
    copies: list[str] = []

    def take(file: File) -> None:
        path = relative(file.path, dataset)
        if chosen is not None and path not in chosen:
            return
        report.cached += file.whole
        wrong = metadata(path, file, there.pop(path, None), behind(path, closed))
        if wrong or (wrong := uncached(path, file, dataset)):
            report.differences.append(wrong)
        if content and (not wrong or wrong.kind == UNCACHED):
            if file.cached >= file.length:
                copies.append(path)
            else:
                report.uncompared += 1

    for path in dataset.loaded_paths:
        alluxio.each(path, take, dataset.replicas)
    report.differences += [Difference(path, UNKNOWN, "it is at the source, and Alluxio does not know it") for path in there]
    told = {item.path for item in report.differences} if closed else set()
    report.differences += [Difference(path, UNREADABLE, why, True) for path, why in closed.items() if path not in told and (chosen is None or path in chosen)]
    there.clear()
    if content:
        compare_content(dataset, alluxio, source, random.sample(copies, min(sample, len(copies))) if sample else copies, report)
    report.differences.sort(key=lambda item: item.path)
    report.seconds = time.monotonic() - began
    return report


def behind(path: str, closed: dict[str, str]) -> str:
    """Return why a path, or a folder above it, cannot be looked at; nothing where that is not so."""
    while closed and path:
        if path in closed:
            return closed[path]
        path = posixpath.dirname(path)
    return ""


def metadata(path: str, file: File, entry: Entry | None, closed: str = "") -> Difference | None:
    """Return how what Alluxio knows of a file differs from what the source says, or why the source cannot be asked."""
    if file.unsaved:
        return Difference(path, UNSAVED, f"the source does not have it yet: {file.unsaved}")
    if entry is None and closed:
        return Difference(path, UNREADABLE, closed, True)
    if entry is None:
        return Difference(path, GONE, "Alluxio knows it, and it is gone at the source")
    if file.length != entry.length:
        return Difference(path, LENGTH, f"Alluxio says {file.length} bytes, the source {entry.length}")
    if file.fingerprint and entry.mark not in file.fingerprint:
        return Difference(path, CHANGED, "it was changed at the source since Alluxio last looked")
    return None


def uncached(path: str, file: File, dataset: Dataset) -> Difference | None:
    """Return how a file is not cached as it is to be."""
    if file.whole or dataset.preload != "all":
        return None
    return Difference(path, UNCACHED, "it is not wholly cached" if file.cached < file.length else "fewer copies of it are cached than are asked for")


def several(call: Callable[[str], Any], paths: Sequence[str]) -> Iterator[Any]:
    """Call with each of many paths, some at a time, in their order; of a million not all are queued at once."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), QUEUED):
            yield from pool.map(call, paths[start : start + QUEUED])


def compare_content(dataset: Dataset, alluxio: Any, source: Source, paths: list[str], report: Report) -> None:
    """Compare the bytes of files, several at a time."""
    errors: tuple[type[Exception], ...] = (AlluxioError, OSError, *source.errors)

    def look(path: str) -> Difference | None:
        try:
            cached = digest(lambda name, take: alluxio.read(f"{dataset.path}/{name}", take, cache=False), path)
        except errors as error:
            return Difference(path, UNREADABLE, str(error))
        try:
            real = digest(source.read, path)
        except errors as error:
            return Difference(path, UNREADABLE, f"the source cannot be read: {error}", True)
        return None if cached == real else Difference(path, CONTENT, f"MD5 {cached} in the cache, {real} at the source")

    for found in several(look, paths):
        report.compared += 1
        if found:
            report.differences.append(found)


def repair(dataset: Dataset, alluxio: Any, source: Source, content: bool = False, sample: int = 0) -> Report:
    """Put right what differs, and compare once more; the source is only read.

    What is not at the source yet stays as it is, and still differs: Alluxio may have the only copy of it. So does what the source does not hand out.

    Args:
        dataset: The data set.
        alluxio: Alluxio, as in alluxio.py.
        source: The source.
        content: Whether bytes are compared, too.
        sample: Of how many files; 0 for all.
    """
    before = compare(dataset, alluxio, source, content, sample)
    again: list[File] = []
    for item in before.differences:
        path = f"{dataset.path}/{item.path}"
        if item.kept:
            continue
        # Nor is the source looked at for it, which may have something else by its name: Alluxio would take that instead.
        if item.kind not in (UNKNOWN, UNCACHED) and not forgotten(alluxio, path):
            continue
        if item.kind != GONE:
            found = alluxio.status(path, 0)
            if found and dataset.preload == "all":
                again.append(found)
    load(alluxio, again, dataset.replicas)
    after = compare(dataset, alluxio, source, content, only=[item.path for item in before.differences]) if before.differences else before
    before.repaired = len(before.differences) - len(after.differences)
    before.differences = after.differences
    before.cached = 0

    def count(file: File) -> None:
        before.cached += file.whole

    for path in dataset.loaded_paths:
        alluxio.each(path, count, dataset.replicas)
    return before


def forgotten(alluxio: Any, path: str) -> bool:
    """Drop what Alluxio knows and holds of a file; tells False where that may be the only copy, as of one that is written just now."""
    found = alluxio.status(path)
    if found and found.unsaved:
        return False
    if found:
        alluxio.forget(path)
    return True


def load(alluxio: Any, files: list[File], replicas: int) -> None:
    """Load files by some jobs at a time, and wait until they are over.

    Raises:
        AlluxioError: none of them has ended, or brought anything, for a long while.
    """
    waiting, active = planning.batches(files), dict[int, Batch]()
    end = time.monotonic() + LOAD_SECONDS
    while True:
        going = {number: batch for number, batch in active.items() if not alluxio.job(number).over}
        if len(going) < len(active):
            end = time.monotonic() + LOAD_SECONDS
        active = going | {alluxio.load(batch.paths, replicas): batch for batch in itertools.islice(waiting, ACTIVE_JOBS - len(going))}
        if not active:
            return
        if time.monotonic() > end:
            now = {number: batch._replace(held=held(alluxio, batch.paths, replicas)) for number, batch in active.items()}
            if all(now[number].held <= batch.held for number, batch in active.items()):
                raise AlluxioError(f"Of the jobs that load {len(files)} files again none has ended or brought anything for {LOAD_SECONDS} s")
            active, end = now, time.monotonic() + LOAD_SECONDS
        time.sleep(PAUSE)


def checksums(dataset: Dataset, alluxio: Any, path: str = "") -> dict[str, Any]:
    """Return the MD5 of each file of a data set as the cache hands it out (of the first ones, with the number of all), and one for the whole.

    Args:
        dataset: The data set.
        alluxio: Alluxio, as in alluxio.py.
        path: A folder or file, relative to the data set.
    """
    paths: list[str] = []
    top = posixpath.normpath(posixpath.join(dataset.path, path)) if path else dataset.path
    alluxio.each(top, lambda file: paths.append(file.path))
    paths.sort()
    files: dict[str, str] = {}
    whole = hashlib.md5(usedforsecurity=False)
    sums = several(lambda name: digest(lambda where, take: alluxio.read(where, take, cache=False), name), paths)
    for name, found in zip((relative(name, dataset) for name in paths), sums, strict=True):
        whole.update(f"{found}  {name}\n".encode())
        if len(files) < LISTED:
            files[name] = found
    return {"name": dataset.name, "path": path or ".", "count": len(paths), "files": files, "checksum": whole.hexdigest()}
