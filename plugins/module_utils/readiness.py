"""Why pods and what owns them are not Ready, in the cluster's own words. Objects are as the API's JSON says them."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import kube

try:
    import kubernetes
except ImportError:
    kubernetes = None

# What a container waits for in vain, and how often one may end before that is no matter of waiting.
HOPELESS = ("InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
ENDS = 4
# What a line says that tells more than the traces and the farewell after it.
# The second half is how a JVM names an option that it does not take, before it says that it could not be created.
ERROR = re.compile(r"\b(ERROR|FATAL)\b|\b[Ee]rror:|Caused by:|Exception\b|denied|No space left|OutOfMemory|^(Unrecognized|Invalid|Improperly|Conflicting) ")


def shortfall(item: dict[str, Any]) -> str | None:
    """Return what a StatefulSet, DaemonSet or Deployment lacks, or None when it is as it was last told to be."""
    status, spec = item.get("status") or {}, item["spec"]
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        return "its controller has not seen it yet"
    if "desiredNumberScheduled" in status:
        wanted, ready = status["desiredNumberScheduled"], status.get("numberReady", 0)
        updated = status.get("updatedNumberScheduled", 0)
        if wanted == 0:
            return "no node matches its node selector"
    else:
        wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
        updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the newest revision"
    return None if ready >= wanted else f"{ready} of {wanted} pods are Ready"


def container_reason(status: dict[str, Any]) -> str | None:
    """Return why a container is not Ready, or None."""
    waiting = (status.get("state") or {}).get("waiting")
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
    if ended and ended.get("exitCode"):
        return f"container {status['name']} ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})"
    if waiting and waiting.get("reason") not in ("PodInitializing", "ContainerCreating"):
        return f"container {status['name']}: {waiting['reason']}: {waiting.get('message', 'no message')}"
    return None


def pod_reason(pod: dict[str, Any]) -> str | None:
    """Return why a pod is not Ready from its own status, or None when it is Ready."""
    status = pod.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"not scheduled: {scheduled.get('message', scheduled.get('reason'))}"
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        reason = container_reason(container)
        if reason:
            return reason
    for container in status.get("initContainerStatuses") or []:
        if (container.get("state") or {}).get("running") is not None:
            return f"its init container {container['name']} has not ended yet"
    return f"phase {status.get('phase', 'unknown')}: {conditions.get('Ready', {}).get('message', 'no reason given')}"


def hopeless(pod: dict[str, Any]) -> bool:
    """Tell whether a pod cannot become Ready without a change."""
    status = pod.get("status") or {}
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
        if reason in HOPELESS or (reason == "CrashLoopBackOff" and container.get("restartCount", 0) >= ENDS):
            return True
    return False


def telling(text: str) -> str:
    """Return the lines of a log that say what went wrong: the last three that name an error, or else the last five."""
    lines = [line.strip()[:400] for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return " | ".join([line for line in lines if ERROR.search(line)][-3:] or lines[-5:])


def last_lines(core: Any, pod: dict[str, Any]) -> str:
    """Return what the failing container of a pod printed of its end, or nothing."""
    status = pod.get("status") or {}
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        if (container_reason(container) or "").startswith(f"container {container['name']} ended"):
            for previous in (False, True):
                try:
                    text = kube.log(core, pod["metadata"]["name"], pod["metadata"]["namespace"], container=container["name"], tail_lines=100, previous=previous)
                except kubernetes.client.ApiException:
                    continue
                if text.strip():
                    return f"; it last printed: {telling(text)}"
    return ""


def events_of(core: Any, pod: dict[str, Any]) -> str:
    """Return the newest warning about a pod, or nothing."""
    chosen = f"involvedObject.uid={pod['metadata']['uid']},type=Warning"
    found = kube.retried(core.list_namespaced_event, pod["metadata"]["namespace"], field_selector=chosen).items
    return f"; {found[-1].reason}: {found[-1].message}" if found else ""
