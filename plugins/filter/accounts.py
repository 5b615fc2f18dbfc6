"""Filters: who already has a name or number that an account shall get."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = r"""
name: account_conflicts
short_description: Tell who has the name, uid or gid that an account shall get
description:
  - Compares the wanted account with a host's passwd and group databases, as M(ansible.builtin.getent) returns them.
  - An account that already is as wanted is no conflict; a group of the wanted name and number is none either.
positional: wanted, passwd, group
options:
  _input:
    description: The wanted account, with user, uid, group and gid.
    type: dict
    required: true
  passwd:
    description: The databases' entries, by user name.
    type: dict
    required: true
  group:
    description: The databases' entries, by group name.
    type: dict
    required: true
"""

EXAMPLES = r"""
conflicts: "{{ {'user': 'a', 'uid': 1000, 'group': 'a', 'gid': 1000} | alnair.alluxio.account_conflicts(getent_passwd, getent_group) }}"
"""

RETURN = r"""
_value:
  description: One sentence per conflict; empty when the account can be made or is there.
  type: list
  elements: str
"""


def account_conflicts(wanted: dict[str, Any], passwd: dict[str, list[str]], group: dict[str, list[str]]) -> list[str]:
    """Return a sentence for every name or number of the wanted account that somebody else has."""
    user, uid, group_name, gid = wanted["user"], int(wanted["uid"]), wanted["group"], int(wanted["gid"])
    found = []
    if user in passwd and int(passwd[user][1]) != uid:
        found.append(f"user {user} exists with uid {passwd[user][1]}, not {uid}")
    found += [f"uid {uid} belongs to user {name}" for name, entry in passwd.items() if name != user and int(entry[1]) == uid]
    if group_name in group and int(group[group_name][1]) != gid:
        found.append(f"group {group_name} exists with gid {group[group_name][1]}, not {gid}")
    found += [f"gid {gid} belongs to group {name}" for name, entry in group.items() if name != group_name and int(entry[1]) == gid]
    return found


def free_ids(taken: list[dict[str, list[str]]], start: int = 1000) -> int:
    """Return the lowest number from start on that none of the databases has given away, so that uid and gid can be the same."""
    used = {int(entry[1]) for database in taken for entry in database.values()}
    return next(number for number in range(start, 60000) if number not in used)


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"account_conflicts": account_conflicts, "free_ids": free_ids}
