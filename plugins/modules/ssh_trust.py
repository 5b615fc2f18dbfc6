"""Ansible module: one host's part of ssh without a password, in one run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_trust
short_description: Hold an account's key pair, allowed keys and pinned host keys
description:
  - Makes an ed25519 key pair and changes it for another so that a cut-off at any moment can be gone on from.
  - Holds a marked block of lines in authorized_keys and in known_hosts; all other lines are left alone. Files are replaced atomically.
  - Works as the account itself wherever it can, so that a link that the account planted leads nowhere that the account could not go.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  user:
    description: The account; by default the one that the module runs as.
    type: str
    default: ""
  folder:
    description: The account's ssh folder.
    type: path
    required: true
  name:
    description: Name of the private key's file.
    type: str
    default: id_ed25519
  next_name:
    description: Name of the next private key's file while a pair is changed; one of those that ssh tries by itself.
    type: str
    default: id_ed25519_sk
  comment:
    description: Comment of a key that is made.
    type: str
    default: ""
  identity:
    description:
      - C(present) makes a pair where there is none and ends what a cut-off change left; C(next) makes the next pair beside it; C(current) puts the next one in
        its place; C(absent) removes all.
      - Without it, no key is touched.
    type: str
    choices: [present, next, current, absent]
  allowed:
    description: Lines of the block in authorized_keys; none removes it.
    type: list
    elements: str
  pinned:
    description: Lines of the block in known_hosts; none removes it.
    type: list
    elements: str
attributes:
  check_mode: {description: Can tell what it would change without changing it., support: full}
  diff_mode: {description: Shows the lines; no private key is shown., support: full}
"""

EXAMPLES = r"""
- name: Make a pair and allow a key
  alnair.alluxio.ssh_trust:
    user: alluxio-user
    folder: /home/alluxio-user/.ssh
    identity: present
    allowed: ["no-pty ssh-ed25519 AAAA... alluxio-user@master-1"]
  become: true
"""

RETURN = r"""
public_key: {description: The public half of the pair., type: str, returned: when there is one}
next_key: {description: The public half of the next pair., type: str, returned: when there is one}
pinned: {description: The lines of the block in known_hosts., type: list, elements: str, returned: success}
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alnair.alluxio.plugins.module_utils.host_lock import host_lock

BEGIN = "# BEGIN Alluxio's hosts, by Ansible"
END = "# END Alluxio's hosts, by Ansible"


@contextlib.contextmanager
def acting_as(account: pwd.struct_passwd) -> Iterator[None]:
    """Run what is inside with the account's rights on files, where the module runs as root."""
    if os.geteuid() != 0 or account.pw_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def read(path: str) -> str:
    """Return a file's text; nothing when it is not there."""
    try:
        # Whatever stands in the lines of others comes out as it went in.
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def block_of(lines: list[str]) -> tuple[int, int]:
    """Return where the marked block begins and ends, marks and all; both at the end where there is none."""
    if BEGIN not in lines:
        return len(lines), len(lines)
    begin = lines.index(BEGIN)
    # Where somebody took the second mark away, only the first is surely the block's.
    return begin, (lines.index(END, begin) if END in lines[begin:] else begin) + 1


def inside(lines: list[str]) -> list[str]:
    """Return the lines between the marks of the block."""
    begin, end = block_of(lines)
    return lines[begin + 1 : max(begin + 1, end - 1)]


def with_block(text: str, lines: list[str]) -> str:
    """Return a text with the lines in the marked block, at its place or else the end; without the block when there are none."""
    old = text.removesuffix("\n").split("\n") if text else []
    begin, end = block_of(old)
    block = [BEGIN, *lines, END] if lines else []
    return "".join(f"{line}\n" for line in [*old[:begin], *block, *old[end:]])


