"""What a run changed, or would change in check mode, from the events of ansible-runner."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class Difference:
    """One value that differs.

    Attributes:
        what: Its name, such as a path with the name of a property; empty where the task tells none.
        before: The value that is there; empty for none.
        after: The value that is wanted; empty for none.
        patch: What a module tells as a finished diff instead of two values, or a debug task in words.
    """

    what: str = ""
    before: str = ""
    after: str = ""
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class Change:
    """A task that changed something on a host, or would.

    Attributes:
        host: Name of the host in the inventory.
        task: The task's name, without the role's.
        role: The role's name with its collection; empty where the task stands in a playbook.
        differences: What differs, as far as the run collected it.
        hidden: Whether the task keeps its output secret, so that only the count of changes of this host tells that it is one of those.
    """

    host: str
    task: str
    role: str = ""
    differences: tuple[Difference, ...] = ()
    hidden: bool = False


def of_event(kind: str, data: dict[str, Any]) -> Change | None:
    """Return the change that an event tells, None where it tells of none."""
    answer = data.get("res") or {}
    ended = kind == "runner_on_ok" or (kind == "runner_on_failed" and bool(data.get("ignore_errors")))
    hidden = "censored" in answer
    if not ended or not (answer.get("changed") or hidden):
        return None
    answers = [item for item in answer.get("results") or [] if isinstance(item, dict) and item.get("changed")] if "results" in answer else []
    told = [diff for item in answers or [answer] for diff in diffs(item, debug=str(data.get("task_action", "")).endswith("debug"))]
    task = str(data.get("task", "")).rsplit(" : ", maxsplit=1)[-1]
    return Change(str(data.get("host", "")), task, str(data.get("role", "")), tuple(difference for diff in told for difference in of_diff(diff)), hidden)


def diffs(answer: dict[str, Any], *, debug: bool) -> list[dict[str, Any]]:
    """Return Ansible's diffs in the answer of a task; a debug task, by which a role tells what it would do, has words or a diff as its message."""
    said = answer.get("msg") if debug else None
    found = answer.get("diff") or ({"prepared": said} if isinstance(said, str) else said)
    return [diff for diff in (found if isinstance(found, list) else [found]) if isinstance(diff, dict)]


def of_diff(diff: dict[str, Any]) -> list[Difference]:
    """Return what differs in one of Ansible's diffs: before and after as texts or mappings, or a finished diff."""
    if diff.get("prepared"):
        return [Difference(patch=str(diff["prepared"]))]
    before, after = diff.get("before"), diff.get("after")
    if isinstance(before, dict) or isinstance(after, dict):
        before, after = (side if isinstance(side, dict) else {} for side in (before, after))
        # Modules for files name the file on both sides and beside it what differs.
        same = before.get("path") if before.get("path") == after.get("path") else None
        return list(of_mappings(before, after, str(same or "")))
    if before == after:
        return []
    return [Difference(str(diff.get("before_header") or diff.get("after_header") or ""), words(before), words(after))]


def of_mappings(before: dict[str, Any], after: dict[str, Any], within: str) -> Iterator[Difference]:
    """Yield what differs in two mappings, and in mappings within them."""
    for key in dict.fromkeys((*before, *after)):
        was, wanted, what = before.get(key), after.get(key), f"{within} {key}".strip()
        if was == wanted:
            continue
        if isinstance(was, dict) and isinstance(wanted, dict):
            yield from of_mappings(was, wanted, what)
        else:
            yield Difference(what, words(was), words(wanted))


def words(value: Any) -> str:
    """Return a value as one would say it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(words(item) for item in value)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
