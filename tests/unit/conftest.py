"""What the tests of the runner share."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.plugins.loader import init_plugin_loader

# Before anything of the collection is imported, or Ansible would not find its filters.
init_plugin_loader([str(Path(__file__).parents[2] / "collections")])


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
