"""Modules that run within the worker which ansible-playbook forks for their task, where another Python would do the same and only start later."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from typing import Any

from ansible import constants
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase

# ansible-playbook reads an action before it forks, so that the client's classes are read once and not in every task.
with contextlib.suppress(ImportError):
    import kubernetes  # noqa: F401  pylint: disable=unused-import

COLLECTION = "alnair.alluxio"
# How core writes the arguments of a module that names no other way.
PROFILE = "legacy"


class WorkerAction(ActionBase):
    """Runs modules: in this process for the Python that ansible-playbook runs on, else as Ansible runs any module."""

    TRANSFERS_FILES = False
    _supports_async = True

    def execute(self, name: str, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run a module and return its result.

        Args:
            name: The module's name within the collection.
            args: Its arguments.
            task_vars: The task's variables.
        """
        if self.elsewhere(task_vars):
            wrapped = bool(self._task.async_val and not self._connection.has_native_async)
            return dict(self._execute_module(f"{COLLECTION}.{name}", args, task_vars=task_vars, wrap_async=wrapped))
        environment: dict[str, str] = {}
        self._compute_environment_string(environment)
        os.environ.update(environment)
        self._update_module_args(f"{COLLECTION}.{name}", args, task_vars)
        module = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{name}")
        printed = io.StringIO()
        # A folder that the module makes itself is removed at the end of its Python, which a worker does not reach.
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as args["_ansible_tmpdir"]:
            encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
            basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = json.dumps({"ANSIBLE_MODULE_ARGS": args}, cls=encoder).encode(), PROFILE
            with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
                module.main()
        answer = self._parse_returned_data({"rc": 0, "stdout": printed.getvalue(), "stderr": ""}, PROFILE)
        # Since core 2.21 an object.
        return answer if isinstance(answer, dict) else dict(answer.as_result_dict(for_round_trip=True))

    def elsewhere(self, task_vars: dict[str, Any]) -> bool:
        """Tell whether the task is for another host, user or Python, or shall go on behind the play."""
        python = self._templar.template(task_vars.get("ansible_python_interpreter", ""))
        away = self._connection.transport != "local" or self._connection.become or self._task.delegate_to or self._task.async_val
        return bool(away) or python != sys.executable
