"""Action of directory_tree: the module runs only on hosts where a directory, an owner below it or the file system is not as wanted."""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction

# What is printed of the root's file system: KiB and inodes that are free, and its mount options.
SYSTEM = (
    "df -Pk -- {root} | awk 'END {{print \"kib\", $4}}'; df -Pi -- {root} | awk 'END {{print \"inodes\", $4}}'; "
    "point=$(df -P -- {root} | awk 'END {{print $6}}'); awk -v p=\"$point\" '$2 == p {{o = $4}} END {{print \"options\", o}}' /proc/self/mounts"
)


def directories(args: dict[str, Any]) -> list[tuple[str, int, bool]]:
    """Return path, mode and whether all below counts, of the wanted directories."""
    return [(item["path"], int(str(item["mode"]), 8), str(item.get("recurse", False)).lower() in ("true", "yes", "1")) for item in args["directories"]]


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells the state of the directories."""
    owner, group = int(args["owner"]), int(args["group"])
    wanted = directories(args)
    lines = [f"stat -c 'is %F|%a|%u|%g' -- {shlex.quote(path)} 2>/dev/null || echo is absent" for path, _mode, _recurse in wanted]
    if args.get("state", "present") == "absent":
        return "; ".join(lines)
    lines += [
        f"find {shlex.quote(path)} -xdev \\( ! -user {owner} -o ! -group {group} \\) -print 2>/dev/null | head -n 1 | sed 's/^/wrong /'"
        for path, _mode, recurse in wanted
        if recurse
    ]
    return "; ".join([*lines, SYSTEM.format(root=shlex.quote(wanted[0][0]))])


def nothing_to_do(args: dict[str, Any], lines: list[str]) -> bool:
    """Tell whether what the script printed says that the directories are as wanted and their file system fits."""
    found = [line.removeprefix("is ") for line in lines if line.startswith("is ")]
    if args.get("state", "present") == "absent":
        return found == ["absent"] * len(args["directories"])
    if found != [f"directory|{mode:o}|{int(args['owner'])}|{int(args['group'])}" for _path, mode, _recurse in directories(args)]:
        return False
    facts = dict(line.split(" ", 1) for line in lines if line.startswith(("kib ", "inodes ", "options ")))
    # A file system that does not count its inodes prints a dash; noexec is for the module to warn of.
    fits = facts.get("kib", "").isdigit() and int(facts["kib"]) >= int(args.get("free_mib", 0)) * 1024 and facts.get("inodes") != "0"
    usable = not {"ro", "noexec"} & set(facts.get("options", "ro").split(","))
    return fits and usable and not any(line.startswith("wrong ") for line in lines)


class ActionModule(ProbeAction):
    """Probe the directories, then run the module where they differ."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        args = self._task.args
        lines = self.probe(probe_script(args))
        if lines is not None and nothing_to_do(args, lines):
            return {"changed": False, **({"corrected": 0} if args.get("state", "present") == "present" else {"kept": []})}
        return self._execute_module(task_vars=task_vars)
