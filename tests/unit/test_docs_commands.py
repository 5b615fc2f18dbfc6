"""What the documentation shows is there: every command with its words, every value with what takes it."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.galaxy import GalaxyCLI
from ansible.cli.inventory import InventoryCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.cli.vault import VaultCLI
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from chart_tools import TOOLS, complaints, refused

import alnair
from alnair import datasets, status
from alnair.cli import main
from alnair.cli.common import extra_variables
from alnair.inventory import KNOBS
from alnair.records import Record
from tests.shown_commands import HEREDOC, HOME, NOT_RUN, PAGES, Block, blocks, commands, inline
from tests.unit.small_api import Api, serve

SHELL, YAML = list(blocks("shell")), list(blocks("yaml"))
ROLES = {
    path.parts[-3]: yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    for path in HOME.glob("roles/*/meta/argument_specs.yml")
}
OPTIONS = {name: (role, option) for role, options in ROLES.items() for name, option in options.items()}
SHARED = set(re.findall(r"^\| (.*?) \|", (HOME / "docs/reference/playbooks.md").read_text(encoding="utf-8").partition("## Variables")[2], re.MULTILINE))
SHARED = {name for cell in SHARED for name in re.findall(r"`(\w+)`", cell)}
# Variables of Ansible itself that pages set.
ANSIBLE = {"ansible_user", "ansible_become_password", "ansible_host"}
PLACEHOLDERS = {"FILE": __file__, "N": "1", "TIME": "1h"}
# What any shell has; nothing but the words around them is Alnair's.
PLAIN = {".", "[", "cat", "cd", "export", "grep", "head", "mkdir", "sed", "tail", "${EDITOR:-vi}"}


def known(names: Iterator[str] | set[str]) -> None:
    """Fail for variables that nothing takes."""
    assert not (unknown := set(names) - OPTIONS.keys() - SHARED - ANSIBLE), f"no role or playbook takes {unknown}"


def runner(words: list[str], *, whole: bool = True) -> None:
    """Parse words as the runner does, with all that it checks before it acts."""
    command: click.Command = main
    context = click.Context(main, info_name="alnair_runner.py")
    words = [PLACEHOLDERS.get(word, __file__ if word.startswith("$(") else word) for word in words]
    while isinstance(command, click.Group):
        if not words or words[0] in ("…", "VERB", "--help", "--version"):
            assert not whole
            return
        assert words[0] in command.commands, f"there is no verb {words[0]}"
        command, words = command.commands[words[0]], words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    if words == ["…"]:
        return
    try:
        made = command.make_context(str(command.name), words, parent=context.parent)
    except click.MissingParameter:
        assert not whole
        return
    except click.exceptions.Exit as end:
        assert end.exit_code == 0 and "--help" in words
        return
    known(set(extra_variables(made.params.get("extra") or ())))


def of_ansible(program: type, words: list[str]) -> None:
    """Parse words as one of Ansible's programs does; playbooks and inventories are there, variables are taken by something."""
    parser = program([program.__name__, *words])
    parser.init_parser()
    given = parser.parser.parse_args(words)
    known(set(extra_variables(tuple(item for items in [getattr(given, "extra_vars", None) or []] for item in items))))
    # What is typed gets its name by --stdin-name; --name is for values on the command line.
    assert getattr(given, "args", None) or not getattr(given, "encrypt_string_names", None), given.encrypt_string_names
    if program is PlaybookCLI:
        assert all((HOME / name).is_file() for name in given.args), given.args
    for name in getattr(given, "inventory", None) or []:
        # The lab writes one, and init writes another where the guide begins.
        assert name in ("inventory/lab", "inventory/mine") or (HOME / name).exists(), name


