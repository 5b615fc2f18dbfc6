"""Write an inventory to start from, from the nodes of a cluster."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jinja2
import yaml

from alnair import cluster
from alnair.errors import ClusterError, UsageError
from alnair.home import shared

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the cluster.

    Attributes:
        name: What Kubernetes calls it.
        address: Its internal address; empty where it tells none.
        memory: Bytes that it gives to pods.
        control_plane: Whether it bears the cluster's own services.
        away: Why no pod would run on it; empty where pods do.
    """

    name: str
    address: str = ""
    memory: int = 0
    control_plane: bool = False
    away: str = ""


def nodes(knobs: dict[str, Any], label: str = "") -> list[Node]:
    """Return the cluster's nodes by name.

    Args:
        knobs: alluxio_kubeconfig and alluxio_kube_context, either may be empty.
        label: Selector that they match; all where it is empty.

    Raises:
        ClusterError: there is no kubeconfig, the API server does not answer, or no node matches.
    """
    import kubernetes

    with cluster.asked(knobs) as client:
        found = kubernetes.client.CoreV1Api(client).list_node(label_selector=label, **cluster.LIMITS).items
        listed = [client.sanitize_for_serialization(item) for item in found]
    if not listed:
        raise ClusterError(f'No node of the cluster has the label "{label}". Try: kubectl get nodes --show-labels' if label else "The cluster has no nodes.")
    return sorted(map(node, listed), key=lambda item: item.name)


def node(item: dict[str, Any]) -> Node:
    """Return what an object of the API says of a node."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    taints = [taint["key"] for taint in spec.get("taints") or [] if taint["effect"] in ("NoSchedule", "NoExecute")]
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions") or [])
    away = "cordoned" if spec.get("unschedulable") else f"tainted by {', '.join(taints)}" if taints else "" if ready else "not Ready"
    return Node(
        name=item["metadata"]["name"],
        address=next((entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"), ""),
        memory=quantity((status.get("allocatable") or {}).get("memory", "0")),
        control_plane=CONTROL_PLANE in (item["metadata"].get("labels") or {}),
        away=away,
    )


def quantity(text: str) -> int:
    """Return bytes from a quantity of the API."""
    from kubernetes.utils import parse_quantity

    return int(parse_quantity(text))


def groups(found: list[Node], masters: int) -> tuple[list[Node], list[Node]]:
    """Return masters and workers: nodes of the control plane become masters first; a node is both only where there are no others.

    Raises:
        UsageError: there are fewer nodes that take pods than masters are wanted, or deploy would refuse their number.
    """
    if reason := shared("values").no_majority(masters):
        raise UsageError(f"{reason}: make it --masters 1, 3 or 5.")
    usable = sorted((item for item in found if not item.away), key=lambda item: (not item.control_plane, item.name))
    if len(usable) < masters:
        reasons = "; ".join(f"{item.name} is {item.away}" for item in found if item.away) or "there are no more"
        raise UsageError(
            f"{masters} masters are wanted, but pods run on {len(usable)} of these nodes: {reasons}. Lower --masters, or let more nodes take pods."
        )
    return usable[:masters], usable[masters:] or usable


def write(folder: Path, found: list[Node], *, kubeconfig: str, context: str, namespace: str, masters: int) -> list[Path]:
    """Write hosts.yml and group_vars/all.yml and return their paths; nothing is overwritten.

    Args:
        folder: The inventory, which is made.
        found: The nodes.
        kubeconfig: Path that the inventory names.
        context: Context that the inventory names; empty for the current one.
        namespace: Namespace of the release.
        masters: How many of the nodes become masters.

    Raises:
        UsageError: there is something in the folder already, it cannot be written, or the nodes do not make so many masters.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and nothing is overwritten. Name a folder that is not there yet.")
    first, rest = groups(found, masters)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["plain"] = plain
    knobs = {"kubeconfig": kubeconfig, "context": context, "namespace": namespace, "memory": f"{min(item.memory for item in rest) / 2**30:.1f} GiB"}
    paths = {"hosts.yml.j2": folder / "hosts.yml", "all.yml.j2": folder / "group_vars" / "all.yml"}
    try:
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(environment.get_template(name).render(masters=first, workers=rest, source=kubeconfig, **knobs), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror}. Name another folder.") from error
    return list(paths.values())


def plain(value: str) -> str:
    """Return a text as YAML writes it, with quotes where it needs them."""
    return yaml.safe_dump(value, width=1000).removesuffix("\n").removesuffix("\n...")
