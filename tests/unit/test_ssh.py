"""What the probe of the trust reads, and ssh's view of hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.action.ssh_probe import BEGIN, END, MOST_TARGETS, probe_script, read
from ansible_collections.alnair.alluxio.plugins.filter.ssh import known_hosts, public_keys, ssh_targets

MODES = ["mode . 700 ax", "mode id_ed25519 600 ax"]


def test_the_answer_is_read_by_kind() -> None:
    lines = ["hostkey ssh-rsa B", "hostkey ssh-ed25519 A", "id_ed25519.pub ssh-ed25519 K ax@m", "authorized_keys no-pty ssh-ed25519 K ax@m", *MODES,
             "known_hosts other ssh-rsa X", f"known_hosts {BEGIN}", "known_hosts n ssh-ed25519 A", f"known_hosts {END}", "reached n"]
    assert read({"user": "ax"}, lines) == {
        "host_keys": ["ssh-ed25519 A", "ssh-rsa B"], "public_key": "ssh-ed25519 K ax@m", "allowed": ["no-pty ssh-ed25519 K ax@m"],
        "pinned": ["n ssh-ed25519 A"], "reached": ["n"],
    }  # fmt: skip


@pytest.mark.parametrize("modes", [[], MODES[:1], ["mode . 755 ax", MODES[1]], [MODES[0], "mode id_ed25519 644 ax"], [MODES[0], "mode id_ed25519 600 root"]])
def test_a_pair_that_is_not_whole_or_that_others_can_read_does_not_count(modes: list[str]) -> None:
    assert read({"user": "ax"}, ["id_ed25519.pub ssh-ed25519 K", *modes])["public_key"] == ""


def test_the_script_reads_files_without_a_newline_at_their_end(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").write_text("ssh-ed25519 A a\nssh-ed25519 B b", encoding="utf-8")
    (tmp_path / ".ssh" / "known_hosts").write_text("n ssh-ed25519 A", encoding="utf-8")
    script = probe_script({"user": "root", "home": str(tmp_path)})
    lines = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert read({"user": "root"}, lines)["allowed"] == ["ssh-ed25519 A a", "ssh-ed25519 B b"]


def test_logins_stand_in_the_script_until_it_would_be_too_long() -> None:
    def script(count: int) -> str:
        targets = [{"name": f"node-{number}.example.org", "host": f"10.10.{number // 250}.{number % 250}"} for number in range(count)]
        return probe_script({"user": "ax", "home": "/home/ax", "targets": targets})

    assert "ssh -o BatchMode=yes" in script(1)
    assert len(script(MOST_TARGETS)) < 128 * 1024
    assert "BatchMode" not in script(MOST_TARGETS + 1)


def host(**more: Any) -> dict[str, Any]:
    return {"inventory_hostname": "n", "passwordless_ssh_found": {"host_keys": ["ssh-ed25519 A"], "public_key": "K"}, **more}


def test_hosts_are_pinned_by_name_address_and_port() -> None:
    assert known_hosts([host(), host(ansible_host="10.0.0.1"), host(ansible_host="10.0.0.1", ansible_port=2222)]) == [
        "[n]:2222,[10.0.0.1]:2222 ssh-ed25519 A", "n ssh-ed25519 A", "n,10.0.0.1 ssh-ed25519 A",
    ]  # fmt: skip


def test_hosts_outside_this_run_stay_pinned_and_those_that_left_the_inventory_go() -> None:
    pinned = ["n ssh-ed25519 OLD", "other,10.0.0.2 ssh-ed25519 O", "[third]:2222,[10.0.0.3]:2222 ssh-ed25519 T", "left ssh-ed25519 L"]
    assert known_hosts([host()], pinned, ["n", "other", "third"]) == [pinned[2], "n ssh-ed25519 A", pinned[1]]


def test_a_host_that_did_not_answer_has_no_keys() -> None:
    assert known_hosts([{"inventory_hostname": "down"}]) == []
    assert public_keys([{"inventory_hostname": "down"}, host(), host(passwordless_ssh_found={}, passwordless_ssh_key={"ssh_public_key": "N"})]) == ["K", "N"]


def test_targets_are_reached_at_their_address_and_port() -> None:
    assert ssh_targets([host(ansible_port="2222")]) == [{"name": "n", "host": "n", "port": 2222}]
