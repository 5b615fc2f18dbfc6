"""Action of datasets_ready: asks again and again how the data sets stand, and tells it meanwhile."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.alnair.alluxio.plugins.plugin_utils.in_worker import WorkerAction

ARGUMENTS = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "reload": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 3600},
    "evict": {"type": "list", "elements": "str", "default": []},
}
# How often a wait tells how far it is.
SLICE = 15.0


class ActionModule(WorkerAction):
    """Wait for data sets."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        started, answer = time.monotonic(), dict[str, Any]()
        while True:
            waited = time.monotonic() - started
            # The first question asks for the load, so that its answer is known whatever becomes of the next ones.
            pause = min(SLICE, max(0.0, args["timeout"] - waited)) if answer else 0.0
            more = {"begun": answer.get("begun"), "pause": pause}
            answer = self.execute("datasets_ready", {**args, **more}, task_vars or {})
            going = answer.get("going") or {}
            if answer.get("failed") or not going or self._task.check_mode or time.monotonic() - started >= args["timeout"]:
                break
            if waited:
                self._display.display(f"{waited:.0f} s: {'; '.join(going.values())}")
        begun, reasons = answer.pop("begun", None), answer.pop("reasons", {})
        answer.pop("going", None)
        if answer.get("failed") or begun is None or self._task.check_mode or not reasons:
            return answer
        lines = [
            f"{text} (still so after {args['timeout']} s, datasets_timeout; the load goes on)" if name in going else text for name, text in reasons.items()
        ]
        return {**answer, "failed": True, "msg": "\n".join(lines)}
