"""An Alluxio that is made of dictionaries, a clock, and steps on them, for the tests of the operator's engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from alnair_operator.alluxio import Job, Mount
from alnair_operator.datasets import Dataset, within
from alnair_operator.engine import SETTLED, Engine
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.planning import File, Worker
from alnair_operator.steps import Step

Hook = Callable[[], None]


class Fake:
    """Alluxio: the source is what a sync finds; a job brings its files when it is looked at."""

    def __init__(self, source: dict[str, int] | None = None, workers: int = 2, capacity: int = 10_000) -> None:
        self.source = {f"f{index}": 10 for index in range(200)} if source is None else source
        self.table: dict[str, Mount] = {}
        self.options: dict[str, Any] = {}
        self.known: dict[str, int] = {}
        self.cached: set[str] = set()
        self.copies: dict[str, int] = {}
        self.jobs: dict[int, tuple[str, ...]] = {}
        self.replicas = 1
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
        self.folders: set[str] = set()
        self.pinned: set[str] = set()
        self.unsaved: dict[str, str] = {}
        self.stuck: set[str] = set()
        # Folders whose listing fails so many times more, which nobody is told.
        self.unlisted: dict[str, int] = {}
        # Those of them that a sync has forgotten.
        self.forgotten: set[str] = set()
        # Files of which workers have lost a part that the source does not have.
        self.half: set[str] = set()
        # What is cached of files that are under way.
        self.parts: dict[str, int] = {}

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
        self.folders, self.pinned = ({one for one in some if not within(one, path)} for some in (self.folders, self.pinned))

    def persist(self, path: str) -> None:
        self.calls.append(f"persist {path}")
        if path in self.stuck:
            raise AlluxioError(f"{path} cannot be written to its source: permission denied")
        del self.unsaved[path]

    def sync_interval(self, path: str, interval: str) -> None:
        self.intervals[path] = interval

    def sync(self, path: str, twice: bool = False) -> None:
        """As Alluxio does with a folder that it cannot list: of a mount's own it keeps what it knows, another one it takes for gone."""
        self.up()
        self.on_sync()
        for root in self.table:
            if path == root or path.startswith(f"{root}/"):
                mute = [folder for folder, times in self.unlisted.items() if times > 0]
                self.unlisted |= {folder: self.unlisted[folder] - 1 for folder in mute if within(folder, path)}
                below = {folder for folder in self.unlisted if folder not in (path, root) and within(folder, path)}
                self.forgotten = self.forgotten - below if twice else self.forgotten | below.intersection(mute)
                now = {f"{root}/{name}": length for name, length in self.source.items()}
                if root in mute:
                    now = {name: length for name, length in now.items() if name in self.known}
                now = {name: length for name, length in now.items() if not any(within(name, folder) for folder in mute if folder != root)}
                gone = {name for name, length in self.known.items() if name.startswith(f"{root}/") and now.get(name) != length} - {*self.unsaved}
                self.cached -= gone
                self.known = {name: length for name, length in self.known.items() if name not in gone} | now

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1, empty: Callable[[str], None] = lambda path: None) -> None:
        self.up()
        seen = [folder for folder in self.unlisted if within(folder, path) and folder not in self.forgotten]
        blank = [folder for folder in seen if not any(within(name, folder) for name in self.known)]
        for folder in blank:
            # What lies below one that was not listed is not known.
            if not any(folder != above and within(folder, above) for above in blank):
                empty(folder)
        for name, length in sorted(self.known.items()):
            if name == path or name.startswith(f"{path}/"):
                copies = self.copies.get(name, 1) if name in self.cached else 0
                held = min(copies, replicas) * length
                take(File(name, length, length if copies else 0, copies >= replicas, held=held, unsaved=self.unsaved.get(name, "")))

    def status(self, path: str, interval: int = -1, replicas: int = 1) -> File | None:
        self.up()
        if interval == 0 and any(within(f"{root}/{name}", path) for root in self.table for name in self.source):
            self.folders.add(path)
        there = path in self.table or path in self.folders or any(within(name, path) for name in self.known)
        entries = len([name for name in self.known if within(name, path)])
        return File(path, self.known.get(path, entries), 0, False, held=self.parts.get(path, 0)) if there else None

    def pin(self, path: str, pinned: bool) -> None:
        if self.status(path) is None:
            raise AlluxioError(f'{path} cannot be pinned: Path "{path}" does not exist')
        self.calls.append(f"pin {path} {pinned}")
        self.pinned = {one for one in self.pinned if not within(one, path)} | ({path} if pinned else set())

    def free(self, path: str) -> None:
        self.up()
        self.calls.append(f"free {path}")
        # As Alluxio does, one after the other up to the first that its source does not have.
        for name in sorted(name for name in self.cached if within(name, path)):
            if name in self.unsaved or name in self.half:
                raise AlluxioError(f"{path} cannot be freed: {name} is not persisted")
            self.cached.discard(name)
        self.size = [Worker(worker.name, worker.capacity, 0) for worker in self.size]

    def workers(self) -> list[Worker]:
        self.up()
        return self.size

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        self.up()
        number, self.replicas = next(self.numbers), replicas
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
                self.copies[path] = self.replicas
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
