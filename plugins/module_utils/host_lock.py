"""One change at a time on a host: what a killed run left behind, and runs from other controllers, are waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule


@contextlib.contextmanager
def host_lock(module: AnsibleModule, path: str, seconds: float = 30) -> Iterator[None]:
    """Hold the kernel lock of a directory, which frees itself when the process ends; a check needs none.

    Args:
        module: Fails when the lock is not to be had.
        path: The directory, or one below it that is not there yet.
        seconds: How long to wait for who has it.
    """
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + seconds
    try:
        while not module.check_mode:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    module.fail_json(msg=f"Another run has been changing {path} for {seconds:.0f} s (see: fuser -v {path}). Wait for its end, then run this again.")
                time.sleep(0.2)
        yield
    finally:
        os.close(folder)
