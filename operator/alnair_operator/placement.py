"""Whether a pod may run on the nodes on which Alluxio's file system is mounted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    if not open_to(spec, fuse.nodes):
        return "the pod's nodeSelector or nodeAffinity names nodes, and Alluxio's file system is mounted on none of them"
    return ""


def open_to(spec: Object, nodes: Iterable[str]) -> set[str]:
    """Return those of some nodes to which a pod may be bound, as far as it names nodes."""
    chosen = (spec.get("nodeSelector") or {}).get(HOST)
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    return {node for node in nodes if chosen in (None, node) and (not terms or any(fits(node, term) for term in terms))}


def fits(node: str, term: Object) -> bool:
    """Tell whether a term of a pod's affinity lets it have a node, as far as the term names nodes."""
    said = [item for item in term.get("matchExpressions") or [] if item["key"] == HOST]
    said += [item for item in term.get("matchFields") or [] if item["key"] == NAME]
    return all((node in (item.get("values") or [])) is (item["operator"] == "In") for item in said if item["operator"] in ("In", "NotIn"))
