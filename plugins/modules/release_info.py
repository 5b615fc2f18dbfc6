"""Ansible module: what a release's leading master says of itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Ask the leading master of a release how it stands
description:
  - Asks over the API server which master leads, how many paths it knows and which workers are live. That nobody answers is an answer, no failure.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout:
    description: Seconds to wait for a master that leads, as long as there shall be one and one could still start; 0 asks once.
    type: int
    default: 0
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Ask
  alnair.alluxio.release_info: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
leader: {description: The pod that leads; none where no master answers as that., type: str, returned: success}
paths: {description: Number of files and directories that it knows., type: int, returned: success}
workers: {description: Host names of the workers that it counts as live., type: list, elements: str, returned: success}
masters: {description: Name of the masters' StatefulSet; empty where there is none., type: str, returned: success}
count: {description: Number of masters that there shall be., type: int, returned: success}
image: {description: Image of the masters., type: str, returned: success}
revision: {description: Newest revision of the release; 0 for none., type: int, returned: success}
status: {description: What helm says of that revision; empty for none., type: str, returned: success}
move:
  description: >-
    What a move of the journal that has not ended remembered: aside, revision, masters, and under started the revision that started from the backup, 0 for
    none yet.
  type: dict
  returned: when there is one
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, readiness
from ansible_collections.alnair.alluxio.plugins.module_utils import masters as about

try:
    import kubernetes
except ImportError:
    kubernetes = None


def newest(secrets: list[Any]) -> dict[str, Any]:
    """Return revision and status of the newest of helm's Secrets."""
    labels = max((item.metadata.labels for item in secrets), key=lambda item: int(item["version"]), default={"version": "0", "status": ""})
    return {"revision": int(labels["version"]), "status": labels["status"]}


def leading(masters: about.Masters, replicas: int, timeout: int) -> about.Leader | None:
    """Return the master that leads; None when none does in time, or none can."""
    deadline = time.monotonic() + timeout
    while not (found := masters.leader()) and replicas and time.monotonic() < deadline:
        pods = kube.retried(masters.core.list_namespaced_pod, masters.namespace, label_selector=masters.selector).items
        if pods and all(readiness.hopeless(masters.client.sanitize_for_serialization(pod)) for pod in pods):
            return None
        time.sleep(2)
    return found


def asked(params: dict[str, Any]) -> dict[str, Any]:
    """Return how the release stands."""
    masters = about.Masters(kube.client(params), params["namespace"], params["release"])
    secrets = kube.retried(masters.core.list_namespaced_secret, params["namespace"], label_selector=f"owner=helm,name={params['release']}").items
    move = masters.move()
    known = {**newest(secrets), **({"move": move} if move else {})}
    try:
        stateful_set = masters.stateful_set()
    except about.MastersError:
        return {"leader": None, "paths": 0, "workers": [], "masters": "", "count": 0, "image": "", **known}
    found = leading(masters, stateful_set["spec"]["replicas"], params["timeout"])
    return {
        "leader": found.name if found else None,
        "paths": found.paths if found else 0,
        "workers": sorted(addresses[0] for addresses in found.workers) if found else [],
        "masters": stateful_set["metadata"]["name"],
        "count": stateful_set["spec"]["replicas"],
        "image": about.image_of(stateful_set),
        **known,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            **kube.ARGUMENTS,
            "timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        module.exit_json(changed=False, **asked(module.params))


if __name__ == "__main__":
    main()
