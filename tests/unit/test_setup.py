"""What setup.sh does with a .venv that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose environments would be made in a cache of its own, by a Python that makes nothing."""
    for name in ("setup.sh", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(HOME / name, tmp_path)
    python = tmp_path / "bin" / "python3.13"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\n[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"\nexit 0\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def set_up(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["./setup.sh"], cwd=checkout, capture_output=True, text=True, check=False)


def test_a_folder_that_is_in_the_links_place_is_refused_before_anything_is_done(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    done = set_up(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{checkout}/.venv is no link" in done.stderr and "Remove it or move it out of this folder" in done.stderr
    assert not (checkout / "cache").exists() and not list((checkout / ".venv").iterdir())


@pytest.mark.parametrize("target", [None, "gone", "there"])
def test_a_link_is_made_anew_wherever_it_led(checkout: Path, target: str | None) -> None:
    (checkout / "there").mkdir()
    if target:
        (checkout / ".venv").symlink_to(target)
    done = set_up(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / ".venv").readlink().parent == checkout / "cache" / "alnair"
    assert not list((checkout / "there").iterdir())


def test_the_matrix_of_pythons_has_the_tests_of_plugins_and_runner_and_none_that_need_the_lab() -> None:
    # By a process of its own, for it puts other Pythons before all programs.
    done = subprocess.run([sys.executable, "-c", "import noxfile; print(*noxfile.unit_tests())"], cwd=HOME, capture_output=True, text=True, check=True)
    names = {Path(path).stem for path in done.stdout.split()}
    assert {"test_api", "test_runner", "test_plan", "test_start", "test_dataset_verbs", "test_killed_runner", "test_doctor", "test_accounts"} <= names
    assert not names & {"test_chart", "test_chart_alerts", "test_docs_commands", "test_operator_engine", "test_roles"}
