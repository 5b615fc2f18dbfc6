"""A journal is put aside and back by lines that may be cut off anywhere: the next run loses nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
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


@pytest.mark.parametrize(("options", "told", "remembered"), [
    ({"state": "started", "revision": 7}, False, [{"aside": "a", "masters": 1, "started": 7}]),
    ({"state": "done", "masters": 1}, True, [None]),
    ({"state": "formatted", "masters": 1}, False, []),
])  # fmt: skip
def test_how_far_a_restore_is_is_remembered_whether_or_not_a_claim_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: dict[str, Any], told: bool, remembered: list[Any]
) -> None:
    found: list[Any] = []
    mounts = [{"name": "alluxio-journal", "mountPath": "/journal"}]
    template = {"spec": {"containers": [{"name": "alluxio-master", "volumeMounts": mounts}]}}
    stateful_set = {"metadata": {"name": "m"}, "spec": {"replicas": 1, "template": template}}
    masters = SimpleNamespace(core=None, stateful_set=lambda: stateful_set, move=lambda: {"aside": "a", "masters": 1, "started": 0}, remember_move=found.append,
                              pod=lambda name: {"name": name})  # fmt: skip
    monkeypatch.setattr(journal_restore.about, "Masters", lambda *_args: masters)
    monkeypatch.setattr(journal_restore.kube, "client", lambda _params: None)
    monkeypatch.setattr(journal_restore.pods, "execute", lambda *_args, **_options: "")
    # What was formatted before stays as it is.
    monkeypatch.setattr(journal_restore, "work", lambda *_args: False)
    given = {"release": "r", "namespace": "n", "kubeconfig": "/none", **options}
    with patch_module_args(given), pytest.raises(SystemExit):
        journal_restore.main()
    assert (json.loads(capsys.readouterr().out)["changed"], found) == (told, remembered)
