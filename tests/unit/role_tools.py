"""What a role's templates make of its defaults, as Ansible would, and roles that run against an API of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

HOME = Path(__file__).parents[2]


def trusted(value: Any) -> Any:
    """Mark all text in a value as what Ansible may take for a template."""
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def templar(role: str, **given: Any) -> Templar:
    """Return a templar that knows the defaults and variables of a role, and what is given on top of them."""
    known: dict[str, Any] = {"groups": {"alluxio_masters": ["node-1"]}}
    for part in ("defaults", "vars"):
        path = HOME / "roles" / role / part / "main.yml"
        if path.exists():
            known.update(yaml.safe_load(path.read_text(encoding="utf-8")))
    return Templar(loader=DataLoader(), variables=trusted({**known, **given}))


def value(role: str, expression: str, **given: Any) -> Any:
    """Return what an expression of a role's variables is."""
    return templar(role, **given).template(trust_as_template(expression))


def rendered(role: str, template: str, **given: Any) -> list[dict[str, Any]]:
    """Return the objects that a template of a role makes."""
    text = (HOME / "roles" / role / "templates" / template).read_text(encoding="utf-8")
    found = templar(role, **given).template(trust_as_template("{% filter string %}" + text + "{% endfilter %}"))
    return [item for item in yaml.safe_load_all(str(found)) if isinstance(item, dict)]


def stand_in(folder: Path, module: str, text: str) -> None:
    """Let roles that run in a folder have a module of ours in the place of one of kubernetes.core."""
    there = Path(sys.executable).parents[1] / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "ansible_collections" / "kubernetes" / "core"
    copy = folder / "collections" / "ansible_collections" / "kubernetes" / "core"
    (copy / "plugins" / "modules").mkdir(parents=True)
    for part in ("", "plugins", "plugins/modules"):
        for item in (there / part).iterdir():
            if not (copy / part / item.name).exists() and item.stem != module:
                (copy / part / item.name).symlink_to(item)
    (copy / "plugins" / "modules" / f"{module}.py").write_text(text, encoding="utf-8")


def run_role(folder: Path, role: str, *words: str, tasks: str = "main", **variables: Any) -> tuple[int, str]:
    """Run a role against the cluster of a kubeconfig in a folder; return the exit code and what ansible-playbook said."""
    task = {"name": "Run", "ansible.builtin.include_role": {"name": f"alnair.alluxio.{role}", "tasks_from": tasks}}
    play = {"name": "Play", "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [task]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    return run_playbook(folder, folder / "play.yml", *words, **variables)


def run_playbook(folder: Path, playbook: Path, *words: str, **variables: Any) -> tuple[int, str]:
    """Run a playbook on one host as :func:`run_role` runs a role."""
    (folder / "hosts.yml").write_text(yaml.safe_dump({"alluxio_masters": {"hosts": {"node-1": None}}}), encoding="utf-8")
    given = json.dumps({"alluxio_kubeconfig": str(folder / "kubeconfig"), **variables})
    command = ["ansible-playbook", "-i", str(folder / "hosts.yml"), str(playbook), "-e", given, *words]
    own = {"ANSIBLE_COLLECTIONS_PATH": f"{folder / 'collections'}:{HOME / 'collections'}"}
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **own})
    return done.returncode, done.stdout + done.stderr
