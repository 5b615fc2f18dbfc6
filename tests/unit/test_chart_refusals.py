"""Values that cannot work are refused before anything is installed, with a sentence that says what to do; those of the public chart are taken."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from chart_matrix import TIERS
from chart_tools import default_values, find, options, refused, render


def tier(**fields: Any) -> dict[str, Any]:
    return {"tieredstore": {"levels": [{**TIERS[0], **fields}]}}


# What Alluxio 2.9.4 takes for credentials, and what it should.
CREDENTIALS = (
    "alluxio.underfs.cephfs.auth.key", "aws.accessKeyId", "aws.secretKey", "fs.adl.account.lake.oauth2.credential",
    "fs.azure.account.key.a.blob.core.windows.net", "fs.azure.account.key.a.dfs.core.windows.net", "fs.azure.account.oauth2.client.secret",
    "fs.cos.access.key", "fs.cos.secret.key", "fs.gcs.accessKeyId", "fs.gcs.secretAccessKey", "fs.kodo.accesskey", "fs.kodo.secretkey", "fs.obs.accessKey",
    "fs.obs.secretKey", "fs.oss.accessKeyId", "fs.oss.accessKeySecret", "fs.swift.password", "s3a.accessKeyId", "s3a.secretKey",
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"masters": {}}, "'masters' not allowed"),
        # Left empty, it would be 0, which is root.
        ({"user": None}, "missing property 'user'"),
        ({"master": {"cuont": 3}}, "'cuont' not allowed"),
        ({"tieredstore": {"levels": [{**TIERS[0], "qouta": "1Gi"}]}}, "'qouta' not allowed"),
        ({"master": {"count": 2}, "journal": {"type": "EMBEDDED"}}, "master.count is 2, which is no better than 1: a quorum needs a majority"),
        ({"master": {"count": 4}, "journal": {"type": "EMBEDDED"}}, "master.count is 4, which is no better than 3"),
        ({"master": {"count": 0}}, "master/count"),
        ({"master": {"count": 3}}, "Set journal.type to EMBEDDED."),
        (tier(quota="4Gi"), "worker.resources.limits.memory is 4Gi, but heap, direct memory and volumes in memory may take 4096 MiB"),
        (
            {"worker": {"jvmOptions": ["-Xmx2g", "-XX:MaxDirectMemorySize=1g"]}},
            "worker.resources.limits.memory is 4Gi, but heap, direct memory and volumes in memory may take 4096 MiB",
        ),
        *(
            ({"fuse": {"enabled": True, "jvmOptions": options}}, "fuse.resources.limits.memory is 4Gi, but heap, direct memory and volumes in memory may take")
            for options in (["-Xmx3g -XX:MaxDirectMemorySize=1g"], [" -Xmx9g"], ["-XX:MaxHeapSize=9g"], ["-Xmx1g", "-XX:MaxHeapSize=9g"], ["-ea\t-Xmx9g"])
        ),
        ({"jvmOptions": ["-ea\t-Ds3a.secretKey=hush"]}, "s3a.secretKey in properties or jvmOptions would"),
        ({"master": {"jvmOptions": ["-Xmx8g"]}}, "master.resources.limits.memory is 8Gi"),
        ({"jobMaster": {"resources": {"limits": {"memory": "512Mi"}}}, "jvmOptions": ["-Xmx600m"]}, "jobMaster.resources.limits.memory is 512Mi"),
        ({"fuse": {"enabled": True, "resources": {"limits": {"memory": "2Gi"}}}}, "fuse.resources.limits.memory is 2Gi"),
        ({"proxy": {"enabled": True, "jvmOptions": ["-Xmx4096m"]}}, "proxy.resources.limits.memory is 4Gi"),
        (
            {"shortCircuit": {"policy": "local"}, "fuse": {"enabled": True}},
            "has /dev/shm of level 0 in an emptyDir, which only the worker's pod sees. Set the level's type to hostPath, or shortCircuit.policy to uuid.",
        ),
        (
            {**tier(type="persistentVolumeClaim", name="ssd", path="/mnt/ssd"), "shortCircuit": {"policy": "local"}, "fuse": {"enabled": True}},
            "has the claim of level 0 at /mnt/ssd, in the folder of fuse.mountPoint",
        ),
        ({"fuse": {"enabled": True}, "worker": {"fuseEnabled": True}}, "two processes would mount the same path"),
        ({"fuse": {"enabled": True, "mountPoint": "/alluxio"}}, "Use a path like /mnt/alluxio-fuse."),
        ({"fuse": {"mountPoint": "mnt/fuse"}}, "fuse/mountPoint"),
        *(({"fuse": {"mountPoint": place}}, "write it in its shortest form") for place in ("/mnt/alluxio-fuse/", "/mnt//alluxio", "/mnt/my cache")),
        *(({"fuse": {"mountPoint": f"{place}/alluxio"}}, f"which {place} cannot be") for place in ("/run", "/tmp", "/run/alluxio-fuse")),
        ({"fuse": {"maxSurge": "25%"}}, "fuse/maxSurge"),
        (tier(type="persistentVolumeClaim"), "Name the claim that it lies on."),
        (tier(quota="1 Gi"), "quota"),
        (tier(quota="100K"), "quota of level 0 is 100K, whose suffix Kubernetes does not know: write 100k for thousands or 100Ki"),
        (tier(mediumtype="MEM,MEM", path="/a,/b", quota="1Mi, 100ki"), "quota of level 0 is 100ki, whose suffix Kubernetes does not know"),
        *((tier(quota=quota), f"quota of level 0 is {quota}, which holds nothing: write a size such as 512Mi") for quota in ("0", "0Gi", 0)),
        ({"journal": {"size": "100K"}}, "journal.size is 100K, whose suffix Kubernetes does not know"),
        ({"metastore": {"mountPath": "/metastore", "size": 0}}, "metastore.size is 0, which holds nothing"),
        ({"shortCircuit": {"size": "1K"}}, "shortCircuit.size is 1K, whose suffix Kubernetes does not know"),
        (tier(high=0.5, low=0.7), "of level 0 high is 0.5 and low is 0.7, but a worker frees a level from high down to low. Make high larger than low"),
        (tier(high=0.7, low=0.7), "of level 0 high is 0.7 and low is 0.7"),
        (
            {"tieredstore": {"levels": [{key: value for key, value in TIERS[0].items() if key != "low"} | {"high": 0.6}]}},
            "of level 0 high is 0.6 and low is 0.7",
        ),
        *(
            (
                {"tieredstore": {"levels": [{**TIERS[0], "level": number} for number in numbers]}},
                f"has the levels {', '.join(map(str, numbers))}, but no level {gap}",
            )
            for numbers, gap in (([0, 0], 1), ([1], 0), ([0, 2], 1), ([1, 2], 0))
        ),
        *(
            (
                {part: {"enabled": True, "resources": {"requests": {what: more}}} if part in ("fuse", "proxy") else {"resources": {"requests": {what: more}}}},
                f"{part}.resources.requests.{what} is {more}, above {part}.resources.limits.{what}, which is {limit}: Kubernetes refuses such a pod. Lower the",
            )
            for part, memory in {"master": "8Gi", "jobMaster": "8Gi", "worker": "4Gi", "jobWorker": "4Gi", "fuse": "4Gi", "proxy": "4Gi"}.items()
            for what, more, limit in (("memory", "9G", memory), ("cpu", "4500m", "4"), ("cpu", "5", "4"))
        ),
        (
            {"worker": {"ports": {"web": 29999}}},
            "worker.ports.rpc and worker.ports.web are both 29999, but are opened in one pod: give each a number of its own",
        ),
        ({"jobWorker": {"ports": {"data": 30000}}}, "worker.ports.web and jobWorker.ports.data are both 30000"),
        ({"jobMaster": {"ports": {"embedded": 19998}}}, "master.ports.rpc and jobMaster.ports.embedded are both 19998"),
        (
            {"master": {"podDisruptionBudget": None}},
            "master.podDisruptionBudget is null, which says neither yes nor no: set master.podDisruptionBudget.enabled",
        ),
        (tier(mediumtype="NVME"), "mediumtype"),
        ({"tieredstore": {"levels": []}}, "tieredstore/levels"),
        ({"worker": {"ports": {"rpc": 70000}}}, "worker/ports/rpc"),
        ({"journal": {"type": "NOOP"}}, "journal/type"),
        ({"journal": {"size": "10 GB"}}, "journal/size"),
        *(
            ({part: {"volumeType": "emptyDir", "medium": "Memory", "size": "8Gi", **more}}, "master.resources.limits.memory is 8Gi")
            for part, more in (("journal", {}), ("metastore", {"mountPath": "/metastore"}))
        ),
        ({"journal": {"ufsType": "HDFS", "folder": "hdfs://namenode:9000/journal"}}, "journal.folder is hdfs://namenode:9000/journal, of journal.ufsType HDFS"),
        ({"journal": {"type": "EMBEDDED", "folder": "hdfs://namenode:9000/journal"}}, "keeps its journal in volumes. Set it to a path such as /journal"),
        ({"journal": {"folder": None}}, "journal.folder is"),
        ({"backup": {"daily": {"enabled": True, "time": "5:00"}}}, "backup/daily/time"),
        ({"backup": {"daily": {"enabled": True, "keep": 0}}}, "backup/daily/keep"),
        ({"csi": {"enabled": True}}, "csi.enabled is true, but this chart has none: set it to false; pods use the FUSE mount"),
        ({"logserver": {"enabled": True}}, "logserver.enabled is true, but this chart has none: set it to false; kubectl logs"),
        ({"metrics": {"CsvSink": {"folder": "/tmp"}}}, "'folder' not allowed"),
        ({"networkPolicy": {"enabled": True, "namespaces": [{}]}}, "networkPolicy/namespaces/0"),
        ({"networkPolicy": {"enabled": True, "cidrs": ["10.0.0.1"]}}, "networkPolicy/cidrs/0"),
        ({"properties": {"s3a.secretKey": "hush"}}, "s3a.secretKey in properties or jvmOptions would stand in a ConfigMap"),
        ({"master": {"properties": {"aws.secretKey": "hush"}}}, "aws.secretKey in master.properties or master.jvmOptions would stand in a ConfigMap"),
        ({"jvmOptions": ["-Xmx1g", "-Ds3a.secretKey=hush"]}, "s3a.secretKey in properties or jvmOptions would"),
        ({"fuse": {"jvmOptions": ["-Xmx1g -Ds3a.accessKeyId=hush"]}}, "s3a.accessKeyId in fuse.properties or fuse.jvmOptions would"),
        ({"worker": {"fuseEnabled": True}, "fuse": {"properties": {"aws.secretKey": "hush"}}}, "aws.secretKey in fuse.properties or fuse.jvmOptions would"),
        ({"worker": {"properties": {"alluxio.user.x": "1 -Daws.secretKey=hush"}}}, "aws.secretKey in worker.properties or worker.jvmOptions would"),
        ({"properties": {"fs.azure.account.oauth2.client.secret": "hush"}}, "fs.azure.account.oauth2.client.secret in properties"),
        ({"properties": {"fs.azure.account.oauth2.client.secret.a.dfs.core.windows.net": "hush"}}, "client.secret.a.dfs.core.windows.net in properties"),
        *(({"properties": {name: "hush"}}, f"{name} in properties or jvmOptions would stand in a ConfigMap") for name in CREDENTIALS),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, "metrics.serviceMonitor.enabled is true, but there is nothing to scrape"),
        ({"metrics": {"prometheusRule": {"enabled": True}}}, "metrics.prometheusRule.enabled is true, but there is nothing to scrape"),
        ({"metrics": {"enabled": True, "PrometheusMetricsServlet": {"enabled": False}, "dashboard": {"enabled": True}}}, "there is nothing to scrape"),
    ],
)
def test_values_that_cannot_work_are_refused_with_a_sentence(values: dict[str, Any], sentence: str) -> None:
    text = refused(values)
    assert sentence in text or sentence.replace("/", ".") in text, text
    assert "hush" not in text


@pytest.mark.parametrize(
    "values",
    [
        {"csi": {"enabled": False}, "logserver": {"enabled": False}, "metrics": {"JmxSink": {"enabled": False}, "ConsoleSink": {"enabled": False}}},
        {"master": {"replicas": 1}, "journal": {"runFormat": False}, "fuse": {"args": ["fuse"], "clientEnabled": True}},
        {"master": {"count": 5}, "journal": {"type": "EMBEDDED"}},
        {"journal": {"type": "EMBEDDED", "ufsType": "HDFS"}, "metastore": None},
        *({"journal": {"volumeType": kind, "medium": medium, "size": "80Gi"}} for kind, medium in (("emptyDir", ""), ("persistentVolumeClaim", "Memory"))),
        tier(quota="3900Mi"),
        {"worker": {"jvmOptions": ["-Xmx1g", "-XX:MaxDirectMemorySize=1g"]}},
        {"worker": {"jvmOptions": ["-Xmx9g -XX:MaxHeapSize=1g"]}},
        {
            "properties": {
                "alluxio.security.authentication.type": "SIMPLE",
                "fs.gcs.credential.path": "/secrets/gcs/key.json",
                "alluxio.underfs.cephfs.auth.keyring": "/secrets/ceph/keyring",
            }
        },
        {"tieredstore": {"levels": [{**TIERS[0], "level": 1, "alias": "SSD", "mediumtype": "SSD", "path": "/ssd"}, TIERS[0]]}},
        *(tier(quota=quota) for quota in ("1k", "1000Ki", "0.5Gi", 1048576)),
        {"worker": {"resources": {"requests": {"cpu": 4, "memory": "4096Mi"}, "limits": {"cpu": "4000m"}}}},
        {"fuse": {"resources": {"requests": {"memory": "9Gi"}}}},
        {"fuse": {"enabled": True, "livenessProbe": None}},
        {"jvmOptions": ["-Dalluxio.user.x=secretKey"], "master": {"jvmOptions": None}, "fuse": {"jvmOptions": None}},
    ],
)
def test_values_that_work_are_taken(values: dict[str, Any]) -> None:
    assert refused(values) == ""


def mappings(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from mappings(value, (*path, key))


@pytest.mark.parametrize("path", [path for path in mappings(default_values()) if len(path) <= 2], ids=".".join)
def test_an_empty_key_is_taken_or_named(path: tuple[str, ...]) -> None:
    values: Any = None
    for key in reversed(path):
        values = {key: values}
    for part in ("fuse", "proxy"):
        if path[0] != part:
            values[part] = {"enabled": True}
        elif len(path) > 1 and path[1] != "enabled":
            values[part]["enabled"] = True
    text = refused(values)
    assert not text or path[-1] in text, text
    assert "nil pointer" not in text
    assert "YAML parse error" not in text
    assert "wrong type" not in text


# The keys and sizes of the value files of Alnair's storage-caching, in order.
RESOURCES = {"requests": {"cpu": 1, "memory": "10G"}, "limits": {"cpu": 4, "memory": "40G"}}
ALNAIR: dict[str, Any] = {
    "image": "alluxio/alluxio",
    "imageTag": "2.8.1",
    "imagePullPolicy": "IfNotPresent",
    "user": 1000,
    "group": 1000,
    "fsGroup": 1000,
    "properties": {"alluxio.user.metrics.collection.enabled": "true", "alluxio.security.stale.channel.purge.interval": "365d"},
    "master": {"count": 1, "replicas": 1, "args": ["master-only", "--no-format"], "resources": {**RESOURCES, "limits": {"cpu": 4, "memory": "80G"}}},
    "journal": {
        "type": "UFS",
        "ufsType": "local",
        "folder": "/journal",
        "volumeType": "persistentVolumeClaim",
        "size": "100Gi",
        "storageClass": "standard",
        "accessModes": ["ReadWriteOnce"],
        "format": {"runFormat": False},
    },
    "worker": {"resources": RESOURCES, "fuseEnabled": False},
    "jobWorker": {"resources": RESOURCES},
    "tieredstore": {
        "levels": [{"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "emptyDir", "quota": "50G", "high": 0.95, "low": 0.7}]
    },
    "shortCircuit": {
        "enabled": True,
        "policy": "uuid",
        "volumeType": "persistentVolumeClaim",
        "pvcName": "alluxio-worker-domain-socket",
        "size": "10G",
        "accessModes": ["ReadWriteOnce"],
        "storageClass": "standard",
    },
    "fuse": {
        "enabled": True,
        "clientEnabled": True,
        "global": True,
        "image": "alluxio/alluxio-fuse",
        "imageTag": "2.4.0-SNAPSHOT",
        "imagePullPolicy": "IfNotPresent",
        "hostNetwork": True,
        "hostPID": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "user": 1000,
        "group": 1000,
        "fsGroup": 1000,
        "args": ["fuse", "--fuse-opts=allow_other"],
        "mountPath": "/mnt/alluxio-fuse",
        "resources": {},
    },
}


def test_alnairs_own_values_are_refused_for_what_cannot_work_and_taken_when_that_is_mended() -> None:
    assert "worker.resources.limits.memory is 40G" in refused(ALNAIR)
    mended = copy.deepcopy(ALNAIR)
    mended["tieredstore"]["levels"][0]["quota"] = "30G"
    manifests = render(mended)
    assert options(manifests, "ALLUXIO_WORKER_JAVA_OPTS")["alluxio.worker.ramdisk.size"] == "30000000000"
    claim = find(manifests, "PersistentVolumeClaim", "alluxio-worker-domain-socket")
    assert claim["spec"]["resources"]["requests"]["storage"] == "10G"
    (journal,) = find(manifests, "StatefulSet", "alluxio-master")["spec"]["volumeClaimTemplates"]
    assert journal["metadata"]["name"] == "alluxio-journal"
    assert journal["spec"]["resources"]["requests"]["storage"] == "100Gi"
