"""What the probe of the directories asks, what is made of its answer, and that the module's walk is led nowhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.action.directory_tree import compare, complaints, probe_script
from ansible_collections.alnair.alluxio.plugins.modules import directory_tree as module

OWNER, GROUP = os.geteuid(), os.getegid()
OTHER = 54321
only_root = pytest.mark.skipif(OWNER != 0, reason="only root gives files away")


@pytest.fixture
def args(tmp_path: Path) -> dict[str, Any]:
    """Directories as they are wanted, one with a quote in its name."""
    root, journal = tmp_path / "it's a root", tmp_path / "it's a root" / "journal"
    journal.mkdir(parents=True)
    (journal / "entry").touch()
    root.chmod(0o750)
    journal.chmod(0o700)
    wanted = [
        {"paths": [str(journal)], "mode": "0700", "recurse": True, "durable": True, "size_mib": 0},
        {"paths": [str(root)], "mode": "0750", "recurse": False, "durable": False, "size_mib": 0},
    ]
    return {
        "state": "present", "owner": OWNER, "group": GROUP, "setype": "", "free_mib": 1, "free_inodes": 1, "refused_kinds": [], "purge": False,
        "directories": wanted,
    }  # fmt: skip


@pytest.fixture
def journal(args: dict[str, Any]) -> Path:
    return Path(args["directories"][0]["paths"][0])


def asked(args: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(["sh", "-c", "LC_ALL=C; export LC_ALL; " + probe_script(args)], capture_output=True, text=True, check=True)
    found = compare(args, done.stdout.splitlines())
    # Where the tests run, in a container perhaps, is not what they are about.
    found["warnings"] = [warning for warning in found["warnings"] if "disk" not in warning]
    return found


def test_directories_as_wanted_need_nothing(args: dict[str, Any]) -> None:
    assert asked(args) == {"failures": [], "warnings": [], "as_wanted": True}


@pytest.mark.parametrize("mode", [0o755, 0o1750, 0o100])
def test_a_wrong_mode_is_seen(args: dict[str, Any], journal: Path, mode: int) -> None:
    journal.parent.chmod(mode)
    assert not asked(args)["as_wanted"]


@pytest.mark.parametrize("key", ["owner", "group"])
def test_a_wrong_owner_is_seen(args: dict[str, Any], key: str) -> None:
    assert not asked({**args, key: OTHER})["as_wanted"]


@only_root
def test_a_wrong_owner_deep_below_is_seen_only_where_asked(args: dict[str, Any], journal: Path) -> None:
    os.chown(journal / "entry", OTHER, GROUP)
    assert not asked(args)["as_wanted"]
    args["directories"][0]["recurse"] = False
    assert asked(args)["as_wanted"]


@only_root
def test_a_name_with_line_feeds_adds_nothing_to_the_answer(args: dict[str, Any], journal: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    os.chown(outside, OTHER, OTHER)
    os.link(outside, journal / "x\nwrong\nsystem a b 1 1 1\nlinked 1")
    found = asked(args)
    assert found["as_wanted"]
    assert "1 files of somebody else" in found["warnings"][0]


def test_a_missing_directory_is_seen(args: dict[str, Any], journal: Path) -> None:
    target = journal.rename(journal.with_name("elsewhere"))
    assert asked(args) == {"failures": [], "warnings": [], "as_wanted": False}
    journal.symlink_to(target)
    assert "journal is a link, not a directory" in asked(args)["failures"][0]
    journal.unlink()
    journal.touch()
    assert "journal is a file, not a directory" in asked(args)["failures"][0]


def test_too_little_space_is_told_with_figures(args: dict[str, Any]) -> None:
    failures = asked({**args, "free_mib": 10**9})["failures"]
    assert len(failures) == 1, "both directories lie on the same mount"
    assert "MiB free, 1000000000 MiB are asked for" in failures[0]
    assert f"The file system of {args['directories'][1]['paths'][0]}, mounted on /" in failures[0]


def answer(journal: str, context: str = "?", *, mode: str = "41c0") -> list[str]:
    """What a host prints whose root is on ext4 and whose journal is on the file system given."""
    good = f"41e8 {OWNER} {GROUP} {context}"
    return [f"path {good} /r", f"path {mode} {OWNER} {GROUP} {context} /r/j", "system ext4 rw,relatime 9 9 9999 99999 /", f"system {journal} /r/j"]


@pytest.fixture
def made(args: dict[str, Any]) -> dict[str, Any]:
    """The same directories under the names that answer() has."""
    return {**args, "directories": [{**item, "paths": [path]} for item, path in zip(args["directories"], ("/r/j", "/r"), strict=True)]}


@pytest.mark.parametrize(
    ("system", "failure", "warning"),
    [
        ("ext4 rw 9 9 9999 99999", "", ""),
        ("btrfs rw 0 0 9999 99999", "", ""),
        ("ext4 ro,relatime 9 9 9999 99999", "of /r/j, mounted on /r/j, is mounted read-only", ""),
        ("ext4 rw 9 0 9999 99999", "of /r/j, mounted on /r/j, has 0 inodes free, 1 are asked for", ""),
        ("ext4 rw 9 9 1023 99999", "of /r/j, mounted on /r/j, has 0 MiB free, 1 MiB are asked for", ""),
        ("ext4 rw,noexec 9 9 9999 99999", "", "of /r/j, mounted on /r/j, is mounted noexec"),
        ("tmpfs rw 9 9 9999 99999", "", "is tmpfs, which keeps its files in memory"),
        ("overlay rw 9 9 9999 99999", "", "is overlay, which belongs to a container"),
        ("nfs4 rw 9 9 9999 99999", "", "is nfs4, which lies on other machines"),
        ("fuse.sshfs rw 0 0 9999 99999", "", "is fuse.sshfs, which lies on other machines"),
        ("", "could not be read", ""),
    ],
)
def test_what_a_file_system_is_told_of(made: dict[str, Any], system: str, failure: str, warning: str) -> None:
    found = compare(made, answer(system))
    for text, sentences in ((failure, found["failures"]), (warning, found["warnings"])):
        assert [text in sentence for sentence in sentences] == ([True] if text else [])


def test_a_disk_that_can_never_hold_the_journal_is_named_with_both_figures(made: dict[str, Any]) -> None:
    made["directories"][0]["size_mib"] = 97
    assert compare(made, answer("ext4 rw 9 9 9999 99328"))["failures"] == []
    assert compare(made, answer("ext4 rw 9 9 9999 99327"))["failures"] == [
        "The file system of /r/j, mounted on /r/j, has 96 MiB in all, 97 MiB are asked for. Name a larger disk or a smaller size."
    ]
    assert compare({**made, "state": "absent"}, answer("ext4 rw 9 9 9999 99327"))["failures"] == []


def test_a_mount_point_with_a_blank_is_shown_as_it_is(made: dict[str, Any]) -> None:
    lines = [line.replace("99999 /r/j", r"99999 /my\040disk") for line in answer("ext4 ro 9 9 9999 99999")]
    assert "of /r/j, mounted on /my disk, is mounted read-only" in compare(made, lines)["failures"][0]


def test_a_doubtful_kind_is_refused_where_asked_and_only_for_what_must_last(made: dict[str, Any]) -> None:
    refusing = {**made, "refused_kinds": ["tmpfs"]}
    assert "is tmpfs, which is refused" in compare(refusing, answer("tmpfs rw 9 9 9999 99999"))["failures"][0]
    made["directories"][0]["durable"] = False
    assert compare(refusing, answer("tmpfs rw 9 9 9999 99999")) == {"failures": [], "warnings": [], "as_wanted": True}


@pytest.mark.parametrize(
    ("context", "kind", "wanted"),
    [
        ("system_u:object_r:container_file_t:s0:c1,c2", "ext4", True),
        ("system_u:object_r:mnt_t:s0", "ext4", False),
        ("system_u:object_r:nfs_t:s0", "nfs4", False),
        ("?", "ext4", True),
    ],
)
def test_the_selinux_type_counts_where_selinux_is_on(made: dict[str, Any], context: str, kind: str, wanted: bool) -> None:
    lines = answer(f"{kind} rw 9 9 9999 99999", context)
    assert compare({**made, "setype": "container_file_t"}, lines)["as_wanted"] is wanted
    assert compare(made, lines)["as_wanted"]


def test_selinux_type_of_a_network_file_system_is_that_of_its_mount(made: dict[str, Any]) -> None:
    lines = [line.replace("?", "system_u:object_r:nfs_t:s0").replace("ext4", "nfs4") for line in answer("nfs4 rw 9 9 9999 99999")]
    assert compare({**made, "setype": "container_file_t"}, lines)["as_wanted"]


def test_absent_needs_nothing_only_when_none_is_there(args: dict[str, Any], made: dict[str, Any]) -> None:
    assert not asked({**args, "state": "absent"})["as_wanted"]
    assert asked({**made, "state": "absent", "free_mib": 10**9}) == {"failures": [], "warnings": [], "as_wanted": True}


@pytest.mark.parametrize(
    ("paths", "mode", "sentence"),
    [
        (["fuse"], "0750", "'fuse' is no absolute path"),
        (["/mnt/../etc"], "0750", "is no absolute path in its shortest form"),
        (["/mnt/x\ny"], "0750", "is no absolute path"),
        (["/"], "0750", "/ belongs to the system"),
        (["/usr/share"], "0750", "/usr/share belongs to the system"),
        (["/data/a", "/data/a"], "0750", "/data/a is named twice"),
        (["/data/a", "/data/a/b"], "0750", "/data/a/b lies in /data/a"),
        (["/data/a"], "488", "The mode of /data/a is 488"),
        (["/data/a", "/data/ab"], "0777", ""),
    ],
)
def test_arguments_that_cannot_be_meant(paths: list[str], mode: str, sentence: str) -> None:
    found = complaints({"directories": [{"paths": paths, "mode": mode, "recurse": True}]})
    assert [sentence in text for text in found] == ([True] if sentence else [])


class Run:
    """As much of AnsibleModule as the module's functions use."""

    def __init__(self, **params: Any) -> None:
        self.params = {"owner": OTHER, "group": OTHER, "setype": "", "purge": False, **params}
        self.check_mode = False
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def fail_json(self, msg: str) -> None:
        raise SystemExit(msg)


