"""Ansible module: the cluster's nodes, and what pods ask of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Read the cluster's nodes, and what pods ask of them
description:
  - Reads all nodes, and on demand of each pod that has not ended no more than who it is, where it runs and what its containers ask for, so that large
    clusters are read in one go.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  pods: {description: Whether to read the pods of all namespaces as well., type: bool, default: false}
  ready:
    description:
      - Nodes that are waited for, a minute at most, where they are there and not Ready. An API server that was away for some time calls nodes NotReady
        until their kubelets report to it again.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Read
  alnair.alluxio.cluster_info: {kubeconfig: ~/.kube/config, pods: true}
"""

RETURN = r"""
nodes: {description: "The nodes, without what manages their fields and without their images.", type: list, elements: dict, returned: success}
pods:
  description: "Pods: name, namespace and labels under metadata; nodeName, overhead and of each container what it asks for under spec."
  type: list
  elements: dict
  returned: when asked for
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube

try:
    import kubernetes
except ImportError:
    kubernetes = None

# Kubelets report every ten seconds, but take up to three quarters of a minute to give a connection up whose server has gone.
READY_SECONDS = 60.0


def nodes(core: Any, ready: list[str]) -> list[dict[str, Any]]:
    """Return all nodes, once those that are named are Ready or a minute is over."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        found = list(kube.listed(core.list_node))
        away = [node for node in found if node["metadata"]["name"] in ready and not is_ready(node)]
        if not away or time.monotonic() > deadline:
            return found
        time.sleep(2)


def is_ready(node: dict[str, Any]) -> bool:
    """Tell whether a node's kubelet reports that pods may run there."""
    return any(item["type"] == "Ready" and item["status"] == "True" for item in node["status"].get("conditions") or [])


def lean_node(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node without what is long and no matter here."""
    node["metadata"].pop("managedFields", None)
    node["status"].pop("images", None)
    return node


def lean_pod(pod: dict[str, Any]) -> dict[str, Any]:
    """Return who a pod is, where it runs and what it asks for."""
    metadata, spec = pod["metadata"], pod["spec"]

    def asking(containers: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [{key: item[key] for key in ("resources", "restartPolicy") if key in item} for item in containers or []]

    return {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata},
        "spec": {**{key: spec[key] for key in ("nodeName", "overhead") if key in spec}, "containers": asking(spec["containers"]),
                 "initContainers": asking(spec.get("initContainers"))},
    }  # fmt: skip


def main() -> None:
    """Run the module."""
    options = {"pods": {"type": "bool", "default": False}, "ready": {"type": "list", "elements": "str", "default": []}}
    module = AnsibleModule(argument_spec={**kube.ARGUMENTS, **options}, supports_check_mode=True)
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        core = kubernetes.client.CoreV1Api(kube.client(module.params))
        found = {"nodes": [lean_node(node) for node in nodes(core, module.params["ready"])]}
        if module.params["pods"]:
            found["pods"] = [lean_pod(pod) for pod in kube.listed(core.list_pod_for_all_namespaces, field_selector=kube.LIVE)]
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
