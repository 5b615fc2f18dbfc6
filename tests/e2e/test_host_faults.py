"""One host of three has a fault: the others are prepared, it is named with its true reason, and once it is mended a rerun does the rest."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from fault_hosts import NODES, on_node, prepared

from alnair_runner import Alnair, Event, Result

SICK = NODES[2]
NO_MUX = {"ansible_ssh_args": "-o ControlMaster=no -o ServerAliveInterval=2 -o ServerAliveCountMax=2"}
SHORT = {"ansible_ssh_timeout": 5, "alluxio_user_timeout": 8, "journal_directories_timeout": 30}


def all_is_well(cluster: Alnair) -> None:
    """Assert that a run prepares every host, and that one more finds nothing to do."""
    result = cluster.run("prepare_hosts")
    assert result.status == "successful", result.failures
    assert cluster.run("prepare_hosts").changed == 0
    for node in NODES:
        prepared(node)


def reason(result: Result) -> str:
    """Return why the sick host was left, and assert that it is the only one."""
    assert {failure.host for failure in result.failures} | set(result.unreachable) == {SICK}, (result.failures, result.unreachable)
    assert all(result.hosts[node]["failures"] == result.hosts[node]["unreachable"] == 0 for node in NODES[1:2])
    return " ".join(" ".join([*(failure.message for failure in result.failures), *result.unreachable.values()]).split())


@dataclasses.dataclass
class Fault:
    """What makes a host sick and well again, and what a run says of it."""

    cause: str
    lift: str
    says: str
    status: str = "failed"


FULL = "mount -t tmpfs -o size=64k tmpfs {0} && (cat /dev/zero > {0}/full || true) 2>/dev/null"
# A file system whose daemon has mounted it and then never answers.
HANGING = """mkdir -p /mnt/fuse && setsid python3 -c '# mounts-and-sleeps
import ctypes, os, time
handle = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={handle},rootmode=40000,user_id=0,group_id=0".encode()
assert not ctypes.CDLL(None).mount(b"none", b"/mnt/fuse", b"fuse", 0, options)
time.sleep(600)' >/dev/null 2>&1 & sleep 1; grep -q "/mnt/fuse fuse" /proc/mounts"""
FAULTS = {
    "down": Fault("ip link set eth0 down", "ip link set eth0 up; ip route replace default via 10.89.80.1", "10.89.80.12 port 22", "unreachable"),
    "hangs after the login": Fault("printf '#!/bin/sh\\nexec sleep 60\\n' > /hang; chmod 755 /hang; usermod -s /hang admin", "usermod -s /bin/bash admin",
                                   "its shell answers nothing"),
    "full disk": Fault(FULL.format("/home"), "umount /home", "No space left on device"),
    "full disk below the root of the directories": Fault(FULL.format("/mnt"), "umount /mnt", "MiB free, 512 MiB are asked for"),
    "out of inodes": Fault("mount -t tmpfs -o size=1g,nr_inodes=2 tmpfs /mnt && touch /mnt/last", "umount /mnt", "inode"),
    "a mount that answers nothing": Fault(HANGING, "pkill -f [m]ounts-and-sleeps; umount -l /mnt/fuse", "Timed out"),
    "read-only root": Fault("mount -o remount,ro /", "mount -o remount,rw /", "read-only"),
    "no Python": Fault("mkdir /hidden && mv /usr/bin/python3* /hidden", "mv /hidden/* /usr/bin && rmdir /hidden", "python"),
    "sudo asks for a password": Fault("sed -i s/NOPASSWD:// /etc/sudoers.d/admin", "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin",
                                      "password"),
    "another host key": Fault("mkdir /etc/ssh/old && mv /etc/ssh/ssh_host_* /etc/ssh/old && ssh-keygen -A >/dev/null && systemctl restart ssh",
                              "mv /etc/ssh/old/* /etc/ssh && rmdir /etc/ssh/old && systemctl restart ssh", "IDENTIFICATION HAS CHANGED", "unreachable"),
    "accounts are locked": Fault("echo 1 > /etc/passwd.lock; echo 1 > /etc/group.lock", "rm -f /etc/passwd.lock /etc/group.lock", "lock"),
}  # fmt: skip


# Those that wait for a time-out take longer.
TIMED_OUT = ("hangs after the login", "a mount that answers nothing")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] if name in TIMED_OUT else []) for name in FAULTS])
def test_a_fault_is_named_and_hurts_nobody_else(bare: Alnair, name: str) -> None:
    fault = FAULTS[name]
    on_node(SICK, fault.cause)
    try:
        result = bare.run("prepare_hosts", extra_vars=SHORT)
    finally:
        on_node(SICK, fault.lift)
    text = reason(result)
    assert fault.says.lower() in text.lower()
    assert result.status == fault.status
    for node in NODES[:2]:
        prepared(node)
    all_is_well(bare)


@pytest.mark.long
def test_the_source_itself_goes_down_in_the_middle(bare: Alnair) -> None:
    all_is_well(bare)
    cable = PullsTheCable("Look at keys", NODES[0])
    try:
        result = bare.run("prepare_hosts", extra_vars={**SHORT, **NO_MUX}, on_event=cable)
    finally:
        on_node(NODES[0], FAULTS["down"].lift)
    assert cable.done
    assert list(result.unreachable) == [NODES[0]]
    assert result.failures == []
    all_is_well(bare)


