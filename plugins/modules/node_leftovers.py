"""Documentation of the action node_leftovers, which asks a host with one shell script."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_leftovers
short_description: Clean up what pods of a removed release left on a host
description:
  - Unmounts what FUSE processes of Alluxio that were killed left at a mount point, where nobody can read any more. Mounts of another kind stay, and those
    that answer, with a warning; they are another release's, or of a pod that was removed by force while its process went on.
  - Removes the domain sockets in a directory that no process listens on.
  - For after the release's removal; it asks and acts with one shell script and needs no Python on the host.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  mount_point: {description: Where the release mounted the cache., type: str, required: true}
  domain_socket: {description: Directory of the workers' domain sockets., type: str, required: true}
attributes:
  check_mode: {description: Can tell what it would remove., support: full}
  diff_mode: {description: Does not return a diff., support: none}
"""

EXAMPLES = r"""
- name: Clean up
  alnair.alluxio.node_leftovers: {mount_point: /mnt/alluxio-fuse, domain_socket: /mnt/fuse/domain-socket}
"""

RETURN = r"""
removed: {description: "Mounts and sockets that were removed, or would be in check mode.", type: list, elements: str, returned: success}
kept: {description: Mounts of Alluxio that stay because they answer., type: list, elements: str, returned: success}
"""

ARGUMENTS = {"mount_point": {"type": "str", "required": True}, "domain_socket": {"type": "str", "required": True}}
