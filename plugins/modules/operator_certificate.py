"""Ansible module: the certificate by which the API server trusts an admission webhook."""

from __future__ import annotations

DOCUMENTATION = r"""
module: operator_certificate
short_description: Hold the certificate of the operator's webhook
description:
  - Keeps the Secret with certificate, key and authorities while they fit together, hold the names and are valid for more than O(left) days; else makes
    them anew, an authority of its own with them, whose key is kept nowhere.
  - Before the Secret changes, the webhook is told to trust the new authority beside the old one, so that no call fails while pods still show the old
    certificate.
  - The key is never returned.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  name: {description: Name of the Secret., type: str, required: true}
  namespace: {description: Namespace of the Secret., type: str, required: true}
  names: {description: DNS names that the certificate holds., type: list, elements: str, required: true}
  labels: {description: Labels of the Secret., type: dict, default: {}}
  webhook: {description: Name of the MutatingWebhookConfiguration that trusts it., type: str, default: ""}
  days: {description: Days that a new certificate is valid., type: int, default: 365}
  left: {description: Days that a certificate must still be valid to be kept., type: int, default: 30}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Can tell that it would make a certificate without making it., support: full}
  diff_mode: {description: Has nothing that may be shown., support: none}
"""

EXAMPLES = r"""
- name: Hold the certificate
  alnair.alluxio.operator_certificate:
    kubeconfig: ~/.kube/config
    namespace: alluxio
    name: alnair-operator-tls
    names: [alnair-operator.alluxio.svc]
"""

RETURN = r"""
ca_bundle: {description: "The authorities, in base64 as a webhook takes them; empty where there is none yet.", type: str, returned: success}
ends: {description: "When the certificate ends, as a date; empty where there is none yet.", type: str, returned: success}
reason: {description: "Why it was made anew, or would be; empty where it was kept.", type: str, returned: success}
"""

import base64
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import certificates, kube, objects

try:
    import kubernetes
except ImportError:
    kubernetes = None

FILES = ("tls.crt", "tls.key", "ca.crt")


def encoded(text: bytes) -> str:
    """Return bytes as the API takes them."""
    return base64.b64encode(text).decode()


def trust(cluster: objects.Objects, name: str, authorities: str) -> None:
    """Have a webhook trust a bundle, where the webhook is there."""
    item = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": name}}
    if name and (found := cluster.get(item)):
        change = [{"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": authorities} for index in range(len(found.get("webhooks") or []))]
        cluster.patch(item, change, "json")


def hold(params: dict[str, Any], cluster: objects.Objects, *, check: bool) -> dict[str, Any]:
    """Bring the Secret to its state."""
    secret: dict[str, Any] = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": params["name"], "namespace": params["namespace"], "labels": params["labels"]},
    }  # fmt: skip
    there = (cluster.get(secret) or {}).get("data") or {}
    certificate, key, authorities = (base64.b64decode(there.get(name) or "") for name in FILES)
    why = certificates.fault(certificate, key, authorities, params["names"], params["left"])
    if why and not check:
        certificate, key, authority = certificates.made(params["names"], params["days"])
        authorities = certificates.trusted(authority, authorities)
        trust(cluster, params["webhook"], encoded(authorities))
        cluster.apply({**secret, "data": dict(zip(FILES, map(encoded, (certificate, key, authorities)), strict=True))})
    found = certificates.bundle(certificate)
    return {"changed": bool(why), "reason": why, "ca_bundle": encoded(authorities), "ends": f"{certificates.ends(found[0]):%Y-%m-%d}" if found else ""}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "labels": {"type": "dict", "default": {}},
            "webhook": {"type": "str", "default": ""},
            "days": {"type": "int", "default": 365},
            "left": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    for package, found in (("kubernetes", kubernetes), ("cryptography", certificates.x509)):
        if found is None:
            module.fail_json(msg=missing_required_lib(package))
    with kube.explained(module):
        module.exit_json(**hold(module.params, objects.Objects(kube.client(module.params)), check=module.check_mode))


if __name__ == "__main__":
    main()
