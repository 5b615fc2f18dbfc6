"""Ansible module: the backups of a release's journal on this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_backup_info
short_description: List the backups of a release's journal
description:
  - Reads what M(alnair.alluxio.journal_backup) wrote beside each backup, and tells whether the backup is still what it was.
  - Those of other clusters, namespaces and releases in the same directory are left out.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  directory: {description: Directory of the backups on this machine., type: path, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: List
  alnair.alluxio.journal_backup_info: {release: alluxio, namespace: alluxio, directory: ~/backups, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
backups:
  description: "The backups, newest first, each with path, revision, image, paths, bytes, sha256; whole: whether its checksum still holds; and current:
    whether the release has not been removed and installed anew since, so that its revisions are still the same."
  type: list
  elements: dict
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import backups, kube, pods

try:
    import kubernetes
except ImportError:
    kubernetes = None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            **kube.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    try:
        owner = backups.whose(kubernetes.client.CoreV1Api(kube.client(params)), params["namespace"], params["release"])
        found = [
            {"path": str(path), **facts, "whole": path.exists() and pods.digest(path) == facts["sha256"], "current": facts.get("life") == owner["life"]}
            for path, facts in backups.listed(Path(params["directory"]), owner, module.warn)
        ]
    except (kube.ClusterAway, kubernetes.client.ApiException, OSError) as error:
        module.fail_json(msg=f"The backups of release {params['release']} in {params['directory']}: {kube.reason(error)}")
    module.exit_json(changed=False, backups=found)


if __name__ == "__main__":
    main()
