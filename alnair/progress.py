"""Show how far a run of ansible-playbook has come."""

from __future__ import annotations

import time
from typing import Any

import rich.console
import rich.markup


class Progress:
    """Shows a run: one line per task on a terminal that is written over, plain lines elsewhere.

    Args:
        console: Where it is shown.
        quiet: Whether nothing is shown.
        messages: Whether what the playbook says is shown, too.
    """

    def __init__(self, console: rich.console.Console, *, quiet: bool = False, messages: bool = True) -> None:
        self.console, self.quiet, self.messages = console, quiet, messages and not quiet
        self.started = self.said = time.monotonic()
        self.play, self.task, self.number = "", "", 0
        self.expected = 0
        self.done: set[str] = set()
        self.failed: set[str] = set()
        self.seen: set[str] = set()
        self.status = console.status("starting") if console.is_terminal and not quiet else None
        if self.status:
            self.status.start()

    def expect(self, tasks: int) -> None:
        """Take the number of tasks that will start."""
        self.expected = tasks

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of ansible-runner."""
        kind, data = event["event"], event.get("event_data", {})
        if kind == "playbook_on_play_start":
            self.play = data.get("name", "")
        elif kind == "playbook_on_task_start":
            self.task, self.done = data.get("name", ""), set()
            # A meta task starts anew for every host.
            self.number += data.get("task_uuid") not in self.seen
            self.seen.add(data.get("task_uuid", ""))
        elif kind.startswith("runner_on_") and kind != "runner_on_start":
            self.done.add(data.get("host", ""))
            if kind == "runner_on_unreachable" or (kind == "runner_on_failed" and not data.get("ignore_errors")):
                self.failed.add(data.get("host", ""))
            message = (data.get("res") or {}).get("msg")
            # What is no text are differences, which `plan` tells.
            if kind == "runner_on_ok" and data.get("task_action", "").endswith("debug") and self.messages and isinstance(message, str):
                # What goes is said before it goes.
                self.console.print(message, markup=False, highlight=False, soft_wrap=True)
        self.show(new=kind == "playbook_on_task_start")

    def show(self, *, new: bool) -> None:
        """Write where the run stands."""
        if self.quiet or not self.task:
            return
        elapsed = time.monotonic() - self.started
        line = f"{elapsed:5.0f} s  task {self.number} of {max(self.number, self.expected)}  {self.play}: {self.task.rsplit(' : ', maxsplit=1)[-1]}"
        counts = [f"{len(found)} host{'s' if len(found) > 1 else ''} {word}" for found, word in ((self.done, "done"), (self.failed, "failed")) if found]
        line += f" ({', '.join(counts)})" if counts else ""
        if self.status:
            self.status.update(rich.markup.escape(line))
        elif new:
            self.said = time.monotonic()
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Tell at least every 20 s that a long task goes on."""
        if self.status or time.monotonic() - self.said > 20:
            self.show(new=True)

    def interrupt(self) -> None:
        """Say where the run stands when it is interrupted."""
        self.end()
        where = f" in task {self.number}, {self.play}: {self.task.rsplit(' : ', maxsplit=1)[-1]} ({len(self.done)} hosts done)" if self.task else ""
        self.console.print(f"Interrupted{where}. It ends in order; ^C again ends it at once.", markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Give the line back to the terminal."""
        if self.status:
            self.status.stop()
