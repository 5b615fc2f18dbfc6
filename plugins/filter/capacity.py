"""Filters: whether a release of Alluxio fits on the cluster's nodes, told before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.capacity import PARTS, Wanted, takes_no_pods
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged, no_majority, quantity

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


def mib(size: Decimal) -> str:
    """Return bytes in words."""
    return f"{size / 2**20:.0f} MiB"


def asked(pod: Mapping[str, Any], resource: str) -> Decimal:
    """Return what the scheduler counts for a pod."""

    def of(container: Mapping[str, Any]) -> Decimal:
        return quantity(((container.get("resources") or {}).get("requests") or {}).get(resource, 0))

    spec = pod["spec"]
    first = spec.get("initContainers") or []
    beside = sum((of(item) for item in first if item.get("restartPolicy") == "Always"), Decimal(0))
    together = beside + sum(of(item) for item in spec["containers"])
    return max([together, *[of(item) for item in first]]) + quantity((spec.get("overhead") or {}).get(resource, 0))


def limits_too_small(wanted: Wanted) -> list[str]:
    """Return a sentence for each limit that its own part breaks."""
    sentences = []
    for part in [*wanted.parts("master"), *wanted.parts("worker")]:
        tier = wanted.tier(memory=True) if part == "worker" else Decimal(0)
        need, limit = wanted.java(part) + tier, wanted.resource(part, "limits", "memory")
        # The memory tier is a volume in memory, which counts against the container's limit.
        if limit is not None and need and limit <= need:
            what = f"its heap and direct memory of {mib(need)}"
            if tier:
                what = f"its memory tier of {mib(tier)} and heap and direct memory of {mib(wanted.java(part))}"
            lower = "or lower alluxio_chart_quota" if tier else f"or lower {part}.jvmOptions"
            sentences.append(f"the limit of {mib(limit)} does not hold {part} with {what}: raise {part}.resources.limits.memory {lower}")
        for resource in ("cpu", "memory"):
            request, most = wanted.resource(part, "requests", resource), wanted.resource(part, "limits", resource)
            if request is not None and most is not None and request > most:
                refused = f"{part}.resources asks for more {resource} than its limit, which Kubernetes refuses"
                sentences.append(f"{refused}: lower requests.{resource} or raise limits")
    return sentences


def too_little(node: Mapping[str, Any], wanted: Wanted, kinds: list[str], others: list[Mapping[str, Any]], shm: Mapping[str, Any]) -> list[str]:
    """Return what a node has too little of."""
    name, has = node["metadata"]["name"], node["status"].get("allocatable") or {}
    parts = [part for kind in kinds for part in wanted.parts(kind)]
    remedies = {"memory": "alluxio_chart_quota or resources.requests.memory", "cpu": "resources.requests.cpu"}
    reasons = []
    for resource, remedy in remedies.items():
        if resource not in has:
            continue
        need = sum((wanted.takes(part, resource) for part in parts), Decimal(0))
        more = sum((wanted.takes(part, resource) for part in parts if wanted.surges(part)), Decimal(0))
        used = sum((asked(pod, resource) for pod in others), Decimal(0))
        free = quantity(has[resource]) - used
        words = mib if resource == "memory" else lambda cores: f"{cores.normalize():f} cores"
        if need + more > free:
            beside, without = "", ""
            if need <= free:
                beside, without = f", and {words(more)} more while the next FUSE begins beside the old one", "set fuse.maxSurge to 0, "
            reasons.append(
                f"has {words(free)} of {resource} free ({words(quantity(has[resource]))} allocatable, {words(used)} asked for by other pods), "
                f"{', '.join(parts)} need {words(need)}{beside}: lower {remedy}, {without}or move other pods away"
            )
    disk = wanted.tier(memory=False, kind="emptyDir")
    room = quantity(has["ephemeral-storage"]) if "ephemeral-storage" in has else None
    if "worker" in kinds and room is not None and disk > room:
        reasons.append(
            f"has {mib(room)} of ephemeral storage, the tiers on disk need {mib(disk)}: lower their quota in tieredstore.levels, or put them on a "
            "disk of their own with type hostPath"
        )
    memory = wanted.tier(memory=True, kind="hostPath")
    if "worker" in kinds and name in shm and memory > quantity(shm[name]):
        reasons.append(
            f"has a /dev/shm of {mib(quantity(shm[name]))}, the memory tier needs {mib(memory)}: lower its quota, use type emptyDir, or "
            f"mount -o remount,size={memory / 2**20:.0f}m /dev/shm on the host"
        )
    return reasons


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
    wanted = Wanted(merged(layers))
    others: dict[str, list[Mapping[str, Any]]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        if metadata["namespace"] != namespace or (metadata.get("labels") or {}).get("release") != release:
            others.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    lines = limits_too_small(wanted)
    if reason := no_majority(int(wanted.part("master").get("count") or 1)):
        lines.append(f"{reason}: name 1, 3 or 5 hosts in alluxio_masters")
    for node in nodes:
        name = node["metadata"]["name"]
        mine = [kind for kind in PARTS if name in kinds[kind]]
        reasons = [*map(": ".join, takes_no_pods(node, wanted, mine)), *too_little(node, wanted, mine, others.get(name, []), shm or {})] if mine else []
        if reasons:
            lines.append(f"node {name} {'; it '.join(reasons)}")
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


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"host_memory_tier": host_memory_tier, "overcommitted": overcommitted, "shortfalls": shortfalls}
