"""The script that cleans a host up removes sockets that nobody listens on and mounts that do not answer, and nothing else."""

from __future__ import annotations

import os
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


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the mounts at one point, the last on top; without -f stat is answered by the kernel's cache, for a dead process too."""
    found, tools = tmp_path / "mounts", tmp_path / "tools"
    tools.mkdir()
    last = f"$(ls -d {found}/* | tail -1)"
    for name, line in {
        "awk": f"ls {found} | sed 's/.*/fuse.alluxio-fuse/'",
        "umount": f'rm -r "{last}"',
        "stat": f'[ "$1" != -f ] || [ -e "{last}/answers" ]',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return found


def test_mounts_of_killed_processes_go(mounts: Path, folder: Path) -> None:
    for name in ("1", "2"):
        (mounts / name).mkdir(parents=True)
    told = ["removed fuse.alluxio-fuse mount /mnt/alluxio unit"] * 2
    assert run(folder / "below", act=False)[-2:] == told
    assert run(folder / "below", act=True)[-2:] == told
    assert not [*mounts.iterdir()]


@pytest.mark.parametrize("act", [False, True])
def test_a_mount_that_answers_stays_with_what_lies_below_it(mounts: Path, folder: Path, *, act: bool) -> None:
    (mounts / "1").mkdir(parents=True)
    (mounts / "2" / "answers").mkdir(parents=True)
    assert run(folder / "missing", act=act) == ["kept fuse.alluxio-fuse mount /mnt/alluxio unit"]
    assert len([*mounts.iterdir()]) == 2
