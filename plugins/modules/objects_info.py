"""Ansible module: objects of several kinds, read in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: objects_info
short_description: Read objects of the cluster
description:
  - Reads objects of several kinds at once, and again while the API server is away for a moment, as while it restarts.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  kinds:
    description:
      - >-
        What is read, each by a name of its own, with apiVersion and kind. Further keys: namespace; name for one object; selector for labels and fields for
        fields, both as kubectl takes them; names_only for what names an object and its labels alone, so that what is secret stays where it is.
    type: dict
    required: true
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Reads as it always does., support: full}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Read the data sets and the pods that wait
  alnair.alluxio.objects_info:
    kubeconfig: ~/.kube/config
    kinds:
      datasets: {apiVersion: centaurusinfra.com/v1, kind: AlnairDatacache}
      waiting: {apiVersion: v1, kind: Pod, fields: status.phase=Pending}
"""

RETURN = r"""
found: {description: "The objects, as a list for each name.", type: dict, returned: success}
unknown: {description: Names of those kinds that the cluster does not know; their lists are empty., type: list, elements: str, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, objects

try:
    import kubernetes
except ImportError:
    kubernetes = None

KEYS = {"apiVersion", "kind", "namespace", "name", "selector", "fields", "names_only"}


def faults(kinds: dict[str, Any]) -> list[str]:
    """Return what is wrong with what shall be read."""
    found = []
    for name, asked in kinds.items():
        if not isinstance(asked, dict) or not {"apiVersion", "kind"} <= set(asked):
            found.append(f"{name} needs apiVersion and kind")
        elif extra := sorted(set(asked) - KEYS):
            found.append(f"{name} has {', '.join(extra)}; it takes {', '.join(sorted(KEYS))}")
    return found


def named(item: dict[str, Any]) -> dict[str, Any]:
    """Return what names an object, and its labels."""
    return {**item, "metadata": {key: value for key, value in item["metadata"].items() if key in ("name", "namespace", "labels")}}


def read(module: AnsibleModule, cluster: objects.Objects) -> dict[str, Any]:
    """Read the objects."""
    found: dict[str, Any] = {}
    unknown = []
    for name, asked in module.params["kinds"].items():
        version, kind, space = asked["apiVersion"], asked["kind"], asked.get("namespace") or ""
        if asked.get("name"):
            item = cluster.get({"apiVersion": version, "kind": kind, "metadata": {"name": asked["name"], **({"namespace": space} if space else {})}})
            items: list[dict[str, Any]] | None = [item] if item else []
        else:
            items = cluster.look(version, kind, space, asked.get("selector") or "", asked.get("fields") or "")
        if items is None:
            unknown.append(name)
        kept = items or []
        found[name] = [named({key: item[key] for key in ("apiVersion", "kind", "metadata")}) for item in kept] if asked.get("names_only") else kept
    return {"changed": False, "found": found, "unknown": unknown}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**kube.ARGUMENTS, "kinds": {"type": "dict", "required": True}}, supports_check_mode=True)
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    if wrong := faults(module.params["kinds"]):
        module.fail_json(msg=f"What shall be read cannot be: {'; '.join(wrong)}.")
    with kube.explained(module):
        module.exit_json(**read(module, objects.Objects(kube.client(module.params))))


if __name__ == "__main__":
    main()
