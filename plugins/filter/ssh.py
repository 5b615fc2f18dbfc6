"""Filters: ssh's view of hosts, from Ansible's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: known_hosts
short_description: Lines of a known_hosts file from hosts' facts
description:
  - Writes a line per host and key with the host's name in the inventory and its address, and its port where it is not 22.
options:
  _input:
    description: Variables of the hosts, with the facts of the subset ssh_pub_keys.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
lines: "{{ ansible_play_hosts | map('extract', hostvars) | alnair.alluxio.known_hosts }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
"""

KEYS = ("ed25519", "ecdsa", "rsa")


def ssh_targets(hosts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return name, host and port of every host, as other hosts reach it."""
    return [
        {
            "name": host["inventory_hostname"],
            "host": str(host.get("ansible_host") or host["inventory_hostname"]),
            "port": int(host.get("ansible_port") or 22),
        }
        for host in hosts
    ]


def known_hosts(hosts: Iterable[Mapping[str, Any]]) -> str:
    """Return the lines that pin the hosts' keys."""
    hosts = list(hosts)
    lines = []
    for host, target in zip(hosts, ssh_targets(hosts), strict=True):
        names = dict.fromkeys([target["name"], target["host"]])
        where = ",".join(name if target["port"] == 22 else f"[{name}]:{target['port']}" for name in names)
        facts = host.get("ansible_facts", {})
        for key in KEYS:
            if facts.get(f"ssh_host_key_{key}_public"):
                lines.append(f"{where} {facts[f'ssh_host_key_{key}_public_keytype']} {facts[f'ssh_host_key_{key}_public']}")
    return "\n".join(lines)


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"known_hosts": known_hosts, "ssh_targets": ssh_targets}