class Folder:
    """An account's ssh folder; its methods note what differs and, but in check mode, change it."""

    def __init__(self, module: AnsibleModule, account: pwd.struct_passwd) -> None:
        """Take the module's options."""
        self.module, self.account, self.params = module, account, module.params
        self.before: dict[str, object] = {}
        self.after: dict[str, object] = {}

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return os.path.join(self.params["folder"], name)

    def differs(self, name: str, before: object, after: object) -> bool:
        """Note a difference; tell whether it is to be made good now."""
        self.before[name], self.after[name] = before, after
        return not self.module.check_mode

    def keygen(self, *words: str) -> str:
        """Run ssh-keygen."""
        return str(self.module.run_command(["ssh-keygen", *words], check_rc=True)[1])

    def own(self) -> None:
        """Make the folder, and give it and the account's files in it back to the account with modes that sshd and ssh accept."""
        with acting_as(self.account):
            if not os.path.isdir(self.params["folder"]) and self.differs("folder", "absent", "present"):
                os.mkdir(self.params["folder"], 0o700)
        try:
            folder = os.open(self.params["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            # A link is the account's own affair: what it leads to is not given away by root.
            return
        pair = [self.params["name"], self.params["next_name"]] if self.params["identity"] else []
        # A controller's key may lie in any folder, whose mode is somebody else's affair.
        own = {".": 0o700} if os.path.basename(self.params["folder"]) == ".ssh" else {}
        modes = {**own, "authorized_keys": 0o600, "known_hosts": 0o600, **dict.fromkeys(pair, 0o600)}
        for name, mode in modes.items():
            try:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError:
                continue
            self.correct(name, file, mode)
            os.close(file)
        os.close(folder)

    def correct(self, name: str, file: int, mode: int) -> None:
        """Correct owner and mode of an open file or folder that is the account's."""
        found = os.fstat(file)
        # What has a second name elsewhere may be somebody else's.
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            return
        if found.st_uid != self.account.pw_uid and self.differs(f"{name} owner", found.st_uid, self.account.pw_uid):
            os.fchown(file, self.account.pw_uid, self.account.pw_gid)
        if stat.S_IMODE(found.st_mode) & ~mode and self.differs(f"{name} mode", f"{stat.S_IMODE(found.st_mode):04o}", f"{mode:04o}"):
            os.fchmod(file, mode)

    def block(self, name: str, lines: list[str]) -> None:
        """Hold the marked block of a file."""
        old = read(self.path(name))
        new = with_block(old, lines)
        if old != new and self.differs(name, inside(old.split("\n")), lines):
            if new:
                self.write(name, new)
            else:
                os.remove(self.path(name))

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        """Put a file in the place of another at one stroke."""
        temporary = self.path(f".{name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        file_descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(file_descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path(name))

    def pair(self, name: str) -> None:
        """Make a key pair where there is none, and its public half where that is missing."""
        path, temporary = self.path(name), self.path(f".{name}.new")
        if not os.path.exists(path) and self.differs(name, "absent", "present"):
            for left in (temporary, f"{temporary}.pub", f"{path}.pub"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(left)
            self.keygen("-q", "-t", "ed25519", "-N", "", "-C", self.params["comment"], "-f", temporary)
            # A public half without the private one is removed by the next run.
            os.replace(f"{temporary}.pub", f"{path}.pub")
            os.replace(temporary, path)
        if os.path.exists(path) and not read(f"{path}.pub") and self.differs(f"{name}.pub", "absent", "present"):
            self.write(f"{name}.pub", self.keygen("-y", "-f", path), 0o644)

    def swap(self) -> None:
        """Put the next pair in the place of the current one; the next one's name stays until :meth:`identity` is asked for C(present)."""
        name, following = self.params["name"], self.params["next_name"]
        if read(self.path(f"{name}.pub")).split()[:2] != read(self.path(f"{following}.pub")).split()[:2] and self.differs(name, "old", "new"):
            private = read(self.path(following))
            public = read(self.path(f"{following}.pub"))
            # Without a public half ssh takes it from the private one; with another's it would offer the wrong key, and so would a later run.
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path(f"{name}.pub"))
            self.write(name, private)
            self.write(f"{name}.pub", public, 0o644)

    def remove(self, *names: str) -> None:
        """Remove files."""
        for name in names:
            if os.path.lexists(self.path(name)) and self.differs(name, "present", "absent"):
                os.remove(self.path(name))

    def identity(self, wanted: str) -> None:
        """Bring the key pair to a state."""
        name, following = self.params["name"], self.params["next_name"]
        foreign = read(self.path(f"{following}.pub"))
        if wanted in ("next", "current") and foreign and not foreign.startswith("ssh-ed25519 "):
            self.module.fail_json(msg=f"{self.path(following)} holds a key that this role did not make, and a rotation needs that name. Move it away.")
        if wanted == "absent":
            self.remove(f"{name}.pub", name)
        else:
            self.pair(following if wanted == "next" else name)
        if wanted == "current":
            self.swap()
        if wanted in ("present", "absent") and foreign.startswith("ssh-ed25519 "):
            self.remove(following, f"{following}.pub")


def hold(module: AnsibleModule, folder: Folder) -> None:
    """Bring the folder to its state."""
    folder.own()
    with acting_as(folder.account):
        if module.params["identity"] and (os.path.isdir(module.params["folder"]) or module.check_mode):
            folder.identity(module.params["identity"])
        for name, option in (("authorized_keys", "allowed"), ("known_hosts", "pinned")):
            if module.params[option] is not None:
                folder.block(name, module.params[option])
        pinned = inside(read(folder.path("known_hosts")).split("\n"))
        keys = {"public_key": read(folder.path(f"{module.params['name']}.pub")), "next_key": read(folder.path(f"{module.params['next_name']}.pub"))}
    module.exit_json(
        changed=bool(folder.after),
        pinned=pinned,
        diff={"before": folder.before, "after": folder.after},
        **{name: key.strip() for name, key in keys.items() if key},
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "default": ""},
            "folder": {"type": "path", "required": True},
            "name": {"type": "str", "default": "id_ed25519"},
            "next_name": {"type": "str", "default": "id_ed25519_sk"},
            "comment": {"type": "str", "default": ""},
            "identity": {"choices": ["present", "next", "current", "absent"]},
            "allowed": {"type": "list", "elements": "str"},
            "pinned": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    if module.params["identity"] in (None, "absent") and not (module.params["allowed"] or module.params["pinned"] or os.path.lexists(module.params["folder"])):
        # There is nothing to remove, and no account where account and trust went together.
        module.exit_json(changed=False, pinned=[])
    try:
        account = pwd.getpwnam(module.params["user"]) if module.params["user"] else pwd.getpwuid(os.geteuid())
    except KeyError:
        if module.check_mode:
            module.exit_json(changed=True, diff={"before": {}, "after": {"folder": "present, once the account is there"}})
        module.fail_json(msg=f"There is no account {module.params['user']} on this host. Run the role alluxio_user first.")
    if os.geteuid() not in (0, account.pw_uid):
        module.fail_json(msg=f"This runs as uid {os.geteuid()}, but the keys are {account.pw_name}'s. Log in as that account, or use become.")
    try:
        with host_lock(module, os.path.dirname(module.params["folder"])):
            hold(module, Folder(module, account))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['folder']}: {error.strerror}. Nothing was left half-written.")


if __name__ == "__main__":
    main()
