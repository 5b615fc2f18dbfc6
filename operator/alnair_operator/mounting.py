"""How a source gets into Alluxio and out of it again: mount points, their options, and how old what is known of them may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alnair_operator import datasets
from alnair_operator.datasets import Dataset, DatasetError

# What a mount job may have seen of the source before it is given up.
MOUNT_SECONDS = 240


@dataclass
class MountJob:
    """How far a Job is that mounts with credentials: active, done, or failed with a reason."""

    state: str
    reason: str = ""


class Mounting:
    """Mounts data sets and takes their mounts away."""

    def __init__(self, alluxio: Any, mount_job: Callable[[Dataset, str], MountJob] | None, end_mounts: Callable[[Dataset], bool],
                 claims: Callable[[Dataset], Mapping[str, str]]) -> None:  # fmt: skip
        """Begin; the arguments are those of the engine."""
        self.alluxio, self.mount_job, self.end_mounts, self.claims = alluxio, mount_job, end_mounts, claims

    def mount(self, dataset: Dataset, before: Mapping[str, str], others: Sequence[Dataset], waited: float) -> str:
        """Mount the source, unless it is; returns what is waited for, or nothing where it is mounted.

        Args:
            dataset: The data set.
            before: What an earlier declaration has mounted, as ``mounted`` returns it; empty for nothing.
            others: All other data sets.
            waited: Seconds since the mount was begun.

        Raises:
            DatasetError: it cannot be mounted as it is declared.
            AlluxioError: Alluxio refused.
        """
        ufs, mounts = datasets.ufs(dataset, self.claims(dataset)), self.alluxio.mounts()
        found, options, old = mounts.get(dataset.path), datasets.mount_options(dataset), before.get("path") or ""
        if old and old != dataset.path and old in mounts and not any(other.path == old for other in others):
            self.alluxio.unmount(old)
        if found and not datasets.same_ufs(found.ufs, ufs):
            if old != dataset.path:
                raise DatasetError(f"{dataset.path} is a mount of {found.ufs} already. Give the data set another path, or unmount that one first")
            self.alluxio.unmount(dataset.path)
            found = None
        if dataset.credentials:
            # What does not concern the mount, such as what is loaded, takes no Job.
            return "" if found and before.get("mark") == self.mounted(dataset)["mark"] else self.by_job(dataset, ufs, waited)
        # Alluxio's own answer holds the masks of credentials of an earlier declaration, too: those must go.
        if found and (found.read_only != dataset.read_only or found.options != options):
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options, update=True)
        elif not found:
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options)
        return ""

    def mounted(self, dataset: Dataset) -> dict[str, str]:
        """Return what tells later that this was mounted; the credentials are read anew when somebody asks for another load."""
        options = datasets.mount_options(dataset)
        told = [dataset.uid, dataset.reload, datasets.ufs(dataset, self.claims(dataset)), dataset.path, dataset.read_only, dataset.credentials, options]
        return {"path": dataset.path, "source": dataset.source, "mark": datasets.mark(json.dumps(told))}

    def by_job(self, dataset: Dataset, ufs: str, waited: float) -> str:
        """Let a Job mount that sees the credentials, which the operator does not; returns what is waited for."""
        if not self.mount_job:
            raise DatasetError(f"Data set {dataset.name} names credentials, and nothing here can make a Job that reads them")
        job = self.mount_job(dataset, ufs)
        if job.state == "failed":
            raise DatasetError(f"{dataset.source} could not be mounted with the credentials of Secret {dataset.credentials}: {job.reason}")
        if job.state == "done":
            return ""
        if waited > MOUNT_SECONDS:
            raise DatasetError(f"The Job that mounts {dataset.source} did not end within {MOUNT_SECONDS} s: {job.reason or 'is there a Secret of that name?'}")
        return f"{dataset.source} is mounted by a Job that has Secret {dataset.credentials}. {job.reason}".strip()

    def keep_fresh(self, dataset: Dataset, told: str, others: Sequence[Dataset]) -> str:
        """Say how old what Alluxio knows of the data set may be.

        Args:
            dataset: The data set.
            told: What was said before and of which path, as this returns it; empty for nothing.
            others: All other data sets; what is said of the path of one of them stays.
        """
        interval, _space, path = told.partition(" ")
        if interval and path and path != dataset.path:
            if not any(other.path == path for other in others):
                self.forget_interval(told)
            interval = ""
        if dataset.sync_interval != (interval or "-1"):
            self.alluxio.sync_interval(dataset.path, dataset.sync_interval)
        return f"{dataset.sync_interval} {dataset.path}"

    def forget_interval(self, told: str) -> None:
        """Take back what was said of a path, so that whatever comes there next does not inherit it."""
        interval, _space, path = told.partition(" ")
        if path and interval != "-1":
            self.alluxio.sync_interval(path, "-1")

    def unmount(self, path: str) -> None:
        """Take a mount point away, if it is one; the source keeps all that it has."""
        if path and path in self.alluxio.mounts():
            self.alluxio.unmount(path)
