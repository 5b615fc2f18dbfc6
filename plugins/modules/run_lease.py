"""Documentation of the action run_lease, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lease
short_description: Let only one run at a time change a cluster, whichever machine it comes from
description:
  - Takes a Lease of the cluster in the name of this ansible-playbook. A process beside it renews the Lease as long as ansible-playbook lives, however that
    ends, and deletes it then.
  - A run whose machine died leaves a Lease that nobody renews; the next run takes it over when it has expired.
  - Needs the cluster to be reached from this machine; where the hosts of C(alluxio_controller) are others, it warns that it keeps nobody out.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  namespace: {description: Namespace of the Lease; it must exist., type: str, default: default}
  name: {description: Name of the Lease; runs that use the same one keep each other out., type: str, default: alnair-run}
  seconds: {description: Seconds without renewal after which another run may take the Lease., type: int, default: 60}
attributes:
  check_mode: {description: Is for those who call it to skip., support: none}
  diff_mode: {description: Changes nothing that lasts., support: none}
"""

EXAMPLES = r"""
- name: Take the Lease
  alnair.alluxio.run_lease: {kubeconfig: ~/.kube/config}
  when: not ansible_check_mode
"""

RETURN = r"""
identity: {description: The name that the Lease is held in., type: str, returned: success}
"""
