"""Ansible module: how data sets stand; its action waits for them and tells how far they are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: datasets_ready
short_description: Wait until data sets are loaded
description:
  - Waits until the operator says Complete of each data set, and tells every quarter of a minute how far each is.
  - Fails with the operator's own message and the files that could not be loaded where one is Failed, TooLarge or Incomplete.
  - With O(reload), asks for another load first, which finds new files at the source and loads what was evicted. One that is under way is joined instead.
  - A wait that ends, however it does, leaves the load going.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  names: {description: "Names of the data sets, as NAMESPACE/NAME where they are of another namespace.", type: list, elements: str, required: true}
  namespace: {description: Namespace of those that are named without one., type: str, required: true}
  reload: {description: Whether another load is asked for., type: bool, default: false}
  timeout: {description: Seconds to wait for all of them., type: int, default: 3600}
  evict: {description: "Names of data sets that may be freed for the load that O(reload) asks for.", type: list, elements: str, default: []}
  begun: {description: What the action knows from its first question; nothing for anybody else., type: dict}
  pause: {description: Seconds that one question of the action may take., type: float, default: 0}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Tells how they stand without asking for a load or waiting., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Load a data set again
  alnair.alluxio.datasets_ready:
    kubeconfig: ~/.kube/config
    namespace: alluxio
    names: [images]
    reload: true
"""

RETURN = r"""
datasets: {description: The status of each by its name., type: dict, returned: always}
"""

import time
import uuid
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import datasets, kube, objects

try:
    import kubernetes
except ImportError:
    kubernetes = None


def reference(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what names a data set's object."""
    space, _slash, short = name.rpartition("/")
    return {"apiVersion": "centaurusinfra.com/v1", "kind": "AlnairDatacache", "metadata": {"name": short, "namespace": space or params["namespace"]}}


def began(cluster: objects.Objects, params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Return how each data set stands before the wait, after another load was asked for.

    Raises:
        LookupError: some are not there; the message names those that are.
    """
    there = {item["metadata"]["name"]: item for item in cluster.listed("centaurusinfra.com/v1", "AlnairDatacache", params["namespace"])}
    others = {name: cluster.get(reference(params, name)) for name in params["names"] if "/" in name}
    there |= {name: item for name, item in others.items() if item}
    if lacking := [name for name in params["names"] if name not in there]:
        raise LookupError(
            f"There is no data set {', '.join(lacking)} in namespace {params['namespace']}. Declared there: {', '.join(sorted(there)) or 'none'}. "
            "List it in alluxio_datasets and run playbooks/datasets.yml (alnair_runner.py dataset mount)."
        )
    found = {}
    for name in params["names"]:
        status = there[name].get("status") or {}
        found[name] = {key: value for key, value in status.items() if key in datasets.MEASURES}
        # What was declared a moment ago is loaded without being asked for, and a load that is under way is joined.
        seen = (status.get("observedGeneration") or 0) >= there[name]["metadata"].get("generation", 0)
        settled = seen and status.get("phase") in datasets.DONE + datasets.FAILED
        if params["reload"] and (settled or params["evict"]) and not check:
            found[name]["asked"] = " ".join([uuid.uuid4().hex, *([f"evict={','.join(params['evict'])}"] if params["evict"] else [])])
            cluster.patch(reference(params, name), {"metadata": {"annotations": {datasets.RELOAD: found[name]["asked"]}}})
    return found


def ask(module: AnsibleModule, cluster: objects.Objects) -> dict[str, Any]:
    """Return how each stands, at once when none is going on any more."""
    params = module.params
    begun = params["begun"] or began(cluster, params, check=module.check_mode)
    started = time.monotonic()
    while True:
        items = {name: cluster.get(reference(params, name)) for name in params["names"]}
        verdicts = {name: datasets.verdict(item, begun[name]) for name, item in items.items()}
        if "going" not in verdicts.values() or time.monotonic() - started >= params["pause"] or module.check_mode:
            break
        time.sleep(2)
    states = {name: (item or {}).get("status") or {} for name, item in items.items()}
    return {
        "datasets": states,
        "begun": begun,
        "going": {name: datasets.progress(name, states[name]) for name, found in verdicts.items() if found == "going"},
        "reasons": {name: datasets.explained(name, params["namespace"], items[name]) for name, found in verdicts.items() if found != "done"},
        "changed": any(datasets.moved(begun[name], states[name]) for name in items),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "names": {"type": "list", "elements": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "reload": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 3600},
            "evict": {"type": "list", "elements": "str", "default": []},
            "begun": {"type": "dict"},
            "pause": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module, LookupError):
        module.exit_json(**ask(module, objects.Objects(kube.client(module.params))))


if __name__ == "__main__":
    main()
