"""Action of directory_tree: the module runs only on hosts where a directory or an owner below it is not as wanted."""

from __future__ import annotations

import os
import re
import shlex
import stat
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.alnair.alluxio.plugins.modules.directory_tree import ARGUMENTS, each, linked_warning
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction

# One process each for all paths: their state; mount options, kind, inodes and space of the nearest directory that is there (a mount point
# stands with its blanks escaped in the table of mounts, but not in df's answer); and the first wrong owner below. Names of files are
# printed by -ls only, which escapes line feeds: a file's name must not be able to add a line to the answer.
STATE = "stat -c 'path %f %u %g {context} %n' -- {paths} 2>/dev/null"
MOUNTS = (
    'set --; for path in {paths}; do while [ ! -d "$path/" ]; do path=${{path%/*}}; done; set -- "$@" "$path/"; done; '
    'df -k --output=target,itotal,iavail,avail,size -- "$@" | awk \'NR == FNR {{kind[$2] = $3; options[$2] = $4; next}} FNR > 1 '
    '{{point = $0; sub(/( +[^ ]+)( +[^ ]+)( +[^ ]+)( +[^ ]+)$/, "", point); gsub(/ /, "\\\\040", point); '
    'print "system", (point in kind ? kind[point] " " options[point] : "? ?"), $(NF - 3), $(NF - 2), $(NF - 1), $NF, point}}\' /proc/self/mounts -'
)
BELOW = "find {paths} -xdev \\( ! -uid {owner} -o ! -gid {group} \\) \\( ! -type d -links +1 -printf 'linked ' -ls -o -printf 'wrong\\n' -quit \\) 2>/dev/null"

SYSTEM = re.compile("/((bin|boot|etc|lib|lib64|proc|sbin|sys|usr)(/.*)?|dev|home|media|mnt|opt|root|run|srv|tmp|var(/lib|/log)?)?")

MEMORY = "keeps its files in memory, so that they are gone after a reboot"
CONTAINER = "belongs to a container, so that its files are gone with it"
NETWORK = "lies on other machines, so that it is as slow as the network and gone when they are"
DOUBTS = {
    **dict.fromkeys(("tmpfs", "ramfs"), MEMORY),
    **dict.fromkeys(("overlay", "aufs"), CONTAINER),
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "glusterfs", "beegfs", "gpfs", "afs", "9p", "fuse"), NETWORK),
}


