"""Every step of every playbook can be chosen by the name of its playbook and of its role."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HOME = Path(__file__).parents[2]
PLAYBOOKS = sorted((HOME / "playbooks").glob("*.yml"))
ROLES = {path.name for path in (HOME / "roles").iterdir()}
# Taken whatever is chosen.
GUARDS = {"lock", "lease"}


def ansible_playbook(*words: str) -> str:
    """Return what ansible-playbook lists."""
    command = ["ansible-playbook", "-i", "inventory/example", *words]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout


def includes(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tasks that include a role, those of blocks too."""
    for task in tasks:
        yield from includes(task.get("block", []))
        if "ansible.builtin.include_role" in task:
            yield task


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def test_the_chain_lists_a_tag_for_each_playbook_and_role_of_it() -> None:
    plays = re.findall(r"\): (.+)\tTAGS: \[(.*)\]\n +TASK TAGS: \[(.*)\]", ansible_playbook("site.yml", "--list-tags"))
    assert all(tags for _name, tags, _task_tags in plays)
    found = {tag.strip() for _name, _tags, tags in plays for tag in tags.split(",")}
    steps = {"check_variables", "install_helm", "prepare_hosts", "deploy_volumes", "deploy_alluxio", "deploy_operator", "datasets"}
    assert found == steps | ROLES - {"loading_bench"} | {"always"}


def test_one_step_is_chosen_with_lock_and_lease_and_without_the_others() -> None:
    tasks = re.findall(r"^      (.+)\tTAGS", ansible_playbook("site.yml", "--list-tasks", "--tags", "journal_directories"), re.MULTILINE)
    assert {"Take the lock", "Take the Lease", "Check the variables", "Stop where a host is not prepared"} < set(tasks)
    # The checks of other roles' variables ask no host.
    others = {task for task in tasks if " : " in task and "Validating arguments" not in task}
    assert {task.partition(" : ")[0] for task in others} == {"alnair.alluxio.journal_directories"}


def test_a_play_has_the_tag_of_its_playbook_and_a_role_that_of_its_own() -> None:
    for path in PLAYBOOKS:
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            if "hosts" not in play:
                continue
            tags = listed(play.get("tags"))
            assert ("always" if path.stem in GUARDS else path.stem) in tags, path
            assert {role["role"].rpartition(".")[2] for role in play.get("roles", [])} <= set(tags), path
            for task in includes(play.get("tasks", [])):
                options = task["ansible.builtin.include_role"]
                own = listed(task.get("tags"))
                # Whether volumes are bound belongs to the release: before it there are no claims.
                role = "alluxio_chart" if options.get("tasks_from") == "bound.yml" else options["name"].rpartition(".")[2]
                assert role in {*tags, *own}, (path, task["name"])
                # What is included has the tags of the play, but not those of the task that includes it.
                assert listed((options.get("apply") or {}).get("tags")) == own, (path, task["name"])
