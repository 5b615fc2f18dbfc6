"""Ansible module: wait until the pods of a removed release have ended, and name those that do not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pods_gone
short_description: Wait until the pods of a removed release are gone
description:
  - Waits for the end of all pods that carry the release's labels. Those that run are not removed, for that is their owners' matter; those that have ended, such
    as that of a C(helm test) that failed, which helm leaves there, are.
  - When some do not end, names each with its node and its finalizers and fails, or with O(force) takes their finalizers off and removes them from the API as
    the last step. Their processes may go on where a node is cut off.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds to wait., type: int, default: 300}
  force: {description: Whether pods that do not end are removed from the API., type: bool, default: false}
attributes:
  check_mode: {description: Is for those who call it to skip., support: none}
  diff_mode: {description: Does not return a diff., support: none}
"""

EXAMPLES = r"""
- name: Wait
  alnair.alluxio.pods_gone: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
removed: {description: Names of the pods that had ended and were removed., type: list, elements: str, returned: success}
forced: {description: Pods that were removed by force., type: list, elements: str, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils.kube import ARGUMENTS, client, explained, retried

try:
    import kubernetes
except ImportError:
    kubernetes = None


def told(pod: Any) -> str:
    """Return a few words about a pod that does not end."""
    return f"pod {pod.metadata.name} on node {pod.spec.node_name or 'none'} (finalizers {', '.join(pod.metadata.finalizers or []) or 'none'})"


def wait(module: AnsibleModule) -> None:
    """Wait for the end of the pods."""
    params, core = module.params, kubernetes.client.CoreV1Api(client(module.params))
    deadline, ended = time.monotonic() + params["timeout"], list[str]()
    while True:
        pods = retried(core.list_namespaced_pod, params["namespace"], label_selector=f"app=alluxio,release={params['release']}").items
        if not pods or time.monotonic() > deadline:
            break
        for pod in pods:
            if pod.status.phase in ("Succeeded", "Failed") and not pod.metadata.deletion_timestamp:
                retried(core.delete_namespaced_pod, pod.metadata.name, params["namespace"], missing=None)
                ended.append(pod.metadata.name)
        time.sleep(2)
    names = [told(pod) for pod in pods]
    if pods and not params["force"]:
        module.fail_json(
            msg=f"Still there {params['timeout']} s after the release was removed: {'; '.join(names)}. If a node is down or its kubelet does not answer, "
            "its pods never "
            "end: kubectl get nodes. Mend it and run this again, or remove them all the same with -e alluxio_force=true (or --force)."
        )
    for pod in pods:
        if pod.metadata.finalizers:
            retried(core.patch_namespaced_pod, pod.metadata.name, params["namespace"], {"metadata": {"finalizers": None}}, missing=None)
        retried(core.delete_namespaced_pod, pod.metadata.name, params["namespace"], grace_period_seconds=0, missing=None)
    module.exit_json(changed=bool(pods or ended), removed=ended, forced=names)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            "force": {"type": "bool", "default": False},
        },
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with explained(module):
        wait(module)


if __name__ == "__main__":
    main()
