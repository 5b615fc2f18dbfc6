"""How a source gets into Alluxio and out of it again: mount points, their options, and how old what is known of them may be."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from alnair_operator import datasets
from alnair_operator.datasets import Dataset, DatasetError
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.planning import HELD, File
from alnair_operator.steps import text_of
from alnair_operator.unmounted import Unmounted

LOG = logging.getLogger(__name__)
# What a mount job may have seen of the source before it is given up.
MOUNT_SECONDS = 240
# How long another declaration waits until the source has what was written by the one before; who removes a data set sets the time himself.
SAVE_SECONDS = 600
# Files that are asked to be written to the source at a time, and that are named.
SAVED_FILES, NAMED_FILES = 1000, 3


@dataclass
class MountJob:
    """How far a Job is that mounts with credentials: active, done, or failed with a reason."""

    state: str
    reason: str = ""


class Wait(NamedTuple):
    """What a mount waits for: a sentence, the seconds until it is worth a look, and whether something mounts meanwhile."""

    message: str
    seconds: float
    begun: bool


class Mounting:
    """Mounts data sets and takes their mounts away."""

    def __init__(self, alluxio: Any, mount_job: Callable[[Dataset, str], MountJob] | None, end_mounts: Callable[[Dataset], bool],
                 claims: Callable[[Dataset], Mapping[str, str]], unmounted: Unmounted) -> None:  # fmt: skip
        """Begin; the arguments are those of the engine."""
        self.alluxio, self.mount_job, self.end_mounts, self.claims, self.unmounted = alluxio, mount_job, end_mounts, claims, unmounted

    def mount(self, dataset: Dataset, before: Mapping[str, str], others: Sequence[Dataset], waited: float) -> Wait | None:
        """Mount the source, unless it is; returns what is waited for, or nothing where it is mounted.

        Args:
            dataset: The data set.
            before: What an earlier declaration has mounted, as ``mounted`` returns it; empty for nothing.
            others: All other data sets.
            waited: Seconds since the mount was begun.

        Raises:
            DatasetError: it cannot be mounted as it is declared.
            AlluxioError: Alluxio refused.
            AlluxioAway: it is worth another try.
        """
        if not dataset.credentials:
            # With them the next Job ends the one before.
            self.end_job(dataset, before)
        ufs, mounts = datasets.ufs(dataset, self.claims(dataset)), self.alluxio.mounts()
        found, options, old = mounts.get(dataset.path), datasets.mount_options(dataset), before.get("path") or ""
        left = bool(old and old != dataset.path and old in mounts and not any(other.path == old for other in others))
        if left:
            self.take_away(old, mounts[old], before, waited)
        if found and not datasets.same_ufs(found.ufs, ufs):
            if old != dataset.path:
                raise DatasetError(f"{dataset.path} is a mount of {found.ufs} already. Give the data set another path, or unmount that one first")
            self.take_away(dataset.path, found, before, waited)
            found = None
        # Other options leave files and blocks as they are: who has its mount waits for nothing.
        if not found and (wait := self.forgotten(dataset)):
            return wait
        if found and dataset.read_only and not found.read_only:
            # What is not at the source by then could neither be written there nor be removed any more.
            self.save(dataset.path, waited)
        if left and dataset.credentials:
            # The Job has its own time.
            return Wait(f"What was mounted at {old} is unmounted.", 1, begun=False)
        if dataset.credentials:
            # What does not concern the mount, such as what is loaded, takes no Job.
            return None if found and before.get("mark") == self.mounted(dataset, before)["mark"] else self.by_job(dataset, ufs, waited)
        # Alluxio's own answer holds the masks of credentials of an earlier declaration, too: those must go.
        if found and (found.read_only != dataset.read_only or found.options != options):
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options, update=True)
        elif not found:
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options)
        return None

    def end_job(self, dataset: Dataset, before: Mapping[str, str]) -> None:
        """End the Job that mounts a data set, or what it was declared to be before.

        Raises:
            AlluxioAway: it has not ended yet.
        """
        # Without a URI it may be under way.
        if (dataset.credentials or (before and not before.get("ufs"))) and not self.end_mounts(dataset):
            raise AlluxioAway(f"The Job that mounts {before.get('source') or dataset.source} has not ended yet")

    def holds(self, dataset: Dataset, mounts: Mapping[str, Any]) -> bool:
        """Tell whether of Alluxio's mounts the one at a data set's path is one of its source."""
        try:
            found = mounts.get(dataset.path)
            return found is not None and datasets.same_ufs(found.ufs, datasets.ufs(dataset, self.claims(dataset)))
        except DatasetError:
            return False

    def has_mounted(self, dataset: Dataset, before: Mapping[str, str]) -> bool:
        """Tell whether what is at a data set's path is what it has mounted there, as ``mounted`` returned it, whatever it is declared to be by now."""
        if before.get("path") != dataset.path:
            return False
        mounts = self.alluxio.mounts()
        found = mounts.get(dataset.path)
        return found is not None and datasets.same_ufs(found.ufs, before["ufs"]) if before.get("ufs") else self.holds(dataset, mounts)

    def forgotten(self, dataset: Dataset) -> Wait | None:
        """Return until when the nodes know files that were at a data set's path before; nothing where they know none."""
        known = self.unmounted.last(dataset.path)
        if not known:
            return None
        path, end = known
        return Wait(
            f"It is mounted at {text_of(end)}: until then FUSE knows files that were at {path} before it was unmounted, and would read them in place of these "
            "(dataset_operator_remount_seconds). At another path it is mounted at once.",
            max(1.0, end - self.unmounted.now()),
            begun=False,
        )

    def begun(self, dataset: Dataset, before: Mapping[str, str]) -> dict[str, str]:
        """Return what tells later that this may be mounted, and whether it could be written to at any time since it was declared."""
        written = {"written": "yes"} if before.get("written") or not dataset.read_only else {}
        return {"path": dataset.path, "source": dataset.source, **written}

    def mounted(self, dataset: Dataset, before: Mapping[str, str]) -> dict[str, str]:
        """Return what tells later that this was mounted; the credentials are read anew when somebody asks for another load."""
        options = datasets.mount_options(dataset)
        ufs = datasets.ufs(dataset, self.claims(dataset))
        told = [dataset.uid, dataset.reload, ufs, dataset.path, dataset.read_only, dataset.credentials, options]
        return {**self.begun(dataset, before), "ufs": ufs, "mark": datasets.mark(json.dumps(told))}

    def by_job(self, dataset: Dataset, ufs: str, waited: float) -> Wait | None:
        """Let a Job mount that sees the credentials, which the operator does not; returns what is waited for."""
        if not self.mount_job:
            raise DatasetError(f"Data set {dataset.name} names credentials, and nothing here can make a Job that reads them")
        job = self.mount_job(dataset, ufs)
        if job.state == "failed":
            raise DatasetError(f"{dataset.source} could not be mounted with the credentials of Secret {dataset.credentials}: {job.reason}")
        if job.state == "done":
            return None
        if waited > MOUNT_SECONDS:
            raise DatasetError(f"The Job that mounts {dataset.source} did not end within {MOUNT_SECONDS} s: {job.reason or 'is there a Secret of that name?'}")
        return Wait(f"{dataset.source} is mounted by a Job that has Secret {dataset.credentials}. {job.reason}".strip(), 2, begun=True)

    def keep_fresh(self, dataset: Dataset, told: str, others: Sequence[Dataset]) -> str:
        """Say how old what Alluxio knows of the data set may be.

        Args:
            dataset: The data set.
            told: What was said before and of which path, as this returns it; empty for nothing.
            others: All other data sets; what is said of the path of one of them stays.
        """
        interval, _space, path = told.partition(" ")
        if interval and path and path != dataset.path:
            self.forget_interval(told, others)
            interval = ""
        if dataset.sync_interval != (interval or "-1"):
            self.alluxio.sync_interval(dataset.path, dataset.sync_interval)
        return f"{dataset.sync_interval} {dataset.path}"

    def forget_interval(self, told: str, others: Sequence[Dataset]) -> None:
        """Take back what was said of a path, so that whatever comes there next does not inherit it, unless it is there already."""
        interval, _space, path = told.partition(" ")
        if path and interval != "-1" and not any(other.path == path for other in others):
            self.alluxio.sync_interval(path, "-1")

    def pin(self, dataset: Dataset) -> list[str]:
        """Keep what is loaded of a data set from being evicted, where that is declared; returns what is pinned, as ``unpin`` takes it.

        What Alluxio knows of it and does not hold, it then loads by itself, about once a minute.
        """
        paths = dataset.loaded_paths if dataset.pin else []
        for path in paths:
            if self.alluxio.status(path) is None:
                # Of which nobody has asked before.
                self.alluxio.status(path, 0)
            self.alluxio.pin(path, True)
        return paths

    def unpin(self, dataset: Dataset, told: Any) -> list[str]:
        """Let what was pinned of a data set and is not meant to be any more be evicted; returns what still is pinned.

        Args:
            dataset: The data set.
            told: What ``pin`` has returned; operators of before have noted only whether something was pinned.
        """
        pinned = told if isinstance(told, list) else [dataset.path] if told else []
        meant = dataset.loaded_paths if dataset.pin else []
        # What lies elsewhere was unmounted, and may be another data set's by now.
        mine = [path for path in pinned if datasets.within(path, dataset.path)]
        kept = [path for path in mine if any(datasets.within(path, one) for one in meant)]
        for path in mine:
            if path not in kept and self.alluxio.status(path) is not None:
                self.alluxio.pin(path, False)
        return kept

    def unmount(self, dataset: Dataset, before: Mapping[str, str], others: Sequence[Dataset] = ()) -> None:
        """Take a data set's mount away, if there is one; the source keeps all that it has.

        Args:
            dataset: The data set.
            before: What it has mounted, as ``mounted`` returns it; empty where its mount may have begun without being written down.
            others: Those of the others that are mounted, whose mounts stay.
        """
        path, mounts = before.get("path") or "", self.alluxio.mounts()
        # Or somebody else was faster.
        if not path and self.holds(dataset, mounts):
            path = dataset.path
        if path in mounts and not any(other.path == path for other in others):
            self.take_away(path, mounts[path], before)

    def take_away(self, path: str, mount: Any, before: Mapping[str, str], waited: float = 0) -> None:
        """Take a mount point away, and note it.

        Args:
            path: The mount point.
            mount: What Alluxio says of it.
            before: What the data set has mounted, as ``mounted`` returns it.
            waited: Seconds since that was to be done; 0 where it is waited for without end.

        Raises:
            AlluxioAway: its source does not have yet what was written there.
            AlluxioError: it did not get it in time.
        """
        # An unmount drops all files, also those of which there is no other copy.
        if before.get("written") or not mount.read_only:
            self.save(path, waited)
        # Before it for a process that does not live to see the end, and after it for the time: a large one takes a while.
        self.unmounted.note(path)
        self.alluxio.unmount(path)
        self.unmounted.note(path)

    def save(self, path: str, waited: float = 0) -> None:
        """Have what only workers hold of a mount written to its source.

        Args:
            path: The mount point.
            waited: As in ``take_away``.

        Raises:
            AlluxioAway: not all of it is there yet.
            AlluxioError: it did not get there in time.
        """
        count, named, held = 0, list[str](), list[str]()

        def take(file: File) -> None:
            nonlocal count
            count += bool(file.unsaved)
            if file.unsaved and len(named) < NAMED_FILES:
                named.append(f"{file.path} ({file.unsaved})")
            if file.unsaved == HELD and len(held) < SAVED_FILES:
                held.append(file.path)

        self.alluxio.each(path, take)
        # Not what is on its way already: that would begin anew each time, and a large file never get there.
        for name in held:
            try:
                self.alluxio.persist(name)
            except AlluxioAway:
                raise
            except AlluxioError as error:
                LOG.warning("%s", error)
        if count:
            raise (AlluxioAway if waited < SAVE_SECONDS else AlluxioError)(
                f"{path} stays as it is mounted until its source has what was written there, or that is removed. {count} files are lacking, such as "
                f"{', '.join(named)}"
            )
