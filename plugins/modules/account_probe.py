"""Documentation of the action account_probe, which needs no Python on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: account_probe
short_description: Tell whether an account is as wanted, and who has its name or number
description:
  - Reads the host's users, groups and memberships with one sh script over the open connection; no Python is started there.
  - Changes nothing. A password is compared by the digest of its hash, so that neither is sent or shown.
  - In check mode it answers that something changes where the account is not as wanted, with what differs, for the module C(user) tells no difference.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state: {description: Whether the account shall be there., type: str, choices: [present, absent], default: present}
  name: {description: Name of the account., type: str, required: true}
  uid: {description: Number of the user., type: int, required: true}
  group: {description: Name of the primary group., type: str, required: true}
  gid: {description: Number of the primary group., type: int, required: true}
  shell: {description: Login shell., type: path, required: true}
  home: {description: Home directory., type: path, required: true}
  groups: {description: Further groups that the account shall be in., type: list, elements: str, default: []}
  password_digest: {description: SHA-256 of the password hash in hexadecimal digits; empty where any password will do., type: str, default: ""}
  data: {description: Directories whose files the account may own; see RV(files)., type: list, elements: path, default: []}
attributes:
  check_mode: {description: Tells what would change., support: full}
  diff_mode: {description: In check mode it tells what differs., support: partial}
"""

EXAMPLES = r"""
- name: Look at the account
  alnair.alluxio.account_probe: {name: alluxio-user, uid: 1000, group: alluxio-user, gid: 1000, shell: /bin/bash, home: /home/alluxio-user}
"""

RETURN = r"""
as_wanted: {description: Whether nothing is to be done., type: bool, returned: success}
there: {description: Whether the user or the group is there., type: bool, returned: success}
conflicts: {description: "A sentence for each name or number that somebody else has.", type: list, elements: str, returned: success}
used: {description: "The uids and gids from 1000 to 59999 that are given away.", type: list, elements: int, returned: success}
members: {description: "Who else is in the group, as far as the group's own entry tells.", type: list, elements: str, returned: success}
processes: {description: "Number and name of the account's processes.", type: list, elements: str, returned: when O(state=absent)}
files: {description: "The first of the account's files below O(data).", type: list, elements: str, returned: when O(state=absent)}
"""

ARGUMENTS = {
    "state": {"choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "required": True},
    "uid": {"type": "int", "required": True},
    "group": {"type": "str", "required": True},
    "gid": {"type": "int", "required": True},
    "shell": {"type": "path", "required": True},
    "home": {"type": "path", "required": True},
    "groups": {"type": "list", "elements": "str", "default": []},
    "password_digest": {"type": "str", "default": "", "no_log": False},
    "data": {"type": "list", "elements": "path", "default": []},
}
