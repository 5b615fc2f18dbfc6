"""Whether a pod may run on the nodes on which Alluxio's file system is mounted."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
# By what a pod names nodes: a label, which is the node's name most often, and the name itself.
HOST, NAME = "kubernetes.io/hostname", "metadata.name"


class Fuse(NamedTuple):
    """Where Alluxio's file system is mounted.

    Attributes:
        nodes: Nodes on which the mount is ready.
        selector: Labels of nodes that the pods ask for that mount it; who reads from it must ask for the same.
    """

    nodes: frozenset[str]
    selector: Mapping[str, str] = {}


def out_of_reach(spec: Object, fuse: Fuse) -> str:
    """Return why a pod cannot run where Alluxio's file system is mounted; nothing where it can."""
    if node := spec.get("nodeName"):
        return "" if node in fuse.nodes else f"Alluxio's file system is not mounted on node {node}"
    if not fuse.nodes:
        return "Alluxio's file system is mounted on no node"
    own = spec.get("nodeSelector") or {}
    others = [f"{key}={own[key]}" for key, value in fuse.selector.items() if own.get(key, value) != value]
    if others:
        return f"the pod's nodeSelector {', '.join(others)} keeps it from the nodes on which Alluxio's file system is mounted"
    if not open_to(spec, fuse):
        return "the pod's nodeSelector or nodeAffinity leaves it none of the nodes on which Alluxio's file system is mounted"
    return ""


def open_to(spec: Object, fuse: Fuse) -> set[str]:
    """Return the nodes with the mount to which a pod may be bound, as far as it names nodes or the labels by which these are chosen."""
    chosen = (spec.get("nodeSelector") or {}).get(HOST)
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    nodes = {node for node in fuse.nodes if chosen is None or same_host(node, chosen)}
    return {node for node in nodes if not terms or any(fits(node, term, fuse.selector) for term in terms)}


def fits(node: str, term: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a term of a pod's affinity lets it have a node, as far as the term names nodes or some labels that the node has."""
    expressions = term.get("matchExpressions") or []
    return (
        all(met(item, node, same_host) for item in expressions if item["key"] == HOST)
        and all(met(item, labels[item["key"]]) for item in expressions if item["key"] in labels)
        and all(met(item, node) for item in term.get("matchFields") or [] if item["key"] == NAME)
    )


def met(item: Object, value: str, same: Callable[[str, str], bool] = operator.eq) -> bool:
    """Tell whether a requirement holds for a value; one that compares numbers may."""
    there = any(same(value, entry) for entry in item.get("values") or [])
    return {"In": there, "NotIn": not there, "DoesNotExist": False}.get(item["operator"], True)


def same_host(node: str, label: str) -> bool:
    """Tell whether a node may have a label that names its host: of the two, one may be with and one without its domain."""
    return node == label or node.startswith(f"{label}.") or label.startswith(f"{node}.")
