"""Action of run_lock: one run at a time for an inventory, by a kernel lock that frees itself."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.alnair.alluxio.plugins.plugin_utils.controller import ansible_playbook, user

# Keeps the lock's file open until the process that it is told of has ended, however that ends.
HOLDER = "import os, select, sys; p = select.poll(); p.register(os.pidfd_open(int(sys.argv[1])), select.POLLIN); p.poll()"


def lock_path(inventory: tuple[str, ...]) -> Path:
    """Return the file of the lock that runs on the same inventory share."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alnair" / "locks"
    return folder / hashlib.sha256("\n".join(os.path.realpath(source) for source in inventory).encode()).hexdigest()[:16]


def take(path: Path, pid: int, what: str) -> str:
    """Take the lock for as long as a process lives.

    Args:
        path: The lock's file.
        pid: The process.
        what: What it does, for whom the lock is refused.

    Returns:
        Nothing when the lock was taken, or who holds it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            # The holder may have the lock but not written its name yet.
            holder = json.loads(text) if text else {"pid": "?", "text": "a run that has just begun"}
            return "" if holder["pid"] == pid else str(holder["text"])
        file.truncate(0)
        file.write(json.dumps({"pid": pid, "text": f"{what}, process {pid} of {user()} since {time.strftime('%H:%M:%S')}"}))
        file.flush()
        subprocess.Popen([sys.executable, "-S", "-c", HOLDER, str(pid)], pass_fds=[file.fileno()], start_new_session=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    return ""


class ActionModule(ActionBase):
    """Take the lock for the ansible-playbook that runs this."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        holder = take(lock_path(context.CLIARGS["inventory"]), ansible_playbook(), " ".join(Path(word).name for word in context.CLIARGS["args"]))
        if holder:
            raise AnsibleActionFail(f"Another run on this inventory goes on: {holder}. Nothing was changed. Wait for its end, then run this again.")
        return {"changed": False}
