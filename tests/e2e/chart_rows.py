"""Values of the releases that test_chart_matrix.py installs, one set of objects each."""

from __future__ import annotations

from typing import Any

UFS = "/srv/alluxio-ufs"
SMALL = {"resources": {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}}
MOUNT = {"mountPoint": "/mnt/chart-matrix/alluxio", "jvmOptions": ["-Xmx300m", "-XX:MaxDirectMemorySize=128m"], **SMALL}
TIER = {"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "emptyDir", "quota": "64Mi", "high": 0.95, "low": 0.7}

COMMON: dict[str, Any] = {
    "image": "localhost/alluxio", "imageTag": "2.9.4", "jvmOptions": ["-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    "properties": {"alluxio.master.mount.table.root.ufs": UFS, "alluxio.underfs.allow.set.owner.failure": "true"},
    "mounts": [{"name": "ufs", "path": UFS, "hostPath": UFS}], "journal": {"volumeType": "emptyDir"}, "shortCircuit": {"enabled": False},
    "master": SMALL, "jobMaster": SMALL, "worker": SMALL, "jobWorker": SMALL, "tieredstore": {"levels": [TIER]},
}  # fmt: skip

ROWS: dict[str, dict[str, Any]] = {
    # Alluxio's own tests reserve 64 MiB for each file, and some stay in the worker until they are persisted.
    "plain": {"tieredstore": {"levels": [{**TIER, "quota": "256Mi"}]}},
    "all": {
        "proxy": {"enabled": True, "ports": {"web": 38999}, "jvmOptions": [], **SMALL},
        "master": {"ports": {"rpc": 18998, "web": 18999, "embedded": 18200}, "extraContainers": [
            {"name": "helper", "image": "localhost/alluxio:2.9.4", "command": ["sleep", "infinity"], "volumeMounts": [{"name": "scratch", "mountPath": "/s"}]}],
            "extraVolumes": [{"name": "scratch", "emptyDir": {}}], "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}], **SMALL},
        "worker": {"ports": {"rpc": 28999, "web": 28000}, **SMALL},
        "metastore": {"volumeType": "emptyDir", "mountPath": "/metastore"},
        "tieredstore": {"levels": [TIER, {
            "level": 1, "alias": "SSD,HDD", "mediumtype": "SSD,HDD", "path": "/ssd,/hdd", "type": "emptyDir", "quota": "100M,0.1G"}]},
        "secrets": {"master": {"extra": "extra"}, "worker": {"extra": "extra"}},
        "configmaps": {"master": {"extra": "extra"}, "worker": {"extra": "extra"}},
        "sitePropertiesSecret": "site",
        "metrics": {"enabled": True, "dashboard": {"enabled": True}, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
        "networkPolicy": {"enabled": True, "namespaces": [{"kubernetes.io/metadata.name": "kube-system"}]},
        "backup": {"daily": {"enabled": True}},
    },
    "fuse": {"fuse": {"enabled": True, **MOUNT}},
    "worker-fuse": {"worker": {"fuseEnabled": True, **SMALL}, "fuse": MOUNT},
    "claims": {
        "shortCircuit": {"volumeType": "persistentVolumeClaim"},
        "metastore": {"volumeType": "persistentVolumeClaim", "mountPath": "/metastore"},
        "fuse": {"enabled": True, **MOUNT},
    },
    # As root, which the public chart's page asks for at times.
    "three-masters": {
        "user": 0, "group": 0, "fsGroup": 0, "master": {"count": 3, **SMALL}, "journal": {"type": "EMBEDDED", "volumeType": "emptyDir"},
        "metrics": {"enabled": True}},
    # With a quorum's journal and inodes in volumes.
    "masters-claims": {
        "master": {"count": 3, **SMALL}, "journal": {"type": "EMBEDDED"}, "metastore": {"volumeType": "persistentVolumeClaim", "mountPath": "/metastore"}},
    # Masters and workers alone, with no folder of a host: what a namespace of the restricted profile takes.
    "restricted": {
        "mounts": [], "properties": {"alluxio.master.mount.table.root.ufs": "/under"},
        "master": {"extraVolumes": [{"name": "under", "emptyDir": {}}], "extraVolumeMounts": [{"name": "under", "mountPath": "/under"}], **SMALL},
        "proxy": {"enabled": True, "ports": {"web": 38999}, "jvmOptions": [], **SMALL}},
    # What a release may do without, and pods of another user than the image's; without a name in the image it needs one for Alluxio.
    "bare": {
        "serviceAccount": "mine", "tests": {"enabled": False}, "master": {"podDisruptionBudget": {"enabled": False}, **SMALL},
        "user": 2000, "group": 2000, "fsGroup": None, "sitePropertiesSecret": "site", "secrets": {"master": {"extra": "extra"}, "worker": {"extra": "extra"}},
        "properties": {**COMMON["properties"], "alluxio.security.login.username": "alluxio"}},
}  # fmt: skip
