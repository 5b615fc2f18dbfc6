"""Read a data set as a training's loader does, by several processes at once, and tell how fast that went; runs in a pod, with nothing but Python's own library.

``loader.py read`` prints a line of JSON per epoch and kind of files; ``copy`` makes a copy on the node's disk, ``remove`` removes one, and ``drop`` makes the
node forget what it has in its memory.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import s3_client

BUFFER = 2**20
# Files of less than this are small ones: what they cost is the way to them, and of larger ones their bytes.
SMALL = 2**20
Figures = dict[str, Any]


def store() -> s3_client.Store:
    """Return a connection to the remote store as the environment and the folder of its Secret say."""
    folder = Path(os.environ.get("LOADER_CREDENTIALS", "/credentials"))
    key, secret = ((folder / name).read_text(encoding="utf-8").strip() for name in ("s3a.accessKeyId", "s3a.secretKey"))
    return s3_client.Store(os.environ["LOADER_ENDPOINT"], (key, secret), os.environ.get("LOADER_REGION") or "us-east-1")


class Remote:
    """A data set in an S3 store: s3://bucket/prefix."""

    def __init__(self, source: str) -> None:
        self.bucket, _slash, prefix = source.partition("://")[2].partition("/")
        self.prefix = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        self.connection: s3_client.Store | None = None

    def files(self) -> dict[str, int]:
        """Return the sizes of the files by their names."""
        return {key[len(self.prefix) :]: size for key, size in store().list(self.bucket, self.prefix).items()}

    def read(self, name: str, buffer: memoryview, sink: Any = None) -> int:
        """Read a file through a buffer; return its size."""
        self.connection = self.connection or store()
        return self.connection.get(self.bucket, self.prefix + name, buffer, sink)


