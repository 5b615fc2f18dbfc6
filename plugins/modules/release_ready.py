"""Ansible module: wait until a release's pods are Ready, and say why when they are not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_ready
short_description: Wait until all pods of a release are Ready
description:
  - Waits until every StatefulSet, DaemonSet and Deployment of a release runs what it was last told to, with all pods Ready, and until the leading master
    counts as many live workers as there shall be. Pods on nodes that lost the label for them have left; where the node is lost, they are not waited for.
  - At the end of its time it fails with each pod's own reason, such as the scheduler's sentence, the image that cannot be pulled, or the last lines of the log.
    A pod that cannot become Ready without a change, because it ended for the fourth time or its image's name is none, ends the wait at once.
  - Workers that were told to end are taken off the leading master's list at once (decommissioned, by Alluxio 2.9.4 or later), so that readers are not sent
    to them any more and nobody has to wait until it forgets them.
  - A pod that waits to be started again after it ended is made anew at once, because the reason may have been mended; Kubernetes would wait up to five minutes.
  - With O(revision), remembers at helm's Secret of that revision that it was Ready, so that a later run knows what it can go back to.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds to wait., type: int, default: 300}
  revision: {description: Revision of the release that is remembered as Ready; 0 for none., type: int, default: 0}
attributes:
  check_mode: {description: "Waits all the same but makes nothing anew, decommissions nothing and remembers nothing.", support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Wait
  alnair.alluxio.release_ready: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
anew: {description: "Pods that were made anew: they waited for their next start, or no master counted them.", type: list, elements: str, returned: success}
pods: {description: Number of Ready pods by the name of what owns them., type: dict, returned: success}
paths: {description: "Number of files and directories that the leading master knows.", type: int, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import helm, kube, masters, workers
from ansible_collections.alnair.alluxio.plugins.module_utils.readiness import events_of, hopeless, last_lines, pod_reason, shortfall

try:
    import kubernetes
    import urllib3
except ImportError:
    kubernetes = None

# How long to wait for the masters to forget a worker that is gone; the bundled chart has them do so after 30 s, the public one after five minutes.
FORGET_SECONDS = 60
# How long a worker that is Ready may take to be counted as live, before one is made anew that a master may have taken for the one before it.
STRUCK_SECONDS = 30


def backing_off(pod: dict[str, Any]) -> bool:
    """Tell whether a container of a pod waits to be started again."""
    found = (pod.get("status") or {}).get("containerStatuses") or []
    found += (pod.get("status") or {}).get("initContainerStatuses") or []
    return any(((item.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff" for item in found)


def newest(pod: dict[str, Any], listed: list[dict[str, Any]]) -> bool:
    """Tell whether a pod is of the newest revision of the StatefulSet or DaemonSet that owns it: an older one is about to be replaced."""
    owners = [item["name"] for item in pod["metadata"].get("ownerReferences") or []]
    labels = pod["metadata"].get("labels") or {}
    for item in listed:
        if item["metadata"]["name"] in owners:
            generation = (item["metadata"].get("annotations") or {}).get("deprecated.daemonset.template.generation")
            if generation:
                return labels.get("pod-template-generation") == generation
            return labels.get("controller-revision-hash") == (item.get("status") or {}).get("updateRevision")
    return False


def leaving(pods: list[dict[str, Any]], listed: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> str | None:
    """Return which pods of DaemonSets are to leave their nodes, which lost the label, or None. What a node that is lost runs ends nowhere."""
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes
              if any(item["type"] == "Ready" and item["status"] == "True" for item in (node.get("status") or {}).get("conditions") or [])}  # fmt: skip
    wanted = {item["metadata"]["name"]: item["spec"]["template"]["spec"].get("nodeSelector") or {} for item in listed if item["kind"] == "DaemonSet"}
    going = sorted(
        f"{pod['metadata']['name']} has not left {pod['spec']['nodeName']} yet"
        for pod in pods
        for owner in pod["metadata"].get("ownerReferences") or []
        if pod["spec"].get("nodeName") in labels and not wanted.get(owner["name"], {}).items() <= labels[pod["spec"]["nodeName"]].items()
    )
    return ", ".join(going) or None


def wait(module: AnsibleModule) -> None:
    """Wait for the release."""
    params = module.params
    client = kube.client(params)
    apps, core = kubernetes.client.AppsV1Api(client), kubernetes.client.CoreV1Api(client)
    selector = {"label_selector": f"release={params['release']}"}
    release = masters.Masters(client, params["namespace"], params["release"])
    deadline = time.monotonic() + params["timeout"]
    short: dict[str, str | None] = {}
    since, anew, first, told = 0.0, list[str](), not module.check_mode, dict[str, str]()
    while True:
        given_up = False
        try:
            listed = [
                {"kind": kind, **client.sanitize_for_serialization(item)}
                for kind, call in (("StatefulSet", apps.list_namespaced_stateful_set), ("DaemonSet", apps.list_namespaced_daemon_set),
                                   ("Deployment", apps.list_namespaced_deployment))
                for item in call(params["namespace"], **selector).items
            ]  # fmt: skip
            short = {item["metadata"]["name"]: shortfall(item) for item in listed}
            there = client.sanitize_for_serialization(core.list_namespaced_pod(params["namespace"], **selector).items)
            if not module.check_mode and workers.decommission(release, there, told):
                # What was read before is old by now.
                continue
            if short and not any(short.values()):
                # Asked last, for the nodes of a large cluster are much to read.
                short["nodes"] = leaving(there, listed, client.sanitize_for_serialization(core.list_node().items))
                leader, since = release.leader(), since or time.monotonic()
                short["Alluxio"] = workers.amiss(leader, there, patient=time.monotonic() < since + FORGET_SECONDS)
                if time.monotonic() > since + STRUCK_SECONDS and (struck := workers.struck(leader, there, told)):
                    told.clear()
                    for name in struck:
                        kube.retried(core.delete_namespaced_pod, name, params["namespace"], missing=None)
                    anew += struck
            else:
                since = 0.0
                if first:
                    first = False
                    anew = [pod["metadata"]["name"] for pod in there if backing_off(pod)]
                    for name in anew:
                        kube.retried(core.delete_namespaced_pod, name, params["namespace"], missing=None)
                    continue
                given_up = any(hopeless(pod) and newest(pod, listed) for pod in there)
        except (kubernetes.client.ApiException, kube.ClusterAway, urllib3.exceptions.HTTPError) as error:
            # An API server that restarts is no reason to give up before the time is over.
            short = {"API server": kube.reason(error)}
        if short and not any(short.values()):
            break
        if given_up or time.monotonic() >= deadline:
            fail(module, core, short, given_up=given_up)
        time.sleep(2)
    if params["revision"] and not module.check_mode:
        name = f"sh.helm.release.v1.{params['release']}.v{params['revision']}"
        kube.retried(core.patch_namespaced_secret, name, params["namespace"], {"metadata": {"labels": {helm.READY: str(params["revision"])}}})
    ready = {item["metadata"]["name"]: item["status"].get("readyReplicas", item["status"].get("numberReady", 0)) for item in listed}
    module.exit_json(changed=bool(anew), anew=anew, pods=ready, paths=leader.paths if leader else 0)


def fail(module: AnsibleModule, core: Any, short: dict[str, str | None], *, given_up: bool) -> None:
    """Fail with the reason of each workload and each pod."""
    params, client = module.params, core.api_client
    lines = [f"{name}: {text}" for name, text in short.items() if text] or ["the release has no StatefulSet, DaemonSet or Deployment"]
    for item in kube.retried(core.list_namespaced_pod, params["namespace"], label_selector=f"release={params['release']}").items:
        pod = client.sanitize_for_serialization(item)
        reason = pod_reason(pod)
        if reason:
            lines.append(f"pod {pod['metadata']['name']}: {reason}{last_lines(core, pod)}{events_of(core, pod)}")
    what = "cannot become Ready" if given_up else f"was not Ready after {params['timeout']} s (alluxio_chart_timeout)"
    module.fail_json(msg=f"Release {params['release']} {what}:\n" + "\n".join(lines))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            **kube.ARGUMENTS,
            "timeout": {"type": "int", "default": 300},
            "revision": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        wait(module)


if __name__ == "__main__":
    main()
