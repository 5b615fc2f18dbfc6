"""Filters: whether a release of Alluxio fits on the cluster's nodes, told before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.capacity import PARTS, Wanted, cannot_be, mib, others, takes_no_pods, too_little
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged, quantity

DOCUMENTATION = r"""
name: capacity
short_description: What of a release does not fit on the nodes
description:
  - Holds requests, limits, heaps and tiers of all parts against what each node can give and other pods have asked for; names nodes that take no pods.
options:
  _input:
    description: Layers of values of the chart, its defaults first.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
lines: "{{ [chart['values'], mine] | alnair.alluxio.shortfalls(nodes.resources, pods.resources, {'master': ['a'], 'worker': ['b']}, 'alluxio', 'alluxio') }}"
"""

RETURN = r"""
_value:
  description: A sentence for each thing that falls short.
  type: raw
"""


def shortfalls(
    layers: Iterable[Mapping[str, Any]],
    nodes: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    kinds: Mapping[str, list[str]],
    release: str,
    namespace: str,
    shm: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return a line for each limit and each node that a release does not fit.

    Args:
        layers: Values of the chart, its defaults first.
        nodes: Nodes as the API returns them.
        pods: Pods of all namespaces that have not ended.
        kinds: Names of the nodes of "master" and "worker".
        release: Name of the release, whose own pods are not counted.
        namespace: Namespace of the release.
        shm: Bytes of /dev/shm by node, where the memory tier is there.
    """
    wanted, beside = Wanted(merged(layers)), others(pods, release, namespace)
    lines = [": ".join(reason) for reason in cannot_be(wanted)]
    for node in nodes:
        name = node["metadata"]["name"]
        mine = [kind for kind in PARTS if name in kinds[kind]]
        reasons = [*takes_no_pods(node, wanted, mine), *too_little(node, wanted, mine, beside.get(name, []), shm)] if mine else []
        if reasons:
            lines.append(f"node {name} {'; it '.join(map(': '.join, reasons))}")
    return lines


def overcommitted(layers: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]], kinds: Mapping[str, list[str]]) -> list[str]:
    """Return a line for each node whose memory the limits of a release's parts exceed, so that the node runs short before a limit is reached.

    Args:
        layers: Values of the chart, its defaults first.
        nodes: Nodes as the API returns them.
        kinds: Names of the nodes of "master" and "worker".
    """
    wanted, lines = Wanted(merged(layers)), []
    for node in nodes:
        name, has = node["metadata"]["name"], quantity((node["status"].get("allocatable") or {}).get("memory", "0"))
        parts = [part for kind in PARTS if name in kinds[kind] for part in wanted.parts(kind)]
        limits = {part: limit for part in parts if (limit := wanted.resource(part, "limits", "memory"))}
        if has and (total := sum(limits.values(), Decimal(0))) > has:
            lines.append(
                f"node {name} has {mib(has)} of memory, and the limits of {', '.join(limits)} come to {mib(total)}: it runs short before they are reached, and "
                f"pods that asked for less end first. Lower resources.limits.memory of the largest, {max(limits, key=lambda part: limits[part])}"
            )
    return lines


def host_memory_tier(layers: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether the memory tier lies in the hosts' own /dev/shm."""
    return Wanted(merged(layers)).in_host_memory()


def tier_folders(layers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the folders of the hosts that tiers lie in."""
    return Wanted(merged(layers)).host_folders()


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"host_memory_tier": host_memory_tier, "overcommitted": overcommitted, "shortfalls": shortfalls, "tier_folders": tier_folders}