class Folder:
    """A data set in a folder: of the node's disk, or the cache's by FUSE."""

    def __init__(self, source: str) -> None:
        self.root = Path(source)

    def files(self) -> dict[str, int]:
        """Return the sizes of the files by their names."""
        return {str(path.relative_to(self.root)): path.stat().st_size for path in self.root.rglob("*") if path.is_file()}

    def read(self, name: str, buffer: memoryview, sink: Any = None) -> int:
        """Read a file through a buffer; return its size."""
        total = 0
        with open(self.root / name, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                total += count
                if sink:
                    sink.write(buffer[:count])
        return total


def opened(source: str) -> Remote | Folder:
    """Return the data set at a source."""
    return Remote(source) if "://" in source else Folder(source)


def busy() -> float:
    """Return the CPU seconds that the node has spent since its start, on whatever."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    # All but idle and waiting for disks.
    return (sum(map(int, words)) - int(words[3]) - int(words[4])) / os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def drop_caches() -> None:
    """Make the node forget files and folders that it has in its memory."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def worker(source: str, target: str, files: list[tuple[str, int]], turn: Any, start: Any, answer: Any) -> None:
    """Read files, whichever is next, and send the moment of the start, and of each file the moment of its end and the seconds that it took."""
    try:
        data, buffer, done = opened(source), memoryview(bytearray(BUFFER)), []
        start.wait(60)
        started, before = time.monotonic(), own_cpu()
        while True:
            with turn.get_lock():
                number = turn.value
                turn.value += 1
            if number >= len(files):
                break
            name, size = files[number]
            began = time.monotonic()
            if target:
                path = Path(target, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as sink:
                    count = data.read(name, buffer, sink)
            else:
                count = data.read(name, buffer)
            ended = time.monotonic()
            if count != size:
                raise EOFError(f"{name}: {count} bytes were read, {size} were expected")
            done.append((ended, ended - began))
        answer.send((started, done, own_cpu() - before, ""))
    except (ArithmeticError, OSError, EOFError, LookupError, RuntimeError, ValueError, http.client.HTTPException, s3_client.S3Error) as error:
        answer.send((0.0, [], 0.0, f"{type(error).__name__}: {error}"))


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def run(source: str, files: list[tuple[str, int]], readers: int, batch: int, target: str = "") -> Figures:
    """Read files by so many processes at once and return the figures.

    Raises:
        RuntimeError: a file could not be read as it should.
    """
    readers = min(readers, len(files))
    context = multiprocessing.get_context("fork")
    turn, start = context.Value("l", 0), context.Barrier(readers + 1)
    pipes, processes = [], []
    for _reader in range(readers):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(context.Process(target=worker, args=(source, target, files, turn, start, theirs)))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    node = busy()
    start.wait(60)
    try:
        answers = [pipe.recv() for pipe in pipes]
    except EOFError as error:
        raise RuntimeError("a reader was killed; is the pod's memory too small?") from error
    node = busy() - node
    for process in processes:
        process.join()
    if wrong := [text for _began, _done, _cpu, text in answers if text]:
        raise RuntimeError(wrong[0])
    began = min(answer[0] for answer in answers)
    ends = sorted(end for _began, done, _cpu, _text in answers for end, _took in done)
    took = sorted(seconds for _began, done, _cpu, _text in answers for _end, seconds in done)
    seconds, size = ends[-1] - began, sum(size for _name, size in files)
    # Of few large files a batch is one per reader.
    first = min(batch if len(files) >= 4 * batch else readers, len(files))
    return {
        "files": len(files), "bytes": size, "seconds": round(seconds, 4), "files_s": round(len(files) / seconds, 2), "mb_s": round(size / seconds / 1e6, 2),
        "p50_ms": round(1000 * percentile(took, 0.5), 3), "p99_ms": round(1000 * percentile(took, 0.99), 3),
        "first_batch_s": round(ends[first - 1] - began, 4), "cpu_s": round(sum(cpu for _began, _done, cpu, _text in answers), 2), "node_cpu_s": round(node, 2),
        "readers": readers,
    }  # fmt: skip


def kinds(files: dict[str, int]) -> dict[str, list[tuple[str, int]]]:
    """Return names and sizes by kind, small and large; a kind without files is left out."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name, size in sorted(files.items()):
        found.setdefault("small" if size < SMALL else "large", []).append((name, size))
    return dict(sorted(found.items(), reverse=True))


def read(options: argparse.Namespace) -> None:
    """Read the data set for some epochs, each time in another order, and print the figures."""
    if options.drop != "never":
        drop_caches()
    # A training lists its files once; that is told apart.
    began = time.monotonic()
    files = opened(options.source).files()
    listed = round(time.monotonic() - began, 3)
    if not files:
        raise FileNotFoundError(f"{options.source} has no files")
    for epoch in range(1, options.epochs + 1):
        dropped = options.drop == "each" or (options.drop == "first" and epoch == 1)
        if dropped:
            drop_caches()
        for kind, members in kinds(files).items():
            # The same order for all cases.
            random.Random(f"{options.seed} {epoch} {kind}").shuffle(members)
            figures = run(options.source, members, options.readers, options.batch)
            print(json.dumps({"epoch": epoch, "kind": kind, "dropped": dropped, "list_s": listed, **figures}), flush=True)


def copy(options: argparse.Namespace) -> None:
    """Copy the data set to a folder and print the figures."""
    files = sorted(opened(options.source).files().items())
    if not files:
        raise FileNotFoundError(f"{options.source} has no files")
    shutil.rmtree(options.target, ignore_errors=True)
    figures = run(options.source, files, options.readers, options.batch, options.target)
    print(json.dumps({"epoch": 0, "kind": "copy", "dropped": False, **figures}), flush=True)


def remove(options: argparse.Namespace) -> None:
    """Remove a copy."""
    if os.path.lexists(options.target):
        shutil.rmtree(options.target)


def drop(_options: argparse.Namespace) -> None:
    """Make the node forget what it has in its memory."""
    drop_caches()


def main(words: list[str] | None = None) -> None:
    """Do what the command line says; one line on standard error and exit code 1 where it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("read", "copy", "remove", "drop"))
    parser.add_argument("--source", default="", help="s3://bucket/prefix or a folder")
    parser.add_argument("--target", default="", help="folder of the copy")
    parser.add_argument("--readers", type=int, default=8, help="processes that read at the same time")
    parser.add_argument("--epochs", type=int, default=3, help="times that all files are read")
    parser.add_argument("--batch", type=int, default=64, help="files of the first batch")
    parser.add_argument("--drop", choices=("first", "each", "never"), default="first", help="before which epochs the node's page cache is dropped")
    parser.add_argument("--seed", default="0", help="what the orders of the files come from")
    options = parser.parse_args(words)
    try:
        {"read": read, "copy": copy, "remove": remove, "drop": drop}[options.what](options)
    except (OSError, RuntimeError, s3_client.S3Error) as error:
        sys.exit(f"{options.what} {options.source or options.target}: {error}")


if __name__ == "__main__":
    main()
