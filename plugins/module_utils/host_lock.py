"""One change at a time on a host: what a killed run left behind, and runs from other controllers, are waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule

# Nobody but root can hold it.
ROOT_LOCK = "/run/alnair.lock"


@contextlib.contextmanager
def host_lock(module: AnsibleModule, path: str, seconds: float = 30) -> Iterator[None]:
    """Hold a kernel lock, which frees itself when the process ends; a check needs none.

    Args:
        module: Fails when the lock is not to be had.
        path: Directory whose lock is taken where the module does not run as root.
        seconds: How long to wait for who has it.
    """
    path = path if os.geteuid() else ROOT_LOCK
    lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW if os.geteuid() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + seconds
    try:
        while not module.check_mode:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    held = f"Another run has been changing this host, and holding {path}, for {seconds:.0f} s (see: fuser -v {path})"
                    module.fail_json(msg=f"{held}. Wait for its end, then run this again.")
                time.sleep(0.2)
        yield
    finally:
        os.close(lock)
