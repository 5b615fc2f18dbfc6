"""How many tasks a playbook starts, as far as its files tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

INCLUDES, ROLES = ("include_tasks", "import_tasks"), ("include_role", "import_role")


def load(path: Path) -> list[dict[str, Any]]:
    """Return the plays or tasks of a file."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or []


def tasks_of_role(role: Path, variables: dict[str, Any], entry: str = "main.yml", *, validate: bool = True) -> int:
    """Return the number of tasks that a role starts, its check of arguments among them where it is not left out."""
    # Which file a variable names is known only when it is included.
    entry = "main.yml" if "{{" in entry else entry
    specified = validate and entry == "main.yml" and (role / "meta" / "argument_specs.yml").exists()
    return int(specified) + tasks_of_list(load(role / "tasks" / entry), role, variables)


def tasks_of_list(tasks: list[dict[str, Any]], role: Path, variables: dict[str, Any]) -> int:
    """Return the number of tasks in a list with what it includes, but for what depends on the hosts: that counts when it is included."""
    total = 0
    for task in tasks:
        keys = {key.rpartition(".")[2]: value for key, value in task.items()}
        if keys.get("meta") == "end_role":
            # Only hosts that differ go on from here.
            return total + 1
        if "when" in keys and keys.keys() & {"block", *INCLUDES, *ROLES}:
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


def tasks_of_playbook(path: Path) -> int:
    """Return the number of tasks that a playbook starts, as far as its files tell.

    Args:
        path: A file in a folder beside the folder roles.
    """
    roles, total = path.parent.parent / "roles", 0
    for play in load(path):
        for word in ("ansible.builtin.import_playbook", "import_playbook"):
            if word in play:
                total += tasks_of_playbook(path.parent / play[word])
        for entry in play.get("roles", []):
            total += tasks_of_role(roles / entry["role"].rpartition(".")[2], entry.get("vars", {}))
        for part in ("tasks", "post_tasks"):
            total += tasks_of_list(play.get(part, []), roles / "none", play.get("vars", {}))
    return total
