"""What the probe of an account sees: whether it is as wanted, and who already has its name or number."""

from __future__ import annotations

import getpass
import grp
import hashlib
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.action.account_probe import compare, probe_script
from ansible_collections.alnair.alluxio.plugins.filter.accounts import free_id
from role_tools import run_playbook

from alnair.changes import Difference, of_diff

WANTED: dict[str, Any] = {"name": "ax", "uid": 1000, "group": "ax", "gid": 1000, "home": "/home/ax", "shell": "/bin/bash"}
FRESH = ["# user", "root:x:0:0::/root:/bin/sh", "# group", "root:x:0:", "# member", "# home"]
THERE = [
    "# user",
    "root:x:0:0::/root:/bin/sh",
    "ax:x:1000:1000::/home/ax:/bin/bash",
    "# group",
    "ax:x:1000:",
    "# member",
    "ax video",
    "# writable",
    "/etc",
    "# home",
    "/home/ax",
    "# digest",
    "abc  -",
]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["# user", "bob:x:1000:100::/home/bob:/bin/sh"], "uid 1000 belongs to user bob"),
        (["# user", "ax:x:1001:1000::/home/ax:/bin/sh"], "user ax exists with uid 1001, not 1000"),
        (["# group", "staff:x:1000:"], "gid 1000 belongs to group staff"),
        (["# group", "ax:x:7:"], "group ax exists with gid 7, not 1000"),
    ],
)
def test_each_conflict_is_said(lines: list[str], sentence: str) -> None:
    assert compare(WANTED, [*FRESH, *lines])["conflicts"] == [sentence]


def test_an_account_that_is_there_is_as_wanted_and_no_conflict() -> None:
    found = compare(WANTED, THERE)
    assert (found["as_wanted"], found["there"], found["conflicts"], found["used"]) == (True, True, [], [1000])


def test_an_account_that_shall_go_is_as_wanted_when_it_is_gone() -> None:
    assert compare({**WANTED, "state": "absent"}, FRESH)["as_wanted"]
    assert not compare({**WANTED, "state": "absent"}, THERE)["as_wanted"]


def test_who_shares_the_group_is_named() -> None:
    assert compare(WANTED, [*FRESH, "# group", "ax:x:1000:ax,bob"])["members"] == ["bob"]


def test_an_account_that_a_directory_service_tells_only_by_name_is_seen_once() -> None:
    twice = [*FRESH, "# user", "bob:x:1000:100::/home/bob:/bin/sh", "bob:x:1000:100::/home/bob:/bin/sh"]
    assert compare(WANTED, twice)["conflicts"] == ["uid 1000 belongs to user bob"]


def test_a_host_whose_root_is_read_only_is_told_from_others() -> None:
    assert compare(WANTED, THERE)["writable"]
    assert not compare(WANTED, FRESH)["writable"]


def test_a_fresh_host_needs_the_account_and_has_no_conflict() -> None:
    found = compare(WANTED, FRESH)
    assert (found["as_wanted"], found["there"], found["conflicts"]) == (False, False, [])


@pytest.mark.parametrize(
    "other",
    [{"shell": "/bin/sh"}, {"home": "/srv/ax"}, {"groups": ["docker"]}, {"password_digest": "def"}, {"gid": 1001}],
)
def test_each_difference_is_seen(other: dict[str, Any]) -> None:
    assert not compare({**WANTED, **other}, THERE)["as_wanted"]


