"""Action of account_probe: the state of an account from one sh script."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.modules.account_probe import ARGUMENTS
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction, sections


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells what a host knows of an account, in sections that begin with ``# `` and their name."""
    name, group, home, uid, gid = (shlex.quote(str(args[word])) for word in ("name", "group", "home", "uid", "gid"))
    # A directory service tells of those who are asked for by name or number only, not in its lists.
    # Each program costs every host about 2 ms, so what may be had without one is, and what nobody asks for is not looked at.
    lines = ["echo '# user'", "getent passwd", f"getent passwd {name} {uid}", "echo '# group'", "getent group", f"getent group {group} {gid}"]
    lines.append(f"echo '# member'; id -nG -- {name} 2>/dev/null")
    lines.append("echo '# writable'; if [ -w /etc ]; then echo /etc; fi")
    lines.append(f"echo '# home'; if [ -d {home} ]; then echo {home}; fi")
    if args.get("password_digest"):
        lines.append(f"echo '# digest'; getent shadow {name} | cut -d: -f2 | tr -d '\\n' | sha256sum")
    if args.get("state") == "absent":
        data = " ".join(shlex.quote(path) for path in args.get("data", []))
        files = f'for data in {data}; do find "$data" -xdev ! -type d -user {name} -print 2>/dev/null; done | head -n 5' if data else ":"
        lines.append(f"if id -u -- {name} >/dev/null 2>&1; then echo '# process'; ps -o pid=,comm= -u {name}; echo '# file'; {files}; fi")
    return "; ".join([*lines, "true"])


def conflicts(args: dict[str, Any], users: list[list[str]], groups: list[list[str]]) -> list[str]:
    """Return a sentence for every name or number of the wanted account that somebody else has."""
    found = []
    looked_at = (("user", "uid", users, args["name"], int(args["uid"])), ("group", "gid", groups, args["group"], int(args["gid"])))
    for kind, number, entries_, name, wanted in looked_at:
        found += [f"{kind} {name} exists with {number} {entry[2]}, not {wanted}" for entry in entries_ if entry[0] == name and int(entry[2]) != wanted]
        found += [f"{number} {wanted} belongs to {kind} {entry[0]}" for entry in entries_ if entry[0] != name and int(entry[2]) == wanted]
    return found


def compare(args: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """Return what the lines that the script printed say of the account.

    Returns:
        as_wanted, there, conflicts, used, processes, files and diff; see the module's documentation.
    """
    found = sections(lines)
    users, groups = ([line.split(":") for line in dict.fromkeys(found.get(kind, []))] for kind in ("user", "group"))
    user = next((entry for entry in users if entry[0] == args["name"]), None)
    group = next((entry for entry in groups if entry[0] == args["group"]), None)
    numbers = [str(args["uid"]), str(args["gid"])]
    member, digest = set(" ".join(found.get("member", [])).split()), [line.split()[0] for line in found.get("digest", [])]
    fits = not args.get("password_digest") or [args["password_digest"]] == digest
    others = sorted(set(group[3].split(",")) - {args["name"], ""}) if group else []
    there = user is not None or group is not None
    return {
        "as_wanted": not there if args.get("state") == "absent" else user is not None and group is not None and group[2] == numbers[1]
        and user[2:4] == numbers and user[5:7] == [args["home"], args["shell"]]
        and set(args.get("groups", [])) <= member and "home" in found and fits,
        "there": there,
        "writable": "writable" in found,
        "conflicts": conflicts(args, users, groups),
        "used": sorted({int(entry[2]) for entry in users + groups if 1000 <= int(entry[2]) < 60000}),
        "processes": found.get("process", []),
        "files": list(dict.fromkeys(found.get("file", []))),
        "members": others,
        "diff": diff(args, user, group, {"home": "home" in found, "password": fits}, member, others),
    }  # fmt: skip


def diff(
    args: dict[str, Any], user: list[str] | None, group: list[str] | None, fits: dict[str, bool], member: set[str], others: list[str]
) -> dict[str, dict[str, Any]]:
    """Return what is there and what shall be, as Ansible shows differences.

    Args:
        args: What is wanted.
        user: The user's entry of passwd; None where there is none.
        group: The group's entry of group; None where there is none.
        fits: Whether the home directory is there, and whether the password is the wanted one.
        member: Names of the groups that the user is in.
        others: Who else is in the group, for whom it stays.
    """
    before, after = dict[str, Any](), dict[str, Any]()
    user_named, group_named, asked = f"user {args['name']}", f"group {args['group']}", args.get("groups", [])
    if group:
        before[group_named] = {"gid": int(group[2])}
    if user:
        home = user[5] if fits["home"] or user[5] != args["home"] else f"{user[5]}, which is not there"
        before[user_named] = {"uid": int(user[2]), "gid": int(user[3]), "home": home, "shell": user[6], "groups": sorted(member & set(asked)),
                              "password": "as wanted" if fits["password"] else "another"}  # fmt: skip
    if args.get("state") == "absent":
        return {"before": before, "after": {group_named: before[group_named]} if group and others else {}}
    after[group_named] = {"gid": args["gid"]}
    after[user_named] = {"uid": args["uid"], "gid": args["gid"], "home": args["home"], "shell": args["shell"], "groups": sorted(asked), "password": "as wanted"}
    # Of a new account that it has one says nothing.
    after[user_named] = {key: value for key, value in after[user_named].items() if user or (value and key != "password")}
    return {"before": before, "after": after}


class ActionModule(ProbeAction):
    """Probe the account; there is nothing to act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        lines = self.probe(probe_script(args))
        if lines is None or not sections(lines).get("user"):
            raise AnsibleActionFail("The host's users could not be read. Is getent there, and may this user become root?")
        found = compare(args, lines)
        if not found.pop("writable") and not found["as_wanted"]:
            raise AnsibleActionFail("The account cannot be changed because /etc is read-only for this user: mount it read-write, or use become.")
        # What the role does then, it leaves to this in check mode: the modules that it does it by tell of no difference.
        changed = bool(self._task.check_mode) and not found["as_wanted"] and not found["conflicts"]
        return {"changed": changed, **(found if changed else {key: value for key, value in found.items() if key != "diff"})}
