"""CPU seconds and memory of groups of processes, from the kernel's own accounts."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "alnair-bench"


class GroupError(Exception):
    """The machine cannot account for the processes."""


def demand() -> None:
    """Stop when the hierarchies are not there.

    Raises:
        GroupError: with the remedy.
    """
    for kind in ("cpuacct", "memory"):
        if not (ROOT / kind / "cgroup.procs").exists():
            raise GroupError(f"There is no cgroup hierarchy {ROOT / kind}. Start Linux with systemd.unified_cgroup_hierarchy=0, or mount it, as root.")


def cpu_of(path: Path) -> float:
    """Return the CPU seconds that a group and those in it have used."""
    return int((path / "cpuacct.usage").read_text()) / 1e9


def cpu_group_of(pid: int) -> Path:
    """Return the group that a process is accounted in."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if line.split(":")[1] == "cpuacct":
            return ROOT / "cpuacct" / line.split(":")[2].lstrip("/")
    raise GroupError(f"Process {pid} is in no group of {ROOT / 'cpuacct'}.")


class Group:
    """A group of processes of the bench.

    Args:
        name: What it holds; a group of this name that a killed bench left is used again.
    """

    def __init__(self, name: str) -> None:
        self.folders = [ROOT / kind / NAME / name for kind in ("cpuacct", "memory")]
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)

    def command(self, words: list[str]) -> list[str]:
        """Return a command that runs another one in this group."""
        enter = "".join(f"echo 0 > {folder}/cgroup.procs; " for folder in self.folders)
        return ["sh", "-c", f'{enter}exec "$@"', "sh", *words]

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return cpu_of(self.folders[0])

    def memory(self) -> int:
        """Return the bytes of anonymous memory in use; pages that forked processes share count once."""
        for line in (self.folders[1] / "memory.stat").read_text().splitlines():
            if line.startswith("total_rss "):
                return int(line.split()[1])
        return 0

    def processes(self) -> list[int]:
        """Return the processes in the group."""
        return [int(word) for word in (self.folders[0] / "cgroup.procs").read_text().split()]

    def end(self, patience: float = 5.0) -> None:
        """End what is left in the group, in order first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + patience
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.05)

    def remove(self) -> None:
        """End all in it and remove it; that it is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.end()
        for folder in self.folders:
            for path in (folder, folder.parent):
                with contextlib.suppress(OSError):
                    path.rmdir()
