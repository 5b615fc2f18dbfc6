"""The lock of a host is waited for, said when it is not to be had, and free when its holder ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.host_lock import host_lock

HOLDER = "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"


class Module:
    """What the lock needs of an Ansible module."""

    check_mode = False

    def fail_json(self, msg: str) -> None:
        raise RuntimeError(msg)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a lock of this test."""
    path = tmp_path / "lock"
    path.touch()
    monkeypatch.setattr(f"{host_lock.__module__}.ROOT_LOCK", str(path))
    return str(path)


def test_a_lock_that_is_held_is_said_and_one_of_a_killed_holder_is_free(lock: str) -> None:
    module: Any = Module()
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f"Another run has been changing this host, and holding {lock}, for 0 s"), host_lock(module, lock, 0.3):
            pytest.fail("the lock was given twice")
        holder.kill()
    with host_lock(module, lock, 5):
        pass


def test_a_check_does_not_wait(lock: str) -> None:
    module: Any = Module()
    with host_lock(module, lock, 0.3):
        module.check_mode = True
        with host_lock(module, lock, 0.3):
            pass
