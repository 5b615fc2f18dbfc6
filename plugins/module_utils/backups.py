"""Backups of journals on this machine: whose they are, and how one comes under its name only when it is whole and proven."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import helm, kube

# How the names end; they sort by time. Not those of a release whose name only begins alike.
STAMP = f"{'[0-9]' * 8}T{'[0-9]' * 6}Z"


def whose(core: Any, namespace: str, release: str) -> dict[str, str]:
    """Return what tells the backups of a release from those of others in the same directory.

    Args:
        core: The API's client for core objects.
        namespace: Namespace of the release.
        release: Name of the release.

    Returns:
        cluster (the UID of its namespace kube-system), namespace, release, and life: when helm installed it first. Upgrades and rollbacks keep that; after a
        removal the revisions count from 1 again in another life. Empty where helm knows of no such release.
    """
    cluster = kube.retried(core.read_namespace, "kube-system").metadata.uid
    secrets = kube.retried(core.list_namespaced_secret, namespace, label_selector=f"owner=helm,name={release}").items
    newest = max(secrets, key=lambda item: int(item.metadata.labels["version"]), default=None)
    life = helm.unpacked(newest.data["release"])["info"]["first_deployed"] if newest else ""
    return {"cluster": cluster, "namespace": namespace, "release": release, "life": life}


def facts(path: Path) -> dict[str, Any]:
    """Return what is written beside a backup.

    Raises:
        OSError, ValueError: nothing, or nothing of a backup.
    """
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if not isinstance(found, dict) or "sha256" not in found:
        raise ValueError("it holds no checksum")
    return found


def listed(directory: Path, owner: Mapping[str, str], warn: Callable[[str], object] = lambda _text: None) -> list[tuple[Path, dict[str, Any]]]:
    """Return the backups of a release in a cluster, from all its lives, newest first, each with what is written beside it.

    Args:
        directory: Where backups lie, those of others too.
        owner: What :func:`whose` tells.
        warn: Told of a file that tells nothing of a backup.
    """
    found = []
    for path in sorted(directory.glob(f"{owner['release']}-{STAMP}.json"), reverse=True):
        backup = path.with_suffix(".gz")
        try:
            beside = facts(backup)
        except (OSError, ValueError) as error:
            warn(f"{path} tells nothing of a backup: {error}")
            continue
        if all(beside.get(key) == owner[key] for key in ("cluster", "namespace", "release")):
            found.append((backup, beside))
    return found


@contextlib.contextmanager
def held(part: Path) -> Iterator[None]:
    """Hold the lock of a file, which goes with the process.

    Raises:
        BlockingIOError: another process has it.
    """
    handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def growing(target: Path) -> Iterator[Path]:
    """Yield the file that a backup is written to; it gets the backup's name at the end, and is removed where that is not reached."""
    part = target.with_suffix(".gz.part")
    with held(part):
        try:
            yield part
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)


def sweep(directory: Path, release: str) -> None:
    """Remove what runs that were cut off have left of backups; what a run is writing now is locked."""
    for part in directory.glob(f"{release}-{STAMP}.gz.part"):
        with contextlib.suppress(BlockingIOError), held(part):
            part.unlink(missing_ok=True)
            part.with_suffix("").with_suffix(".json").unlink(missing_ok=True)