def helped(program: str, words: list[str]) -> None:
    """Ask a program for its help behind the words: it answers only where it knows all options before."""
    path = str(TOOLS / program) if (TOOLS / program).exists() else shutil.which(program)
    assert path, f"{program} is not there"
    done = subprocess.run([path, *words, "--help"], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "nknown" not in done.stdout.splitlines()[0], done.stdout + done.stderr
    for name in [word for word in words if word in ("operator", "charts/alluxio", "requirements.txt")]:
        assert (HOME / name).exists()


def of_openssh(program: str, words: list[str]) -> None:
    """Look for each option in what the program says of its usage."""
    usage = subprocess.run([program, "-?"], capture_output=True, text=True, check=False).stderr
    for word in [word for word in words if re.match(r"-\w", word)]:
        assert re.search(rf"\[?-\w*{word[1]}", usage), f"{program} has no {word}"


def navigated(words: list[str]) -> None:
    """Look for the collection's playbook, which is what of ansible-navigator's words is ours."""
    assert words[0] == "run"
    assert (HOME / "playbooks" / f"{words[1].removeprefix('alnair.alluxio.')}.yml").is_file(), words[1]


def target(words: list[str]) -> None:
    """Look for a target of the Makefile, and for variables that it knows."""
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    for word in words:
        assert re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE), f"make has no target {word}"


def python(words: list[str], *, whole: bool = True) -> None:
    """Parse what Python runs: the runner, or a module or file of the checkout."""
    if words[0] == "alnair_runner.py":
        runner(words[1:], whole=whole)
    elif words[0] == "-m":
        place = HOME / words[1].replace(".", "/")
        assert (place / "__main__.py").is_file() or place.with_suffix(".py").is_file(), words
    else:
        assert (HOME / words[0]).is_file(), words


