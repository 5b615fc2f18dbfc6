"""Makes the terminal pictures of the README: runs verbs under a pseudo terminal and draws what it shows.

``make pictures`` runs it on the lab. Each picture is of a verb that did what it should; where one fails, its output is shown and no picture is made.
"""

from __future__ import annotations

import argparse
import fcntl
import getpass
import io
import os
import pty
import re
import shlex
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path

import rich.console
import rich.text

HOME = Path(__file__).parents[1]
FOLDER = HOME / "docs" / "pictures"
COLUMNS, ROWS = 110, 50
# What moves the cursor; colours are no part of it.
CONTROLS = re.compile(r"(\n|\r|\x1b\[\??[0-9;]*[A-HJKhl])")
# The bench reads a folder that all nodes see, which nothing else of the lab uses.
SOURCE = "/mnt/fuse3/datasets/pictures"
FILL = f"mkdir -p {SOURCE} && cd {SOURCE} && for i in $(seq 200); do [ -e $i.bin ] || head -c 1000000 /dev/urandom > $i.bin; done; chown -R 1000:1000 ."


def shown(words: list[str]) -> tuple[str, int]:
    """Return what a command writes to a terminal, and its exit code."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(HOME)
        os.environ.update(COLUMNS=str(COLUMNS), LINES=str(ROWS), TERM="xterm-256color", COLORTERM="truecolor")
        os.environ.pop("NO_COLOR", None)
        os.execvp(words[0], words)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    parts = list[bytes]()
    try:
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    except OSError:
        # Linux ends a terminal that nobody writes to any more with an error.
        pass
    _process, status = os.waitpid(process, 0)
    return b"".join(parts).decode("utf-8", "replace"), os.waitstatus_to_exitcode(status)


def screen(output: str) -> list[str]:
    """Return the lines that stay on a terminal after a live line was written over again and again; colours are kept."""
    lines, row = [""], 0
    for part in CONTROLS.split(output):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif CONTROLS.fullmatch(part):
            # Up, and an emptied line; a return to the line's start comes with one of them, and all else shows or hides the cursor.
            row = max(0, row - int(part[2:-1] or 1)) if part.endswith("A") else row
            lines[row] = "" if part.endswith("K") else lines[row]
        else:
            lines[row] += part
    return lines


def scrubbed(text: str) -> str:
    """Return text without the names of this machine and its paths."""
    for name, stand_in in (
        (str(HOME), "~/alnair"),
        (str(Path.home()), "~"),
        (f"{getpass.getuser()}@{socket.gethostname()}", "you@here"),
        (socket.gethostname(), "here"),
    ):
        text = text.replace(name, stand_in)
    return text


def draw(name: str, words: list[str], *, last: int = 40) -> None:
    """Run the runner with these words and write a picture of the last lines that it shows.

    Raises:
        SystemExit: the command failed, or the picture would show names of this machine.
    """
    output, code = shown([sys.executable, str(HOME / "alnair_runner.py"), *words])
    if code:
        sys.exit(f"alnair_runner.py {shlex.join(words)} ended with {code}:\n{output}")
    console = rich.console.Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f"[bold]$[/] alnair_runner.py {shlex.join(words)}", highlight=False)
    lines = [line for line in screen(scrubbed(output)) if line.strip()]
    for line in lines[-last:]:
        console.print(rich.text.Text.from_ansi(line), soft_wrap=True)
    # An identifier of its own for each picture, and the same whenever it is made anew.
    picture = console.export_svg(title="Alnair", unique_id=f"alnair-{name}")
    if left := [word for word in (str(HOME), socket.gethostname()) if word in picture]:
        sys.exit(f"The picture would show {', '.join(left)}.")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")
    print(f"Wrote {FOLDER / name}.svg")


def main() -> None:
    """Make the pictures of the README, or the one that the words say."""
    reader = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    reader.add_argument("name", nargs="?", help="Name of one picture; without it those of the README are made.")
    reader.add_argument("words", nargs=argparse.REMAINDER, help="What the runner is given for it.")
    given = reader.parse_args()
    if given.name:
        draw(given.name, given.words)
        return
    draw("deploy", ["deploy"])
    draw("status", ["status"])
    subprocess.run(["ansible", "-i", "inventory/lab", "alluxio_workers[0]", "-m", "ansible.builtin.shell", "-a", FILL], cwd=HOME, check=True)
    draw("bench", ["bench", "--source", SOURCE])


if __name__ == "__main__":
    main()