@pytest.mark.parametrize(
    ("wanted", "lines", "found"),
    [
        ({}, THERE, []),
        ({}, FRESH, [Difference("group ax", "", "gid 1000"), Difference("user ax", "", "uid 1000, gid 1000, home /home/ax, shell /bin/bash")]),
        ({"shell": "/bin/sh"}, THERE, [Difference("user ax shell", "/bin/bash", "/bin/sh")]),
        ({"groups": ["video", "docker"]}, THERE, [Difference("user ax groups", "video", "docker, video")]),
        ({"password_digest": "other"}, THERE, [Difference("user ax password", "another", "as wanted")]),
        ({}, [line for line in THERE if line != "/home/ax" and line != "# home"], [Difference("user ax home", "/home/ax, which is not there", "/home/ax")]),
        ({"home": "/srv/ax"}, [line for line in THERE if line != "# home"], [Difference("user ax home", "/home/ax", "/srv/ax")]),
        ({"uid": 1001}, THERE, [Difference("user ax uid", "1000", "1001")]),
        ({"state": "absent"}, FRESH, []),
        (
            {"state": "absent"}, THERE,
            [Difference("group ax", "gid 1000"), Difference("user ax", "uid 1000, gid 1000, home /home/ax, shell /bin/bash, groups , password as wanted")],
        ),
        ({"state": "absent"}, ["# group", "ax:x:1000:ax,bob"], []),
    ],
)  # fmt: skip
def test_what_differs_is_told_from_what_to_what(wanted: dict[str, Any], lines: list[str], found: list[Difference]) -> None:
    assert of_diff(compare({**WANTED, **wanted}, lines)["diff"]) == found


def test_in_check_mode_the_look_at_the_account_is_the_change(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(me.pw_gid).gr_name
    given = {"alluxio_user_name": me.pw_name, "alluxio_user_uid": me.pw_uid, "alluxio_user_group": group, "alluxio_user_gid": me.pw_gid,
             "alluxio_user_home": me.pw_dir, "alluxio_user_shell": "/bin/other"}  # fmt: skip
    (tmp_path / "play.yml").write_text("[{hosts: all, gather_facts: false, roles: [alnair.alluxio.alluxio_user]}]", encoding="utf-8")
    code, text = run_playbook(tmp_path, tmp_path / "play.yml", "--check", "--diff", ansible_connection="local", **given)
    assert code == 0, text
    assert f"-        shell: {me.pw_shell}\n" in text and "+        shell: /bin/other\n" in text, text
    assert "changed=1 " in text


def test_a_missing_home_is_seen_and_further_groups_are_left_alone() -> None:
    assert not compare(WANTED, [line for line in THERE if line != "/home/ax"])["as_wanted"]
    assert compare({**WANTED, "groups": ["video"], "password_digest": "abc"}, THERE)["as_wanted"]


def test_what_an_account_holds_is_named() -> None:
    found = compare(WANTED, [*THERE, "# process", "    12 java", "# file", "/mnt/fuse/a b"])
    assert (found["processes"], found["files"]) == (["12 java"], ["/mnt/fuse/a b"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads password hashes")
def test_the_script_sees_the_user_who_runs_it_without_showing_the_password_hash() -> None:
    me = pwd.getpwnam(getpass.getuser())
    args = {
        "name": me.pw_name,
        "uid": me.pw_uid,
        "group": grp.getgrgid(me.pw_gid).gr_name,
        "gid": me.pw_gid,
        "home": me.pw_dir,
        "shell": me.pw_shell,
        "data": ["/proc/self"],
    }
    password = subprocess.run(["getent", "shadow", me.pw_name], capture_output=True, text=True, check=True).stdout.split(":")[1]
    args["password_digest"] = hashlib.sha256(password.encode()).hexdigest()
    shown = subprocess.run(["sh", "-c", probe_script(args)], capture_output=True, text=True, check=True).stdout
    assert compare(args, shown.splitlines())["as_wanted"]
    assert not compare({**args, "password_digest": "0" * 64}, shown.splitlines())["as_wanted"]
    assert len(password) < 2 or password not in shown
    args["state"] = "absent"
    held = subprocess.run(["sh", "-c", probe_script(args)], capture_output=True, text=True, check=True).stdout
    assert any(line.endswith(" sh") for line in compare(args, held.splitlines())["processes"])


def test_the_free_number_is_free_on_every_host() -> None:
    assert free_id([[1000], [1001], [1003]]) == 1002
