"""What of the inventory becomes objects of the cluster, and who uses the cache."""

from __future__ import annotations

from typing import Any

from ansible_collections.alnair.alluxio.plugins.filter.cluster import cache_consumers, journal_volumes, label_patches


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def test_labels_are_given_and_taken_and_left_alone() -> None:
    nodes = [node("new"), node("right", role="true"), node("old", role="true"), node("other")]
    patches = label_patches(nodes, {"role": ["new", "right"]})
    assert {patch["metadata"]["name"]: patch["metadata"]["labels"] for patch in patches} == {"new": {"role": "true"}, "old": {"role": None}}


def test_each_master_has_a_volume_of_its_own_on_its_node() -> None:
    hosts = [{"inventory_hostname": "a"}, {"inventory_hostname": "b", "alluxio_node_name": "node-b"}]
    volumes = journal_volumes(hosts, "r", "ns", "/journal", "1Gi", "standard", "local")
    assert [volume["spec"]["claimRef"]["name"] for volume in volumes] == ["alluxio-journal-r-master-0", "alluxio-journal-r-master-1"]
    terms = volumes[1]["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["node-b"]


def pod(name: str, path: str, phase: str = "Running", propagation: str = "None", **labels: str) -> dict[str, Any]:
    mounts = [{"name": "data", "mountPath": "/data", "mountPropagation": propagation}]
    return {
        "metadata": {"name": name, "namespace": "train", "labels": labels},
        "spec": {"volumes": [{"name": "data", "hostPath": {"path": path}}], "containers": [{"name": "a", "volumeMounts": mounts}]},
        "status": {"phase": phase},
    }


def test_only_living_pods_below_the_mount_are_consumers() -> None:
    pods = [pod("a", "/mnt/alluxio-fuse/data"), pod("b", "/mnt/alluxio-fuse-2"), pod("c", "/mnt/alluxio-fuse", "Succeeded")]
    assert cache_consumers(pods, "/mnt/alluxio-fuse", "alluxio", "alluxio") == ["train/a"]
    assert cache_consumers(pods, "/mnt/alluxio-fuse/", "alluxio", "alluxio") == ["train/a"]
    assert cache_consumers([pod("own", "/mnt/alluxio-fuse", release="r")], "/mnt/alluxio-fuse", "train", "r") == []


def test_a_pod_that_has_the_folder_above_is_a_consumer_where_it_sees_mounts_come() -> None:
    # Monitoring agents mount the root of the node, which is no use of the cache.
    pods = [pod("a", "/mnt/", propagation="HostToContainer"), pod("b", "/mnt"), pod("agent", "/", propagation="HostToContainer"),
            pod("other-fuse", "/mnt", propagation="Bidirectional")]  # fmt: skip
    assert cache_consumers(pods, "/mnt/alluxio-fuse", "alluxio", "alluxio") == ["train/a"]


def test_a_pod_with_a_claim_of_a_folder_of_the_cache_is_a_consumer() -> None:
    claims = [{"metadata": {"namespace": "train", "name": name}, "spec": {"volumeName": volume}} for name, volume in (("images", "cached"), ("other", "disk"))]
    volumes = [
        {"metadata": {"name": "cached"}, "spec": {"hostPath": {"path": "/mnt/alluxio-fuse/images"}}},
        {"metadata": {"name": "disk"}, "spec": {"csi": {}}},
    ]
    pods = [pod(name, "") for name in ("images", "other", "unbound")]
    for item in pods:
        item["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": item["metadata"]["name"]}}]
    assert cache_consumers(pods, "/mnt/alluxio-fuse", "alluxio", "alluxio", claims, volumes) == ["train/images"]
