"""Ansible module: removal of a release's claims and volumes, bounded in time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volumes_absent
short_description: Remove the claims and volumes of a release
description:
  - Removes the volumes that carry the release's label and the claims that they are bound to, and waits until they are gone.
  - When something is stuck, names the pods that hold it and fails, or with O(force) takes its finalizers off as the last step.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the claims., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds to wait., type: int, default: 60}
  force: {description: Whether finalizers are taken off what is stuck., type: bool, default: false}
attributes:
  check_mode: {description: Can tell what it would remove., support: full}
  diff_mode: {description: Does not return a diff., support: none}
"""

EXAMPLES = r"""
- name: Remove
  alnair.alluxio.volumes_absent: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
removed: {description: Claims and volumes that were there., type: list, elements: str, returned: success}
forced: {description: Those whose finalizers were taken off., type: list, elements: str, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import kubernetes
except ImportError:
    kubernetes = None


class Volumes:
    """The volumes of a release and their claims in the cluster."""

    def __init__(self, core: Any, params: dict[str, Any]) -> None:
        self.core = core
        self.params = params

    def found(self) -> tuple[list[str], list[str]]:
        """Return the names of the claims and of the volumes that are there."""
        selector = f"app=alluxio,release={self.params['release']}"
        volumes = self.core.list_persistent_volume(label_selector=selector).items
        wanted = {item.spec.claim_ref.name for item in volumes if item.spec.claim_ref}
        claims = self.core.list_namespaced_persistent_volume_claim(self.params["namespace"]).items
        labelled = [c.metadata.name for c in claims if (c.metadata.labels or {}).get("release") == self.params["release"]]
        return sorted({*labelled, *(c.metadata.name for c in claims if c.metadata.name in wanted)}), [v.metadata.name for v in volumes]

    def holders(self, claims: list[str]) -> list[str]:
        """Return the pods that use one of the claims."""
        pods = self.core.list_namespaced_pod(self.params["namespace"]).items
        return [
            f"pod {pod.metadata.name} holds claim {volume.persistent_volume_claim.claim_name}"
            for pod in pods
            for volume in pod.spec.volumes or []
            if volume.persistent_volume_claim and volume.persistent_volume_claim.claim_name in claims
        ]

    def delete(self, claims: list[str], volumes: list[str]) -> None:
        """Ask for the removal of claims and volumes."""
        for name in claims:
            self.quietly(self.core.delete_namespaced_persistent_volume_claim, name, self.params["namespace"])
        for name in volumes:
            self.quietly(self.core.delete_persistent_volume, name)

    def strip(self, claims: list[str], volumes: list[str]) -> list[str]:
        """Take the finalizers off; return what was stripped."""
        body = {"metadata": {"finalizers": None}}
        for name in claims:
            self.quietly(self.core.patch_namespaced_persistent_volume_claim, name, self.params["namespace"], body)
        for name in volumes:
            self.quietly(self.core.patch_persistent_volume, name, body)
        return [f"claim {name}" for name in claims] + [f"volume {name}" for name in volumes]

    def stuck(self) -> list[str]:
        """Return what is still there with the finalizers that keep it."""
        claims, volumes = self.found()
        listed = [("claim", item) for item in self.core.list_namespaced_persistent_volume_claim(self.params["namespace"]).items if item.metadata.name in claims]
        listed += [("volume", item) for item in self.core.list_persistent_volume().items if item.metadata.name in volumes]
        return [f"{kind} {item.metadata.name} (finalizers {', '.join(item.metadata.finalizers or []) or 'none'})" for kind, item in listed]

    @staticmethod
    def quietly(call: Any, *args: Any) -> None:
        """Call the API; that the object is gone already is fine."""
        try:
            call(*args)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "kubeconfig": {"type": "path", "required": True},
            "context": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 60},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    client = kubernetes.config.new_client_from_config(params["kubeconfig"], context=params["context"] or None)
    volumes = Volumes(kubernetes.client.CoreV1Api(client), params)
    claims, names = volumes.found()
    removed = [f"claim {name}" for name in claims] + [f"volume {name}" for name in names]
    if module.check_mode or not removed:
        module.exit_json(changed=bool(removed), removed=removed, forced=[])
    holders = volumes.holders(claims)
    if holders and not params["force"]:
        module.fail_json(msg=f"Nothing was removed: {'; '.join(holders)}. Delete these pods first, or use force.")
    volumes.delete(claims, names)
    deadline = time.monotonic() + params["timeout"]
    while any(left := volumes.found()) and time.monotonic() < deadline:
        time.sleep(1)
    forced: list[str] = []
    if any(left):
        if not params["force"]:
            held = "; ".join(volumes.holders(left[0]))
            module.fail_json(
                msg=f"Still there after {params['timeout']} s: {', '.join(volumes.stuck())}. {f'In use: {held}. ' if held else ''}"
                "End what holds them, or use force to take their finalizers off."
            )
        forced = volumes.strip(*left)
    module.exit_json(changed=True, removed=removed, forced=forced)


if __name__ == "__main__":
    main()
