"""Connection that answers from memory what a host on which nothing is to be changed answers, so that thousands of hosts cost no host anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = r"""
name: canned
short_description: Answers from memory
description: [Answers the probes of the host roles as a host does on which nothing is to be changed.]
options:
  hosts: {description: How many hosts there are., type: int, required: true, vars: [{name: canned_hosts}]}
  masters: {description: How many of them are masters., type: int, required: true, vars: [{name: canned_masters}]}
  log: {description: File that gets a line per answer., type: path, required: true, vars: [{name: canned_log}]}
"""

USER, HOME = "alluxio-user", "/home/alluxio-user"
KEY_OPTIONS = "no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding"
BEGIN, END = "# BEGIN Alluxio's hosts, by Ansible", "# END Alluxio's hosts, by Ansible"


def name(number: int) -> str:
    """Return the inventory name of a host."""
    return f"node-{number:05}"


def address(number: int) -> str:
    """Return the address of a host."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def key(kind: str, host: str) -> str:
    """Return a public key that no other host has, as long as a real one."""
    digest = hashlib.sha256(f"{kind} {host}".encode()).hexdigest()
    return f"{kind} {digest:A<{68 if kind == 'ssh-ed25519' else 140 if kind.startswith('ecdsa') else 372}}"


def host_keys(host: str) -> list[str]:
    """Return the keys of a host's sshd."""
    return [key(kind, host) for kind in ("ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-rsa")]


def user_key(host: str) -> str:
    """Return the public key of a master's account."""
    return f"{key('ssh-ed25519', f'{USER} {host}')} {USER}@{host}"


def account(_host: str, _command: str, _hosts: int, _masters: int) -> list[str]:
    """Return what the probe of alluxio_user prints."""
    users = ["root:x:0:0:root:/root:/bin/bash", *(f"daemon{number}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin" for number in range(1, 30))]
    groups = ["root:x:0:", *(f"daemon{number}:x:{number}:" for number in range(1, 50))]
    return [
        "# user",
        *users,
        f"{USER}:x:1000:1000::{HOME}:/bin/bash",
        "# group",
        *groups,
        f"{USER}:x:1000:",
        "# member",
        USER,
        "# writable",
        "/etc",
        "# home",
        HOME,
    ]


def ssh(host: str, command: str, hosts: int, masters: int) -> list[str]:
    """Return what the probe of passwordless_ssh prints."""
    folder, sources = f"{HOME}/.ssh", [name(number) for number in range(masters)]
    files = {"authorized_keys": [BEGIN, *(f"{KEY_OPTIONS} {user_key(source)}" for source in sources), END]}
    if host in sources:
        pins = sorted(f"{name(number)},{address(number)} {line}" for number in range(hosts) for line in host_keys(name(number)))
        files |= {"known_hosts": [BEGIN, *pins, END], "id_ed25519": [], "id_ed25519.pub": [user_key(host)]}
    lines = [f"/etc/ssh/ssh_host_key.pub:{line} root@{host}" for line in host_keys(host)]
    lines += [f"{folder}/{file}:{line}" for file, content in files.items() for line in content]
    lines += [f"mode:{folder} 700 {USER}", *(f"mode:{folder}/{file} 600 {USER}" for file in files if not file.endswith(".pub"))]
    return lines + [f"reached:{name(number)}" for number in range(hosts) if "BatchMode=yes" in command]


def directories(_host: str, _command: str, _hosts: int, _masters: int) -> list[str]:
    """Return what the probe of journal_directories prints."""
    paths = {"": "41e8", "/datasets": "41e8", "/alluxio-journal": "41c0", "/domain-socket": "41f8"}
    return [
        *(f"path {mode} 1000 1000 ? /mnt/fuse{path}" for path, mode in paths.items()),
        *["system ext4 rw,relatime 4000000 3000000 50000000 90000000 /"] * len(paths),
    ]


# A word that only this probe's script has, its name in the log, and its answer. It is looked for in the command and in what is piped to it.
ANSWERS: tuple[tuple[str, str, Callable[[str, str, int, int], list[str]]], ...] = (
    ("getent passwd", "alluxio_user", account),
    ("ssh_host_", "passwordless_ssh", ssh),
    ("df -k", "journal_directories", directories),
)
# These are asked of every host.
ROLES = [role for _word, role, _answer in ANSWERS]


class Connection(ConnectionBase):
    """The connection."""

    transport = "canned"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Answer a command, and write down that it was asked."""
        host = self._host()
        asked = cmd + (in_data or b"").decode("utf-8", "replace")
        for word, role, answer in ANSWERS:
            if word in asked:
                # One write per line to a file that is only appended to: lines of different processes do not mix.
                with open(self.get_option("log"), "ab", buffering=0) as log:
                    log.write(f"{host} {role}\n".encode())
                return 0, "\n".join([*answer(host, asked, self.get_option("hosts"), self.get_option("masters")), ""]).encode(), b""
        raise AnsibleConnectionFailure(f"No answer is known to what {host} was asked; add it to ANSWERS in {__file__}: {asked[:500]}")

    def _host(self) -> str:
        octets = [int(part) for part in str(self._play_context.remote_addr).split(".")]
        return name(octets[1] << 16 | octets[2] << 8 | octets[3])

    def put_file(self, in_path: str, out_path: str) -> Any:
        """Refuse: nothing is copied to a host that needs no change."""
        raise AnsibleConnectionFailure(f"{in_path} was to be copied to {out_path}, which no host needs that is as wanted.")

    def fetch_file(self, in_path: str, out_path: str) -> Any:
        """Refuse, as put_file does."""
        raise AnsibleConnectionFailure(f"{in_path} was to be fetched to {out_path}, which no probe needs.")

    def close(self) -> None:
        """Nothing is open."""
        self._connected = False
