"""The state of a release, read through the Kubernetes API."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import rich.table

from alnair import cluster, masters


def mib(count: float) -> str:
    """Return bytes in words."""
    return f"{count / 2**20:.0f} MiB"


def ready(pods: Iterable[Any], role: str) -> list[dict[str, Any]]:
    """Return name, node and readiness of the pods of a role."""
    return [described(pod) for pod in pods if pod.metadata.labels.get("role") == f"alluxio-{role}"]


def described(pod: Any) -> dict[str, Any]:
    """Return name, node, readiness and restarts of a pod."""
    restarts = sum(status.restart_count for status in pod.status.container_statuses or [])
    return {"pod": pod.metadata.name, "node": pod.spec.node_name, "ready": whole(pod), "restarts": restarts}


def whole(pod: Any) -> bool:
    """Tell whether all containers of a pod are Ready."""
    statuses = pod.status.container_statuses or []
    return bool(statuses) and all(status.ready for status in statuses)


def operator(pods: Iterable[Any]) -> list[dict[str, Any]]:
    """Return name, node and readiness of the operator's pods."""
    return [described(pod) for pod in pods if (pod.metadata.labels or {}).get("app.kubernetes.io/name") == "alnair-operator"]


def held(pods: Iterable[Any]) -> list[str]:
    """Return namespace/name of the pods that wait for their data sets."""
    return [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods if "alnair.io/dataset" in [gate.name for gate in pod.spec.scheduling_gates or []]]


def read(knobs: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a release.

    Args:
        knobs: alluxio_kubeconfig, alluxio_kube_context, alluxio_namespace and alluxio_release.

    Returns:
        release (name, revision, status, chart with its version, image), masters, workers, fuse (pods with node and readiness), leader (name of the pod of
        the master that leads, None when none answers), capacity (total and used)
        and reads (from cache and under storage since the master leads; both in bytes, and None when no master answers), claims and volumes (name and
        phase), operator (its pods) and held (pods that wait for their data sets).

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
        measured = measures(core, [pod for pod in pods if (pod.metadata.labels or {}).get("role") == "alluxio-master" and whole(pod)])
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
        "leader": measured and measured["leader"],
        "capacity": measured and measured["capacity"],
        "reads": measured and measured["reads"],
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


def measures(core: Any, pods: Iterable[Any]) -> dict[str, Any] | None:
    """Return what the first master measures that leads, and the name of its pod as leader; None where none does."""
    return next(({**found, "leader": pod.metadata.name} for pod in pods if (found := masters.measures(core, pod))), None)


def hit_ratio(reads: dict[str, int] | None) -> float | None:
    """Return the part of what was read that came from the cache, None where nothing was read or no master answers."""
    return reads["cache"] / total if reads and (total := sum(reads.values())) else None


def counted(states: list[str]) -> str:
    """Return how many are in each state, in words."""
    return ", ".join(f"{count} {state}" for state, count in Counter(states).items())


def table(found: dict[str, Any], *, most: int | None = None) -> rich.table.Table:
    """Return the state as a table.

    Args:
        found: What :func:`read` returned.
        most: How many of a kind are named that are not as they should be; all others are only counted, and no name takes a second line. By default all
            are named, whole.
    """
    brief = most is not None
    wide = [rich.table.Column(name, overflow="ellipsis" if brief else "fold") for name in ("name", "where")]
    result = rich.table.Table("what", *wide, "state", title=f"Alluxio in namespace {found['namespace']}")
    release = found["release"]
    if release:
        result.add_row("release", f"{release['name']} revision {release['revision']}", release["chart"], release["status"])
        if not brief:
            result.add_row("image", release["image"] or "", "", "")
    else:
        result.add_row("release", "", "", "not there")
    use = found["capacity"]
    result.add_row("capacity", "", "", f"{mib(use['used'])} of {mib(use['total'])} used" if use else "no master answers")
    ratio = hit_ratio(found["reads"])
    unknown = "nothing was read yet" if found["reads"] else "no master answers"
    result.add_row("hit ratio", "", "", unknown if ratio is None else f"{ratio:.0%} since the master leads")
    for kind, key in (("master", "masters"), ("worker", "workers"), ("FUSE mount", "fuse"), ("operator", "operator")):
        listed = found[key]
        if brief and listed:
            result.add_row(kind, "", "", counted(["Ready" if item["ready"] else "not Ready" for item in listed]))
            leading = [item for item in listed if item["pod"] == found["leader"]]
            listed = leading + [item for item in listed if not item["ready"] and item not in leading][:most]
        for item in listed:
            state = ("Ready" if item["ready"] else "not Ready") + (", leads" if item["pod"] == found["leader"] else "")
            result.add_row(kind, item["pod"], item["node"] or "", state + (f", restarts: {item['restarts']}" if item["restarts"] else ""))
    for kind, key in (("claim", "claims"), ("volume", "volumes")):
        listed = found[key]
        if brief and listed:
            result.add_row(kind, "", "", counted([item["phase"] for item in listed]))
            listed = [item for item in listed if item["phase"] != "Bound"][:most]
        for item in listed:
            result.add_row(kind, item["name"], "", item["phase"])
    waits = "for its data sets" if any(item["ready"] for item in found["operator"]) else "for the operator, none of whose pods is Ready"
    if brief and found["held"]:
        result.add_row("held pod", "", "", f"{len(found['held'])} held")
    for name in found["held"][:most]:
        result.add_row("held pod", name, "", f"waits {waits}")
    return result
