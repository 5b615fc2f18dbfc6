"""The state of a release, read through the Kubernetes API."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Any

import rich.table

from alnair import cluster, masters


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
        {
            "pod": pod.metadata.name,
            "node": pod.spec.node_name,
            "ready": whole(pod),
            "restarts": sum(item.restart_count for item in pod.status.container_statuses or []),
        }
        for pod in pods
        if (pod.metadata.labels or {}).get("app.kubernetes.io/name") == "alnair-operator"
    ]


def held(pods: Iterable[Any]) -> list[str]:
    """Return namespace/name of the pods that wait for their data sets."""
    return [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods if "alnair.io/dataset" in [gate.name for gate in pod.spec.scheduling_gates or []]]


def read(knobs: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a release.

    Args:
        knobs: alluxio_kubeconfig, alluxio_kube_context, alluxio_namespace and alluxio_release.

    Returns:
        release (name, revision, status, chart with its version, image), masters, workers, fuse (pods with node and readiness), capacity (total and used, bytes;
        None when no master answers), claims and volumes (name and phase), operator (its pods) and held (pods that wait for their data sets).

    Raises:
        ClusterError: there is no kubeconfig or the API server does not answer.
    """
    import kubernetes

    namespace, release = knobs["alluxio_namespace"], knobs["alluxio_release"]
    with cluster.asked(knobs) as client:
        core: Any = kubernetes.client.CoreV1Api(client)
        pods = core.list_namespaced_pod(namespace, label_selector=f"release={release}", **cluster.LIMITS).items
        secrets = core.list_namespaced_secret(namespace, label_selector=f"owner=helm,name={release}", **cluster.LIMITS).items
        claims = core.list_namespaced_persistent_volume_claim(namespace, **cluster.LIMITS).items
        operators = core.list_namespaced_pod(namespace, label_selector="app.kubernetes.io/name=alnair-operator", **cluster.LIMITS).items
        waiting = core.list_pod_for_all_namespaces(field_selector="status.phase=Pending", **cluster.LIMITS).items
        volumes = core.list_persistent_volume(label_selector=f"release={release}", **cluster.LIMITS).items
    newest = max(secrets, key=lambda secret: int(secret.metadata.labels["version"]), default=None)
    return {
        "namespace": namespace,
        "release": {
            "name": release,
            "revision": int(newest.metadata.labels["version"]),
            "status": newest.metadata.labels["status"],
            "chart": chart(newest),
            "image": image(pods),
        }
        if newest
        else None,
        "masters": ready(pods, "master"),
        "workers": ready(pods, "worker"),
        "fuse": ready(pods, "fuse"),
        "capacity": capacity(core, [pod for pod in pods if (pod.metadata.labels or {}).get("role") == "alluxio-master" and whole(pod)]),
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


def capacity(core: Any, pods: Iterable[Any]) -> dict[str, int] | None:
    """Return total and used bytes from the first master that answers."""
    return next((found for pod in pods if (found := masters.capacity(core, pod))), None)


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
