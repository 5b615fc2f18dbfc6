"""Jobs that do something with a data set by the operator's image: their manifest, and how they ended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import datasets

Object = Mapping[str, Any]
CREDENTIALS = "/credentials"
# How long a Job stays that nobody removed, because who started it was killed.
KEPT_SECONDS = 3600
# Who waits for it gives up before Kubernetes ends it, and so can say what it was waiting for.
GRACE_SECONDS = 60


def watched(operator: Object) -> list[str]:
    """Return the namespaces that an operator looks after, by its Deployment; none for the whole cluster."""
    environment = operator["spec"]["template"]["spec"]["containers"][0].get("env") or []
    return [name for entry in environment if entry["name"] == "ALNAIR_WATCH" for name in (entry.get("value") or "").split(",") if name]


def meant(names: list[str], operator: Object, listed: Callable[[str], list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the data sets that are meant, by the words that name them; without any all of the operator's own namespace.

    Args:
        names: NAME for one of the operator's namespace, or of another one where it is the only one, and NAMESPACE/NAME.
        operator: The Deployment of the operator.
        listed: Returns the AlnairDatacaches of a namespace; of the whole cluster where it is empty.

    Raises:
        LookupError: one is not there, may be another, or is not mounted by its operator.
    """
    home, spaces = operator["metadata"]["namespace"], watched(operator)
    own = {item["metadata"]["name"]: item for item in listed(home)}
    if not set(names) - set(own):
        return {name: own[name] for name in names or sorted(own)}
    there = [item for space in spaces or [""] for item in listed(space) if item["metadata"]["namespace"] != home]
    titles = {f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in there}
    found = dict[str, dict[str, Any]]()
    for name in names:
        fitting = [title for title in sorted(titles) if name in (title, title.rpartition("/")[2])]
        mine = own.get(name.removeprefix(f"{home}/"))
        if not mine and not fitting:
            raise LookupError(f"There is no data set {name}. Declared: {', '.join([*sorted(own), *sorted(titles)]) or 'none'}.")
        if not mine and len(fitting) > 1:
            raise LookupError(f"Several namespaces have a data set {name}: say which by one of {', '.join(fitting)}.")
        found[name if mine else fitting[0]] = mine or accepted(fitting[0], titles[fitting[0]])
    return found


def accepted(title: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return a data set of another namespace if the operator has mounted it as it is declared.

    Its Job would get a folder and a Secret that the operator may have refused its namespace.

    Raises:
        LookupError: it has not.
    """
    status = item.get("status") or {}
    said, mounted = status.get("observedGeneration") == item["metadata"].get("generation"), status.get("mounted") or {}
    if not said or status.get("phase") in (None, "Pending", "Mounting", "Failed") or not mounted.get("ufs"):
        why = status.get("message") or "the operator has not looked at it"
        raise LookupError(f"Data set {title} is not mounted as it is declared, so there is nothing to compare or to sum up: {why}")
    return item


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
