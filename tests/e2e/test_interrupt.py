"""An interrupted run leaves nothing running: not here after 5 s, not on the hosts after 10 s."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
# A number that no other process has in its arguments.
MARK = "271.8281"
SCRIPT = """
import pathlib
import sys
sys.path.insert(0, {home!r})
import alnair_runner
cluster = alnair_runner.Alnair({home!r} + "/inventory/lab")
cluster.home = pathlib.Path({folder!r})
print("started", flush=True)
sys.exit(cluster.run("long").exit_code)
"""


@pytest.fixture(autouse=True)
def heard() -> None:
    """Let the runs hear SIGINT: what a shell starts in the background ignores it, and so would all below."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def on_hosts() -> int:
    """Return the number of marked processes on all hosts."""
    line = f"pgrep -c -f '^sleep {MARK}' || true"
    words = ["ansible", "-i", "inventory/lab", "alluxio_masters:alluxio_workers", "-m", "ansible.builtin.shell", "-a", line]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True)
    return sum(int(text) for text in done.stdout.split() if text.isdigit() and text != "0" and len(text) < 3)


def below(folder: Path) -> list[str]:
    """Return the command lines of processes whose environment names the run's folder for temporary files."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes():
                    found.append(text)
            except OSError:
                continue
    return found


@pytest.mark.parametrize("become", ["root", "alluxio-user"])
def test_one_interrupt_ends_everything(tmp_path: Path, become: str) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").write_text((HOME / "ansible.cfg").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "playbooks" / "long.yml").write_text(
        "- hosts: alluxio_masters:alluxio_workers\n  gather_facts: false\n  become: true\n"
        f"  become_user: {become}\n  tasks:\n    - ansible.builtin.command: sleep {MARK}\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    script = SCRIPT.format(home=str(HOME), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True) as run:
        deadline = time.monotonic() + 60
        while on_hosts() < 3 and time.monotonic() < deadline:
            time.sleep(1)
        assert on_hosts() == 3
        run.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        assert run.wait(timeout=10) == 130
    while below(tmp_path) and time.monotonic() < interrupted + 5:
        time.sleep(0.2)
    assert below(tmp_path) == []
    while on_hosts() and time.monotonic() < interrupted + 10:
        time.sleep(0.5)
    assert on_hosts() == 0


def test_the_terminal_is_restored() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    words = [sys.executable, "alnair_runner.py", "deploy", "--check"]
    with subprocess.Popen(words, cwd=HOME, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as run:
        shown = b""
        deadline = time.monotonic() + 60
        while not re.search(rb"task \d of", shown) and time.monotonic() < deadline:
            if select.select([master], [], [], 0.5)[0]:
                shown += os.read(master, 65536)
        assert re.search(rb"task \d of", shown)
        assert b"\x1b[?25l" in shown
        run.send_signal(signal.SIGINT)
        while run.poll() is None or select.select([master], [], [], 0.5)[0]:
            if select.select([master], [], [], 0.5)[0]:
                shown += os.read(master, 65536)
        assert run.returncode == 130
    assert termios.tcgetattr(slave) == before
    # The cursor was hidden while the line was written over, and is shown again.
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert b"interrupted" in shown
    os.close(master)
    os.close(slave)
