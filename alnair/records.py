"""The record that every run leaves: who ran what, when, on which inventory, with which versions, and what it changed."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from alnair import processes, secrets
from alnair.home import shared
from alnair.result import Failure, Result

LOG = logging.getLogger("alnair")
# So many are kept; the oldest go.
KEPT = 100
RUNNING, CUT_OFF = "running", "cut off"


@dataclasses.dataclass
class Record:
    """A run.

    Attributes:
        number: Counts from 1 on; it stays when older records go.
        started: When, in UTC, as ISO 8601.
        who: User and machine.
        process: Number of the process.
        verb: What was asked for.
        inventory: Its path.
        digest: SHA-256 of the inventory's files.
        options: limit, check and extra_vars, where they were given; secrets are hidden.
        versions: Of ansible-core, the collection and, where it is on the path, helm.
        status: As in :class:`Result`; ``running`` before the end, ``cut off`` where there never was one.
        changes: The tasks that changed something, or would in check mode, by host.
        failures: As in :class:`Result`.
        unreachable: As in :class:`Result`.
        duration: Seconds.
        process_start: When the process began, by the kernel's clock: another one may be given its number later.
    """

    number: int
    started: str
    who: str
    process: int
    verb: str
    inventory: str
    digest: str
    options: dict[str, Any]
    versions: dict[str, str]
    status: str = RUNNING
    changes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    unreachable: dict[str, str] = dataclasses.field(default_factory=dict)
    duration: float = 0.0
    process_start: str = ""

    @property
    def changed(self) -> int:
        """Return the number of changes on all hosts."""
        return sum(len(tasks) for tasks in self.changes.values())


def folder() -> Path:
    """Return where records lie."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "alnair" / "runs"


def figures(inventory: Path) -> Path:
    """Return the file for the figures of an inventory's last bench."""
    return folder().parent / "bench" / f"{hashlib.sha256(str(inventory).encode()).hexdigest()[:16]}.json"


@contextlib.contextmanager
def kept(verb: str, inventory: Path, home: Path, result: Result, **options: Any) -> Iterator[None]:
    """Keep the record of what is run within, and put its duration into its result. That it cannot be written ends no run.

    Args:
        verb: What was asked for.
        inventory: Folder or file.
        home: Folder of the collection.
        result: What the run did, once it is over.
        options: limit, check and extra_vars.
    """
    started, record = time.monotonic(), None
    try:
        record = begin(verb, inventory, home, **options)
    except OSError as error:
        LOG.warning("This run leaves no record in %s: %s", folder(), error)
    try:
        yield
    except KeyboardInterrupt:
        result.status = "interrupted"
        raise
    finally:
        result.duration = time.monotonic() - started
        if record:
            try:
                end(record, result, options.get("extra_vars") or {})
            except OSError as error:
                LOG.warning("The record of this run in %s ends before the run: %s", folder(), error)


def begin(verb: str, inventory: Path, home: Path, **options: Any) -> Record:
    """Leave the record of a run that begins, so that one that is killed has left one, too.

    Args:
        verb: What was asked for.
        inventory: Folder or file.
        home: Folder of the collection.
        options: limit, check and extra_vars.

    Raises:
        OSError: the record cannot be written.
    """
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = max((int(path.stem) for path in written()), default=0) + 1
    # Another run may take the same number.
    while True:
        try:
            os.close(os.open(place / f"{number:06}.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            number += 1
    who = f"{shared('controller', 'plugin_utils').user()}@{socket.gethostname()}"
    record = Record(
        number=number, started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), who=who, process=os.getpid(),
        verb=verb, inventory=str(inventory), digest=digest(inventory), options=secrets.masked({key: value for key, value in options.items() if value}),
        versions=versions(home), process_start=processes.parents()[os.getpid()][1],
    )  # fmt: skip
    save(record)
    for path in written()[:-KEPT]:
        path.unlink(missing_ok=True)
    return record


def end(record: Record, result: Result, extra_vars: dict[str, Any]) -> None:
    """Write down how a run ended.

    Args:
        record: What :func:`begin` returned.
        result: What the run did.
        extra_vars: Variables of the run; what is secret in them is hidden in what was said, too.

    Raises:
        OSError: the record cannot be written.
    """
    for change in result.changes:
        record.changes.setdefault(change.host, []).append(change.task)
    record.status, record.duration = result.status, round(result.duration, 1)
    record.failures = [dataclasses.replace(item, message=secrets.hide(item.message, extra_vars)) for item in result.failures]
    record.unreachable = {host: secrets.hide(reason, extra_vars) for host, reason in result.unreachable.items()}
    save(record)


def save(record: Record) -> None:
    """Write a record as a whole or not at all, for its owner alone."""
    path = folder() / f"{record.number:06}.json"
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        # A program may give variables that JSON does not know, such as a path.
        json.dump(dataclasses.asdict(record), file, indent=2, default=str)
    fresh.replace(path)


def written() -> list[Path]:
    """Return the files of the records, the oldest first."""
    return sorted(path for path in folder().glob("*.json") if re.fullmatch(r"\d{6,}", path.stem))


def all_of_them() -> list[Record]:
    """Return the records, the oldest first; one that cannot be read is left out."""
    found = []
    for path in written():
        with contextlib.suppress(OSError, ValueError, TypeError):
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
            record.failures = [Failure(**item) for item in record.failures]  # type: ignore[arg-type]
            if record.status == RUNNING and not processes.alive({record.process: record.process_start}):
                record.status = CUT_OFF
            found.append(record)
    return found


def digest(inventory: Path) -> str:
    """Return the SHA-256 of an inventory's files with their names; a file has its variables beside it."""
    parts = [inventory] if inventory.is_dir() else [inventory, inventory.parent / "group_vars", inventory.parent / "host_vars"]
    found = hashlib.sha256()
    for path in sorted(item for part in parts for item in (part, *part.rglob("*"))):
        if path.is_file():
            found.update(f"{path.relative_to(inventory.parent)}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def versions(home: Path) -> dict[str, str]:
    """Return the versions of what runs: ansible-core, the collection and, where it is on the path, helm."""
    found = {"ansible-core": importlib.metadata.version("ansible-core")}
    with contextlib.suppress(OSError, KeyError, TypeError):
        built = home / "MANIFEST.json"
        about = (
            json.loads(built.read_text(encoding="utf-8"))["collection_info"]
            if built.exists()
            else yaml.safe_load((home / "galaxy.yml").read_text(encoding="utf-8"))
        )
        found["collection"] = about["version"]
    if helm := shutil.which("helm"):
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            found["helm"] = subprocess.run(
                [helm, "version", "--template", "{{.Version}}"], capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
    return found
