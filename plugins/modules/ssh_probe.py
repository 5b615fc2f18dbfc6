"""Documentation of the action ssh_probe, which needs no Python on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_probe
short_description: Tell what a host's sshd and an account's ssh folder hold, and whom the account reaches
description:
  - Reads host keys, the account's key pair, allowed keys and pinned keys with one sh script over the open connection, and logs in to O(targets) at the same
    time; no Python is started there.
  - Changes nothing. No private key is read.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  user: {description: The account., type: str, required: true}
  home: {description: Its home directory., type: path, required: true}
  targets:
    description: Where the account shall get in without a password; empty on hosts that are no source.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The host's name in the inventory., type: str, required: true}
      host: {description: Name or address., type: str, required: true}
      port: {description: Port of sshd., type: int, default: 22}
  timeout: {description: Seconds that one login may take., type: int, default: 15}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Look at the account's ssh folder
  alnair.alluxio.ssh_probe: {user: alluxio-user, home: /home/alluxio-user, targets: [{name: node-1, host: 10.0.0.11}]}
"""

RETURN = r"""
host_keys: {description: "The host's public keys, type and key.", type: list, elements: str, returned: success}
public_key: {description: The account's public key where its pair is whole., type: str, returned: success}
exact:
  description: Whether the folder is there, all in it that counts is the account's alone, and no change of the pair was cut off.
  type: bool
  returned: success
allowed: {description: The lines that the role wrote into authorized_keys., type: list, elements: str, returned: success}
pinned: {description: The lines that the role wrote into known_hosts., type: list, elements: str, returned: success}
reached: {description: Names of the targets that let the account in., type: list, elements: str, returned: success}
"""

ARGUMENTS = {
    "user": {"type": "str", "required": True},
    "home": {"type": "path", "required": True},
    "targets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 22},
        },
    },
    "timeout": {"type": "int", "default": 15},
}
