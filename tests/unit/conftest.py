"""What the tests of the runner share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text("alluxio_masters: {hosts: {node-1: }}\nalluxio_workers: {hosts: {node-2: }}\n", encoding="utf-8")
    return path
