"""Ansible module: objects of the cluster, removed in order, each in bounded time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: objects_absent
short_description: Remove objects of the cluster
description:
  - Removes objects and waits until they are gone, together with what they own.
  - An object that stays is named with its finalizers; they are taken off only with O(force), at the end of the wait.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  objects:
    description: "The objects: apiVersion, kind, and in metadata their name and namespace; all else is ignored."
    type: list
    elements: dict
    required: true
  timeout: {description: Seconds to wait for all of them., type: int, default: 120}
  force: {description: Whether finalizers are taken off what is still there after that time., type: bool, default: false}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Can tell what it would remove without removing it., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Remove a data set
  alnair.alluxio.objects_absent:
    kubeconfig: ~/.kube/config
    objects:
      - {apiVersion: centaurusinfra.com/v1, kind: AlnairDatacache, metadata: {name: images, namespace: alluxio}}
"""

RETURN = r"""
removed: {description: Objects that were there., type: list, elements: str, returned: success}
forced: {description: Objects whose finalizers were taken off., type: list, elements: str, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, objects

try:
    import kubernetes
except ImportError:
    kubernetes = None


def held(item: dict[str, Any]) -> str:
    """Return an object with what holds it, its own message among that."""
    said = (item.get("status") or {}).get("message")
    return f"{objects.title(item)} (finalizers {', '.join(item['metadata'].get('finalizers') or []) or 'none'}{f'; it says: {said}' if said else ''})"


def remove(module: AnsibleModule, cluster: objects.Objects) -> dict[str, Any]:
    """Remove the objects and return which were there."""
    params = module.params
    there = [item for item in params["objects"] if cluster.get(item)]
    names = [objects.title(item) for item in there]
    if module.check_mode or not there:
        return {"changed": bool(there), "removed": names, "forced": []}
    for item in there:
        # A Deployment stays until its pods are gone.
        cluster.delete(item, "Foreground" if item["kind"] == "Deployment" else "Background")

    def left() -> list[dict[str, Any]]:
        return [found for item in there if (found := cluster.get(item))]

    started = time.monotonic()
    objects.until(lambda: not left(), params["timeout"])
    stuck = left()
    if stuck and not params["force"]:
        module.fail_json(
            msg=f"Still there {time.monotonic() - started:.0f} s after their removal was asked for: {'; '.join(map(held, stuck))}. Mend what holds them and "
            "run "
            "this again, or take their finalizers off with -e alluxio_force=true (or --force)."
        )
    for item in stuck:
        cluster.patch(item, {"metadata": {"finalizers": None}})
    return {"changed": True, "removed": names, "forced": [held(item) for item in stuck]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "objects": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        module.exit_json(**remove(module, objects.Objects(kube.client(module.params))))


if __name__ == "__main__":
    main()
