"""Action of run_lease: one run at a time on a cluster, by a Lease that is renewed while ansible-playbook lives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.alnair.alluxio.plugins.plugin_utils.controller import ansible_playbook, user

KEEPER = "ansible_collections.alnair.alluxio.plugins.plugin_utils.lease"
ARGUMENTS = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": "default"},
    "name": {"type": "str", "default": "alnair-run"},
    "seconds": {"type": "int", "default": 60},
}


def keep(options: dict[str, Any]) -> dict[str, str]:
    """Start the process that takes the Lease and keeps it.

    Args:
        options: The action's arguments, with pid and identity of the run.

    Returns:
        holder, empty when the Lease was taken, or error.
    """
    # The folder that ansible_collections lies in.
    path = os.pathsep.join([str(Path(__file__).absolute().parents[5]), *filter(None, [os.environ.get("PYTHONPATH")])])
    keeper = subprocess.Popen([sys.executable, "-m", KEEPER, json.dumps(options)], env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    if keeper.stdout and (line := keeper.stdout.readline()):
        return dict(json.loads(line))
    reason = (keeper.stderr.read() if keeper.stderr else "").strip().rpartition("\n")[2]
    return {"error": f"The Lease could not be taken: {reason}. Does {sys.executable} have the Python package kubernetes? See requirements.txt."}


class ActionModule(ActionBase):
    """Take the Lease for the ansible-playbook that runs this."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        pid = ansible_playbook()
        identity = f"{' '.join(Path(word).name for word in context.CLIARGS['args'])}, process {pid} of {user()}@{socket.gethostname()}"
        if self._connection.transport != "local":
            host = (task_vars or {}).get("inventory_hostname")
            self._display.warning(f"The cluster is reached from {host}, so no Lease is held: a run on another machine is not kept out.")
            return {"changed": False, "identity": identity}
        answer = keep({**args, "pid": pid, "identity": identity})
        if "error" in answer:
            raise AnsibleActionFail(answer["error"])
        if answer["holder"]:
            raise AnsibleActionFail(
                f"Another run on this cluster goes on: {answer['holder']}. Nothing was changed. Wait for its end, then run this again. "
                f"If its machine died, the Lease {args['namespace']}/{args['name']} is free {args['seconds']} s later."
            )
        return {"changed": False, "identity": identity}
