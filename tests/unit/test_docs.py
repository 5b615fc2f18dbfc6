"""The reference pages are what the contracts say now, and the examples on them are playbooks that the roles take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import build

HOME = Path(__file__).parents[2]
PAGES = build.pages()
EXAMPLES = sorted((HOME / "docs" / "examples").glob("*.yml"))


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda path: path.name)
def test_a_committed_page_is_the_one_that_would_be_made(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "Run `make docs` and commit what it changes."


def test_no_page_or_example_of_a_role_that_is_gone_is_left() -> None:
    names = {path.parent.name for path in HOME.glob("roles/*/tasks")}
    assert {path.stem for path in HOME.glob("docs/roles/*.md")} == names == {path.stem for path in EXAMPLES}


def test_no_markup_of_ansible_is_left_and_every_link_leads_somewhere() -> None:
    for path, text in PAGES.items():
        assert not re.search(r"\b(C|M|O|V|RV)\(|ERROR while parsing", text), path
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (path.parent / target).exists() or path.parent / target in PAGES, f"{path}: {target}"


def test_options_of_options_are_told_with_the_way_to_them() -> None:
    inner = {"path": {"type": "path", "required": True, "description": "Where V(/) is a|b."}}
    spec = {"roots": {"type": "list", "elements": "dict", "description": ["One.", "Two."], "options": inner}, "tuning": {"type": "dict", "options": inner}}
    found = {row["name"]: row for row in build.rows(spec)}
    assert list(found) == ["roots", "roots[].path", "tuning", "tuning.path"]
    assert found["roots"]["kind"] == "list of dict"
    assert found["roots"]["meaning"] == "One.<br>Two."
    assert found["roots[].path"]["required"]
    assert found["tuning.path"]["meaning"] == "Where `/` is a\\|b."


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "`plain`"),
        ("0750", '`"0750"`'),
        ("!", '`"!"`'),
        ("", '`""`'),
        (True, "`true`"),
        ([], "`[]`"),
        ({"a": 1}, '`{"a": 1}`'),
        ("{{ a | default('b') }}", "`{{ a \\| default('b') }}`"),
    ],
)
def test_a_default_is_shown_as_one_would_write_it(given: object, shown: str) -> None:
    assert build.value(given) == shown


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_sets_only_variables_that_its_roles_know(path: Path) -> None:
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        for role in play["roles"]:
            spec = yaml.safe_load((HOME / "roles" / role["role"].rpartition(".")[2] / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
            assert set(role.get("vars", {})) <= set(spec["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_roles_accept_what_an_example_gives_them(path: Path) -> None:
    # Of all tasks only the check of the contract runs, which asks no host.
    command = ["ansible-playbook", "-i", "inventory/example", str(path), "--tags", "no-task-has-this-tag"]
    run = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    checked = len(re.findall(r"TASK \[alnair\.alluxio\.\w+ : Validating arguments", run.stdout))
    assert checked == len(yaml.safe_load(path.read_text(encoding="utf-8"))[0]["roles"]), run.stdout
