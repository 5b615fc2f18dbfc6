"""Ansible module: wait until a release's pods are Ready, and say why when they are not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_ready
short_description: Wait until all pods of a release are Ready
description:
  - Waits until every StatefulSet, DaemonSet and Deployment of a release runs what it was last told to, with all pods Ready.
  - At the end of its time it fails with each pod's own reason, such as the scheduler's sentence, the image that cannot be pulled, or the last lines of the log.
  - Changes nothing, so it also runs in check mode.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds to wait., type: int, default: 300}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Wait
  alnair.alluxio.release_ready: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
pods: {description: Number of Ready pods by the name of what owns them., type: dict, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import kubernetes
except ImportError:
    kubernetes = None


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
    return f"phase {status.get('phase', 'unknown')}: {conditions.get('Ready', {}).get('message', 'no reason given')}"


def last_lines(core: Any, pod: dict[str, Any]) -> str:
    """Return the last lines that the failing container of a pod printed, or nothing."""
    status = pod.get("status") or {}
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        if (container_reason(container) or "").startswith(f"container {container['name']} ended"):
            for previous in (False, True):
                try:
                    text = core.read_namespaced_pod_log(
                        pod["metadata"]["name"], pod["metadata"]["namespace"], container=container["name"], tail_lines=5, previous=previous
                    )
                except kubernetes.client.ApiException:
                    continue
                if text.strip():
                    return "; it last printed: " + " | ".join(text.strip().splitlines())
    return ""


def events_of(core: Any, pod: dict[str, Any]) -> str:
    """Return the newest warning about a pod, or nothing."""
    found = core.list_namespaced_event(
        pod["metadata"]["namespace"], field_selector=f"involvedObject.uid={pod['metadata']['uid']},type=Warning"
    ).items
    return f"; {found[-1].reason}: {found[-1].message}" if found else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "kubeconfig": {"type": "path", "required": True},
            "context": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    client = kubernetes.config.new_client_from_config(params["kubeconfig"], context=params["context"] or None)
    apps, core = kubernetes.client.AppsV1Api(client), kubernetes.client.CoreV1Api(client)
    selector = {"label_selector": f"release={params['release']}"}
    deadline = time.monotonic() + params["timeout"]
    short: dict[str, str | None] = {}
    while True:
        try:
            listed = [
                client.sanitize_for_serialization(item)
                for call in (apps.list_namespaced_stateful_set, apps.list_namespaced_daemon_set, apps.list_namespaced_deployment)
                for item in call(params["namespace"], **selector).items
            ]
            short = {item["metadata"]["name"]: shortfall(item) for item in listed}
        except (kubernetes.client.ApiException, OSError) as error:
            # An API server that restarts is no reason to give up before the time is over.
            short = {"API server": str(error)}
        if short and not any(short.values()):
            ready = {item["metadata"]["name"]: item["status"].get("readyReplicas", item["status"].get("numberReady", 0)) for item in listed}
            module.exit_json(changed=False, pods=ready)
        if time.monotonic() >= deadline:
            break
        time.sleep(1)
    lines = [f"{name}: {text}" for name, text in short.items() if text] or ["the release has no StatefulSet, DaemonSet or Deployment"]
    for item in core.list_namespaced_pod(params["namespace"], **selector).items:
        pod = client.sanitize_for_serialization(item)
        reason = pod_reason(pod)
        if reason:
            lines.append(f"pod {pod['metadata']['name']}: {reason}{last_lines(core, pod)}{events_of(core, pod)}")
    module.fail_json(
        msg=f"Release {params['release']} was not Ready after {params['timeout']} s (alluxio_chart_wait_seconds):\n" + "\n".join(lines)
    )


if __name__ == "__main__":
    main()
