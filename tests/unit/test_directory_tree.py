"""What the probe of the directories asks, and when it says that nothing is to be done: never where something is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.action.directory_tree import nothing_to_do, probe_script

OWNER, GROUP = os.geteuid(), os.getegid()


@pytest.fixture
def args(tmp_path: Path) -> dict[str, Any]:
    """Directories as they are wanted, one with a quote in its name."""
    root, journal = tmp_path / "it's a root", tmp_path / "it's a root" / "journal"
    journal.mkdir(parents=True)
    (journal / "entry").touch()
    root.chmod(0o750)
    journal.chmod(0o700)
    wanted = [{"path": str(root), "mode": "0750"}, {"path": str(journal), "mode": "0700", "recurse": True}]
    return {"owner": OWNER, "group": GROUP, "free_mib": 1, "directories": wanted}


def asked(args: dict[str, Any]) -> bool:
    done = subprocess.run(["sh", "-c", "LC_ALL=C; export LC_ALL; " + probe_script(args)], capture_output=True, text=True, check=True)
    return nothing_to_do(args, done.stdout.splitlines())


def test_directories_as_wanted_need_nothing(args: dict[str, Any]) -> None:
    assert asked(args)


@pytest.mark.parametrize("mode", ["0755", "1750", "0000"])
def test_a_wrong_mode_is_seen(args: dict[str, Any], mode: str) -> None:
    Path(args["directories"][0]["path"]).chmod(int(mode, 8) | 0o100)
    assert not asked(args)


@pytest.mark.parametrize("key", ["owner", "group"])
def test_a_wrong_owner_is_seen(args: dict[str, Any], key: str) -> None:
    args[key] = 54321
    assert not asked(args)


@pytest.mark.skipif(OWNER != 0, reason="only root gives files away")
def test_a_wrong_owner_deep_below_is_seen_only_where_asked(args: dict[str, Any]) -> None:
    os.chown(Path(args["directories"][1]["path"]) / "entry", 54321, GROUP)
    assert not asked(args)
    args["directories"][1]["recurse"] = False
    assert asked(args)


def test_a_missing_directory_and_a_link_are_seen(args: dict[str, Any]) -> None:
    journal = Path(args["directories"][1]["path"])
    target = journal.rename(journal.with_name("elsewhere"))
    assert not asked(args)
    journal.symlink_to(target)
    assert not asked(args)


def test_too_little_space_is_seen(args: dict[str, Any]) -> None:
    assert not asked({**args, "free_mib": 10**9})


@pytest.mark.parametrize("options", ["ro,relatime", "rw,noexec"])
def test_an_unfit_mount_is_seen(args: dict[str, Any], options: str) -> None:
    fine = [f"is directory|750|{OWNER}|{GROUP}", f"is directory|700|{OWNER}|{GROUP}", "kib 9999999", "inodes 99", "options rw"]
    assert nothing_to_do(args, fine)
    assert not nothing_to_do(args, [*fine[:-1], f"options {options}"])
    assert not nothing_to_do(args, [*fine[:3], "inodes 0", "options rw"])
    assert not nothing_to_do(args, fine[:-2])


def test_absent_needs_nothing_only_when_none_is_there(args: dict[str, Any], tmp_path: Path) -> None:
    assert not asked({**args, "state": "absent"})
    gone = [{"path": str(tmp_path / "gone"), "mode": "0750"}]
    assert asked({**args, "state": "absent", "directories": gone})
