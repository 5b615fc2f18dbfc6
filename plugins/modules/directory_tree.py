"""Ansible module: directories with exact owners and modes, in one run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: directory_tree
short_description: Hold directories with exact owner, group and mode, in one run
description:
  - Makes directories, or removes them, and corrects owner, group, mode and SELinux type of each.
  - Where asked, corrects the owner of everything below a directory in one walk that follows no link and stays on the directory's mount.
  - Checks the file systems of all directories before it changes anything, and warns of what is doubtful on every run.
  - A host that is as wanted is asked with one shell script and needs no Python.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state:
    description: Whether the directories shall be there.
    type: str
    choices: [present, absent]
    default: present
  directories:
    description: The directories, in any order; parents that are missing are made with mode 0755.
    type: list
    elements: dict
    required: true
    suboptions:
      paths: {description: Absolute paths., type: list, elements: str, required: true}
      mode: {description: Octal mode of four digits., type: str, required: true}
      recurse: {description: Whether the owner of everything below is corrected too., type: bool, default: false}
      size_mib: {description: "Size in MiB that the file system must have in all, full or not.", type: int, default: 0}
      durable: {description: Whether a file system that forgets or lies on other machines is warned of., type: bool, default: false}
  owner:
    description: Number of the owner.
    type: int
    required: true
  group:
    description: Number of the group.
    type: int
    required: true
  setype:
    description: SELinux type of the directories, where SELinux is on; an empty one leaves it as it is.
    type: str
    default: ""
  free_mib:
    description: Free space in MiB that the file system of each directory must have.
    type: int
    default: 0
  free_inodes:
    description: Free inodes that the file system of each directory must have, where it counts them.
    type: int
    default: 1
  refused_kinds:
    description: Kinds of file systems, such as tmpfs or nfs4, that stop the run where a directory shall be durable.
    type: list
    elements: str
    default: []
  purge:
    description: Whether C(absent) removes directories that have files in them.
    type: bool
    default: false
attributes:
  check_mode: {description: Can tell what it would change without changing it., support: full}
  diff_mode: {description: Returns what differs., support: full}
"""

EXAMPLES = r"""
- name: Make the journal's directory
  alnair.alluxio.directory_tree:
    owner: 1000
    group: 1000
    directories:
      - {paths: [/mnt/fuse, /mnt/disk2/datasets], mode: "0750"}
      - {paths: [/mnt/fuse/alluxio-journal], mode: "0700", recurse: true, durable: true}
"""

RETURN = r"""
corrected:
  description: Number of entries below the directories whose owner was corrected, or would be in check mode.
  type: int
  returned: when state is present
removed:
  description: What was removed, or would be in check mode; the first thousand paths.
  type: list
  elements: str
  returned: when state is absent
removed_count:
  description: Number of all that was removed, or would be in check mode.
  type: int
  returned: when state is absent
kept:
  description: Directories that were not removed, because they are mount points or there are files in them.
  type: list
  elements: str
  returned: when state is absent
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alnair.alluxio.plugins.module_utils.host_lock import host_lock

ARGUMENTS = {
    "state": {"choices": ["present", "absent"], "default": "present"},
    "directories": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "paths": {"type": "list", "elements": "str", "required": True},
            "mode": {"type": "str", "required": True},
            "recurse": {"type": "bool", "default": False},
            "durable": {"type": "bool", "default": False},
            "size_mib": {"type": "int", "default": 0},
        },
    },
    "owner": {"type": "int", "required": True},
    "group": {"type": "int", "required": True},
    "setype": {"type": "str", "default": ""},
    "free_mib": {"type": "int", "default": 0},
    "free_inodes": {"type": "int", "default": 1},
    "refused_kinds": {"type": "list", "elements": "str", "default": []},
    "purge": {"type": "bool", "default": False},
}
# What a report lists by name; the rest is only counted.
MOST_NAMES = 1000
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def each(directories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one item per path, parents before children."""
    items = [{**item, "path": path} for item in directories for path in item["paths"]]
    return sorted(items, key=lambda item: item["path"].split("/"))


@contextmanager
def held(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def opened(path: str, make: bool = False) -> int:
    """Open a directory name by name; a link is followed only above it, and only in folders where nobody but root could have put it."""
    names = path.split("/")[1:]
    folder = os.open("/", DIRECTORY)
    for number, name in enumerate(names, 1):
        with held(folder):
            found = os.fstat(folder)
            safe = number < len(names) and found.st_uid == 0 and not found.st_mode & 0o022
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755 if number < len(names) else 0o700, dir_fd=folder)
            folder = os.open(name, DIRECTORY & ~os.O_NOFOLLOW if safe else DIRECTORY, dir_fd=folder)
    return folder


def mount_of(descriptor: int) -> bytes:
    """Return the number of the mount that an open file lies on, which tells bind mounts of the same file system apart too."""
    with open(f"/proc/self/fdinfo/{descriptor}", "rb", buffering=0) as info:
        return info.read().partition(b"mnt_id:")[2].split(b"\n")[0]