@pytest.mark.long
def test_a_rotation_that_could_not_tell_every_host_is_refused(bare: Alnair) -> None:
    all_is_well(bare)
    before = on_node(NODES[0], "cat /home/alluxio-user/.ssh/id_ed25519.pub")
    limited = bare.run("prepare_hosts", limit=NODES[0], extra_vars={"passwordless_ssh_rotate": True})
    assert (limited.status, limited.changed) == ("failed", 0)
    assert f"{NODES[1]}, {NODES[2]} cannot be told of the next keys now" in limited.failures[0].message
    assert on_node(NODES[0], "cat /home/alluxio-user/.ssh/id_ed25519.pub") == before
    assert bare.run("prepare_hosts", extra_vars={"passwordless_ssh_rotate": True}).status == "successful"
    assert on_node(NODES[0], "cat /home/alluxio-user/.ssh/id_ed25519.pub") != before
    all_is_well(bare)


def test_a_taken_number_stops_all_hosts_before_the_first_change(bare: Alnair) -> None:
    on_node(SICK, "useradd -u 1000 bob")
    try:
        result = bare.run("prepare_hosts")
    finally:
        on_node(SICK, "userdel -rf bob 2>/dev/null")
    assert (result.status, result.changed) == ("failed", 0)
    assert "uid 1000 belongs to user bob" in reason(result)
    all_is_well(bare)


class PullsTheCable:
    """Takes a host's network away when a task begins."""

    def __init__(self, task: str, node: str = SICK) -> None:
        self.task, self.node, self.done = task, node, False

    def __call__(self, event: Event) -> None:
        """See a task begin."""
        if event.event == "task" and self.task in event.task:
            on_node(self.node, "ip link set eth0 down")
            self.done = True


@pytest.mark.long
def test_a_host_that_goes_down_in_the_middle(bare: Alnair) -> None:
    cable = PullsTheCable("Look at keys")
    try:
        result = bare.run("prepare_hosts", extra_vars={**SHORT, **NO_MUX}, on_event=cable)
    finally:
        on_node(SICK, FAULTS["down"].lift)
    assert cable.done
    assert result.status == "unreachable"
    assert "10.89.80.12" in reason(result)
    for node in NODES[:2]:
        prepared(node)
    all_is_well(bare)


HARD = (
    "PermitRootLogin no\\nPasswordAuthentication no\\nAllowTcpForwarding no\\nAllowAgentForwarding no\\nMaxAuthTries 2\\nMaxSessions 10\\nLoginGraceTime 30s\\n"
)
SLOW = f'-o ProxyCommand="{sys.executable} {Path(__file__).with_name("slow_proxy.py")} %h %p"'
ODD: dict[str, tuple[str, str, dict[str, str]]] = {
    "sshd takes three logins at once": ("printf 'MaxStartups 3\\n' > /etc/ssh/sshd_config.d/odd.conf; systemctl restart ssh",
                                        "rm /etc/ssh/sshd_config.d/odd.conf; systemctl restart ssh", {}),
    "hardened as dev-sec does": (f"printf '{HARD}' > /etc/ssh/sshd_config.d/odd.conf; systemctl restart ssh; mount -t tmpfs -o noexec,nosuid,nodev tmpfs /tmp",
                                 "rm /etc/ssh/sshd_config.d/odd.conf; systemctl restart ssh; umount /tmp", {}),
    "slow": ("true", "true", {"ansible_ssh_extra_args": f"{{{{ '{SLOW}' if ansible_host == '10.89.80.12' else '' }}}}"}),
    "Python elsewhere": ("mkdir /opt/odd && mv /usr/bin/python3* /opt/odd", "mv /opt/odd/* /usr/bin && rmdir /opt/odd",
                         {"ansible_python_interpreter": "{{ '/opt/odd/python3' if ansible_host == '10.89.80.12' else '/usr/bin/python3' }}"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_host_is_prepared_as_any_other(bare: Alnair, name: str) -> None:
    cause, lift, extra_vars = ODD[name]
    on_node(SICK, cause)
    try:
        result = bare.run("prepare_hosts", extra_vars=extra_vars)
        again = bare.run("prepare_hosts", extra_vars=extra_vars)
    finally:
        on_node(SICK, lift)
    assert result.status == "successful", (result.failures, result.unreachable)
    assert (again.status, again.changed) == ("successful", 0)
    for node in NODES:
        prepared(node)


@pytest.mark.parametrize("folder", [Path("/mnt/fuse/alluxio-journal"), Path("/mnt/fuse/domain-socket")])
def test_a_link_below_the_journal_leads_nowhere(bare: Alnair, folder: Path) -> None:
    all_is_well(bare)
    on_node(SICK, f"echo precious > /root/precious; ln -s /root/precious {folder}/link; ln -s /root {folder}/folder; chown -h root {folder}/link")
    assert bare.run("prepare_hosts").status == "successful"
    assert on_node(SICK, "stat -c %U /root /root/precious") == "root\nroot\n"