CHECKS: dict[str, Callable[..., None]] = {
    "python": python,
    "alnair_runner.py": runner,
    "./alnair_runner.py": runner,
    "alnair-runner": runner,
    "make": target,
    "ansible": functools.partial(of_ansible, AdHocCLI),
    "ansible-playbook": functools.partial(of_ansible, PlaybookCLI),
    "ansible-vault": functools.partial(of_ansible, VaultCLI),
    "ansible-inventory": functools.partial(of_ansible, InventoryCLI),
    "ansible-galaxy": functools.partial(of_ansible, GalaxyCLI),
    **{name: functools.partial(helped, name) for name in ("kubectl", "helm", "podman", "pip", "ansible-builder")},
    "ansible-navigator": navigated,
    **{name: functools.partial(of_openssh, name) for name in ("ssh-keyscan", "ssh-keygen")},
}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_of_a_block_is_one_that_its_program_takes(block: Block) -> None:
    found = list(commands(block.text))
    assert found
    for words in found:
        if words[0] not in PLAIN:
            assert words[0] in CHECKS, f"nothing checks {words[0]}"
            CHECKS[words[0]](words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_every_command_in_a_sentence_is_one_that_its_program_takes(page: Path) -> None:
    for span in inline(page):
        for words in commands(span.replace("[", "").replace("]", "") if "[" in span and "alnair_runner" in span else span):
            if words[0] in ("python", "alnair_runner.py", "./alnair_runner.py"):
                CHECKS[words[0]](words[1:], whole=False)
            elif words[0] in ("make", "ansible-playbook") and len(words) > 1:
                CHECKS[words[0]](words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_every_variable_in_a_sentence_is_one_that_something_takes(page: Path) -> None:
    named = {name for span in inline(page) for name in re.findall(rf"\b(?:{'|'.join(ROLES)}|alluxio)_[a-z0-9_]*[a-z0-9]\b", span)}
    known(named - ROLES.keys() - {"alluxio_masters", "alluxio_workers", "alluxio_controller"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_commands_stand_only_where_they_are_found(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = set(re.findall(r"^```([^\n`]+)$", text, re.MULTILINE))
    assert {name for name in fences if not name.startswith("{")} <= {"shell", "yaml", "python"}
    assert not re.findall(r"^(?: {4}|\t)(?:python|make|ansible\S*|helm|kubectl|podman|\./alnair_runner\.py) .*", text, re.MULTILINE)
    assert len(re.findall("^<!--.*run", text, re.MULTILINE)) == len([block for block in blocks("shell", [page]) if block.note])


@pytest.mark.parametrize("block", [block for block in SHELL if block.note], ids=str)
def test_a_block_that_is_not_run_says_why_and_how_it_is_checked(block: Block) -> None:
    assert NOT_RUN.fullmatch(block.note)
    # What it names as its test is there.
    assert all((HOME / name).is_file() for name in re.findall(r"tests/\S+\.py", block.note))


@pytest.mark.parametrize("block", list(blocks("python")), ids=str)
def test_a_block_of_python_uses_what_the_package_has(block: Block) -> None:
    tree = compile(block.text, str(block), "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    owners = {"cluster": alnair.Alnair, "result": alnair.Result()}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module and all(hasattr(importlib.import_module(node.module), name.name) for name in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners:
            assert hasattr(owners[node.value.id], node.attr), node.attr


def test_the_page_of_the_runner_names_every_field_that_a_reading_verb_prints(tmp_path: Path) -> None:
    text = (HOME / "docs/runner.md").read_text(encoding="utf-8").partition("Verbs that only read")[2].partition("`--jsonl`")[0]
    named = {verb: set(re.findall(r"`(\w+)`", line)) for verb, line in re.findall(r"^\| `([a-z ]+)` \| (.*)$", text, re.MULTILINE)}
    api = Api()
    api.kinds["v1"] += ["PersistentVolume", "PersistentVolumeClaim"]
    api.kinds["centaurusinfra.com/v1"] = ["AlnairDatacache"]
    api.add({"apiVersion": "centaurusinfra.com/v1", "kind": "AlnairDatacache", "metadata": {"name": "a", "namespace": "default"}, "spec": {"source": "/a"}})
    server = serve(api, tmp_path / "config")
    knobs = {**KNOBS, "alluxio_kubeconfig": str(tmp_path / "config")}
    printed = {
        "status": set(status.read(knobs)),
        "dataset status": set(datasets.read(knobs)[0]),
        "history": {field.name for field in dataclasses.fields(Record)},
    }
    server.shutdown()
    assert {verb: found - named[verb] for verb, found in printed.items()} == {verb: set() for verb in printed}


def test_the_readme_names_every_verb() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    assert not [name for name in main.commands if not re.search(rf"`{name}\b", text)]


def test_the_page_of_playbooks_names_every_one_and_its_variables_are_used() -> None:
    text = (HOME / "docs/reference/playbooks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w, ]+) \| .*\| .* \|$", text.partition("## Variables")[0], re.MULTILINE)
    assert {name.strip() for row in rows for name in row.split(",")} - {"playbook"} == {path.stem for path in HOME.glob("playbooks/*.yml")}
    used = "".join(path.read_text(encoding="utf-8") for folder in ("playbooks", "roles") for path in (HOME / folder).rglob("*.yml"))
    assert not [name for name in SHARED if not re.search(rf"\b{name}\b", used)]


def test_the_reader_knows_what_a_shell_line_is_made_of() -> None:
    text = "A=1 make x && b 'c d' # e\nf - <<'G'\nh\nG\ni | j > k 2>&1 || l \"$(m | n)\"\n"
    assert list(commands(text))[:6] == [["make", "x"], ["b", "c d"], ["f", "-"], ["i"], ["j"], ["l", "$(m | n)"]]


def judged(document: Any) -> None:
    """Hold what a block of YAML says against what takes it."""
    assert isinstance(document, dict), "neither variables, nor an inventory, nor an object of Kubernetes"
    if "apiVersion" in document:
        of_kubernetes(document)
    elif set(document) == {"all"}:
        of_inventory(document)
    elif "plugin" in document:
        of_plugin(document)
    else:
        of_variables(document)


def of_kubernetes(document: dict[str, Any]) -> None:
    """Validate an object as the API server does."""
    if document["kind"] != "AlnairDatacache":
        assert complaints(document) == []
        return
    definition = yaml.safe_load((HOME / "roles/dataset_operator/files/alnairdatacache.yml").read_text(encoding="utf-8"))
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    jsonschema.validate(document["spec"], {**schema, "additionalProperties": False})


def of_inventory(document: dict[str, Any]) -> None:
    """Look at an inventory: its groups are those that the playbooks know, its variables are taken by something."""
    groups = document["all"]["children"]
    assert set(groups) <= {"alluxio_masters", "alluxio_workers", "alluxio_controller"}
    assert len(groups["alluxio_masters"]["hosts"]) % 2 == 1
    for group in groups.values():
        for variables in group["hosts"].values():
            known(set(variables or {}))


def of_plugin(document: dict[str, Any]) -> None:
    """Look for the options of an inventory plugin in its contract."""
    text = (HOME / "plugins" / "inventory" / f"{document['plugin'].removeprefix('alnair.alluxio.')}.py").read_text(encoding="utf-8")
    contract = next(node.value.value for node in ast.parse(text).body
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION" and isinstance(node.value, ast.Constant))  # fmt: skip
    assert set(document) <= set(yaml.safe_load(str(contract))["options"])


def of_variables(document: dict[str, Any]) -> None:
    """Validate variables as the roles' own check does, and the chart's values as the chart does."""
    known(set(document))
    for given, value in document.items():
        name = "datasets_list" if given == "alluxio_datasets" else given
        if name in OPTIONS:
            checked = ArgumentSpecValidator({name: {key: part for key, part in OPTIONS[name][1].items() if key != "description"}}).validate({name: value})
            assert not checked.error_messages, checked.error_messages
    values = document.get("alluxio_chart_values") or {}
    assert not (reason := refused({**values, "mounts": document.get("alluxio_chart_mounts", [])})), reason


@pytest.mark.parametrize("block", YAML, ids=str)
def test_what_a_block_of_yaml_says_is_taken(block: Block) -> None:
    judged(yaml.safe_load(block.text))


def test_objects_that_a_command_is_given_are_taken() -> None:
    bodies = [body["body"] for block in SHELL for body in HEREDOC.finditer(block.text)]
    assert bodies
    for body in bodies:
        judged(yaml.safe_load(body))


@pytest.mark.parametrize(
    "document",
    [
        {"alluxio_chart_qouta": "1Gi"},
        {"alluxio_user_uid": "many"},
        {"alluxio_chart_values": {"worker": {"resources": {"limits": {"memory": 1}}}}},
        {"alluxio_datasets": [{"name": "a", "source": "/b", "preload": "some"}]},
        {"all": {"children": {"alluxio_masters": {"hosts": {"a": None, "b": None}}}}},
        {"plugin": "alnair.alluxio.nodes", "kubeconfg": "a"},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"contianers": []}},
        {"apiVersion": "centaurusinfra.com/v1", "kind": "AlnairDatacache", "spec": {"sauce": "s3://a"}},
    ],
    ids=str,
)
def test_values_that_nothing_takes_are_found(document: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError, jsonschema.ValidationError)):
        judged(document)


@pytest.mark.parametrize(
    "line",
    [
        "python alnair_runner.py deplyo", "python alnair_runner.py deploy --chekc", "python alnair_runner.py restore",
        "python alnair_runner.py deploy -e alluxio_chart_qouta=1Gi", "make dmeo", "ansible-playbook -i inventory/mine playbooks/sight.yml",
        "ansible-playbook -i inventory/mine site.yml --dfif", "helm install --valeus a", "kubectl get nodes --otput wide", "ssh-keygen -0",
        "ansible-vault encrypt_strings", "ansible-vault encrypt_string --name a", "pip download --dset wheels",
    ],
)  # fmt: skip
def test_commands_that_no_program_takes_are_found(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises((AssertionError, click.UsageError, SystemExit)):
        CHECKS[words[0]](words[1:])
