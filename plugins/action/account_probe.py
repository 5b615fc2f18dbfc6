"""Action of account_probe: the state of an account from one sh script."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells what a host knows of an account."""
    name, home = shlex.quote(args["name"]), shlex.quote(args["home"])
    data = " ".join(shlex.quote(path) for path in args.get("data", []))
    return "; ".join([
        "getent passwd | sed 's/^/user /'",
        "getent group | sed 's/^/group /'",
        f"id -nG -- {name} 2>/dev/null | sed 's/^/member /'",
        f"if [ -d {home} ]; then echo home; fi",
        f"getent shadow {name} | cut -d: -f2 | tr -d '\\n' | sha256sum | sed 's/^/digest /'",
        f"if id -u -- {name} >/dev/null 2>&1; then ps -o pid=,comm= -u {name} | sed 's/^ */process /'",
        f"for data in {data}; do find \"$data\" -xdev -user {name} -print 2>/dev/null; done | head -n 5 | sed 's/^/file /'; fi" if data else "fi",
    ])


def entries(lines: list[str], kind: str) -> list[list[str]]:
    """Return the fields of the lines of a kind."""
    return [line.split(" ", 1)[1].split(":") for line in lines if line.startswith(f"{kind} ")]


def conflicts(args: dict[str, Any], users: list[list[str]], groups: list[list[str]]) -> list[str]:
    """Return a sentence for every name or number of the wanted account that somebody else has."""
    found = []
    for kind, number, entries_, name, wanted in (("user", "uid", users, args["name"], int(args["uid"])), ("group", "gid", groups, args["group"], int(args["gid"]))):
        found += [f"{kind} {name} exists with {number} {entry[2]}, not {wanted}" for entry in entries_ if entry[0] == name and int(entry[2]) != wanted]
        found += [f"{number} {wanted} belongs to {kind} {entry[0]}" for entry in entries_ if entry[0] != name and int(entry[2]) == wanted]
    return found


def compare(args: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """Return what the lines that the script printed say of the account.

    Returns:
        as_wanted, there, conflicts, used, processes and files; see the module's documentation.
    """
    users, groups = entries(lines, "user"), entries(lines, "group")
    user = next((entry for entry in users if entry[0] == args["name"]), None)
    group = next((entry for entry in groups if entry[0] == args["group"]), None)
    members = {word for line in lines if line.startswith("member ") for word in line.split()[1:]}
    digest = next((line.split()[1] for line in lines if line.startswith("digest ")), "")
    numbers = [str(args["uid"]), str(args["gid"])]
    return {
        "as_wanted": user is not None and group is not None and group[2] == numbers[1] and user[2:4] == numbers
        and user[5:7] == [args["home"], args["shell"]] and set(args.get("groups", [])) <= members and "home" in lines
        and args.get("password_digest", "") in ("", digest),
        "there": user is not None or group is not None,
        "conflicts": conflicts(args, users, groups),
        "used": sorted({int(entry[2]) for entry in users + groups if 1000 <= int(entry[2]) < 60000}),
        "processes": [line.removeprefix("process ") for line in lines if line.startswith("process ")],
        "files": [line.removeprefix("file ") for line in lines if line.startswith("file ")],
    }  # fmt: skip


class ActionModule(ProbeAction):
    """Probe the account; there is nothing to act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        lines = self.probe(probe_script(self._task.args))
        if lines is None or not any(line.startswith("user ") for line in lines):
            raise AnsibleActionFail("The host's users could not be read. Is getent there, and may this user become root?")
        return {"changed": False, **compare(self._task.args, lines)}
