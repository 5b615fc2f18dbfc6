"""Which master leads, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from alnair.errors import ClusterError
from alnair.home import shared

CONTAINER, WEB = "alluxio-master", 19999


def web_port(pod: Any) -> int:
    """Return the port of a master's web page."""
    ports = [port for container in pod.spec.containers if container.name == CONTAINER for port in container.ports or []]
    return next((int(port.container_port) for port in ports if port.name == "web"), WEB)


def ask(core: Any, pod: Any, path: str) -> dict[str, Any] | None:
    """Return what a master answers on a path of its web port, through the API server; None where it does not, as masters that do not lead do not."""
    import kubernetes
    import urllib3

    try:
        answer = core.connect_get_namespaced_pod_proxy_with_path(
            f"{pod.metadata.name}:{web_port(pod)}", pod.metadata.namespace, path, _preload_content=False, _request_timeout=5
        )
        found = json.loads(answer.data)
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def metrics(core: Any, pod: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what a master measures, by kind (gauges, counters) and name; nothing where it does not lead."""
    found = ask(core, pod, "metrics/json/") or {}
    return found if shared("primacy").leads(found.get("gauges") or {}) else {}


def measures(core: Any, pod: Any) -> dict[str, dict[str, int]] | None:
    """Return bytes of all workers as a master knows them; None where it does not lead.

    ``capacity`` is ``total`` and ``used``; ``reads`` what was read from ``cache`` and (under) ``storage`` since it leads, loads and reading ahead among that.
    """
    found = metrics(core, pod)
    counters = found.get("counters") or {}
    read = {word: int(counters.get(f"Cluster.BytesRead{word}", {}).get("count", 0)) for word in ("Local", "Cache", "UfsAll")}
    try:
        return {
            "capacity": {word: int(found["gauges"][f"Cluster.Capacity{word.capitalize()}"]["value"]) for word in ("total", "used")},
            # Local is what clients read past the workers, by short circuit.
            "reads": {"cache": read["Local"] + read["Cache"], "storage": read["UfsAll"]},
        }
    except (KeyError, TypeError):
        return None


def of_release(core: Any, namespace: str, release: str) -> list[Any]:
    """Return the pods of a release's masters.

    Raises:
        ClusterError: there are none.
    """
    found: list[Any] = core.list_namespaced_pod(namespace, label_selector=f"release={release},role=alluxio-master", _request_timeout=10).items
    if not found:
        raise ClusterError(f"Release {release} has no master in namespace {namespace}. Deploy it first: alnair_runner.py deploy")
    return found


def leader(core: Any, pods: Iterable[Any]) -> Any | None:
    """Return the pod of the master that leads, None where none answers."""
    return next((pod for pod in pods if metrics(core, pod)), None)


def running(pods: Iterable[Any]) -> Any | None:
    """Return the first pod whose master's container runs, None where there is none."""
    for pod in pods:
        if any(status.name == CONTAINER and status.state and status.state.running for status in pod.status.container_statuses or []):
            return pod
    return None
