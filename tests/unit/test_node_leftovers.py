"""The script that cleans a host up removes sockets that nobody listens on, and nothing else."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.alnair.alluxio.plugins.action.node_leftovers import script


def bind(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    return made


def run(folder: Path, act: bool) -> list[str]:
    text = script({"mount_point": "/mnt/alluxio unit", "domain_socket": str(folder)}, act=act)
    return sorted(subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "domain socket"
    (found / "below").mkdir(parents=True)
    (found / "file").write_text("kept", encoding="utf-8")
    for name in ("dead-1", "dead 2", "below/dead-3"):
        bind(found / name).close()
    return found


def test_dead_sockets_go_and_live_ones_stay(folder: Path) -> None:
    with bind(folder / "live") as live:
        live.listen()
        told = [f"removed domain socket {folder}/dead 2", f"removed domain socket {folder}/dead-1"]
        assert run(folder, act=False) == told
        assert (folder / "dead-1").exists()
        assert run(folder, act=True) == told
        assert run(folder, act=True) == []
        assert sorted(path.name for path in folder.iterdir()) == ["below", "file", "live"]
        assert (folder / "below" / "dead-3").exists()


def test_a_directory_that_is_a_link_is_not_followed(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert run(link, act=True) == []
    assert run(folder.parent / "missing", act=True) == []
