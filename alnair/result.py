"""What a run of a playbook did, from the events of ansible-runner."""

from __future__ import annotations

import dataclasses
from typing import Any

from alnair.changes import Change, of_event

EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_DIFFERS, EXIT_INTERRUPTED = 0, 1, 2, 3, 10, 130
# The task of playbooks/prepare_hosts.yml that ends the chain where a host failed or is away.
GATE = "Stop where a host is not prepared"
# Where an answer may say something. The last one stands alone, in place of all that a task with no_log told.
SAYS = ("msg", "stderr", "stdout", "censored")


@dataclasses.dataclass
class Failure:
    """A task that failed on a host."""

    host: str
    task: str
    message: str


@dataclasses.dataclass(frozen=True)
class Check:
    """A line of doctor's report.

    Attributes:
        subject: A host, ``cluster`` or ``controller``.
        check: What was looked at.
        verdict: ``ok``, ``warn`` or ``fail``.
        text: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    subject: str
    check: str
    verdict: str
    text: str
    remedy: str = ""


@dataclasses.dataclass
class Result:
    """What a run did.

    Attributes:
        status: ``successful``, ``failed``, ``unreachable`` or ``interrupted``.
        hosts: Counts of tasks by host: ok, changed, failures, unreachable, skipped.
        changed: Number of changed tasks on all hosts; of a run that was interrupted, of those whose end was seen.
        failures: Tasks that failed, with their messages.
        unreachable: Hosts that did not answer, with the reason.
        messages: What the playbook said by debug tasks.
        changes: The tasks that changed something, or would; with what differs where the run collected differences.
        checks: What doctor found; empty for all other verbs.
        duration: Seconds.
    """

    status: str = "failed"
    hosts: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    changed: int = 0
    failures: list[Failure] = dataclasses.field(default_factory=list)
    unreachable: dict[str, str] = dataclasses.field(default_factory=dict)
    messages: list[str] = dataclasses.field(default_factory=list)
    changes: list[Change] = dataclasses.field(default_factory=list)
    checks: list[Check] = dataclasses.field(default_factory=list)
    duration: float = 0.0

    @property
    def exit_code(self) -> int:
        """Return the command line's exit code; failures outrank unreachable hosts."""
        codes = {"successful": EXIT_FINE, "failed": EXIT_FAILED, "unreachable": EXIT_UNREACHABLE, "interrupted": EXIT_INTERRUPTED}
        return codes[self.status]


def said(answer: dict[str, Any]) -> str:
    """Return what the answer of a task says; of a loop, what its failed items say; of one that keeps its output secret, that it is hidden."""
    items = [item for item in answer.get("results") or [] if isinstance(item, dict) and (item.get("failed") or "exception" in item)]
    texts = (next((str(item[key]) for key in SAYS if item.get(key)), "no message") for item in items or [answer])
    # Ansible begins with this what an action raised; that it failed is said where the text stands.
    return "\n".join(text.removeprefix("Task failed: ") for text in texts)


def collect(result: Result, event: dict[str, Any]) -> None:
    """Add what an event says to a result."""
    kind, data = event["event"], event.get("event_data", {})
    answer = data.get("res") or {}
    if change := of_event(kind, data):
        result.changes.append(change)
        # Until the playbook counts them itself, which one that is interrupted never does.
        result.changed += not change.hidden
    text = said(answer)
    if kind == "runner_on_failed" and data.get("task") == GATE and (result.failures or result.unreachable):
        # It ends the chain because of what stands there already.
        return
    if kind == "runner_on_failed" and not data.get("ignore_errors"):
        # What a rescue tells holds the reason that led to it.
        result.failures = [item for item in result.failures if item.host != data.get("host") or item.message not in text]
        result.failures.append(Failure(data.get("host", ""), data.get("task", ""), text))
    elif kind == "runner_on_unreachable":
        result.unreachable[data.get("host", "")] = text
    elif kind == "runner_on_ok" and data.get("task_action", "").endswith("debug") and isinstance(answer.get("msg"), str):
        result.messages.append(answer["msg"])
    elif kind == "runner_on_ok" and data.get("task_action") == "alnair.alluxio.doctor":
        result.checks = [Check(**check) for check in answer["checks"]]
    elif kind == "playbook_on_stats":
        for host in data.get("processed", {}):
            result.hosts[host] = {
                key: data.get(source, {}).get(host, 0)
                for key, source in (("ok", "ok"), ("changed", "changed"), ("failures", "failures"), ("unreachable", "dark"), ("skipped", "skipped"))
            }
            seen = sum(change.host == host and not change.hidden for change in result.changes)
            if result.hosts[host]["changed"] <= seen:
                # All changes of this host are known, so none of the secret ones is one.
                result.changes = [change for change in result.changes if change.host != host or not change.hidden]
        # What a rescue put right is no failure.
        result.failures = [item for item in result.failures if result.hosts.get(item.host, {"failures": 1})["failures"]]
        result.changed = sum(counts["changed"] for counts in result.hosts.values())