def complaints(args: dict[str, Any]) -> list[str]:
    """Return a sentence for everything that is wrong with the arguments themselves."""
    found = []
    items = each(args["directories"])
    for item in items:
        path, mode = item["path"], item["mode"]
        if not path.startswith("/") or os.path.normpath(path) != path or not path.isprintable():
            found.append(f"{path!r} is no absolute path in its shortest form. Write it like /mnt/fuse.")
        elif SYSTEM.fullmatch(path):
            found.append(f"{path} belongs to the system and cannot be given to Alluxio. Name a directory of its own, such as /mnt/fuse.")
        if not re.fullmatch("[0-7]{4}", mode):
            found.append(f'The mode of {path} is {mode}, not four octal digits. Write it in quotes, like "0750".')
    paths = [item["path"] for item in items]
    found += [f"{path} is named twice. Give each purpose a directory of its own." for path in sorted({path for path in paths if paths.count(path) > 1})]
    found += [
        f"{path} lies in {item['path']}, whose owner is corrected all the way down. Move it beside it."
        for item in items
        if item["recurse"]
        for path in paths
        if path.startswith(f"{item['path']}/")
    ]
    return found


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells the state of the directories and of their file systems."""
    items = each(args["directories"])
    paths = " ".join(shlex.quote(item["path"]) for item in items)
    deep = " ".join(shlex.quote(item["path"]) for item in items if item["recurse"])
    lines = [STATE.format(paths=paths, context="%C" if args["setype"] else "?"), MOUNTS.format(paths=paths)]
    if deep and args["state"] == "present":
        lines.append(BELOW.format(paths=deep, owner=args["owner"], group=args["group"]))
    return "; ".join([*lines, "true"])


def unfit(args: dict[str, Any], path: str, system: list[str]) -> tuple[list[str], list[str]]:
    """Return why a directory cannot be on its file system, and what to know about it."""
    _kind, options, inodes, free_inodes, kib, _size, point = system
    flags, mib = set(options.split(",")), int(kib) // 1024
    name = "The file system of {}, mounted on {},".format(path, point.replace(r"\040", " "))
    failures: list[str] = []
    warnings: list[str] = []
    if "ro" in flags:
        failures.append(f"{name} is mounted read-only. Mount it read-write or name another directory.")
    if args["state"] == "absent":
        return failures, warnings
    if mib < args["free_mib"]:
        failures.append(f"{name} has {mib} MiB free, {args['free_mib']} MiB are asked for. Free space or lower the figure.")
    # btrfs and others make inodes as they go and count none.
    if inodes not in ("0", "-") and int(free_inodes) < args["free_inodes"]:
        failures.append(f"{name} has {free_inodes} inodes free, {args['free_inodes']} are asked for. Remove small files or lower the figure.")
    if "noexec" in flags:
        warnings.append(f"{name} is mounted noexec: Alluxio does not mind, but programs kept there will not start.")
    return failures, warnings


def too_small(args: dict[str, Any], item: dict[str, Any], system: list[str]) -> list[str]:
    """Return why a file system can never hold what a directory is for."""
    mib, point = int(system[5]) // 1024, system[6].replace(r"\040", " ")
    if args["state"] == "absent" or mib >= item["size_mib"]:
        return []
    asked = f"has {mib} MiB in all, {item['size_mib']} MiB are asked for"
    return [f"The file system of {item['path']}, mounted on {point}, {asked}. Name a larger disk or a smaller size."]


def fleeting(args: dict[str, Any], item: dict[str, Any], kind: str) -> tuple[list[str], list[str]]:
    """Return why what must last cannot be on a kind of file system, and what is doubtful about it."""
    doubt = DOUBTS.get(kind.partition(".")[0])
    if not item["durable"] or args["state"] == "absent":
        return [], []
    if kind in args["refused_kinds"]:
        return [f"The file system of {item['path']} is {kind}, which is refused for what must last. Name a directory on a local disk."], []
    return [], [f"The file system of {item['path']} is {kind}, which {doubt}. Better name a directory on a local disk."] if doubt else []


def as_wanted(args: dict[str, Any], item: dict[str, Any], found: list[str] | None, kind: str) -> bool:
    """Tell whether a directory has the wanted owner, group, mode and SELinux type."""
    if found is None or args["state"] == "absent":
        return (found is None) == (args["state"] == "absent")
    mode, owner, group, context = found
    # Where SELinux is off a file has no context; what lies on other machines has the one of its mount.
    typed = context in ("?", "%C", "unlabeled") or DOUBTS.get(kind.partition(".")[0]) == NETWORK or args["setype"] in ("", context.split(":")[2])
    return (stat.S_IMODE(int(mode, 16)), int(owner), int(group)) == (int(item["mode"], 8), args["owner"], args["group"]) and typed


def compare(args: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """Return what the lines that the script printed say of the directories.

    Returns:
        failures and warnings, as sentences, and as_wanted: whether nothing is to be done.
    """
    items = each(args["directories"])
    there = {path: fields for *fields, path in (line.split(" ", 5)[1:] for line in lines if line.startswith("path "))}
    systems = [line.split(" ", 7)[1:] for line in lines if re.match(r"system( \S+){4} \d+ \d+ /", line)]
    if len(systems) != len(items):
        paths = " ".join(item["path"] for item in items)
        return {"failures": [f"The file systems could not be read. Is one of them stale? Try on the host: df {paths}"], "warnings": [], "as_wanted": False}
    # One report per mount, about the first directory that lies on it.
    firsts = {system[6]: (item["path"], system) for item, system in reversed([*zip(items, systems, strict=True)])}
    reports = [unfit(args, path, system) for path, system in firsts.values()]
    reports += [(too_small(args, item, system), []) for item, system in zip(items, systems, strict=True)]
    reports += [fleeting(args, item, system[0]) for item, system in zip(items, systems, strict=True)]
    failures = [text for report in reports for text in report[0]]
    warnings = [text for report in reports for text in report[1]]
    wanted = "wrong" not in lines
    for item, system in zip(items, systems, strict=True):
        path = item["path"]
        found = there.get(path)
        if found is not None and not stat.S_ISDIR(int(found[0], 16)):
            kind = "link" if stat.S_ISLNK(int(found[0], 16)) else "file"
            failures.append(f"{path} is a {kind}, not a directory. Move it away or name another path.")
        wanted = wanted and as_wanted(args, item, found, system[0])
    linked = [line[line.index(" /") + 1 :] for line in lines if line.startswith("linked ")]
    if linked and wanted:
        # Where the module runs, it tells of them itself: it sees all of them.
        warnings.append(linked_warning(linked))
    return {"failures": failures, "warnings": warnings, "as_wanted": wanted}


class ActionModule(ProbeAction):
    """Probe the directories, then run the module where they differ."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        if wrong := complaints(args):
            raise AnsibleActionFail(" ".join(wrong))
        lines = self.probe(probe_script(args))
        if lines is None:
            raise AnsibleActionFail("The host's directories could not be read. May this user become root?")
        found = compare(args, lines)
        # Before any module runs: on a full disk Ansible could not even unpack one, and would call the host unreachable.
        if found["failures"]:
            return {"failed": True, "changed": False, "msg": " ".join(found["failures"])}
        for warning in found["warnings"]:
            self._display.warning(f"{(task_vars or {}).get('inventory_hostname')}: {warning}")
        if found["as_wanted"]:
            return {"changed": False, **({"corrected": 0} if args["state"] == "present" else {"removed": [], "removed_count": 0, "kept": []})}
        try:
            return self._execute_module(task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            # The host was reached a moment ago; Ansible takes a full disk for one that is not there.
            if not re.search("No space left|temporary directory", str(error)):
                raise
            folder = self.get_shell_option("remote_tmp", default="~/.ansible/tmp")
            raise AnsibleActionFail(f"Is the disk of {folder} full or read-only? See df -h ~ and df -i ~ on the host. Ansible could not write there") from error
