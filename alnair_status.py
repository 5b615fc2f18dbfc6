"""Read the state of a release through the Kubernetes API."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes
import rich.console
import rich.table
import urllib3
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

KNOBS = {"alluxio_kubeconfig": "", "alluxio_kube_context": "", "alluxio_namespace": "alluxio", "alluxio_release": "alluxio"}


class ClusterError(Exception):
    """The cluster could not be read."""


def hosts(inventory: Path, pattern: str) -> list[str]:
    """Return the hosts that a pattern matches."""
    manager = InventoryManager(loader=DataLoader(), sources=[str(inventory)])
    # Ansible would warn of a group that is not there; that nothing matches is answered by who asks.
    parts = [part for part in pattern.replace(",", ":").split(":") if part]
    if all(part.isidentifier() and part not in manager.groups and part not in manager.hosts for part in parts):
        return []
    return [str(host) for host in manager.list_hosts(pattern)]


def known(inventory: Path) -> dict[str, Any]:
    """Return the controller's variables as the inventory says them."""
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(inventory)])
    controller = manager.list_hosts("alluxio_controller" if "alluxio_controller" in manager.groups else "all")
    return VariableManager(loader=loader, inventory=manager).get_vars(host=controller[0]) if controller else {}


def variables(inventory: Path) -> dict[str, Any]:
    """Return kubeconfig, context, namespace and release as the inventory says them, or their defaults."""
    found = known(inventory)
    templar = Templar(loader=DataLoader(), variables=found)
    return {name: str(templar.template(found[name])) if name in found else default for name, default in KNOBS.items()}


def mib(count: float) -> str:
    """Return bytes in words."""
    return f"{count / 2**20:.0f} MiB"


def ready(pods: Iterable[Any], role: str) -> list[dict[str, Any]]:
    """Return name, node and readiness of the pods of a role."""
    found = []
    for pod in pods:
        if pod.metadata.labels.get("role") == f"alluxio-{role}":
            restarts = sum(status.restart_count for status in pod.status.container_statuses or [])
            found.append({"pod": pod.metadata.name, "node": pod.spec.node_name, "ready": whole(pod), "restarts": restarts})
    return found


def whole(pod: Any) -> bool:
    """Tell whether all containers of a pod are Ready."""
    statuses = pod.status.container_statuses or []
    return bool(statuses) and all(status.ready for status in statuses)


def operator(pods: Iterable[Any]) -> list[dict[str, Any]]:
    """Return name, node and readiness of the operator's pods."""
    return [
        {"pod": pod.metadata.name, "node": pod.spec.node_name, "ready": whole(pod), "restarts": sum(item.restart_count for item in pod.status.container_statuses or [])}
        for pod in pods
        if (pod.metadata.labels or {}).get("app.kubernetes.io/name") == "alnair-operator"
    ]


def held(pods: Iterable[Any]) -> list[str]:
    """Return namespace/name of the pods that wait for their data sets."""
    return [
        f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods if "alnair.io/dataset" in [gate.name for gate in pod.spec.scheduling_gates or []]
    ]


