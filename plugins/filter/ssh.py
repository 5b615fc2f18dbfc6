"""Filters: ssh's view of hosts, from Ansible's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: known_hosts
short_description: Lines of a known_hosts file from what ssh_probe told of hosts
positional: pinned, inventory
description:
  - Writes a line per host and key with the host's name in the inventory and its address, and its port where it is not 22.
options:
  _input:
    description: Variables of the hosts, with the answer of M(alnair.alluxio.ssh_probe) as passwordless_ssh_found.
    type: list
    elements: dict
    required: true
  pinned:
    description: Lines that are pinned already; those of hosts outside this run are kept.
    type: list
    elements: str
    default: []
  inventory:
    description: Names of all hosts; a line of a host that is none of them goes.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
lines: "{{ ansible_play_hosts | map('extract', hostvars) | alnair.alluxio.known_hosts }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


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


def known_hosts(hosts: Iterable[Mapping[str, Any]], pinned: Iterable[str] = (), inventory: Iterable[str] = ()) -> list[str]:
    """Return the lines that pin the hosts' keys, sorted, so that their order says nothing.

    Args:
        hosts: Variables of the hosts of this run.
        pinned: Lines that are pinned already; those of hosts outside this run are kept.
        inventory: Names of all hosts; a line of a host that is none of them goes.
    """
    hosts = list(hosts)
    lines = []
    for host, target in zip(hosts, ssh_targets(hosts), strict=True):
        names = dict.fromkeys([target["name"], target["host"]])
        where = ",".join(name if target["port"] == 22 else f"[{name}]:{target['port']}" for name in names)
        lines += [f"{where} {key}" for key in host.get("passwordless_ssh_found", {}).get("host_keys", [])]
    elsewhere = set(inventory) - {host["inventory_hostname"] for host in hosts}
    return sorted(lines + [line for line in pinned if re.split(r"[],: ]", line.removeprefix("["), maxsplit=1)[0] in elsewhere])


def public_keys(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the public keys of the sources that have one, found or made just now."""
    found = [host.get("passwordless_ssh_found", {}).get("public_key") or host.get("passwordless_ssh_key", {}).get("ssh_public_key") for host in hosts]
    return [key for key in found if key]


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"known_hosts": known_hosts, "public_keys": public_keys, "ssh_targets": ssh_targets}
