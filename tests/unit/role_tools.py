"""What a role's templates make of its defaults, as Ansible would."""

from __future__ import annotations

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
