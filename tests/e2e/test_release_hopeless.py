"""Upgrades that cannot succeed: each is put back, name space and content are as they were, and a deploy finds nothing to do."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from reading import knob, nodes, ssh, sums

from alnair_runner import Alnair

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200), pytest.mark.usefixtures("content")]
# What is changed above the inventory's values, and what the failure must tell of it.
VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "a property that stops the master": ({"properties": {"alluxio.master.metastore": "NO_SUCH"}}, "MetastoreType"),
    "a JVM option that is none": ({"jvmOptions": ["-XX:+NoSuchOption"]}, "NoSuchOption"),
    "a memory limit that kills": (
        {"jvmOptions": None, "master": {"resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}}}, "OOMKilled|exit code"),
    "a worker that does not start": ({"worker": {"properties": {"alluxio.worker.block.annotator.class": "no.such.Class"}}}, "alluxio-worker"),
    "a FUSE that does not mount": ({"fuse": {"mountOptions": "allow_other,no_such_option"}}, "alluxio-fuse"),
    "nodes that are not there": ({"fuse": {"nodeSelector": {"alnair.io/nowhere": "true"}}}, "no node matches"),
    "a claim that is not there": ({"mounts": [{"name": "no-such-claim", "path": "/none"}]}, "no-such-claim"),
    "a user that may not read the journal": ({"user": 4711, "group": 4711}, "is not user 4711's; it belongs to 1000:1000, mode 700"),
    "a job worker without memory": ({"jobWorker": {"jvmOptions": ["-Xmx1"]}}, "alluxio-job-worker"),
}  # fmt: skip
IMAGES = {
    "an image that is not there": ({"alluxio_chart_image_tag": "not-there"}, "not-there"),
    "an image that is no Alluxio": ({"alluxio_chart_image": "localhost/alnair-client", "alluxio_chart_image_tag": "1"}, "tini"),
}


def names(execute: Callable[..., str]) -> list[str]:
    """Return all paths that the master knows."""
    return sorted(line.split()[-1] for line in execute("alluxio-master-0", "alluxio fs ls -R /", "alluxio-master").splitlines())


def put_back(cluster: Alnair, variables: dict[str, Any], reason: str) -> None:
    """Upgrade in vain."""
    began = time.monotonic()
    result = cluster.upgrade(extra_vars={"alluxio_chart_timeout": 75, **variables})
    assert result.status == "failed"
    message = result.failures[-1].message
    assert any(word in message for word in reason.split("|")), message
    assert "was put back and is Ready again" in message
    print(f"put back after {time.monotonic() - began:.0f} s: {' '.join(message.split())[:300]}")


@pytest.mark.parametrize("what", [*VALUES, *IMAGES])
def test_an_upgrade_that_cannot_succeed(cluster: Alnair, content: set[str], execute: Callable[..., str], tmp_path: Path, what: str) -> None:
    before = names(execute)
    variables, reason = IMAGES.get(what, ({}, ""))
    if what in VALUES:
        values, reason = VALUES[what]
        variables = {"alluxio_chart_values": merged([knob("alluxio_chart_values"), values])}
        if "mounts" in values:
            variables = {"alluxio_chart_mounts": knob("alluxio_chart_mounts") + values["mounts"]}
    put_back(cluster, {"alluxio_chart_backup_directory": str(tmp_path), **variables}, reason)
    assert names(execute) == before
    assert sums() == dict.fromkeys(nodes(), content)


def test_an_upgrade_onto_a_corrupt_journal(cluster: Alnair, content: set[str], execute: Callable[..., str], tmp_path: Path) -> None:
    before = names(execute)
    address = next(iter(nodes("alluxio_masters").values()))
    line = "for file in $(find /mnt/fuse/alluxio-journal/FileSystemMaster -type f); do head -c 4096 /dev/urandom > $file; done"
    subprocess.run(ssh(address, line), check=True)
    put_back(cluster, {"alluxio_chart_backup_directory": str(tmp_path), "alluxio_chart_image_tag": "2.9.3"}, "alluxio-master|wait-for-master")
    assert names(execute) == before
    assert sums() == dict.fromkeys(nodes(), content)


@pytest.fixture
def full_claim(core: Any) -> Iterator[dict[str, Any]]:
    """Values with a claim for the master's metastore whose volume is full, down to its inodes."""
    name, address = next(iter(nodes("alluxio_masters").items()))
    claim = "alluxio-metastore-alluxio-master-0"
    subprocess.run(ssh(address, "mkdir -p /run/full && mount -t tmpfs -o size=64k,nr_inodes=1,mode=0777 full /run/full"), check=True)
    there = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}]}
    core.create_persistent_volume({"metadata": {"name": "full"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "local": {"path": "/run/full"},
        "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "alluxio", "name": claim}, "nodeAffinity": {"required": there}}})  # fmt: skip
    yield {"metastore": {"mountPath": "/metastore", "size": "1Gi", "storageClass": "standard", "accessModes": ["ReadWriteOnce"]}}
    with contextlib.suppress(kubernetes.client.ApiException):
        core.delete_namespaced_persistent_volume_claim(claim, "alluxio")
    core.delete_persistent_volume("full")
    subprocess.run(ssh(address, "umount /run/full && rmdir /run/full"), check=True)


def test_an_upgrade_onto_a_claim_that_is_full(
    cluster: Alnair, content: set[str], execute: Callable[..., str], tmp_path: Path, full_claim: dict[str, Any]
) -> None:
    before = names(execute)
    values = merged([knob("alluxio_chart_values"), full_claim])
    put_back(cluster, {"alluxio_chart_backup_directory": str(tmp_path), "alluxio_chart_values": values}, "No space left")
    assert names(execute) == before
    assert sums() == dict.fromkeys(nodes(), content)


def test_all_of_them_leave_nothing_to_do(cluster: Alnair) -> None:
    after = cluster.deploy()
    assert (after.status, after.changed) == ("successful", 0), after.failures
