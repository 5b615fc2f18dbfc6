"""Probe, then act: an action asks a host for its state with one sh script and runs its module only where that is not surely as wanted.

A module costs a host a Python start and an unpacking; a script over the open connection costs next to nothing. The probe may only say "as
wanted" or "not surely": what is to be changed, and whether anything was, is the module's matter.
"""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, test_loader

# Every task of every host runs in a child of its own of the process that imports this. What is loaded here is not loaded again in each of them.
filter_loader.get("default")
test_loader.get("defined")


# Linux limits a word of a command line to 128 KiB, which the shell's quoting makes longer; a longer script goes to a shell's input.
LONGEST = 64 * 1024


def sections(lines: list[str]) -> dict[str, list[str]]:
    """Return the lines that a script printed by the section that they stand in; one begins with ``# `` and its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith("# "):
            name = line[2:]
        else:
            found.setdefault(name, []).append(line.strip())
    return found


class ProbeAction(ActionBase):
    """Base of the actions that probe."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def probe(self, script: str) -> list[str] | None:
        """Return the lines that a script prints on the host, or None when it fails."""
        try:
            script = f"LC_ALL=C; export LC_ALL; {script}"
            answer = self._low_level_execute_command(script) if len(script) < LONGEST else self._low_level_execute_command("sh", in_data=script.encode())
        except AnsibleError as error:
            # Ansible calls a shell that says nothing after the login a prompt that it waits for.
            if "privilege escalation prompt" not in str(error):
                raise
            raise AnsibleActionFail("The host accepts the login, but then its shell answers nothing. Look at its disks and at the login's shell.") from error
        return None if answer["rc"] else answer["stdout_lines"]
