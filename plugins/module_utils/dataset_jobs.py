"""Jobs that do something with a data set by the operator's image: their manifest, and how they ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import datasets

Object = Mapping[str, Any]
CREDENTIALS = "/credentials"
# How long a Job stays that nobody removed, because who started it was killed.
KEPT_SECONDS = 3600
# Who waits for it gives up before Kubernetes ends it, and so can say what it was waiting for.
GRACE_SECONDS = 60


def manifest(operator: Object, item: Object, verb: str, arguments: list[str], mark: str, seconds: int) -> dict[str, Any]:
    """Return a Job.

    Args:
        operator: The Deployment of the operator, whose image, variables and place the Job takes over.
        item: The AlnairDatacache.
        verb: What the image's program does.
        arguments: What follows the data set's name.
        mark: What makes the Job's name unlike all others.
        seconds: How long it is waited for.
    """
    name, pod = item["metadata"]["name"], operator["spec"]["template"]["spec"]
    container = pod["containers"][0]
    declared = {key: item[key] for key in ("apiVersion", "kind", "spec")}
    declared["metadata"] = {key: item["metadata"][key] for key in ("name", "namespace", "uid", "generation") if key in item["metadata"]}
    labels = {"app.kubernetes.io/name": "alnair-dataset-job", "app.kubernetes.io/managed-by": "alnair", "alnair.io/verb": verb, "alnair.io/dataset": name}
    secret = item["spec"].get("credentials")
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    if secret:
        volumes.append({"name": "credentials", "secret": {"secretName": secret, "defaultMode": 0o440}})
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True})
    if folder := seen_at(item):
        volumes.append({"name": "source", "hostPath": {"path": folder, "type": "Directory"}})
        mounts.append({"name": "source", "mountPath": folder, "readOnly": True})
    inherited = {key: pod[key] for key in ("imagePullSecrets", "nodeSelector", "tolerations", "securityContext") if pod.get(key)}
    own = {key: container[key] for key in ("image", "imagePullPolicy", "resources", "securityContext") if container.get(key)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{verb}-{re.sub(r'[^a-z0-9]+', '-', name)[:40].strip('-')}-{mark}",
            "namespace": operator["metadata"]["namespace"],
            "labels": labels,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds + GRACE_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    **inherited,
                    "restartPolicy": "Never",
                    "serviceAccountName": "alnair-dataset-job",
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            **own,
                            "name": verb,
                            "args": [verb, name, *arguments, "--json"],
                            "env": [*(container.get("env") or []), {"name": "ALNAIR_DATASET", "value": json.dumps(declared)}],
                            "volumeMounts": mounts,
                        }
                    ],
                    "volumes": volumes,
                },
            },
        },
    }


def seen_at(item: Object) -> str:
    """Return the folder of the nodes that a data set's source is, empty where it is none. That of a claim's volume the operator knows."""
    spec = item["spec"]
    folder = (spec.get("options") or {}).get("alnair.localPath") or spec["source"]
    if folder.startswith("pvc://"):
        folder = ((item.get("status") or {}).get("mounted") or {}).get("ufs") or ""
    return folder if folder.startswith("/") else ""


def ended(pod: Object | None) -> int | None:
    """Return the exit code of a Job's pod, None while it has not ended."""
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or []:
        if over := (status.get("state") or {}).get("terminated"):
            return int(over["exitCode"])
    return None


def outcome(code: int, printed: str) -> dict[str, Any]:
    """Return how a Job ended: its exit code, the JSON that it printed, and its last lines where that is none."""
    report = datasets.document(printed)
    return {"rc": code, "report": report, "said": "" if report else "\n".join(printed.strip().splitlines()[-10:])}
