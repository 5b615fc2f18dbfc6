"""A site that is fit for a deploy, and what doctor finds where it is not."""

from __future__ import annotations

from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import doctor
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged

GIB = 2**30
FACTS: dict[str, Any] = {
    "node": "node-1", "root": True, "system": "Debian GNU/Linux 12", "family": ["debian"], "kernel": "6.1", "python": "3.11.2", "device": True, "module": "loaded",
    "propagation": "shared", "free_mib": 4000, "free_inodes": 100000, "memory": 8 * GIB, "available": 6 * GIB, "shm": 4 * GIB, "ports": {"22": "sshd"}, "users": [], "groups": [], "folders": {},
}  # fmt: skip
WANTED: dict[str, Any] = {
    "namespace": "alluxio", "masters": ["m"], "workers": ["w"], "user": "alluxio-user", "uid": 1000, "group": "alluxio-user", "gid": 1000, "root": "/mnt/fuse",
    "mount": "/mnt/alluxio-fuse", "fuse": True, "free_mib": 512, "free_inodes": 1000, "journal_size": "1Gi", "quota": "2Gi", "values": {}, "images": ["alluxio/alluxio:2.9.4"],
    "image": "alluxio/alluxio", "image_tag": "2.9.4", "storage_class": "standard", "repository": "", "chart": "", "helm": "/usr/local/bin/helm", "helm_minimum": "3.12.0",
    "helm_lacks": "", "helm_program": "", "release": "alluxio", "chart_values": {}, "chart_unread": "", "claim_storage_class": "",
}  # fmt: skip


def node(name: str, *, images: tuple[str, ...] = ("docker.io/alluxio/alluxio:2.9.4",), ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "allocatable": {"memory": "64Gi", "cpu": "16", "ephemeral-storage": "100Gi"},
            "conditions": [{"type": "Ready", "status": ready, "message": "because"}],
            "images": [{"names": list(images)}],
        },
    }


CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
NODES = {name: node(name) for name in ("m", "w", "x")}
CLUSTER: dict[str, Any] = {
    "version": "1.34.4",
    "nodes": NODES,
    "pods": [],
    "dns": {"coredns": 2},
    "storage_classes": {},
    "volume_classes": [],
    "namespace": None,
    "unpullable": {},
}
CONTROLLER = {
    "ansible": "2.21.5", "python": "3.13.0", "helm": "3.19.5", "helm_broken": "", "helm_writable": True, "helm_elsewhere": "", "helm_program": True, "unread": [], "repository": "",
}  # fmt: skip


def tiers(quota: str, medium: str = "MEM", kind: str = "hostPath", path: str = "/dev/shm") -> dict[str, Any]:
    return {"tieredstore": {"levels": [{"mediumtype": medium, "type": kind, "path": path, "quota": quota}]}}


def fit(name: str, **other: Any) -> dict[str, Any]:
    return {"facts": {**FACTS, "node": name, **other}}


def wrong(
    hosts: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, controller: dict[str, Any] | None = None, **wanted: Any
) -> list[tuple[str, ...]]:
    """Return subject, check, verdict and text of all lines that are not ok, of a site that is fit but for what is given."""
    hosts = {"m": fit("m"), "w": fit("w"), **(hosts or {})}
    params = {**WANTED, **wanted}
    params["values"] = merged([doctor.defaults(params), params["values"]])
    found = doctor.checks(hosts, {**CLUSTER, **(cluster or {})}, {**CONTROLLER, **(controller or {})}, params)
    for check in found:
        assert bool(check.remedy) is (check.verdict != "ok"), check
    return [check[:4] for check in found if check.verdict != "ok"]
