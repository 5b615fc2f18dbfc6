"""End a run of ansible-playbook with all that it started, here and on the hosts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The variable by which a run's processes are known: each run has a folder of its own there.
MARK = "ANSIBLE_SSH_CONTROL_PATH_DIR"
# Runs on a host over the run's own connection: the other children of this connection's sshd are the run's remote commands. With
# sudo at hand also those that became root.
END_REMOTE = (
    'me=$$; for pid in $(ps -o pid= --ppid $PPID); do [ "$pid" = "$me" ] && continue; '
    'kill -TERM -- -"$pid" 2>/dev/null || sudo -n kill -TERM -- -"$pid" 2>/dev/null; done; sleep 1; '
    'for pid in $(ps -o pid= --ppid $PPID); do [ "$pid" = "$me" ] && continue; '
    'kill -KILL -- -"$pid" 2>/dev/null || sudo -n kill -KILL -- -"$pid" 2>/dev/null; done'
)


def parents() -> dict[int, tuple[int, str]]:
    """Return the parent and the start time of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                found[int(entry.name)] = (int(fields[1]), fields[19])
    return found


def descendants(root: int) -> dict[int, str]:
    """Return the processes below one, with their start times; sessions of their own do not hide them."""
    table = parents()
    found: dict[int, str] = {}
    level = [root]
    while level:
        level = [pid for pid, (parent, _start) in table.items() if parent in level]
        found.update({pid: table[pid][1] for pid in level})
    return found


def alive(processes: dict[int, str]) -> list[int]:
    """Return those that still run; a number that was given to another process since does not count."""
    table = parents()
    return [pid for pid, start in processes.items() if pid in table and table[pid][1] == start and not is_zombie(pid)]


def is_zombie(pid: int) -> bool:
    """Tell whether a process only waits for its parent to take notice of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def of_run(sockets: Path) -> dict[int, str]:
    """Return the processes of a run, with their start times; other children of this process are none of them."""
    table = parents()
    own = [pid for pid, (parent, _start) in table.items() if parent == os.getpid() and is_marked(pid, sockets)]
    found = {pid: table[pid][1] for pid in own}
    for pid in own:
        found.update(descendants(pid))
    return found


def is_marked(pid: int, sockets: Path) -> bool:
    """Tell whether a process was started for the run whose control sockets lie in a folder."""
    try:
        return f"{MARK}={sockets}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def end_run(sockets: Path, patience: float = 3.0) -> None:
    """End ansible-playbook, its workers and its remote commands.

    ansible-runner's own cancellation kills only the main process's group, but workers are sessions of their own. An interrupt meanwhile kills all at once.

    Args:
        sockets: Folder of the run's ssh control sockets.
        patience: Seconds that ansible-playbook has to end in order.
    """
    mine = of_run(sockets)
    table = parents()
    for pid in [pid for pid in mine if table.get(pid, (0, ""))[0] == os.getpid()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    try:
        end_remote(sockets)
        deadline = time.monotonic() + patience
        while alive(mine) and time.monotonic() < deadline:
            mine.update(of_run(sockets))
            time.sleep(0.1)
    finally:
        kill(mine)


def kill(processes: dict[int, str]) -> None:
    """Kill processes at once."""
    for pid in alive(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def over(socket: Path, *words: str) -> None:
    """Run ssh over a control socket; that the connection is gone already is fine."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-o", "BatchMode=yes", *words], capture_output=True, timeout=5, check=False)


def end_remote(sockets: Path) -> None:
    """End the remote commands of all connections at once."""
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda socket: over(socket, "host", END_REMOTE), sockets.glob("*")))


def end_connections(sockets: Path) -> None:
    """Close the connections that ssh keeps open."""
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda socket: over(socket, "-O", "exit", "host"), sockets.glob("*")))
