"""Prometheus finds every part, and Grafana the dashboard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chart_tools import CHART, find, options, pod_specs, render

METRICS: dict[str, Any] = {
    "enabled": True,
    "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"team": "a"}},
    "prometheusRule": {"enabled": True, "labels": {"team": "a"}},
    "dashboard": {"enabled": True},
}
VALUES = {"metrics": METRICS, "fuse": {"enabled": True}, "proxy": {"enabled": True}}


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((CHART / "dashboards" / "alluxio.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_the_monitor_asks_every_part_by_a_service_of_the_release() -> None:
    manifests = render(VALUES)
    # Its schema comes with the Prometheus operator and not with Kubernetes.
    assert find(manifests, "ServiceMonitor", "alluxio")["apiVersion"] == "monitoring.coreos.com/v1"
    spec = find(manifests, "ServiceMonitor", "alluxio")["spec"]
    assert spec == {
        "selector": {"matchLabels": {"app": "alluxio", "release": "alluxio", "role": "alluxio-metrics"}},
        "podTargetLabels": ["release", "role"],
        "endpoints": [{"port": "web", "path": "/metrics/prometheus/", "interval": "15s"}],
    }
    assert find(manifests, "ServiceMonitor", "alluxio")["metadata"]["labels"]["team"] == "a"
    service = find(manifests, "Service", "alluxio-metrics")
    wanted = spec["selector"]["matchLabels"]
    assert [item["metadata"]["name"] for item in manifests if item["kind"] == "Service" and wanted.items() <= item["metadata"]["labels"].items()] == [
        "alluxio-metrics"
    ]
    assert service["spec"]["ports"] == [{"name": "web", "port": 80, "targetPort": "web"}]
    for template in (item["spec"]["template"] for item in manifests if "template" in item.get("spec", {})):
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def test_each_part_has_a_port_of_the_name_that_the_service_asks_for() -> None:
    ports = {
        title: [port["containerPort"] for item in pod["containers"] for port in item.get("ports", []) if port["name"] == "web"]
        for title, pod in pod_specs(render(VALUES))
        if title.startswith(("StatefulSet/", "DaemonSet/"))
    }
    assert ports == {
        "StatefulSet/alluxio-master": [19999],
        "DaemonSet/alluxio-worker": [30000],
        "DaemonSet/alluxio-fuse": [49999],
        "DaemonSet/alluxio-proxy": [39999],
    }
    assert options(render(VALUES), "ALLUXIO_FUSE_JAVA_OPTS")["alluxio.fuse.web.enabled"] == "true"
    assert options(render(VALUES), "ALLUXIO_MASTER_JAVA_OPTS")["alluxio.standby.master.web.enabled"] == "true"


def test_the_dashboard_lies_where_grafanas_sidecar_looks() -> None:
    dashboard = find(render(VALUES), "ConfigMap", "alluxio-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["alluxio.json"]) == json.loads((CHART / "dashboards" / "alluxio.json").read_text())


@pytest.mark.parametrize(
    ("metrics", "there"),
    [
        ({"serviceMonitor": {"enabled": False}}, {"ConfigMap", "PrometheusRule"}),
        ({"prometheusRule": {"enabled": False}}, {"ConfigMap", "Service", "ServiceMonitor"}),
        ({"dashboard": {"enabled": False}}, {"PrometheusRule", "Service", "ServiceMonitor"}),
    ],
)
def test_none_is_there_unless_it_is_asked_for(metrics: dict[str, Any], there: set[str]) -> None:
    ours = {("ConfigMap", "alluxio-dashboard"), ("PrometheusRule", "alluxio"), ("Service", "alluxio-metrics"), ("ServiceMonitor", "alluxio")}
    assert {item["kind"] for item in render({**VALUES, "metrics": {**METRICS, **metrics}}) if (item["kind"], item["metadata"]["name"]) in ours} == there


@pytest.mark.parametrize(("what", "kind", "name"), [("serviceMonitor", "ServiceMonitor", "alluxio"), ("prometheusRule", "PrometheusRule", "alluxio"),
                                                   ("dashboard", "ConfigMap", "alluxio-dashboard")])  # fmt: skip
def test_a_label_of_the_user_wins_over_the_charts(what: str, kind: str, name: str) -> None:
    labels = find(render({"metrics": {"enabled": True, what: {"enabled": True, "labels": {"release": "prometheus"}}}}), kind, name)["metadata"]["labels"]
    assert (labels["release"], labels["app"]) == ("prometheus", "alluxio")


def test_every_query_is_of_one_release_and_every_panel_has_its_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel["targets"]:
            assert target["expr"].count("{") == target["expr"].count('namespace="$namespace",release="$release"'), panel["title"]
    identities = [panel["id"] for panel in panels()]
    assert len(set(identities)) == len(identities)
