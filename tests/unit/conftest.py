"""What the tests of the runner share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what a test writes to the user's state out of the real one."""
    path = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(path))
    return path


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return an inventory of two hosts."""
    path = tmp_path / "hosts.yml"
    path.write_text("alluxio_masters: {hosts: {node-1: }}\nalluxio_workers: {hosts: {node-2: }}\n", encoding="utf-8")
    return path
