"""Filters: objects of the cluster from hosts of the inventory, and who uses the cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.values import quantity

DOCUMENTATION = r"""
name: cluster
short_description: Objects of the cluster from hosts of the inventory
description:
  - Names of nodes, journal volumes, labels and users of the cache, from the variables of hosts and what the API says of nodes.
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

# The volume of the mount in the pods of the bundled chart and of the public one.
FUSE_MOUNT = "alluxio-fuse-mount"


def mebibytes(size: str) -> int:
    """Return the MiB that a Kubernetes quantity stands for."""
    return int(quantity(size) // 2**20)


def node_names(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the Kubernetes names of hosts."""
    return [str(host.get("alluxio_node_name", host["inventory_hostname"])) for host in hosts]


def journal_volumes(
    hosts: Iterable[Mapping[str, Any]], release: str, namespace: str, path: str, size: str, storage_class: str, kind: str
) -> list[dict[str, Any]]:
    """Return a volume per master, bound beforehand to the claim of that master's pod and to its node.

    Args:
        hosts: Variables of the masters' hosts, in order.
        release: Name of the release.
        namespace: Namespace of the claims.
        path: Directory of the journal on the hosts.
        size: Size of a volume, such as 10Gi.
        storage_class: Name of the storage class.
        kind: ``local`` or ``hostPath``.
    """
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
                # A pod shall wait for a directory that is missing, not get an empty one of root.
                kind: {"path": path, **({"type": "Directory"} if kind == "hostPath" else {})},
                "nodeAffinity": {
                    "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}]}
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


def losing_label(nodes: Iterable[Mapping[str, Any]], label: str, wanted: Mapping[str, list[str]]) -> list[str]:
    """Return the names of the nodes that have a label now and shall not have it."""
    named = [node["metadata"]["name"] for node in nodes if (node["metadata"].get("labels") or {}).get(label) == "true"]
    return [name for name in named if name not in wanted[label]]


def cache_consumers(pods: Iterable[Mapping[str, Any]], mount_point: str, namespace: str, release: str, claims: Iterable[Mapping[str, Any]] = (),
                    volumes: Iterable[Mapping[str, Any]] = ()) -> list[str]:  # fmt: skip
    """Return namespace/name of the pods, other than the release's own, that mount the cache: it, a folder of it, or the folder above with propagation.

    Args:
        pods: Pods as the API returns them.
        mount_point: Where the nodes have the cache.
        namespace: Namespace of the release.
        release: Name of the release.
        claims: PersistentVolumeClaims, for pods that name one.
        volumes: PersistentVolumes, for their folders.
    """
    mount_point = mount_point.rstrip("/")
    above = str(PurePosixPath(mount_point).parent)
    folders = {item["metadata"]["name"]: (item["spec"].get("hostPath") or item["spec"].get("local") or {}).get("path", "") for item in volumes}
    bound = {(item["metadata"]["namespace"], item["metadata"]["name"]): folders.get(item["spec"].get("volumeName"), "") for item in claims}

    def folder(volume: Mapping[str, Any], where: str) -> str:
        if "persistentVolumeClaim" in volume:
            return bound.get((where, volume["persistentVolumeClaim"]["claimName"]), "").rstrip("/")
        return str((volume.get("hostPath") or {}).get("path", "")).rstrip("/")

    found = []
    for pod in pods:
        metadata, spec = pod["metadata"], pod["spec"]
        if metadata["namespace"] == namespace and (metadata.get("labels") or {}).get("release") == release:
            continue
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        mounts = [item for container in spec["containers"] for item in container.get("volumeMounts") or []]
        # Who has it Bidirectional mounts there itself, as another release's FUSE does.
        propagating = {item["name"] for item in mounts if item.get("mountPropagation") == "HostToContainer"}
        paths = {volume["name"]: folder(volume, metadata["namespace"]) for volume in spec.get("volumes") or []}
        if any(f"{path}/".startswith(f"{mount_point}/") or (path == above and name in propagating) for name, path in paths.items()):
            found.append(f"{metadata['namespace']}/{metadata['name']}")
    return found


def mounting_pods(pods: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return pod, container and node of each process of a release that mounts the cache on its node: FUSE's own, or a worker's.

    Args:
        pods: The release's pods as the API returns them.
    """
    return [
        {"pod": pod["metadata"]["name"], "container": container["name"], "node": pod["spec"].get("nodeName") or "no node yet"}
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for container in pod["spec"]["containers"]
        if FUSE_MOUNT in [mount["name"] for mount in container.get("volumeMounts") or []]
    ]


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "cache_consumers": cache_consumers,
            "journal_volumes": journal_volumes,
            "label_patches": label_patches,
            "losing_label": losing_label,
            "mebibytes": mebibytes,
            "mounting_pods": mounting_pods,
            "node_names": node_names,
        }
