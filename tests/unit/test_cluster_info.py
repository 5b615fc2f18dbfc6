"""What is read of nodes and pods: page by page, and no more of a pod than what a scheduler counts."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils import capacity, kube
from ansible_collections.alnair.alluxio.plugins.modules import cluster_info

POD = {
    "metadata": {"name": "p", "namespace": "n", "labels": {"release": "r"}, "annotations": {"long": "text"}, "managedFields": [{}]},
    "spec": {
        "nodeName": "w", "overhead": {"memory": "16Mi"}, "volumes": [{"name": "v"}],
        "containers": [{"name": "c", "image": "i", "env": [{"name": "SECRET"}], "resources": {"requests": {"memory": "1Gi"}}}, {"name": "d"}],
        "initContainers": [{"name": "e", "restartPolicy": "Always", "resources": {"requests": {"memory": "1Mi"}}}, {"resources": {"requests": {"memory": "2Gi"}}}],
    },
    "status": {"phase": "Running"},
}  # fmt: skip


class Core:
    """Stands for CoreV1Api; lists in pages of two."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items, self.asked = items, list[dict[str, Any]]()
        self.api_client = SimpleNamespace(kubeconfig="/home/me/config")

    def list_pod_for_all_namespaces(self, **options: Any) -> Any:
        self.asked.append(options)
        first = int(options.get("_continue", 0))
        more = {"continue": str(first + 2)} if first + 2 < len(self.items) else {}
        return SimpleNamespace(data=json.dumps({"metadata": more, "items": self.items[first : first + 2]}))


def test_all_pages_are_read() -> None:
    core = Core(*[{"number": number} for number in range(5)])
    assert [item["number"] for item in kube.listed(core.list_pod_for_all_namespaces, field_selector="x=y")] == list(range(5))
    assert {options["field_selector"] for options in core.asked} == {"x=y"}
    assert [options.get("_continue") for options in core.asked] == [None, "2", "4"]


def test_a_pod_is_told_by_who_it_is_and_what_a_scheduler_counts() -> None:
    lean = cluster_info.lean_pod(json.loads(json.dumps(POD)))
    assert capacity.asked(lean, "memory") == capacity.asked(POD, "memory") == Decimal(2 * 2**30 + 16 * 2**20)
    assert lean["metadata"] == {"name": "p", "namespace": "n", "labels": {"release": "r"}}
    assert lean["spec"]["nodeName"] == "w"
    assert "SECRET" not in json.dumps(lean)


def test_a_node_is_told_without_its_images() -> None:
    node = {"metadata": {"name": "w", "labels": {"a": "b"}, "managedFields": [{}]}, "spec": {}, "status": {"images": [{}], "allocatable": {"cpu": "2"}}}
    assert cluster_info.lean_node(node) == {"metadata": {"name": "w", "labels": {"a": "b"}}, "spec": {}, "status": {"allocatable": {"cpu": "2"}}}


def node(name: str, status: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": status}]}}


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that goes by in sleeps alone; what was slept."""
    slept = list[float]()
    monkeypatch.setattr(cluster_info.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(cluster_info.time, "sleep", slept.append)
    return slept


def test_a_node_that_is_not_ready_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch, passed: list[float]) -> None:
    answers = iter([[node("w", "Unknown"), node("x", "False")], [node("w", "True"), node("x", "False")]])
    monkeypatch.setattr(kube, "listed", lambda _call: next(answers))
    found = cluster_info.nodes(SimpleNamespace(list_node=None), ["w"])
    assert [cluster_info.is_ready(item) for item in found] == [True, False]
    assert sum(passed) < 5


def test_a_node_that_stays_away_is_told_after_a_minute(monkeypatch: pytest.MonkeyPatch, passed: list[float]) -> None:
    monkeypatch.setattr(kube, "listed", lambda _call: [node("w", "Unknown")])
    assert not cluster_info.is_ready(cluster_info.nodes(SimpleNamespace(list_node=None), ["w", "gone"])[0])
    assert 60 <= sum(passed) <= 64


def test_nobody_waits_for_nodes_that_are_no_matter(monkeypatch: pytest.MonkeyPatch, passed: list[float]) -> None:
    monkeypatch.setattr(kube, "listed", lambda _call: [node("w", "Unknown")])
    cluster_info.nodes(SimpleNamespace(list_node=None), [])
    assert passed == []
