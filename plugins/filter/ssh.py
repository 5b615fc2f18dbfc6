"""Filters: ssh's view of hosts, from Ansible's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: ssh_trust
short_description: A host's part of ssh without a password, from what ssh_probe told of all hosts
description:
  - Says which lines stand in the host's authorized_keys and known_hosts, and whether all is so already.
  - Lines of hosts that are not in this run stay as they are.
options:
  _input:
    description: Variables of the host, with the answer of M(alnair.alluxio.ssh_probe) as passwordless_ssh_found.
    type: dict
    required: true
  sources: {description: Variables of the hosts that log in., type: list, elements: dict, required: true}
  targets: {description: Variables of the hosts that this one logs in to; none where it is no source., type: list, elements: dict, default: []}
  target: {description: Whether this host is logged in to., type: bool, default: true}
  user: {description: The account., type: str, required: true}
  options: {description: Options of the lines in authorized_keys., type: str, default: ""}
  inventory: {description: Names of all hosts; the pinned line of a host that is none of them goes., type: list, elements: str, default: []}
  controller: {description: What M(alnair.alluxio.ssh_trust) told of the controller's pair where that is a source., type: dict, default: {}}
"""

EXAMPLES = r"""
mine: "{{ hostvars[inventory_hostname] | alnair.alluxio.ssh_trust(sources=[hostvars['master-1']], user='alluxio-user') }}"
"""

RETURN = r"""
_value:
  description: C(allowed) and C(pinned), the lines; C(whole), whether nothing is to be done; C(sourceless), whether nobody could get in afterwards.
  type: dict
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
    """Return the lines that pin the hosts' keys by name, address and port, sorted, so that their order says nothing.

    Args:
        hosts: Variables of hosts.
        pinned: Lines that are pinned already; those of hosts that told no key in this run are kept.
        inventory: Names of all hosts; a line of a host that is none of them goes.
    """
    lines, told = [], set()
    for host in hosts:
        (target,) = ssh_targets([host])
        names = dict.fromkeys([target["name"], target["host"]])
        where = ",".join(name if target["port"] == 22 else f"[{name}]:{target['port']}" for name in names)
        found = [f"{where} {key}" for key in host.get("passwordless_ssh_found", {}).get("host_keys", [])]
        lines += found
        told |= {target["name"]} if found else set()
    elsewhere = set(inventory) - told
    return sorted(lines + [line for line in pinned if re.split(r"\]:" if line.startswith("[") else "[, ]", line.removeprefix("["), maxsplit=1)[0] in elsewhere])


def ssh_told(hosts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each host just what others need to know, so that nobody looks up all variables of all hosts once more."""
    words = ("exact", "public_key", "host_keys")
    return [
        {
            **{word: host[word] for word in ("inventory_hostname", "ansible_host", "ansible_port") if word in host},
            **({"passwordless_ssh_found": {word: answer[word] for word in words}} if "exact" in (answer := host.get("passwordless_ssh_found", {})) else {}),
        }
        for host in hosts
    ]


def own_keys(source: Mapping[str, Any]) -> list[str]:
    """Return a source's public keys, made just now or found: one, or two while its pair is changed."""
    made = source.get("passwordless_ssh_key", {})
    keys = [made.get("public_key") or source.get("passwordless_ssh_found", {}).get("public_key"), made.get("next_key")]
    return list(dict.fromkeys(key for key in keys if key))


def ssh_trust(
    host: Mapping[str, Any],
    sources: Iterable[Mapping[str, Any]],
    user: str,
    targets: Iterable[Mapping[str, Any]] = (),
    options: str = "",
    inventory: Iterable[str] = (),
    controller: Mapping[str, Any] | None = None,
    *,
    target: bool = True,
) -> dict[str, Any]:
    """Return a host's lines and whether all is as wanted; see DOCUMENTATION."""
    found, targets, sources = host["passwordless_ssh_found"], list(targets), list(sources)

    def lines(keys_of: Callable[[Mapping[str, Any]], list[str]]) -> list[str]:
        """Return the lines of the sources' keys; a source that told none keeps those that it has."""
        wanted = []
        own = {"inventory_hostname": "controller", "passwordless_ssh_key": controller, "passwordless_ssh_found": controller}
        for source in [*sources, *([own] if controller else [])]:
            comment = f"{user}@{source['inventory_hostname']}"
            keys = keys_of(source)
            wanted += [" ".join([options, *key.split()[:2], comment]).strip() for key in keys]
            wanted += [] if keys else [line for line in found["allowed"] if line.endswith(f" {comment}")]
        return wanted if target else []

    pinned = known_hosts(targets, found["pinned"], inventory) if targets else []
    # A source that failed or went away has an answer without content.
    told = [answer for source in sources if "exact" in (answer := source.get("passwordless_ssh_found", {}))]
    wanted = lines(own_keys)
    return {
        "allowed": wanted,
        "sourceless": target and bool(sources) and not controller and not told and not wanted,
        "pinned": pinned,
        # Just what was found counts here, not what an earlier use of the role in the same run made.
        "whole": found["exact"] and bool(told or controller or wanted or not sources) and all(source["exact"] and source["public_key"] for source in told)
        and lines(lambda source: [key for key in [source.get("passwordless_ssh_found", {}).get("public_key")] if key]) == found["allowed"]
        and pinned == found["pinned"] and {item["inventory_hostname"] for item in targets} <= set(found["reached"]),
    }  # fmt: skip


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"ssh_targets": ssh_targets, "ssh_told": ssh_told, "ssh_trust": ssh_trust}
