"""Documentation of the action host_facts, which needs no Python on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Tell what of a host matters to Alluxio
description:
  - Reads with one sh script over the open connection what module M(alnair.alluxio.doctor) judges; starts a Python on the host only to ask for its version.
  - Changes nothing.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  node: {description: What Kubernetes calls the host., type: str, required: true}
  python: {description: Interpreter of the host's modules., type: str, default: python3}
  user: {description: Name of the account that Alluxio's files belong to., type: str, required: true}
  uid: {description: Its number., type: int, required: true}
  group: {description: Name of its group., type: str, required: true}
  gid: {description: Number of its group., type: int, required: true}
  root: {description: Directory for journal and domain socket; need not be there., type: path, required: true}
  mount: {description: Where FUSE mounts the cache; need not be there., type: path, required: true}
  folders: {description: Folders whose owner and mode are told., type: list, elements: str, default: []}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Look at the host
  alnair.alluxio.host_facts:
    {node: node-1, user: alluxio-user, uid: 1000, group: alluxio-user, gid: 1000, root: /mnt/fuse, mount: /mnt/alluxio-fuse}
"""

RETURN = r"""
facts:
  description: What the host told; what it could not tell is empty or null.
  type: dict
  returned: success
  contains:
    node: {description: What Kubernetes calls the host., type: str}
    root: {description: Whether the script ran as root., type: bool}
    system: {description: Name and version of the operating system., type: str}
    family: {description: "ID and ID_LIKE of /etc/os-release.", type: list, elements: str}
    kernel: {description: Release of the kernel., type: str}
    python: {description: Version of the interpreter., type: str}
    device: {description: Whether /dev/fuse is there., type: bool}
    module: {description: "loaded, loadable or empty: the kernel's module fuse.", type: str}
    propagation: {description: Propagation of the mount that the FUSE mount will lie on., type: str}
    free_mib: {description: Free space below the root directory., type: int}
    free_inodes: {description: Free inodes there; null where its file system has none., type: int}
    memory: {description: Bytes of memory., type: int}
    available: {description: Bytes of memory that are available., type: int}
    shm: {description: Bytes that /dev/shm holds; null where it is no mount., type: int}
    ports: {description: "Programs that listen by port; null where that cannot be read.", type: dict}
    users: {description: "Name and number of users with the account's name or number.", type: list, elements: list}
    groups: {description: "Name and number of groups with the group's name or number.", type: list, elements: list}
    folders: {description: "Mode as ls prints it, uid and gid by folder, links followed; null where nothing is there.", type: dict}
"""

ARGUMENTS = {
    "node": {"type": "str", "required": True},
    "python": {"type": "str", "default": "python3"},
    "user": {"type": "str", "required": True},
    "uid": {"type": "int", "required": True},
    "group": {"type": "str", "required": True},
    "gid": {"type": "int", "required": True},
    "root": {"type": "path", "required": True},
    "mount": {"type": "path", "required": True},
    "folders": {"type": "list", "elements": "str", "default": []},
}
