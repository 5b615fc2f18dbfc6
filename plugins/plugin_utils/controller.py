"""The ansible-playbook that an action plugin works for, and who runs it."""

from __future__ import annotations

import getpass
import multiprocessing
import os


def ansible_playbook() -> int:
    """Return the process id of the ansible-playbook that runs the task.

    A task runs in a child of ansible-playbook. What the kernel calls that child's parent is process 1 once ansible-playbook was killed, which would
    let a lock outlive its run for good; multiprocessing keeps the number that was there at the start.
    """
    parent = multiprocessing.parent_process()
    return parent.pid if parent and parent.pid else os.getpid()


def user() -> str:
    """Return who runs this; behind sudo, who called it. In a container the user may have a number, but no name."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
