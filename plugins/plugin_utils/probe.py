"""Probe, then act: an action asks a host for its state with one sh script and runs its module only where that is not surely as wanted.

A module costs a host a Python start and an unpacking; a script over the open connection costs next to nothing. The probe may only say "as
wanted" or "not surely": what is to be changed, and whether anything was, is the module's matter.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ProbeAction(ActionBase):
    """Base of the actions that probe; the module that acts has the action's own name."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def script(self, args: dict[str, Any]) -> str:
        """Return the sh script that tells the state."""
        raise NotImplementedError

    def as_wanted(self, args: dict[str, Any], lines: list[str]) -> bool:
        """Tell whether the lines that the script printed say that nothing is to be done."""
        raise NotImplementedError

    def result(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the module returns when nothing is to be done."""
        raise NotImplementedError

    def probe(self, script: str) -> list[str] | None:
        """Return the lines that a script prints on the host, or None when it fails."""
        answer = self._low_level_execute_command(f"LC_ALL=C; export LC_ALL; {script}")
        return None if answer["rc"] else answer["stdout_lines"]

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        args = self._task.args
        lines = self.probe(self.script(args))
        if lines is not None and self.as_wanted(args, lines):
            return {"changed": False, **self.result(args)}
        return self._execute_module(task_vars=task_vars)
