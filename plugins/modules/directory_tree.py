"""Ansible module: directories with exact owners and modes, in one run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: directory_tree
short_description: Hold directories with exact owner, group and mode, in one run
description:
  - Makes directories, or removes them, and corrects owner, group and mode of each.
  - Where asked, corrects the owner of everything below a directory in one walk that follows no link and does not leave the file system.
  - Checks the free space and the mount options of the file system before it changes anything.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state:
    description: Whether the directories shall be there.
    type: str
    choices: [present, absent]
    default: present
  directories:
    description: The directories, parents before children.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      mode: {description: Octal mode as a string., type: str, required: true}
      recurse: {description: Whether the owner of everything below is corrected too., type: bool, default: false}
  owner:
    description: Number of the owner.
    type: int
    required: true
  group:
    description: Number of the group.
    type: int
    required: true
  free_mib:
    description: Free space in MiB that the file system of the first directory must have.
    type: int
    default: 0
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
      - {path: /mnt/fuse, mode: "0750"}
      - {path: /mnt/fuse/alluxio-journal, mode: "0700", recurse: true}
"""

RETURN = r"""
kept:
  description: Directories that were not removed because there are files in them.
  type: list
  elements: str
  returned: when state is absent
corrected:
  description: Number of entries below the directories whose owner was corrected.
  type: int
  returned: when state is present
"""

import os
import shutil
import stat
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule


def describe(path: str) -> dict[str, object] | None:
    """Return owner, group and mode of a path, or None when it is not there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return {"owner": found.st_uid, "group": found.st_gid, "mode": f"{stat.S_IMODE(found.st_mode):04o}"}


def wrong_below(root: str, owner: int, group: int) -> Iterator[str]:
    """Yield what lies below a directory, on its file system, and belongs to somebody else."""
    device = os.lstat(root).st_dev
    stack = [root]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if found.st_dev != device:
                    continue
                if (found.st_uid, found.st_gid) != (owner, group):
                    yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)


def existing_parent(path: str) -> str:
    """Return the nearest directory above a path, or itself, that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def preflight(module: AnsibleModule) -> None:
    """Stop when a path is no directory or its file system does not fit."""
    for item in module.params["directories"]:
        path = item["path"]
        if not os.path.isabs(path) or os.path.normpath(path) in ("/", "/home", "/mnt", "/usr", "/var", "/etc"):
            module.fail_json(msg=f"{path} cannot be given to Alluxio: name a directory of its own below such a folder.")
        if os.path.islink(path) or (os.path.exists(path) and not os.path.isdir(path)):
            module.fail_json(msg=f"{path} is a {'link' if os.path.islink(path) else 'file'}, not a directory. Move it away or name another path.")
    parent = existing_parent(module.params["directories"][0]["path"])
    system = os.statvfs(parent)
    free = system.f_bavail * system.f_frsize // 2**20
    if system.f_flag & os.ST_RDONLY:
        module.fail_json(msg=f"The file system of {parent} is mounted read-only. Mount it read-write or name another root.")
    if free < module.params["free_mib"]:
        module.fail_json(msg=f"The file system of {parent} has {free} MiB free, {module.params['free_mib']} MiB are asked for. Free space or lower the figure.")
    if system.f_files and not system.f_favail:
        module.fail_json(msg=f"The file system of {parent} has no inode left. Remove files or name another root.")
    if system.f_flag & os.ST_NOEXEC:
        module.warn(f"The file system of {parent} is mounted noexec; Alluxio does not mind, programs in data sets will.")


def present(module: AnsibleModule) -> None:
    """Make and correct the directories."""
    owner, group = module.params["owner"], module.params["group"]
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    corrected = 0
    for item in module.params["directories"]:
        path, wanted = item["path"], {"owner": owner, "group": group, "mode": f"{int(item['mode'], 8):04o}"}
        found = describe(path)
        if found != wanted:
            before[path], after[path] = found or "absent", wanted
            if not module.check_mode:
                if found is None:
                    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                    os.mkdir(path, 0o700)
                os.chown(path, owner, group, follow_symlinks=False)
                os.chmod(path, int(item["mode"], 8))
        if item["recurse"] and os.path.isdir(path):
            for entry in wrong_below(path, owner, group):
                corrected += 1
                if not module.check_mode:
                    os.chown(entry, owner, group, follow_symlinks=False)
    module.exit_json(changed=bool(after or corrected), corrected=corrected, diff={"before": before, "after": after})


def absent(module: AnsibleModule) -> None:
    """Remove the directories, children first; keep those with files unless they are to be purged."""
    before, kept = {}, []
    gone: set[str] = set()
    for item in reversed(module.params["directories"]):
        path = item["path"]
        if not os.path.isdir(path):
            continue
        inside = [entry for entry in os.listdir(path) if os.path.join(path, entry) not in gone]
        if inside and not module.params["purge"]:
            kept.append(path)
            continue
        if os.path.ismount(path):
            module.fail_json(msg=f"{path} is a mount point. Unmount it first.")
        before[path] = sorted(inside) or "empty"
        gone.add(path)
        if not module.check_mode:
            shutil.rmtree(path)
    module.exit_json(changed=bool(before), kept=kept, diff={"before": before, "after": {}})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "directories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "mode": {"type": "str", "required": True},
                    "recurse": {"type": "bool", "default": False},
                },
            },
            "owner": {"type": "int", "required": True},
            "group": {"type": "int", "required": True},
            "free_mib": {"type": "int", "default": 0},
            "purge": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    preflight(module)
    (present if module.params["state"] == "present" else absent)(module)


if __name__ == "__main__":
    main()
