"""Probe, then act: an action asks a host for its state with one sh script and runs its module only where that is not surely as wanted.

A module costs a host a Python start and an unpacking; a script over the open connection costs next to nothing. The probe may only say "as
wanted" or "not surely": what is to be changed, and whether anything was, is the module's matter.
"""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase


class ProbeAction(ActionBase):
    """Base of the actions that probe."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def probe(self, script: str) -> list[str] | None:
        """Return the lines that a script prints on the host, or None when it fails."""
        try:
            answer = self._low_level_execute_command(f"LC_ALL=C; export LC_ALL; {script}")
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            # Ansible calls a shell that says nothing after the login a prompt that it waits for.
            if "privilege escalation prompt" not in str(error):
                raise
            raise AnsibleActionFail("The host accepts the login, but then its shell answers nothing. Look at its disks and at the login's shell.") from error
        return None if answer["rc"] else answer["stdout_lines"]