def owners(*paths: Path) -> list[int]:
    return [path.lstat().st_uid for path in paths]


@only_root
def test_links_planted_below_give_nothing_outside_away(journal: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (journal / "to-file").symlink_to(outside / "file")
    (journal / "to-folder").symlink_to(outside)
    os.link(outside / "file", journal / "hard")
    run = Run()
    with module.held(module.opened(str(journal))) as folder:
        wrong = module.correct(run, folder, str(journal))
    assert sorted(Path(path).name for path, _owner in wrong) == ["entry", "to-file", "to-folder"]
    assert owners(outside, outside / "file", journal / "hard") == [0, 0, 0]
    assert owners(journal / "entry", journal / "to-file", journal / "to-folder") == [OTHER] * 3
    assert len(run.warnings) == 1
    assert f"{journal}/hard" in run.warnings[0]


@only_root
def test_a_link_swapped_in_during_the_walk_leads_nowhere(journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (journal / "folder").mkdir()
    (journal / "folder" / "file").touch()
    real: Callable[..., int] = os.open

    def swapping(path: str, flags: int, *args: Any, **kwargs: Any) -> int:
        """Open as ever, but have a link in place of what was looked at right before."""
        if path in ("folder", "file", "entry"):
            spot = journal / path if path != "file" else journal / "folder" / path
            if not spot.is_symlink():
                spot.rename(tmp_path / f"away-{path}")
                spot.symlink_to(outside if path == "folder" else outside / "file")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", swapping)
    with module.held(real(str(journal), os.O_RDONLY)) as folder:
        module.correct(Run(), folder, str(journal))
    assert (journal / "folder").is_symlink()
    assert (journal / "entry").is_symlink()
    assert owners(outside, outside / "file") == [0, 0]


def test_a_link_in_a_folder_of_a_user_is_not_followed_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "real" / "journal").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    tmp_path.chmod(0o777)
    with pytest.raises(NotADirectoryError):
        module.opened(str(tmp_path / "link" / "journal"))


def test_purging_removes_links_but_not_what_they_name(journal: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (journal / "link").symlink_to(outside)
    items = [{"path": str(journal.parent)}, {"path": str(journal)}]
    run = Run(purge=True)
    run.check_mode = True
    listed = module.absent(run, items)
    assert listed["removed"] == sorted(str(path) for path in (journal.parent, journal, journal / "entry", journal / "link"))
    assert (journal / "entry").exists()
    run.check_mode = False
    assert module.absent(run, items) == listed
    assert (outside / "file").exists()
    assert not journal.parent.exists()


def test_without_purging_what_has_files_is_kept(journal: Path) -> None:
    (journal.parent / "empty").mkdir()
    items = [{"path": str(journal.parent / name)} for name in ("", "empty", "journal")]
    items[0]["path"] = str(journal.parent)
    done = module.absent(Run(), items)
    assert done["removed"] == [str(journal.parent / "empty")]
    assert done["kept"] == [str(journal), str(journal.parent)]
    assert (journal / "entry").exists()
