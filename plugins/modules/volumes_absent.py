"""Ansible module: removal of a release's claims and volumes, bounded in time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volumes_absent
short_description: Remove the claims and volumes of a release
description:
  - Removes the release's claims and waits until they are gone, then the volumes that carry the release's label and are for this namespace, then the storage
    class that M(alnair.alluxio.volumes_present) made, where nothing else uses it.
  - Removes nothing while a pod uses one of the claims, and names the pod. In check mode the release's own pods are told instead, which go with the release.
  - When something is stuck, names what holds it and fails, or with O(force) takes its finalizers off as the last step. What lies in the volumes stays.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the claims., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: "Seconds to wait for the claims, and for the volumes.", type: int, default: 60}
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
removed: {description: "Claims, volumes and storage class that were there.", type: list, elements: str, returned: success}
held: {description: "In check mode, the release's own pods that use the claims.", type: list, elements: str, returned: success}
cluster: {description: URL of the API server and the context that names it., type: str, returned: success}
forced: {description: Those whose finalizers were taken off., type: list, elements: str, returned: success}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils.kube import ARGUMENTS, client, explained, retried

try:
    import kubernetes
except ImportError:
    kubernetes = None


class Volumes:
    """The volumes of a release, their claims and their storage class in the cluster."""

    def __init__(self, params: dict[str, Any]) -> None:
        api = client(params)
        self.server = f"{api.configuration.host} (context {params['context'] or kubernetes.config.list_kube_config_contexts(params['kubeconfig'])[1]['name']})"
        self.core, self.storage = kubernetes.client.CoreV1Api(api), kubernetes.client.StorageV1Api(api)
        self.namespace, self.release = params["namespace"], params["release"]

    def volumes(self) -> list[Any]:
        """Return the release's volumes; those of a release of the same name in another namespace are not its own."""
        listed = retried(self.core.list_persistent_volume, label_selector=f"app=alluxio,release={self.release}").items
        return [item for item in listed if not item.spec.claim_ref or item.spec.claim_ref.namespace in (None, self.namespace)]

    def claims(self, volumes: list[Any]) -> list[Any]:
        """Return the release's claims: those that carry its labels and those that its volumes are for."""
        meant = {item.spec.claim_ref.name for item in volumes if item.spec.claim_ref}
        listed = retried(self.core.list_namespaced_persistent_volume_claim, self.namespace).items
        return [item for item in listed if item.metadata.name in meant or self.owns(item)]

    def classes(self, volumes: list[Any]) -> list[Any]:
        """Return the storage classes that were made with volumes like these and that nothing else uses."""
        made = retried(self.storage.list_storage_class, label_selector="app.kubernetes.io/managed-by=alnair").items
        own = {item.metadata.name for item in volumes}
        used = {item.spec.storage_class_name for item in retried(self.core.list_persistent_volume).items if item.metadata.name not in own}
        claims = retried(self.core.list_persistent_volume_claim_for_all_namespaces).items if made else []
        own_claims = {item.metadata.uid for item in self.claims(volumes)}
        used |= {item.spec.storage_class_name for item in claims if item.metadata.uid not in own_claims}
        return [item for item in made if item.metadata.name not in used]

    def holders(self, claims: list[Any], own: bool) -> list[str]:
        """Return the pods that use one of the claims: the release's own, or all others."""
        names = {item.metadata.name for item in claims}
        return [
            f"pod {self.namespace}/{pod.metadata.name} holds claim {volume.persistent_volume_claim.claim_name}"
            for pod in retried(self.core.list_namespaced_pod, self.namespace).items
            # A pod that has ended holds nothing.
            if self.owns(pod) == own and pod.status.phase not in ("Succeeded", "Failed")
            for volume in pod.spec.volumes or []
            if volume.persistent_volume_claim and volume.persistent_volume_claim.claim_name in names
        ]

    def owns(self, item: Any) -> bool:
        """Tell whether an object carries the release's labels."""
        return {("app", "alluxio"), ("release", self.release)} <= {*(item.metadata.labels or {}).items()}

    def remove(self, kind: str, name: str) -> None:
        """Ask for the removal of an object; that it is gone already is fine."""
        calls = {
            "claim": (self.core.delete_namespaced_persistent_volume_claim, name, self.namespace),
            "volume": (self.core.delete_persistent_volume, name),
            "storage class": (self.storage.delete_storage_class, name),
        }
        retried(*calls[kind], missing=None)

    def free(self, kind: str, name: str) -> None:
        """Take an object's finalizers off."""
        body = {"metadata": {"finalizers": None}}
        if kind == "claim":
            retried(self.core.patch_namespaced_persistent_volume_claim, name, self.namespace, body, missing=None)
        else:
            retried(self.core.patch_persistent_volume, name, body, missing=None)


class Removal:
    """Removes one kind after the other, each in bounded time."""

    def __init__(self, module: AnsibleModule, volumes: Volumes) -> None:
        self.module, self.cluster, self.forced = module, volumes, list[str]()

    def __call__(self, kind: str, there: list[Any], left: Any) -> None:
        """Remove objects and wait until they are gone.

        Args:
            kind: claim or volume.
            there: The objects.
            left: Returns those of them that are still there.
        """
        for item in there:
            self.cluster.remove(kind, item.metadata.name)
        deadline = time.monotonic() + self.module.params["timeout"]
        while (stuck := left()) and time.monotonic() < deadline:
            time.sleep(1)
        if not stuck:
            return
        if not self.module.params["force"]:
            names = ", ".join(f"{kind} {item.metadata.name} (finalizers {', '.join(item.metadata.finalizers or []) or 'none'})" for item in stuck)
            held = "; ".join(self.cluster.holders(stuck, own=True) + self.cluster.holders(stuck, own=False)) if kind == "claim" else ""
            self.module.fail_json(
                msg=f"Still there after {self.module.params['timeout']} s: {names}. {f'In use: {held}. ' if held else ''}"
                "End what holds them and run this again, or take their finalizers off with -e alluxio_force=true (or --force)."
            )
        for item in stuck:
            self.cluster.free(kind, item.metadata.name)
            self.forced.append(f"{kind} {item.metadata.name} ({', '.join(item.metadata.finalizers or [])})")


def remove(module: AnsibleModule) -> None:
    """Remove what the release has."""
    cluster = Volumes(module.params)
    volumes = cluster.volumes()
    claims, classes = cluster.claims(volumes), cluster.classes(volumes)
    listed = [("claim", claims), ("volume", volumes), ("storage class", classes)]
    removed = [f"{kind} {item.metadata.name}" for kind, items in listed for item in items]
    others, own = cluster.holders(claims, own=False), cluster.holders(claims, own=True)
    holders = others if module.check_mode else others + own
    if holders and not module.params["force"]:
        module.fail_json(
            msg=f"No claim and no volume was removed on {cluster.server}: {'; '.join(holders)}. Delete these pods first, or use -e alluxio_force=true (or "
            "--force)."
        )
    if module.check_mode or not removed:
        module.exit_json(changed=bool(removed), removed=removed, forced=[], held=own, cluster=cluster.server)
    removal = Removal(module, cluster)
    removal("claim", claims, lambda: cluster.claims(volumes))
    removal("volume", volumes, cluster.volumes)
    for item in classes:
        cluster.remove("storage class", item.metadata.name)
    module.exit_json(changed=True, removed=removed, forced=removal.forced, held=[], cluster=cluster.server)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 60},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with explained(module):
        remove(module)


if __name__ == "__main__":
    main()
