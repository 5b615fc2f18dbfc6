"""Action of host_facts: what of a host matters to Alluxio, from one sh script."""

from __future__ import annotations

import os
import re
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.modules.host_facts import ARGUMENTS
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction, sections

# A path that is not there yet will lie where the nearest one above it does.
CLIMB = 'p={}; while [ ! -d "$p" ]; do p=$(dirname "$p"); done'


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script, whose output stands in sections that begin with ``# `` and their name."""
    python = "python3" if args["python"].startswith("auto") else args["python"]
    user, uid, group, gid = (shlex.quote(str(args[name])) for name in ("user", "uid", "group", "gid"))
    return "; ".join([
        "echo '# id'", "id -u",
        "echo '# system'", "cat /etc/os-release 2>/dev/null",
        "echo '# kernel'", "uname -r",
        "echo '# python'", f"""{shlex.quote(python)} -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null""",
        "echo '# device'", "if [ -c /dev/fuse ]; then echo /dev/fuse; fi",
        "echo '# module'", "grep -w fuse /proc/filesystems || PATH=$PATH:/usr/sbin:/sbin modprobe --dry-run --quiet fuse && echo loadable",
        "echo '# propagation'", CLIMB.format(shlex.quote(os.path.dirname(args["mount"]))), 'findmnt -n -o PROPAGATION --target "$p" 2>/dev/null',
        "echo '# disk'", CLIMB.format(shlex.quote(args["root"])), 'df -Pk "$p" | tail -n 1', 'df -Pi "$p" | tail -n 1',
        "echo '# memory'", "cat /proc/meminfo",
        "echo '# shm'", "df -Pk /dev/shm 2>/dev/null | tail -n 1",
        "echo '# ports'", "if command -v ss >/dev/null; then ss -Hltnp && echo end; fi",
        "echo '# user'", f"getent passwd {user} {uid}",
        "echo '# group'", f"getent group {group} {gid}",
        "echo '# folders'", *[f"ls -dLn {shlex.quote(folder)} 2>/dev/null || echo none" for folder in args["folders"]],
        "true",
    ])  # fmt: skip


def parse(node: str, lines: list[str], asked: list[str] | None = None) -> dict[str, Any]:
    """Return what the lines that the script printed tell; see the module's documentation.

    Args:
        node: What Kubernetes calls the host.
        lines: What the script printed.
        asked: The folders that it was asked for.
    """
    found = sections(lines)
    first = {name: (found.get(name) or [""])[0] for name in ("id", "kernel", "python", "device", "module", "propagation")}
    release = dict(line.partition("=")[::2] for line in found.get("system", []))
    system = {key: value.strip("\"'") for key, value in release.items()}
    memory = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in found.get("memory", []) if re.match(r"\w+:\s+\d+ kB", line)}
    disk, inodes = ([line.split() for line in found.get("disk", [])] + [[], []])[:2]
    shm = (found.get("shm") or [""])[0].split()
    return {
        "node": node,
        "root": first["id"] == "0",
        "system": system.get("PRETTY_NAME", ""),
        "family": [system.get("ID", ""), *system.get("ID_LIKE", "").split()],
        "kernel": first["kernel"],
        "python": first["python"],
        "device": bool(first["device"]),
        "module": "loadable" if first["module"] == "loadable" else "loaded" if first["module"] else "",
        "propagation": first["propagation"],
        "free_mib": int(disk[3]) // 1024 if len(disk) > 3 else None,
        "free_inodes": int(inodes[3]) if len(inodes) > 3 and inodes[1] != "0" and inodes[3].isdigit() else None,
        "memory": memory.get("MemTotal", 0),
        "available": memory.get("MemAvailable", 0),
        "shm": int(shm[1]) * 1024 if len(shm) > 5 and shm[5] == "/dev/shm" else None,
        "ports": ports(found["ports"]) if "end" in found.get("ports", []) else None,
        "users": accounts(found.get("user", [])),
        "groups": accounts(found.get("group", [])),
        "folders": dict(zip(asked or [], map(folder, found.get("folders", [])), strict=False)),
    }


def ports(lines: list[str]) -> dict[str, str]:
    """Return the programs that listen, by port, from the lines of ss."""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) > 3:
            program = re.search(r'users:\(\("([^"]*)"', line)
            found[words[3].rpartition(":")[2]] = program[1] if program else ""
    return found


def accounts(lines: list[str]) -> list[list[str]]:
    """Return name and number from the lines of getent, each once."""
    return [[line.split(":")[0], line.split(":")[2]] for line in dict.fromkeys(lines)]


def folder(line: str) -> dict[str, Any] | None:
    """Return mode and owners from a line of ls; None where nothing is there."""
    words = line.split()
    return {"mode": words[0], "uid": int(words[2]), "gid": int(words[3])} if len(words) > 3 else None


class ActionModule(ProbeAction):
    """Look at the host; there is nothing to act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        lines = self.probe(probe_script(args))
        if lines is None or "# id" not in lines:
            raise AnsibleActionFail(
                "The host accepts the login, but ran no script. May this user become root without being asked for a password (sudo -n true)?"
            )
        return {"changed": False, "facts": parse(args["node"], lines, args["folders"])}
