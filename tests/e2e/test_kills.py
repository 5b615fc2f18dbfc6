"""The controller is killed at 100 random instants: the next run converges to the same state, the one after it changes nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest
from fault_hosts import INVENTORY, NODES, on_node, prepared, strip

from alnair_runner import HOME, Alnair

STATE = "getent passwd alluxio-user; getent group alluxio-user; find /mnt/fuse /home/alluxio-user -printf '%p %M %U:%G\\n' | sort; ls /etc/passwd* /etc/group*"
WORDS = ["ansible-playbook", "-i", str(INVENTORY), "playbooks/prepare_hosts.yml"]


def run() -> str:
    """Run to the end and return the recap."""
    done = subprocess.run(WORDS, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    return done.stdout[done.stdout.index("PLAY RECAP") :]


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_killed_at_random_instants(bare: Alnair) -> None:
    started = time.monotonic()
    run()
    whole = time.monotonic() - started
    wanted = {node: on_node(node, STATE) for node in NODES}
    instants = random.Random(20261124)
    cut_off = 0
    number = 0
    while cut_off < 100:
        number += 1
        assert number < 140, f"only {cut_off} of {number} runs were cut off"
        for node in NODES:
            strip(node)
        how, alone = (signal.SIGKILL, signal.SIGTERM)[number % 2], number % 4 < 2
        instant = instants.uniform(0.3, 0.95 * whole)
        with subprocess.Popen(WORDS, cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as killed:
            time.sleep(instant)
            if killed.poll() is None:
                cut_off += 1
                # The main process alone, or as a closed terminal does it, with all in its group.
                (os.kill if alone else os.killpg)(killed.pid, how)
        where = f"{how.name} after {instant:.2f} of {whole:.2f} s, the {cut_off}th"
        run()
        for node in NODES:
            prepared(node)
            assert on_node(node, STATE) == wanted[node], where
        recap = run()
        assert recap.count("changed=0") == len(NODES) + 1, f"{where}: {recap}"
        print(f"{where}: converged, then changed=0", flush=True)
