"""What happens in a run, as those see it who follow it: callbacks of the Python API and --jsonl."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from alnair.result import said

# What ansible-runner calls the end of a task on a host, and the status it stands for.
ENDS = {"runner_on_ok": "ok", "runner_on_skipped": "skipped", "runner_on_failed": "failed", "runner_on_unreachable": "unreachable"}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes:
        event: ``play`` or ``task``, one begins; ``host``, a task ended on a host; ``message``, the playbook says something.
        time: When, in UTC, as ISO 8601.
        play: Name of the play.
        task: Name of the task, of ``task``, ``host`` and ``message``.
        role: The task's role with its collection; empty where it stands in a playbook.
        host: Name of the host, of ``host`` and ``message``.
        status: Of ``host``: ``ok``, ``changed``, ``skipped``, ``failed``, ``ignored`` (failed, which the playbook allows) or ``unreachable``.
        text: Why a host failed or is unreachable; what a message says.
    """

    event: str
    time: str
    play: str = ""
    task: str = ""
    role: str = ""
    host: str = ""
    status: str = ""
    text: str = ""

    def told(self) -> dict[str, str]:
        """Return the attributes that are not empty."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value}


class Reader:
    """Reads the events of ansible-runner."""

    def __init__(self) -> None:
        self.play = ""
        self.begun: set[str] = set()

    def read(self, event: dict[str, Any]) -> Event | None:
        """Return what an event of ansible-runner tells, None where it is nothing that one follows."""
        kind, data = event["event"], event.get("event_data", {})
        task, role, host = (
            str(data.get("task") or data.get("name") or "").rsplit(" : ", maxsplit=1)[-1],
            str(data.get("role") or ""),
            str(data.get("host") or ""),
        )
        time = str(event.get("created") or datetime.datetime.now(datetime.UTC).isoformat())
        if kind == "playbook_on_play_start":
            self.play = str(data.get("name") or "")
            return Event("play", time, self.play)
        if kind == "playbook_on_task_start":
            # A meta task starts anew for every host.
            again = str(data.get("task_uuid", "")) in self.begun
            self.begun.add(str(data.get("task_uuid", "")))
            return None if again else Event("task", time, self.play, task, role)
        if kind not in ENDS:
            return None
        answer = data.get("res") or {}
        if kind == "runner_on_ok" and str(data.get("task_action", "")).endswith("debug") and isinstance(answer.get("msg"), str):
            return Event("message", time, self.play, task, role, host, text=answer["msg"])
        status = ENDS[kind]
        if status == "ok" and answer.get("changed"):
            status = "changed"
        if status == "failed" and data.get("ignore_errors"):
            status = "ignored"
        return Event("host", time, self.play, task, role, host, status, said(answer) if status in ("failed", "ignored", "unreachable") else "")
