"""Ansible module: a release's volumes and their storage class, checked against the claims before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volumes_present
short_description: Hold the volumes of a release, so that its claims bind to them
description:
  - Makes volumes and, where it is missing, their storage class; a storage class that exists is never changed.
  - Takes a Released volume up again, with what lies in it, so that the next claim of the same name is bound to it.
  - Checks size, storage class and access modes against the claims that exist and those that the chart will ask for, and finds what cannot be changed,
    before it changes anything.
  - Makes no journal's volume of a directory, on a node, that is a volume of another release already.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  volumes:
    description:
      - The volumes, with claimRef and the labels release and role.
      - One of role alluxio-master is for a journal, one of role alluxio-worker for the domain socket; it is made only where the chart's values ask for a
        claim of it, for the claim of the name that they make.
    type: list
    elements: dict
    required: true
  namespace: {description: Namespace of the claims., type: str, required: true}
  storage_class: {description: Name of the storage class., type: str, required: true}
  defaults: {description: Values of the chart below those of the files., type: dict, default: {}}
  values_files: {description: Values files of the chart in order; later ones win., type: list, elements: path, default: []}
  values: {description: Values of the chart above those of the files., type: dict, default: {}}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Can tell what it would change without changing it., support: full}
  diff_mode: {description: Returns what differs., support: full}
"""

EXAMPLES = r"""
- name: Make a journal's volume
  alnair.alluxio.volumes_present:
    kubeconfig: ~/.kube/config
    namespace: alluxio
    storage_class: standard
    volumes: "{{ groups['alluxio_masters'] | map('extract', hostvars)
      | alnair.alluxio.journal_volumes('alluxio', 'alluxio', '/mnt/fuse/alluxio-journal', '1Gi', 'standard', 'local') }}"
"""

RETURN = r"""
made: {description: Names of the volumes that were made., type: list, elements: str, returned: success}
freed: {description: Names of the volumes whose claim was deleted and that were taken up again., type: list, elements: str, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import volumes as about
from ansible_collections.alnair.alluxio.plugins.module_utils.kube import ARGUMENTS, client, explained, retried
from ansible_collections.alnair.alluxio.plugins.module_utils.values import layered, merged
from ansible_collections.alnair.alluxio.plugins.module_utils.volumes import change, claims_of_chart, obstacles, of_chart

# The client brings PyYAML with it.
try:
    import kubernetes
    import yaml
except ImportError:
    kubernetes = None

MADE_BY = {"app.kubernetes.io/managed-by": "alnair"}


def quietly(call: Any, *args: Any, **options: Any) -> None:
    """Make an object; that it is there already is fine: an answer may have been lost with a server that restarted."""
    try:
        retried(call, *args, **options)
    except kubernetes.client.ApiException as error:
        if error.status != 409:
            raise


def hold(module: AnsibleModule) -> None:
    """Bring the volumes to their state."""
    params, api = module.params, client(module.params)
    core, storage = kubernetes.client.CoreV1Api(api), kubernetes.client.StorageV1Api(api)
    try:
        values = layered(params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    wanted = of_chart(params["volumes"], values)
    listed = api.sanitize_for_serialization(retried(core.list_persistent_volume).items)
    claims = api.sanitize_for_serialization(retried(core.list_namespaced_persistent_volume_claim, params["namespace"]).items)
    found = {item["metadata"]["name"]: item for item in listed}
    try:
        wrong = obstacles(wanted, found, claims, claims_of_chart(wanted, values))
    except ValueError as error:
        wrong = [str(error)]
    if wrong:
        module.fail_json(msg=f"The volumes do not fit: {'; '.join(wrong)}. Nothing was changed.")
    class_missing = bool(wanted) and retried(storage.read_storage_class, params["storage_class"], missing=None) is None
    made = [item for item in wanted if item["metadata"]["name"] not in found]
    patches = {name: patch for item in wanted if (name := item["metadata"]["name"]) in found and (patch := change(item, found[name]))}
    freed = [name for name, patch in patches.items() if patch.get("spec", {}).get("claimRef", {}).get("uid", "") is None]
    if not module.check_mode:
        if class_missing:
            # A claim waits for its pod, so that volume and pod are placed together; a volume that names its claim is bound at once all the same.
            body = {"metadata": {"name": params["storage_class"], "labels": MADE_BY}, "provisioner": "kubernetes.io/no-provisioner",
                    "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Retain"}  # fmt: skip
            quietly(storage.create_storage_class, body)
        for item in made:
            quietly(core.create_persistent_volume, item)
        for name, patch in patches.items():
            retried(core.patch_persistent_volume, name, patch)
    before = {name: found[name]["spec"] for name in patches}
    after = {f"storage class {params['storage_class']}": "no-provisioner"} if class_missing else {}
    after.update({item["metadata"]["name"]: item["spec"] for item in made})
    after.update({name: merged([found[name]["spec"], patch.get("spec", {})]) for name, patch in patches.items()})
    diff = {"before": yaml.safe_dump(before) if before else "", "after": yaml.safe_dump(after) if after else ""}
    module.exit_json(changed=bool(after), made=[item["metadata"]["name"] for item in made], freed=freed, **({"diff": diff} if module._diff else {}))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            **about.ARGUMENTS,
            "namespace": {"type": "str", "required": True},
            "storage_class": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with explained(module):
        hold(module)


if __name__ == "__main__":
    main()
