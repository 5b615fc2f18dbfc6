"""How many tasks a playbook starts, as far as its files tell."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

INCLUDES, ROLES = ("include_tasks", "import_tasks"), ("include_role", "import_role")


def load(path: Path) -> Any:
    """Return what a file holds: plays, tasks or variables."""
    from ansible.parsing.dataloader import DataLoader

    return DataLoader().load_from_file(str(path), trusted_as_template=True) or []


@functools.cache
def answers(role: Path) -> re.Pattern[str]:
    """Return what finds the names by which a role's tasks keep what the hosts told."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((role / "tasks").glob("*.yml"))]
    names = [name for text in texts for name in re.findall(r"^ +register: (\w+)$", text, re.MULTILINE)]
    return re.compile(rf"\b({'|'.join(names)})\b" if names else r"(?!)")


def holds(conditions: Any, variables: dict[str, Any], role: Path) -> bool:
    """Tell whether conditions hold by what is known before the run; one that the hosts decide does not, whatever it takes for a default."""
    from ansible.errors import AnsibleError
    from ansible.template import Templar

    templar, listed = Templar(variables=variables), conditions if isinstance(conditions, list) else [conditions]
    if any(answers(role).search(str(condition)) for condition in listed):
        return False
    try:
        return all(templar.evaluate_conditional(condition) for condition in listed)
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
        if "when" in keys and keys.keys() & {"block", *INCLUDES, *ROLES} and not holds(keys["when"], {**variables, **keys.get("vars", {})}, role):
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
