"""Action of cluster_info and, by links to this file, of the other modules that work on the controller and need no more than to be run."""

from __future__ import annotations

from typing import Any

from ansible_collections.alnair.alluxio.plugins.plugin_utils.in_worker import WorkerAction


class ActionModule(WorkerAction):
    """Runs the task's own module."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        return self.execute(self._task.action.rpartition(".")[2], dict(self._task.args), task_vars or {})
