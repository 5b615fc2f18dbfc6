"""What of the inventory becomes objects of the cluster, and what fits on its nodes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.filter.cluster import cache_consumers, journal_volumes, label_patches, memory_shortfalls, merged, quantity


def node(name: str, memory: str = "8Gi", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"memory": memory}}}


def tier(quota: str) -> dict[str, Any]:
    return {"tieredstore": {"levels": [{"mediumtype": "MEM", "quota": quota}]}}


def test_gi_and_g_are_what_kubernetes_says() -> None:
    assert quantity("1Gi") == 2**30
    assert quantity("1G") == 10**9
    assert quantity("0.5Gi") == 2**29
    with pytest.raises(ValueError, match="50Gib"):
        quantity("50Gib")


def test_a_quota_above_the_nodes_memory_is_named_with_the_node() -> None:
    found = memory_shortfalls([node("small", "4Gi"), node("big", "64Gi")], ["small", "big"], tier("3Gi"), [], {})
    assert len(found) == 1
    assert "node small has 4096 MiB" in found[0]


def test_a_limit_below_the_quota_is_named() -> None:
    found = memory_shortfalls([node("big", "64Gi")], ["big"], tier("50Gi"), [], {})
    assert any("limit 4Gi does not hold" in sentence for sentence in found)


def test_later_values_win_and_what_fits_is_silent() -> None:
    assert memory_shortfalls([node("a")], ["a"], tier("50Gi"), [tier("20Gi")], tier("1Gi")) == []
    assert merged([{"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}]) == {"a": {"b": 3, "c": 2}}


def test_labels_are_given_and_taken_and_left_alone() -> None:
    nodes = [node("new"), node("right", role="true"), node("old", role="true"), node("other")]
    patches = label_patches(nodes, {"role": ["new", "right"]})
    assert {patch["metadata"]["name"]: patch["metadata"]["labels"] for patch in patches} == {"new": {"role": "true"}, "old": {"role": None}}


def test_each_master_has_a_volume_of_its_own_on_its_node() -> None:
    hosts = [{"inventory_hostname": "a"}, {"inventory_hostname": "b", "alluxio_node_name": "node-b"}]
    volumes = journal_volumes(hosts, "r", "ns", "/journal", "1Gi", "standard")
    assert [volume["spec"]["claimRef"]["name"] for volume in volumes] == ["alluxio-journal-r-master-0", "alluxio-journal-r-master-1"]
    terms = volumes[1]["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["node-b"]


def pod(name: str, path: str, phase: str = "Running", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "train", "labels": labels},
        "spec": {"volumes": [{"hostPath": {"path": path}}]},
        "status": {"phase": phase},
    }


def test_only_living_pods_below_the_mount_are_consumers() -> None:
    pods = [pod("a", "/mnt/alluxio-fuse/data"), pod("b", "/mnt/alluxio-fuse-2"), pod("c", "/mnt/alluxio-fuse", "Succeeded")]
    assert cache_consumers(pods, "/mnt/alluxio-fuse", "alluxio", "alluxio") == ["train/a"]
    assert cache_consumers([pod("own", "/mnt/alluxio-fuse", release="r")], "/mnt/alluxio-fuse", "train", "r") == []
