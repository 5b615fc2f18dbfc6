"""Ansible module: objects of the cluster, made and kept as they are said, in one run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: objects_present
short_description: Hold objects of the cluster
description:
  - Applies objects in their order on the server's side, so that fields that are no longer named go and fields of others stay.
  - An object counts as changed only where what its owner says of it differs; what controllers write beside it does not count.
  - In check mode the server tells what it would make of each object. Where namespace or kind do not exist yet, the object is one that would be made.
  - Waits until a CustomResourceDefinition can be used before the next object is applied.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  objects: {description: "The objects, as the API takes them, those first that others need.", type: list, elements: dict, required: true}
  secret: {description: "Whether what the objects hold must not be told; differences are not returned then.", type: bool, default: false}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Can tell what it would change without changing it., support: full}
  diff_mode: {description: Returns what differs., support: full}
"""

EXAMPLES = r"""
- name: Make a namespace
  alnair.alluxio.objects_present:
    kubeconfig: ~/.kube/config
    objects:
      - {apiVersion: v1, kind: Namespace, metadata: {name: alluxio}}
"""

RETURN = r"""
made: {description: Objects that were not there., type: list, elements: str, returned: success}
altered: {description: Objects that were there and differed., type: list, elements: str, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, objects

# The client brings PyYAML with it.
try:
    import kubernetes
    import yaml
except ImportError:
    kubernetes = None


def hold(module: AnsibleModule, cluster: objects.Objects) -> dict[str, Any]:
    """Apply the objects and return what that changed."""
    made, altered, before, after = list[str](), list[str](), dict[str, Any](), dict[str, Any]()
    for item in module.params["objects"]:
        name, found = objects.title(item), cluster.get(item)
        try:
            applied = cluster.apply(item, dry_run=module.check_mode)
        except kubernetes.client.ApiException as error:
            # A namespace or a kind that this very run would have made first.
            if not (module.check_mode and found is None and error.status == 404):
                module.fail_json(msg=f"{name} could not be applied: {kube.reason(error)}", made=made, altered=altered)
            applied = item
        was, now = objects.owned(found, item), objects.owned(applied, item)
        if found is None:
            made.append(name)
        elif was != now:
            altered.append(name)
        if was != now:
            before[name], after[name] = was, now
        if item["kind"] == "CustomResourceDefinition" and not module.check_mode and not cluster.established(item):
            module.fail_json(msg=f"{name} was applied, but the API server does not serve it after 30 s. Try: kubectl describe crd {item['metadata']['name']}")
    diff = {} if module.params["secret"] else {"diff": {"before": dump(before), "after": dump(after)}}
    return {"made": made, "altered": altered, "changed": bool(before or after), **(diff if module._diff else {})}


def dump(found: dict[str, Any]) -> str:
    """Return objects as text; nothing for none."""
    return yaml.safe_dump({name: item for name, item in found.items() if item}) if any(found.values()) else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "objects": {"type": "list", "elements": "dict", "required": True},
            "secret": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module):
        module.exit_json(**hold(module, objects.Objects(kube.client(module.params))))


if __name__ == "__main__":
    main()
