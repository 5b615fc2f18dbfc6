"""What the probe of the trust reads, and ssh's view of hosts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.alnair.alluxio.plugins.action.ssh_probe import probe_script, read
from ansible_collections.alnair.alluxio.plugins.filter.ssh import known_hosts, ssh_targets, ssh_told, ssh_trust
from ansible_collections.alnair.alluxio.plugins.modules import ssh_trust as module
from ansible_collections.alnair.alluxio.plugins.modules.ssh_trust import BEGIN, END, with_block

KEY = "ssh-ed25519 K ax@m"
EXACT = ["mode:/h/.ssh 700 ax", "mode:/h/.ssh/id_ed25519 600 ax"]


def test_the_answer_is_read_by_kind() -> None:
    lines = [
        "/etc/ssh/ssh_host_rsa_key.pub:ssh-rsa B root@n",
        "/etc/ssh/ssh_host_ed25519_key.pub:ssh-ed25519 A root@n",
        f"/h/.ssh/id_ed25519.pub:{KEY}",
        "/h/.ssh/authorized_keys:ssh-rsa OTHER",
        *(f"/h/.ssh/authorized_keys:{line}" for line in (BEGIN, f"no-pty {KEY}", END)),
        *EXACT,
        *(f"/h/.ssh/known_hosts:{line}" for line in ("other ssh-rsa X", BEGIN, "[n]:22 ssh-ed25519 A", END)),
        "reached:n",
    ]
    assert read({"user": "ax"}, lines) == {
        "host_keys": ["ssh-ed25519 A", "ssh-rsa B"], "public_key": KEY, "exact": True, "allowed": [f"no-pty {KEY}"],
        "pinned": ["[n]:22 ssh-ed25519 A"], "reached": ["n"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [EXACT[1:], ["mode:/h/.ssh 755 ax", EXACT[1]], [EXACT[0], "mode:/h/.ssh/id_ed25519 644 ax"], [EXACT[0], "mode:/h/.ssh/id_ed25519 600 root"],
     [*EXACT, "mode:/h/.ssh/authorized_keys 664 ax"], [*EXACT, "/h/.ssh/id_ed25519_sk.pub:ssh-ed25519 NEXT"]],
)  # fmt: skip
def test_what_others_can_read_or_write_and_a_change_that_was_cut_off_are_not_exact(lines: list[str]) -> None:
    assert not read({"user": "ax"}, lines)["exact"]
    assert read({"user": "ax"}, [*EXACT, "/h/.ssh/id_ed25519_sk.pub:sk-ssh-ed25519@openssh.com TOKEN"])["exact"]


def test_half_a_pair_is_no_pair() -> None:
    assert read({"user": "ax"}, [f"/h/.ssh/id_ed25519.pub:{KEY}", EXACT[0]])["public_key"] == ""
    assert read({"user": "ax"}, EXACT)["public_key"] == ""


def test_the_script_reads_files_without_a_newline_at_their_end(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").write_text(f"{BEGIN}\nssh-ed25519 B b\n{END}", encoding="utf-8")
    (tmp_path / ".ssh" / "known_hosts").write_text("n ssh-ed25519 A", encoding="utf-8")
    script = probe_script({"user": "root", "home": str(tmp_path)})
    lines = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert read({"user": "root"}, lines)["allowed"] == ["ssh-ed25519 B b"]


def test_only_a_source_logs_in() -> None:
    args = {"user": "ax", "home": "/home/ax"}
    assert "BatchMode" not in probe_script(args)
    assert "n 10.0.0.1 22" in probe_script({**args, "targets": [{"name": "n", "host": "10.0.0.1"}]})


def host(**more: Any) -> dict[str, Any]:
    return {"inventory_hostname": "n", "passwordless_ssh_found": {"host_keys": ["ssh-ed25519 A"], "public_key": "K"}, **more}


def test_hosts_are_pinned_by_name_address_and_port() -> None:
    assert known_hosts([host(), host(ansible_host="10.0.0.1"), host(ansible_host="10.0.0.1", ansible_port=2222)]) == [
        "[n]:2222,[10.0.0.1]:2222 ssh-ed25519 A", "n ssh-ed25519 A", "n,10.0.0.1 ssh-ed25519 A",
    ]  # fmt: skip


def test_every_key_of_a_host_is_pinned() -> None:
    several = {"inventory_hostname": "n", "passwordless_ssh_found": {"host_keys": ["ecdsa-sha2-nistp256 E", "ssh-ed25519 A", "ssh-rsa R"]}}
    assert known_hosts([several]) == ["n ecdsa-sha2-nistp256 E", "n ssh-ed25519 A", "n ssh-rsa R"]


def test_hosts_outside_this_run_stay_pinned_and_those_that_left_the_inventory_go() -> None:
    pinned = ["n ssh-ed25519 OLD", "other,10.0.0.2 ssh-ed25519 O", "[third]:2222,[10.0.0.3]:2222 ssh-ed25519 T", "left ssh-ed25519 L"]
    assert known_hosts([host()], pinned, ["n", "other", "third"]) == [pinned[2], "n ssh-ed25519 A", pinned[1]]


def test_a_host_that_did_not_answer_stays_pinned_as_it_was() -> None:
    assert known_hosts([{"inventory_hostname": "down"}]) == []
    assert known_hosts([{"inventory_hostname": "down"}], ["down ssh-ed25519 D"], ["down"]) == ["down ssh-ed25519 D"]


LINE = "no-pty ssh-ed25519 K ax@m"


def node(name: str, **found: Any) -> dict[str, Any]:
    """Return the variables of a host."""
    answer = {"host_keys": [f"ssh-ed25519 {name}"], "public_key": "", "exact": True, "allowed": [LINE], "pinned": [], "reached": [], **found}
    return {"inventory_hostname": name, "passwordless_ssh_found": answer}


MASTER = node("m", public_key="ssh-ed25519 K whatever", pinned=["m ssh-ed25519 m", "w ssh-ed25519 w"], reached=["m", "w"])


def part(host: dict[str, Any], sources: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return ssh_trust(host, sources, "ax", options="no-pty", inventory=["m", "w"], **more)


def test_a_target_that_allows_just_the_sources_is_whole() -> None:
    assert part(node("w"), [MASTER]) == {"allowed": [LINE], "pinned": [], "sourceless": False, "whole": True}
    assert not part(node("w", allowed=[LINE, "no-pty ssh-ed25519 OLD ax@m"]), [MASTER])["whole"]
    assert not part(node("w", allowed=["ssh-ed25519 K ax@m"]), [MASTER])["whole"]
    assert not part(node("w", exact=False), [MASTER])["whole"]


def test_others_are_told_no_more_of_a_host_than_they_need() -> None:
    hosts = [
        {**MASTER, "ansible_port": 2222, "other": 1},
        {"inventory_hostname": "away"},
        {"inventory_hostname": "gone", "passwordless_ssh_found": {"msg": "no"}},
    ]
    small = ssh_told(hosts)
    assert small == [
        {"inventory_hostname": "m", "ansible_port": 2222,
         "passwordless_ssh_found": {"exact": True, "public_key": "ssh-ed25519 K whatever", "host_keys": ["ssh-ed25519 m"]}},
        {"inventory_hostname": "away"}, {"inventory_hostname": "gone"},
    ]  # fmt: skip
    assert part(node("w"), small[:1])["whole"]
    assert known_hosts(small) == known_hosts(hosts) == ["[m]:2222 ssh-ed25519 m"]


def test_nobody_is_whole_while_a_source_has_no_key() -> None:
    assert not part(node("w", allowed=[]), [node("m")])["whole"]


def test_a_source_that_is_not_in_this_run_keeps_its_line_and_one_that_is_none_any_more_loses_it() -> None:
    away = {"inventory_hostname": "m"}
    assert part(node("w", allowed=[LINE, "no-pty ssh-ed25519 X ax@former"]), [away])["allowed"] == [LINE]


def test_a_source_is_whole_when_all_are_pinned_and_reached() -> None:
    hosts = [MASTER, node("w")]
    assert part(MASTER, [MASTER], targets=hosts)["whole"]
    assert not part(node("m", public_key="ssh-ed25519 K", pinned=["m ssh-ed25519 m", "w ssh-ed25519 w"], reached=["m"]), [MASTER], targets=hosts)["whole"]
    assert part(node("m", public_key="ssh-ed25519 K"), [MASTER], targets=hosts)["pinned"] == ["m ssh-ed25519 m", "w ssh-ed25519 w"]


def test_both_keys_are_allowed_while_a_pair_is_changed() -> None:
    changing = {**MASTER, "passwordless_ssh_key": {"public_key": "ssh-ed25519 K", "next_key": "ssh-ed25519 N"}}
    assert part(node("w"), [changing])["allowed"] == [LINE, "no-pty ssh-ed25519 N ax@m"]


def test_what_an_earlier_use_of_the_role_in_the_same_run_made_does_not_count_as_found() -> None:
    stale = {**MASTER, "passwordless_ssh_key": {"public_key": "ssh-ed25519 K", "next_key": "ssh-ed25519 N"}}
    assert not part(node("w", allowed=[LINE, "no-pty ssh-ed25519 N ax@m"]), [stale])["whole"]
    assert not part(node("w"), [node("m", public_key="ssh-ed25519 K", exact=False)])["whole"]


def test_a_source_that_failed_or_went_away_keeps_its_line() -> None:
    gone = {"inventory_hostname": "m", "passwordless_ssh_found": {"unreachable": True, "msg": "no route"}}
    assert part(node("w"), [gone])["allowed"] == [LINE]
    assert part(node("w"), [gone])["whole"]


def test_a_host_that_no_source_of_this_run_could_get_in_to_is_told() -> None:
    away = {"inventory_hostname": "m"}
    assert part(node("w", allowed=[]), [away])["sourceless"]
    assert not part(node("w", allowed=[]), [away])["whole"]
    assert not part(node("w"), [away])["sourceless"]
    assert not part(node("w", allowed=[]), [node("m")])["sourceless"]
    assert part(node("w", allowed=[]), [])["whole"]


def test_a_name_that_is_an_address_of_ipv6_stays_pinned() -> None:
    pinned = ["fd00::1 ssh-ed25519 A", "[fd00::2]:2222 ssh-ed25519 B"]
    assert known_hosts([], pinned, ["fd00::1", "fd00::2"]) == sorted(pinned)


def test_the_controllers_key_is_allowed_beside_the_masters() -> None:
    both = part(node("w"), [MASTER], controller={"public_key": "ssh-ed25519 C"})
    assert both["allowed"] == [LINE, "no-pty ssh-ed25519 C ax@controller"]
    assert not both["whole"]
    assert not part(node("w", allowed=[LINE, "no-pty ssh-ed25519 OLD ax@controller"]), [MASTER], controller={"public_key": "ssh-ed25519 C"})["whole"]
    assert part(node("w", allowed=both["allowed"]), [MASTER], controller={"public_key": "ssh-ed25519 C"})["whole"]


def test_the_controllers_key_is_allowed_too() -> None:
    assert part(node("w"), [], controller={"public_key": "ssh-ed25519 C"})["allowed"] == ["no-pty ssh-ed25519 C ax@controller"]


def test_a_block_takes_its_old_place_and_other_lines_stay() -> None:
    assert with_block("a\nb", ["x"]) == f"a\nb\n{BEGIN}\nx\n{END}\n"
    assert with_block(f"a\n{BEGIN}\nx\ny\n{END}\nb\n", ["z"]) == f"a\n{BEGIN}\nz\n{END}\nb\n"
    assert with_block(f"a\n{BEGIN}\nx\n{END}\n", []) == "a\n"
    assert with_block("a\r\nb\x0c\udce4\n", ["x"]) == f"a\r\nb\x0c\udce4\n{BEGIN}\nx\n{END}\n"
    assert with_block("", []) == ""
    assert with_block(f"a\n{BEGIN}\ncut off", ["z"]) == f"a\n{BEGIN}\nz\n{END}\ncut off\n"


def test_targets_are_reached_at_their_address_and_port() -> None:
    assert ssh_targets([host(ansible_port="2222")]) == [{"name": "n", "host": "n", "port": 2222}]


@pytest.mark.parametrize("options", [{"identity": "absent"}, {"allowed": [], "pinned": []}])
def test_where_there_is_no_folder_there_is_nothing_to_take_out_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any]) -> None:
    with patch_module_args({"folder": str(tmp_path / ".ssh"), **options}), pytest.raises(SystemExit):
        module.main()
    assert (json.loads(capsys.readouterr().out)["changed"], list(tmp_path.iterdir())) == (False, [])
