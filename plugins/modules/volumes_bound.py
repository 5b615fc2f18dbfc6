"""Ansible module: wait until a release's volumes are bound to their claims, and say why where they are not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volumes_bound
short_description: Wait until a release's volumes are bound
description:
  - Waits until every volume that carries the release's label is Bound, but for those that the chart's values do not use, and every claim of the release
    with it.
  - At the end of the time, or where no wait can help, names each volume and claim that is not, with the reason.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the claims., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  volumes: {description: "The volumes, as for M(alnair.alluxio.volumes_present).", type: list, elements: dict, required: true}
  defaults: {description: Values of the chart below those of the files., type: dict, default: {}}
  values_files: {description: Values files of the chart in order; later ones win., type: list, elements: path, default: []}
  values: {description: Values of the chart above those of the files., type: dict, default: {}}
  timeout: {description: Seconds to wait., type: int, default: 60}
attributes:
  check_mode: {description: Only reads., support: full}
  diff_mode: {description: Only reads., support: none}
"""

EXAMPLES = r"""
- name: Wait
  alnair.alluxio.volumes_bound:
    release: alluxio
    namespace: alluxio
    kubeconfig: ~/.kube/config
    volumes: "{{ groups['alluxio_masters'] | map('extract', hostvars)
      | alnair.alluxio.journal_volumes('alluxio', 'alluxio', '/mnt/fuse/alluxio-journal', '1Gi', 'standard', 'local') }}"
"""

RETURN = r"""
bound: {description: Names of the volumes., type: list, elements: str, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import volumes as about
from ansible_collections.alnair.alluxio.plugins.module_utils.kube import ARGUMENTS, client, explained, retried
from ansible_collections.alnair.alluxio.plugins.module_utils.values import layered
from ansible_collections.alnair.alluxio.plugins.module_utils.volumes import claim_of, misfits, of_chart

try:
    import kubernetes
except ImportError:
    kubernetes = None


class Binding:
    """The volumes of a release and its claims."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.api = client(params)
        self.core = kubernetes.client.CoreV1Api(self.api)
        self.namespace = params["namespace"]
        self.selector = f"app=alluxio,release={params['release']}"
        # Made under other values, they stay, and no claim will ever take them.
        used = [item["metadata"]["name"] for item in of_chart(params["volumes"], layered(params))]
        self.idle = {item["metadata"]["name"] for item in params["volumes"]}.difference(used)
        self.volumes: list[dict[str, Any]] = []
        self.claims: dict[str, dict[str, Any]] = {}

    def read(self) -> None:
        """Ask the cluster for both."""
        listed = self.api.sanitize_for_serialization(retried(self.core.list_persistent_volume, label_selector=self.selector).items)
        self.volumes = [item for item in listed if item["metadata"]["name"] not in self.idle]
        listed = self.api.sanitize_for_serialization(retried(self.core.list_namespaced_persistent_volume_claim, self.namespace).items)
        self.claims = {f"{self.namespace}/{item['metadata']['name']}": item for item in listed}

    def loose(self) -> list[dict[str, Any]]:
        """Return the volumes that are not bound."""
        return [item for item in self.volumes if item["status"]["phase"] != "Bound"]

    def pending(self) -> list[dict[str, Any]]:
        """Return the release's claims that are not bound and that no volume of the release is for."""
        meant = {claim_of(item) for item in self.volumes}
        labels = set(self.selector.split(","))
        return [
            item
            for name, item in self.claims.items()
            if name not in meant
            and labels <= {f"{key}={value}" for key, value in (item["metadata"].get("labels") or {}).items()}
            and item["status"]["phase"] != "Bound"
        ]

    def hopeless(self) -> bool:
        """Tell whether some volume's claim is not even there; claims come with the release, whose pods are Ready by now."""
        return any(claim_of(item) not in self.claims for item in self.loose())

    def said(self, kind: str, name: str, namespace: str) -> str:
        """Return the last warning of the cluster about an object."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        events = retried(self.core.list_namespaced_event, namespace, field_selector=selector).items
        # Events of a claim that waits as it should are no reason.
        events = [item for item in events if item.type == "Warning" or item.reason in ("FailedBinding", "WaitForFirstConsumer")]
        events.sort(key=lambda item: str(item.last_timestamp or item.event_time))
        return f" ({events[-1].reason}: {events[-1].message})" if events else ""

    def reasons(self) -> list[str]:
        """Return why each of what is not bound is not."""
        sentences = []
        for volume in self.loose():
            name, claim = f"{volume['metadata']['name']} is {volume['status']['phase']}", claim_of(volume)
            if not claim:
                sentences.append(f"{name}: it is for no claim")
            elif claim not in self.claims:
                sentences.append(f"{name}: its claim {claim} does not exist, so the chart does not ask for it")
            else:
                why = "; ".join(misfits(volume, self.claims[claim])) or f"its claim {claim} is {self.claims[claim]['status']['phase']}"
                sentences.append(f"{name}: {why}{self.said('PersistentVolumeClaim', claim.partition('/')[2], self.namespace)}")
        for claim in self.pending():
            name = claim["metadata"]["name"]
            sentences.append(f"claim {name} is {claim['status']['phase']}{self.said('PersistentVolumeClaim', name, self.namespace)}")
        return sentences


def wait(module: AnsibleModule) -> None:
    """Wait for all that the release has."""
    binding, deadline = Binding(module.params), time.monotonic() + module.params["timeout"]
    binding.read()
    while (binding.loose() or binding.pending()) and not binding.hopeless() and time.monotonic() < deadline:
        time.sleep(2)
        binding.read()
    if reasons := binding.reasons():
        module.fail_json(
            msg=f"Not bound to the claim that they are for: {'; '.join(reasons)}. Compare size, storage class and access mode (kubectl describe pv,pvc "
            f"--namespace {module.params['namespace']}), or take away volumes that the chart does not use with persistent_volumes_state: absent."
        )
    module.exit_json(changed=False, bound=[item["metadata"]["name"] for item in binding.volumes])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            **about.ARGUMENTS,
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with explained(module, ValueError):
        wait(module)


if __name__ == "__main__":
    main()