def read(knobs: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a release.

    Args:
        knobs: alluxio_kubeconfig, alluxio_kube_context, alluxio_namespace and alluxio_release.

    Returns:
        release (name, revision, status, chart with its version, image), masters, workers, fuse (pods with node and readiness), capacity (total and used, bytes; None
        when no master answers), claims and volumes (name and phase), operator (its pods) and held (pods that wait for their data sets).

    Raises:
        ClusterError: there is no kubeconfig or the API server does not answer.
    """
    path = os.path.expanduser(knobs["alluxio_kubeconfig"] or os.environ.get("KUBECONFIG", "") or "~/.kube/config")
    if not os.path.exists(path):
        raise ClusterError(f"There is no kubeconfig at {path}. Set alluxio_kubeconfig in the inventory, or KUBECONFIG in the environment.")
    namespace, release = knobs["alluxio_namespace"], knobs["alluxio_release"]
    try:
        client = kubernetes.config.new_client_from_config(path, context=knobs["alluxio_kube_context"] or None)
        core: Any = kubernetes.client.CoreV1Api(client)
        limits: dict[str, Any] = {"_request_timeout": 10}
        pods = core.list_namespaced_pod(namespace, label_selector=f"release={release}", **limits).items
        secrets = core.list_namespaced_secret(namespace, label_selector=f"owner=helm,name={release}", **limits).items
        claims = core.list_namespaced_persistent_volume_claim(namespace, **limits).items
        operators = core.list_namespaced_pod(namespace, label_selector="app.kubernetes.io/name=alnair-operator", **limits).items
        waiting = core.list_pod_for_all_namespaces(field_selector="status.phase=Pending", **limits).items
        volumes = core.list_persistent_volume(label_selector=f"release={release}", **limits).items
    except (kubernetes.client.ApiException, kubernetes.config.ConfigException, urllib3.exceptions.HTTPError) as error:
        raise ClusterError(f"The Kubernetes API server that {path} names does not answer: {str(error)[:300]}") from error
    newest = max(secrets, key=lambda secret: int(secret.metadata.labels["version"]), default=None)
    masters = ready(pods, "master")
    return {
        "namespace": namespace,
        "release": {"name": release, "revision": int(newest.metadata.labels["version"]), "status": newest.metadata.labels["status"],
                    "chart": chart(newest), "image": image(pods)} if newest else None,
        "masters": masters,
        "workers": ready(pods, "worker"),
        "fuse": ready(pods, "fuse"),
        "capacity": capacity(core, namespace, [item["pod"] for item in masters if item["ready"]]),
        "claims": [{"name": claim.metadata.name, "phase": claim.status.phase} for claim in claims],
        "volumes": [{"name": volume.metadata.name, "phase": volume.status.phase} for volume in volumes],
        "operator": operator(operators),
        "held": held(waiting),
    }


def chart(secret: Any) -> str:
    """Return name and version of the chart in one of helm's secrets: JSON, compressed, and encoded twice (once by helm, once by the API)."""
    packed = base64.b64decode(base64.b64decode(secret.data["release"]))
    metadata = json.loads(gzip.decompress(packed))["chart"]["metadata"]
    return f"{metadata['name']}-{metadata['version']}"


def image(pods: Iterable[Any]) -> str | None:
    """Return the image that the release's pods run."""
    return next((pod.spec.containers[0].image for pod in pods), None)


def capacity(core: Any, namespace: str, masters: list[str]) -> dict[str, int] | None:
    """Return total and used bytes from the first master that answers, through the API server."""
    for name in masters:
        try:
            answer = core.connect_get_namespaced_pod_proxy_with_path(
                f"{name}:19999", namespace, "api/v1/master/info", _preload_content=False, _request_timeout=5)
            found = json.loads(answer.data)["capacity"]
            return {"total": int(found["total"]), "used": int(found["used"])}
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, ValueError, KeyError):
            continue
    return None


def table(found: dict[str, Any]) -> rich.table.Table:
    """Return the state as a table."""
    wide = [rich.table.Column(name, overflow="fold") for name in ("name", "where")]
    result = rich.table.Table("what", *wide, "state", title=f"Alluxio in namespace {found['namespace']}")
    release = found["release"]
    if release:
        result.add_row("release", f"{release['name']} revision {release['revision']}", release["chart"], release["status"])
        result.add_row("image", release["image"] or "", "", "")
    else:
        result.add_row("release", "", "", "not there")
    for kind, key in (("master", "masters"), ("worker", "workers"), ("FUSE mount", "fuse"), ("operator", "operator")):
        for item in found[key]:
            state = "Ready" if item["ready"] else "not Ready"
            result.add_row(kind, item["pod"], item["node"] or "", state + (f", restarts: {item['restarts']}" if item["restarts"] else ""))
    use = found["capacity"]
    result.add_row("capacity", "", "", f"{mib(use['used'])} of {mib(use['total'])} used" if use else "no master answers")
    for kind, key in (("claim", "claims"), ("volume", "volumes")):
        for item in found[key]:
            result.add_row(kind, item["name"], "", item["phase"])
    for name in found["held"]:
        waits = "for its data sets" if any(item["ready"] for item in found["operator"]) else "for the operator, none of whose pods is Ready"
        result.add_row("held pod", name, "", f"waits {waits}")
    return result
