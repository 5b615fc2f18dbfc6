"""Show how far a run of ansible-playbook has come."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import rich.console
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

INCLUDES, ROLES = ("include_tasks", "import_tasks"), ("include_role", "import_role")


def load(path: Path) -> Any:
    """Return what a file holds: plays, tasks or variables."""
    return DataLoader().load_from_file(str(path), trusted_as_template=True) or []


def holds(conditions: Any, variables: dict[str, Any]) -> bool:
    """Tell whether conditions hold by what is known before the run; one that the hosts decide does not."""
    templar = Templar(variables=variables)
    try:
        return all(templar.evaluate_conditional(condition) for condition in (conditions if isinstance(conditions, list) else [conditions]))
    except AnsibleError:
        return False


def tasks_of_role(role: Path, variables: dict[str, Any], entry: str = "main.yml", *, validate: bool = True) -> int:
    """Return the number of tasks that a role starts, its check of arguments among them where it is not left out."""
    # Which file a variable names is known only when it is included.
    entry = "main.yml" if "{{" in entry else entry
    specified = validate and entry == "main.yml" and (role / "meta" / "argument_specs.yml").exists()
    defaults = role / "defaults" / "main.yml"
    known = {**(dict(load(defaults)) if defaults.exists() else {}), **variables}
    return int(specified) + tasks_of_list(load(role / "tasks" / entry), role, known)


def tasks_of_list(tasks: list[dict[str, Any]], role: Path, variables: dict[str, Any]) -> int:
    """Return the number of tasks in a list with what it includes, but for what the hosts decide: that counts when it is included."""
    total = 0
    for task in tasks:
        keys = {key.rpartition(".")[2]: value for key, value in task.items()}
        if keys.get("meta") == "end_role":
            # Only hosts that differ go on from here.
            return total + 1
        if "when" in keys and keys.keys() & {"block", *INCLUDES, *ROLES} and not holds(keys["when"], {**variables, **keys.get("vars", {})}):
            total += "block" not in keys
            continue
        inner = {**variables, **keys.get("vars", {})}
        for part in ("block", "always"):
            total += tasks_of_list(keys.get(part, []), role, inner)
        total += "block" not in keys
        for word in INCLUDES:
            if word in keys:
                total += tasks_of_list(load(file), role, inner) if (file := included(role, keys[word], inner)) else 0
        for word in ROLES:
            if word in keys:
                other = role.parent / keys[word]["name"].rpartition(".")[2]
                total += tasks_of_role(other, inner, keys[word].get("tasks_from", "main.yml"), validate=keys[word].get("rolespec_validate", True))
    return total


def included(role: Path, name: str, variables: dict[str, Any]) -> Path | None:
    """Return the file that an include names, where the state that is asked for tells it."""
    state = f"{role.name}_state"
    path = role / "tasks" / name.replace("{{ " + state + " }}", str(variables.get(state, "present")))
    return path if path.exists() else None


def tasks_of_playbook(path: Path, variables: dict[str, Any]) -> int:
    """Return the number of tasks that a playbook starts, as far as its files and the variables tell.

    Args:
        path: A file in a folder beside the folder roles.
        variables: What inventory and command line say.
    """
    roles, total = path.parent.parent / "roles", 0
    for play in load(path):
        for word in ("ansible.builtin.import_playbook", "import_playbook"):
            if word in play:
                total += tasks_of_playbook(path.parent / play[word], variables)
        for entry in play.get("roles", []):
            total += tasks_of_role(roles / entry["role"].rpartition(".")[2], {**variables, **entry.get("vars", {})})
        for part in ("tasks", "post_tasks"):
            total += tasks_of_list(play.get(part, []), roles / "none", {**variables, **play.get("vars", {})})
    return total


class Progress:
    """Shows a run: one line per task on a terminal that is written over, plain lines elsewhere."""

    def __init__(self, console: rich.console.Console, *, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.started = self.said = time.monotonic()
        self.play, self.task, self.number = "", "", 0
        self.expected = 0
        self.done: set[str] = set()
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
            if kind == "runner_on_ok" and data.get("task_action", "").endswith("debug") and not self.quiet:
                # What goes is said before it goes.
                self.console.print((data.get("res") or {}).get("msg", ""), markup=False, highlight=False, soft_wrap=True)
        self.show(new=kind == "playbook_on_task_start")

    def show(self, *, new: bool) -> None:
        """Write where the run stands."""
        if self.quiet or not self.task:
            return
        elapsed = time.monotonic() - self.started
        line = f"{elapsed:5.0f} s  task {self.number} of {max(self.number, self.expected)}  {self.play}: {self.task.rsplit(' : ', maxsplit=1)[-1]}"
        if self.status:
            self.status.update(f"{line} ({len(self.done)} hosts done)")
        elif new:
            self.said = time.monotonic()
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Tell at least every 20 s that a long task goes on."""
        if self.status or time.monotonic() - self.said > 20:
            self.show(new=True)

    def end(self) -> None:
        """Give the line back to the terminal."""
        if self.status:
            self.status.stop()
