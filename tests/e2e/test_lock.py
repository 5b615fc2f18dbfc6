"""Two runs at once: the second ends quickly and names the first; the lock of a killed run is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alnair_runner import HOME, Alnair


def start(playbook: str, *more: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a run that takes some seconds, with more in its environment."""
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory/lab", f"playbooks/{playbook}.yml", *more]
    return subprocess.Popen(
        words, cwd=HOME, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def start_up() -> float:
    """Return the seconds that ansible-playbook takes here to do nothing: how slow the machine is today."""
    started = time.monotonic()
    subprocess.run([str(Path(sys.executable).with_name("ansible-playbook")), "--version"], cwd=HOME, capture_output=True, check=True)
    return time.monotonic() - started


def until_locked(run: subprocess.Popen[str]) -> None:
    """Wait until a run has said that it has the lock."""
    assert run.stdout
    for line in run.stdout:
        if line.startswith("PLAY [") and "only one run" not in line:
            return
    pytest.fail("the run ended before it took the lock")


@pytest.mark.parametrize("limit", [(), pytest.param(("--limit", "alnair-lab-1"), marks=pytest.mark.long)])
def test_the_second_run_says_who_has_the_lock_and_ends(cluster: Alnair, limit: tuple[str, ...]) -> None:
    first = start("site")
    until_locked(first)
    started = time.monotonic()
    second = start("prepare_hosts", *limit)
    output, _ = second.communicate(timeout=30)
    took = time.monotonic() - started
    assert first.poll() is None, "the first run was over too early for this to say anything"
    assert second.returncode == 2
    assert f"Another run on this inventory goes on: site.yml, process {first.pid} of" in " ".join(output.split())
    assert "changed=0" in output
    first.communicate(timeout=300)
    assert first.returncode == 0
    idle = start_up()
    assert took < max(2, 4 * idle), f"this took {took:.1f} s; ansible-playbook alone starts in {idle:.1f} s"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_run_frees_itself(how: signal.Signals) -> None:
    first = start("prepare_hosts")
    until_locked(first)
    os.kill(first.pid, how)
    first.communicate(timeout=300)
    second = start("prepare_hosts")
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 0, output
