"""Values that between them make every object of the chart and every form that it can have."""

from __future__ import annotations

from typing import Any

EXTRA: dict[str, Any] = {
    "extraContainers": [{"name": "helper", "image": "busybox", "ports": [{"name": "side", "containerPort": 8000}]}],
    "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
}
TIERS: list[dict[str, Any]] = [
    {"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "emptyDir", "quota": "1G", "high": 0.95, "low": 0.7},
    {"level": 1, "alias": "SSD", "mediumtype": "SSD,SSD", "path": "/ssd0,/ssd1", "type": "hostPath", "quota": "2Gi,3Gi", "high": 0.95, "low": 0.7},
    {"level": 2, "alias": "HDD", "mediumtype": "HDD", "path": "/hdd", "type": "persistentVolumeClaim", "name": "hdd", "quota": "10Gi", "high": 0.9, "low": 0.5},
]
PORTS: dict[str, Any] = {
    "master": {"ports": {"rpc": 18998, "web": 18999, "embedded": 18200}},
    "jobMaster": {"ports": {"rpc": 18001, "web": 18002, "embedded": 18003}},
    "worker": {"ports": {"rpc": 28999, "web": 28000}},
    "jobWorker": {"ports": {"rpc": 28001, "data": 28002, "web": 28003}},
    "proxy": {"enabled": True, "ports": {"web": 38999}},
}
PARTS = ("master", "worker", "fuse", "proxy")

MATRIX: dict[str, dict[str, Any]] = {
    "default": {},
    "three-masters": {
        "master": {"count": 3, "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]},
        "journal": {"type": "EMBEDDED"},
    },
    "fuse": {"fuse": {"enabled": True}},
    "worker-fuse": {"worker": {"fuseEnabled": True}},
    "proxy": {"proxy": {"enabled": True}},
    "domain-claim": {"shortCircuit": {"volumeType": "persistentVolumeClaim"}, "fuse": {"enabled": True}},
    "local-domain": {"shortCircuit": {"policy": "local", "hostPath": "/srv/domain"}},
    "open-tiers": {
        "shortCircuit": {"policy": "local"},
        "tieredstore": {"levels": [{**TIERS[0], "type": "hostPath"}, {**TIERS[1], "path": "/mnt/ssd0,/ssd1"}, TIERS[2]]},
        "fuse": {"enabled": True},
        "proxy": {"enabled": True},
    },
    "no-short-circuit": {"shortCircuit": {"enabled": False}, "fuse": {"enabled": True}},
    "three-tiers": {"tieredstore": {"levels": TIERS}},
    "disk-only": {"tieredstore": {"levels": [{**TIERS[0], "alias": "SSD", "mediumtype": "SSD", "path": "/ssd", "quota": "5Gi"}]}},
    "empty-dir-journal": {"journal": {"volumeType": "emptyDir", "medium": "Memory"}},
    "metastore-claim": {"metastore": {"volumeType": "persistentVolumeClaim", "size": "2Gi", "mountPath": "/metastore"}},
    "metastore-empty-dir": {"metastore": {"volumeType": "emptyDir", "mountPath": "/metastore"}, "journal": {"volumeType": "emptyDir"}},
    "mounted": {
        "secrets": {"master": {"hdfs": "hdfs"}, "worker": {"hdfs": "hdfs"}},
        "configmaps": {"master": {"site": "site"}, "worker": {"site": "site"}},
        "mounts": [{"name": "shared", "path": "/mnt/shared"}, {"name": "node", "path": "/mnt/node", "hostPath": "/srv/node"}],
    },
    "metrics": {
        "metrics": {
            "enabled": True,
            "podAnnotations": {"prometheus.io/scrape": "true"},
            "serviceMonitor": {"enabled": True, "labels": {"team": "a"}},
            "prometheusRule": {"enabled": True, "labels": {"team": "a"}},
            "dashboard": {"enabled": True},
        },
        "fuse": {"enabled": True},
        "proxy": {"enabled": True},
    },
    "no-servlet": {"metrics": {"enabled": True, "PrometheusMetricsServlet": {"enabled": False}}},
    "network-policy": {"networkPolicy": {"enabled": True, "namespaces": [{"team": "training", "tier": "gpu"}], "cidrs": ["10.0.0.0/24", "fd00::/64"]}},
    "extra": {"master": {**EXTRA, "extraServicePorts": [{"name": "side", "port": 8000}], "shareProcessNamespace": True}, "worker": EXTRA},
    "host-network": {part: {"hostNetwork": True, "hostPID": True, "dnsPolicy": "ClusterFirstWithHostNet"} for part in PARTS},
    "credentials": {"sitePropertiesSecret": "ufs", "proxy": {"enabled": True}, "fuse": {"enabled": True}},
    "ports": PORTS,
    "three-masters-ports": {**PORTS, "master": {**PORTS["master"], "count": 3}, "journal": {"type": "EMBEDDED"}},
    "daily-backup": {"backup": {"directory": "/safe", "daily": {"enabled": True, "time": "03:30", "keep": 7}}},
    "placed": {
        **{
            part: {
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": part, "operator": "Exists"}],
                "priorityClassName": "high",
                "podAnnotations": {"note": part},
                "env": {"TZ": "UTC"},
                "jvmOptions": ["-Xmx512m"],
            }
            for part in PARTS
        },
        "nodeSelector": {"pool": "cache"},
        "tolerations": [{"key": "all", "operator": "Exists"}],
        "imagePullSecrets": ["registry"],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["namenode"]}],
        "serviceAccount": "mine",
        "jvmOptions": ["-XX:+UseSerialGC"],
    },
    "own-ids": {"user": 2000, "group": 2000, "fsGroup": 2000, "master": {"podDisruptionBudget": {"enabled": False}}, "tests": {"enabled": False}},
    "no-probes": {part: {"livenessProbe": None, "startupProbe": None} for part in ("master", "jobMaster", "worker", "jobWorker")},
    "no-limits": {part: {"resources": None} for part in ("master", "jobMaster", "worker", "jobWorker")},
}
for _part in ("fuse", "proxy"):
    MATRIX["host-network"][_part] = {**MATRIX["host-network"][_part], "enabled": True}
    MATRIX["placed"][_part] = {**MATRIX["placed"][_part], "enabled": True}
