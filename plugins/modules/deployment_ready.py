"""Ansible module: wait until a Deployment runs what it was last told to, and say why when it does not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_ready
short_description: Wait until a Deployment's pods are Ready
description:
  - Waits until all pods of a Deployment are of its newest revision and Ready.
  - At the end of its time it fails with each pod's own reason, such as the image that cannot be pulled, or the last lines of the log. A pod that cannot
    become Ready without a change ends the wait at once.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  name: {description: Name of the Deployment., type: str, required: true}
  namespace: {description: Its namespace., type: str, required: true}
  variable: {description: "The variable that the time comes from, for the reader of a failure.", type: str, default: timeout}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds to wait., type: int, default: 300}
attributes:
  check_mode: {description: Only reads., support: full}
  diff_mode: {description: Only reads., support: none}
"""

EXAMPLES = r"""
- name: Wait
  alnair.alluxio.deployment_ready: {name: alnair-operator, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
ready: {description: Number of Ready pods., type: int, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, objects, readiness

try:
    import kubernetes
except ImportError:
    kubernetes = None


def newest(sets: list[dict[str, Any]], pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods of a Deployment's newest ReplicaSet: older ones are about to go, whatever is wrong with them."""
    if not sets:
        return []
    last = max(sets, key=lambda item: int((item["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0)))
    return [pod for pod in pods if pod["metadata"]["labels"].get("pod-template-hash") == last["metadata"]["labels"].get("pod-template-hash")]


def wait(module: AnsibleModule) -> None:
    """Wait for the Deployment."""
    params, api = module.params, kube.client(module.params)
    cluster, core = objects.Objects(api), kubernetes.client.CoreV1Api(api)
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": params["name"], "namespace": params["namespace"]}}
    deadline, pods = time.monotonic() + params["timeout"], list[dict[str, Any]]()
    while True:
        try:
            found = cluster.get(wanted)
            if not found:
                module.fail_json(msg=f"There is no Deployment {params['namespace']}/{params['name']}.")
            short = readiness.shortfall(found)
            if not short:
                module.exit_json(changed=False, ready=found["status"].get("readyReplicas", 0))
            selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
            pods = newest(cluster.listed("apps/v1", "ReplicaSet", params["namespace"], selector), cluster.listed("v1", "Pod", params["namespace"], selector))
        except kube.ClusterAway:
            # A server that is away is no reason to give up before the time is over.
            if time.monotonic() > deadline:
                raise
            continue
        vain = any(map(readiness.hopeless, pods))
        if vain or time.monotonic() > deadline:
            break
        time.sleep(2)
    lines = [
        f"pod {pod['metadata']['name']}: {why}{readiness.last_lines(core, pod)}{readiness.events_of(core, pod)}"
        for pod in pods
        if (why := readiness.pod_reason(pod))
    ]
    what = "cannot become Ready" if vain else f"was not Ready after {params['timeout']} s ({params['variable']})"
    module.fail_json(msg="\n".join([f"Deployment {params['namespace']}/{params['name']} {what}: {short}", *lines]))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "variable": {"type": "str", "default": "timeout"},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        wait(module)


if __name__ == "__main__":
    main()
