"""The lock of a run on the controller ends with its ansible-playbook, even when a task of it outlives that for a moment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.alnair.alluxio.plugins.action.run_lock import take

# Stands for ansible-playbook: its child asks for the run's process after it was killed.
RUN = """
import multiprocessing, os, signal, sys, time
from ansible_collections.alnair.alluxio.plugins.plugin_utils.controller import ansible_playbook
def task(run):
    while os.getppid() == run:
        time.sleep(0.01)
    print(run == ansible_playbook(), flush=True)
multiprocessing.get_context("fork").Process(target=task, args=(os.getpid(),)).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_task_knows_its_run_after_that_was_killed() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, timeout=30, check=False, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout == "True\n", done.stderr


def test_a_lock_taken_for_a_run_that_is_gone_is_free(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert take(tmp_path / "lock", gone.pid, "site.yml") == ""
    deadline = time.monotonic() + 10
    while take(tmp_path / "lock", 1, "site.yml"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
