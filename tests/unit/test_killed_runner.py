"""A runner that is killed cannot clear up; what it started does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HOME = Path(__file__).parents[2]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: x, dest: "{{ begun }}", mode: "0600"}
    - ansible.builtin.command: sleep 60
"""
RUN = """
import sys
from pathlib import Path
from alnair import running
from alnair.result import Result
play, hosts, begun, home = sys.argv[1:]
running.play(Path(home), play, Path(hosts), Result(), limit=[], words=[], extra_vars={"begun": begun, "password": "hidden"}, verbosity=0,
             told=lambda event: None, tick=lambda: None, interrupted=lambda: None, cancel=None)
"""


def test_the_variables_of_a_killed_run_do_not_stay(tmp_path: Path) -> None:
    play, hosts, begun, traces = (tmp_path / name for name in ("play.yml", "hosts.yml", "begun", "traces"))
    play.write_text(PLAY, encoding="utf-8")
    hosts.write_text("all: {hosts: {localhost: {ansible_connection: local}}}", encoding="utf-8")
    traces.mkdir()
    run = subprocess.Popen([sys.executable, "-c", RUN, *map(str, (play, hosts, begun, HOME))], cwd=HOME,
                           env={**os.environ, "TMPDIR": str(traces), "XDG_STATE_HOME": str(tmp_path)})  # fmt: skip
    deadline = time.monotonic() + 20
    while not begun.exists():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list(traces.glob("alnair-*/env/extravars"))
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    while list(traces.glob("alnair-*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
