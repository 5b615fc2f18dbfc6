"""A journal is put aside and back by lines that may be cut off anywhere: the next run loses nothing of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.alnair.alluxio.plugins.modules import journal_restore

# The nth program is cut off; of several things to move, one has been moved by then.
CUT = """#!/bin/bash
echo >> "$COUNT"
if [ "$(wc -l < "$COUNT")" = "$CUT" ]; then
  [ "$1" = -t ] && {program} "$1" "$2" "$3"
  exit 137
fi
exec {program} "$@"
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    (folder / "BlockMaster").mkdir(parents=True)
    for name in ("BlockMaster/log", "FileSystemMaster", "MetaMaster"):
        (folder / name).write_text(name)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def run(line: str, folder: Path, name: str, cut: int = 0) -> int:
    """Run a line, cut off at its nth program."""
    programs = folder.parent / "bin"
    shutil.rmtree(programs, ignore_errors=True)
    programs.mkdir()
    for program in ("mv", "rm", "rmdir", "mkdir"):
        (programs / program).write_text(CUT.format(program=shutil.which(program)))
        (programs / program).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CUT": str(cut), "COUNT": str(programs / "count")}
    return subprocess.run(["bash", "-c", line, "bash", str(folder), name], env=environment, check=False).returncode


@pytest.mark.parametrize("cut", range(4))
def test_a_journal_that_is_put_aside_is_whole_wherever_that_was_cut_off(journal: Path, cut: int) -> None:
    before = content(journal)
    assert (run(journal_restore.ASIDE, journal, "first", cut) != 0) is (cut > 0)
    again = journal.parent / "again"
    shutil.copytree(journal, again)
    # Either the next run ends it …
    assert run(journal_restore.ASIDE, journal, "second") == 0
    kept = journal / ".alnair-first" if cut == 0 else journal / ".alnair-second"
    assert content(kept) == before
    # … or undoes it.
    assert run(journal_restore.BACK, again, "first") == 0
    assert content(again) == before


@pytest.mark.parametrize("cut", range(7))
def test_a_journal_that_is_put_back_is_whole_wherever_that_was_cut_off(journal: Path, cut: int) -> None:
    before = content(journal)
    assert run(journal_restore.ASIDE, journal, "first") == 0
    (journal / "FileSystemMaster").write_text("of the masters that failed")
    (journal / ".alnair-restore").mkdir()
    (journal / ".alnair-restore/backup.gz").write_text("backup")
    assert (run(journal_restore.BACK, journal, "first", cut) != 0) is (cut > 0)
    assert run(journal_restore.BACK, journal, "first") == 0
    undone = content(journal / ".alnair-undone-first")
    shutil.rmtree(journal / ".alnair-undone-first")
    assert content(journal) == before
    assert undone == {"FileSystemMaster": "of the masters that failed"}