def below(folder: int, path: str) -> Iterator[tuple[int, os.DirEntry[str], str, bool]]:
    """Yield what lies below an open directory, children before parents, by descriptors only, so that no link swapped in leads the walk away.

    Yields:
        Descriptor of the folder it lies in, entry, path, and whether another directory tree is mounted on it; that one is not entered.
    """
    mount = mount_of(folder)
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        inner, mounted = f"{path}/{entry.name}", False
        if entry.is_dir(follow_symlinks=False):
            try:
                child = os.open(entry.name, DIRECTORY, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with held(child):
                mounted = mount_of(child) != mount
                if not mounted:
                    yield from below(child, inner)
        yield folder, entry, inner, mounted


def linked_warning(paths: list[str]) -> str:
    """Return the sentence about files that were left alone."""
    return (
        f"{len(paths)} files of somebody else keep their owner, because they have further names that may lie elsewhere: {', '.join(paths[:5])}. "
        "Remove them, or chown them by hand."
    )


def correct(module: AnsibleModule, folder: int, path: str) -> list[tuple[str, str]]:
    """Give all below an open directory to the owner and return path and former owner of what was wrong.

    A file with a further name may be one that lies elsewhere, such as /etc/shadow: it is told, not given away.
    """
    wanted, mount = (module.params["owner"], module.params["group"]), mount_of(folder)
    wrong: list[tuple[str, str]] = []
    linked: list[str] = []
    for parent, entry, inner, mounted in below(folder, path):
        with suppress(FileNotFoundError):
            found = entry.stat(follow_symlinks=False)
            if mounted or (found.st_uid, found.st_gid) == wanted:
                continue
            with held(os.open(entry.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)) as one:
                found = os.fstat(one)
                if mount_of(one) != mount:
                    continue
                if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                    linked.append(inner)
                    continue
                wrong.append((inner, f"{found.st_uid}:{found.st_gid}"))
                if not module.check_mode:
                    # By descriptor: the name may mean another file by now.
                    os.chown(f"/proc/self/fd/{one}", *wanted)
    if linked:
        module.warn(linked_warning(linked))
    return wrong


def look(path: str) -> dict[str, Any] | str:
    """Return owner, group and mode of a directory, or that it is absent."""
    try:
        with held(opened(path)) as folder:
            found = os.fstat(folder)
    except FileNotFoundError:
        return "absent"
    return {"owner": found.st_uid, "group": found.st_gid, "mode": f"{stat.S_IMODE(found.st_mode):04o}"}


def present(module: AnsibleModule, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Make and correct the directories."""
    owner, group, setype = (module.params[name] for name in ("owner", "group", "setype"))
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    corrected = 0
    # A hardened host's umask would shut the owner out of parents that are made.
    os.umask(0o022)
    for item in items:
        path, mode = item["path"], int(item["mode"], 8)
        before, after = look(path), {"owner": owner, "group": group, "mode": f"{mode:04o}"}
        if before != after:
            diff["before"][path], diff["after"][path] = before, after
        if module.check_mode and before == "absent":
            continue
        with held(opened(path, make=before == "absent")) as folder:
            if before != after and not module.check_mode:
                os.chown(folder, owner, group)
                os.chmod(folder, mode)
            wrong = correct(module, folder, path) if item["recurse"] else []
        corrected += len(wrong)
        for name, former in wrong[:MOST_NAMES]:
            diff["before"][name], diff["after"][name] = former, f"{owner}:{group}"
        context: dict[str, dict[str, Any]] = {}
        if setype and module.set_context_if_different(path, [None, None, setype, None], False, context):
            for side, found in context.items():
                diff[side][f"{path} (SELinux)"] = found["secontext"]
    return {"changed": bool(diff["after"]), "corrected": corrected, "diff": diff}


def absent(module: AnsibleModule, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Remove the directories, children first; keep mount points and, unless all is to be purged, those with files in them."""
    doomed: dict[str, list[str]] = {}
    gone: set[str] = set()
    kept: list[str] = []
    for path in (item["path"] for item in reversed(items)):
        try:
            folder = opened(path)
        except FileNotFoundError:
            continue
        with held(folder), held(os.open("..", DIRECTORY, dir_fd=folder)) as parent:
            inside = [name for name in os.listdir(folder) if f"{path}/{name}" not in gone]
            if (inside and not module.params["purge"]) or any(child.startswith(f"{path}/") for child in kept):
                kept.append(path)
                continue
            doomed[path] = []
            for _folder, _entry, name, mounted in below(folder, path) if inside else ():
                if mounted:
                    module.fail_json(msg=f"{name} is a mount point; what is mounted there is never deleted. Run umount {name}, then this again.")
                if name not in gone:
                    doomed[path].append(name)
            gone.update(doomed[path])
            if mount_of(folder) == mount_of(parent):
                gone.add(path)
            else:
                kept.append(path)
    for path, names in doomed.items() if not module.check_mode else ():
        with held(opened(path)) as folder, held(os.open("..", DIRECTORY, dir_fd=folder)) as parent:
            for inner, entry, _name, _mounted in below(folder, path) if names else ():
                (os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink)(entry.name, dir_fd=inner)
            if path in gone:
                os.rmdir(os.path.basename(path), dir_fd=parent)
    removed = sorted(gone)
    before = {path: names[:MOST_NAMES] or "empty" for path, names in doomed.items() if names or path in gone}
    diff = {"before": before, "after": {}}
    return {"changed": bool(gone), "removed": removed[:MOST_NAMES], "removed_count": len(removed), "kept": kept, "diff": diff}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    items = each(module.params["directories"])
    try:
        with host_lock(module, os.path.dirname(items[0]["path"])):
            result = (present if module.params["state"] == "present" else absent)(module, items)
    except (OSError, RecursionError) as error:
        where = ", ".join(path for item in module.params["directories"] for path in item["paths"])
        module.fail_json(msg=f"{error}. It happened in one of {where}. Is something mounted, locked or nested too deep there? Run this again then.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
