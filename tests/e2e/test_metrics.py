"""The dashboard shows metrics that this Alluxio exports, by the names under which it exports them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from conftest import HOME, NAMESPACE, ROOT

DASHBOARD = HOME / "charts" / "alluxio" / "dashboards" / "alluxio.json"


def queried() -> set[str]:
    """What the dashboard's queries ask for, each as a pattern of a metric's name."""
    queries = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", [])]
    names = {name for query in queries for name in re.findall(r"([A-Za-z_]\w*)\{", query)}
    return names | {pattern for query in queries for pattern in re.findall(r'__name__=~"([^"]+)"', query)}


def exported(core: Any, role: str) -> set[str]:
    """Names of the metrics of a part's pods, from the port that Prometheus would ask."""
    pods = core.list_namespaced_pod(NAMESPACE, label_selector=f"app=alluxio,role=alluxio-{role}").items
    found: set[str] = set()
    for pod in pods:
        ports = [port.container_port for item in pod.spec.containers for port in item.ports or [] if port.name == "web"]
        assert ports, f"{pod.metadata.name} has no port of the name web: is metrics.enabled true?"
        # As text, not as what the client would make of it.
        answer = core.connect_get_namespaced_pod_proxy_with_path(f"{pod.metadata.name}:{ports[0]}", NAMESPACE, "metrics/prometheus/", _preload_content=False)
        found |= {line.split("{")[0].split(" ")[0] for line in answer.data.decode().splitlines() if not line.startswith("#")}
    return found


def test_each_metric_of_the_dashboard_is_exported(core: Any, execute: Callable[..., str]) -> None:
    # Operations of FUSE are counted from the first one on; Alluxio's root belongs to the user of the pods.
    execute("alluxio-master-0", "alluxio fs test -d /metrics || alluxio fs mkdir /metrics; alluxio fs chmod 777 /metrics", "alluxio-master")
    for pod in core.list_namespaced_pod(NAMESPACE, label_selector="role=alluxio-fuse").items:
        file = f"{ROOT}/metrics/{pod.metadata.name}"
        execute(pod.metadata.name, f"echo once > {file}; ls {ROOT}/metrics > /dev/null; cat {file} > /dev/null; rm {file}")
    names = set().union(*(exported(core, role) for role in ("master", "worker", "fuse")))
    assert {pattern for pattern in queried() if not any(re.fullmatch(pattern, name) for name in names)} == set()
    assert any(name.startswith("Client_Fuse_") for name in names)
