"""Filters: objects of the cluster from hosts of the inventory, and what fits on its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

DOCUMENTATION = r"""
name: cluster
short_description: Objects of the cluster from hosts of the inventory
description:
  - Names of nodes, journal volumes and shortfalls of memory, from the variables of hosts and what the API says of nodes.
options:
  _input:
    description: Variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
nodes: "{{ groups['alluxio_masters'] | map('extract', hostvars) | alnair.alluxio.node_names }}"
"""

RETURN = r"""
_value:
  description: A list.
  type: list
"""

# Kubernetes' suffixes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def quantity(text: str | float) -> int:
    """Return the bytes that a Kubernetes quantity of memory stands for.

    Raises:
        ValueError: it is no quantity.
    """
    words = str(text).strip()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if words.endswith(suffix):
            number, factor = words.removesuffix(suffix), SUFFIXES[suffix]
            break
    else:
        number, factor = words, 1
    try:
        return int(Decimal(number) * factor)
    except ArithmeticError as error:
        raise ValueError(f'"{text}" is no quantity of memory; write it like 512Mi or 50Gi') from error


def node_names(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the Kubernetes names of hosts."""
    return [str(host.get("alluxio_node_name", host["inventory_hostname"])) for host in hosts]


def journal_volumes(hosts: Iterable[Mapping[str, Any]], release: str, namespace: str, path: str, size: str, storage_class: str) -> list[dict[str, Any]]:
    """Return a local volume per master, bound beforehand to the claim of that master's pod."""
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{release}-journal-{index}", "labels": {"app": "alluxio", "release": release, "role": "alluxio-master"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": size},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": f"alluxio-journal-{release}-master-{index}",
                    "namespace": namespace,
                },
                "local": {"path": path},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}]
                    }
                },
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": storage_class,
            },
        }
        for index, name in enumerate(node_names(hosts))
    ]


def label_patches(nodes: Iterable[Mapping[str, Any]], wanted: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return the changes that give labels to just the nodes that shall have them.

    Args:
        nodes: Nodes as the API returns them.
        wanted: Names of nodes by label.
    """
    patches = []
    for node in nodes:
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        change = {label: ("true" if name in names else None) for label, names in wanted.items() if (name in names) != (labels.get(label) == "true")}
        if change:
            patches.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": change}})
    return patches


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return values merged as helm merges its values files: mappings deeply, all else by the later layer."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged([result[key], value]) if both else value
    return result


# The public chart's own figures for what nobody says.
CHART_RESOURCES = {
    "worker": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "4Gi"}}},
    "jobWorker": {"resources": {"requests": {"memory": "1Gi"}}},
}


def memory_shortfalls(
    nodes: Iterable[Mapping[str, Any]], names: list[str], defaults: Mapping[str, Any], files: list[Mapping[str, Any]], last: Mapping[str, Any]
) -> list[str]:
    """Return a sentence for each worker's node whose memory cannot hold what its pods may use.

    The memory tier is a volume in memory, which counts against the container's limit, so the limit must hold the quota too.

    Args:
        nodes: Nodes as the API returns them.
        names: Names of the workers' nodes.
        defaults: Values that the role makes.
        files: Values of the user's files, in order.
        last: Values that win over the files.
    """
    values = merged([CHART_RESOURCES, defaults, *files, last])
    quota = sum(quantity(level["quota"]) for level in values["tieredstore"]["levels"] if level.get("mediumtype") == "MEM")
    requests = sum(quantity(values[part]["resources"]["requests"]["memory"]) for part in ("worker", "jobWorker"))
    sentences = []
    limit = values["worker"]["resources"].get("limits", {}).get("memory")
    if limit is not None and quantity(limit) <= quota:
        sentences.append(
            f"the worker's memory limit {limit} does not hold its memory tier of {quota // 2**20} MiB: raise worker.resources.limits.memory or "
            "lower the quota in tieredstore.levels"
        )
    for node in nodes:
        if node["metadata"]["name"] in names:
            allocatable = quantity(node["status"]["allocatable"]["memory"])
            if quota + requests > allocatable:
                sentences.append(
                    f"node {node['metadata']['name']} has {allocatable // 2**20} MiB allocatable, the workers ask for {requests // 2**20} MiB beside a "
                    f"memory tier of {quota // 2**20} MiB: lower the quota in tieredstore.levels"
                )
    return sentences


def cache_consumers(pods: Iterable[Mapping[str, Any]], mount_point: str, namespace: str, release: str) -> list[str]:
    """Return namespace/name of the pods, other than the release's own, that mount the cache or a folder of it."""
    found = []
    for pod in pods:
        metadata = pod["metadata"]
        if metadata["namespace"] == namespace and (metadata.get("labels") or {}).get("release") == release:
            continue
        paths = [volume["hostPath"]["path"].rstrip("/") for volume in pod["spec"].get("volumes") or [] if volume.get("hostPath")]
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed") and any(f"{path}/".startswith(f"{mount_point}/") for path in paths):
            found.append(f"{metadata['namespace']}/{metadata['name']}")
    return found


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "cache_consumers": cache_consumers,
            "journal_volumes": journal_volumes,
            "label_patches": label_patches,
            "memory_shortfalls": memory_shortfalls,
            "node_names": node_names,
        }
