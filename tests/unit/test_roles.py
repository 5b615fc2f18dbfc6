"""The contract of each role is whole: what it says, what it defaults to and what it uses are the same."""

from __future__ import annotations

import base64
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from antsibull_docs_parser import dom
from antsibull_docs_parser.parser import Context, parse
from role_tools import value

HOME = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (HOME / "roles").iterdir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def options(role: str) -> dict[str, Any]:
    return load(HOME / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


def default_in_words(description: str) -> list[str]:
    """Return the V() of "By default the expression V(...)" as Jinja.

    A default that is worked out stands there when the contract's schema wants a number, a list or the like; without braces, for Ansible works out those of a
    description too.
    """
    parts = parse(description, Context())[0]
    pairs = [(before, part) for before, part in itertools.pairwise(parts) if isinstance(before, dom.TextPart) and isinstance(part, dom.OptionValuePart)]
    return ["{{ " + part.value + " }}" for before, part in pairs if before.text.endswith("By default the expression ")]


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_specified_and_defaults_to_what_is_said(role: str) -> None:
    said = {name: option["default"] for name, option in options(role).items() if "default" in option}
    in_words = {name: found[0] for name, option in options(role).items() if (found := default_in_words(option["description"]))}
    assert not said.keys() & in_words.keys()
    assert load(HOME / "roles" / role / "defaults" / "main.yml") == said | in_words


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_has_the_name_of_its_role_and_a_sentence(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_")
        assert option["description"].endswith("."), name


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_used(role: str) -> None:
    places = [*(HOME / "roles" / role).rglob("*.yml"), *(HOME / "roles" / role).rglob("*.j2")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places if path.name != "argument_specs.yml")
    for name in options(role):
        # Once where it gets its default, and once more where something depends on it.
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


@pytest.mark.parametrize(("chart", "volume", "shown", "format_"), [
    ("other", {}, True, False),
    ("other", {"volumeType": "persistentVolumeClaim"}, True, False),
    ("other", {"volumeType": "emptyDir"}, False, True),
    ("/../../charts/alluxio", {}, False, True),
])  # fmt: skip
def test_a_journal_that_the_role_formats_is_formatted_by_no_other_chart(chart: str, volume: dict[str, str], *, shown: bool, format_: bool) -> None:
    journal = base64.b64encode(yaml.safe_dump({"journal": volume}).encode()).decode()
    known = {"role_path": "", "alluxio_chart_ref": chart, "alluxio_chart_values_read": {"results": [{"content": journal}]}, "alluxio_chart_masters": ["node-1"],
             "alluxio_chart_values": {"journal": {"format": {"runFormat": True}}}}  # fmt: skip
    assert value("alluxio_chart", "{{ alluxio_chart_formats }}", **known) == shown
    assert value("alluxio_chart", "{{ alluxio_chart_wanted }}", **known) == {"journal": {"format": {"runFormat": format_}}}
    (said,) = [task for task in load(HOME / "roles" / "alluxio_chart" / "tasks" / "chart.yml") if task["name"] == "Say who formats the journal"]
    conditions = " and ".join(f"({condition})" for condition in said["when"])
    assert value("alluxio_chart", f"{{{{ {conditions} }}}}", **known) == shown


def test_verify_asks_the_first_master_by_the_name_that_it_has() -> None:
    listed = load(HOME / "roles" / "alluxio_chart" / "tasks" / "tried.yml")
    tasks = [inner for task in listed for inner in [task, *task.get("block", []), *task.get("always", [])]]
    pods = [task["kubernetes.core.k8s_exec"]["pod"] for task in tasks if "kubernetes.core.k8s_exec" in task and "loop" not in task]
    assert {value("alluxio_chart", pod, alluxio_chart_before={"masters": "full-master"}) for pod in pods} == {"full-master-0"}


@pytest.mark.parametrize(("leader", "force", "saved"), [("m-0", False, True), ("m-0", True, False), (None, False, False)])
def test_a_teardown_saves_what_only_workers_hold_before_the_release_goes(leader: str | None, *, force: bool, saved: bool) -> None:
    tasks = load(HOME / "roles" / "alluxio_chart" / "tasks" / "absent.yml")
    (place,) = [number for number, task in enumerate(tasks) if task.get("ansible.builtin.include_tasks") == "persist.yml"]
    assert place < next(number for number, task in enumerate(tasks) if "alnair.alluxio.helm_release" in task)
    # Who forces it does not even ask; in a check it is told what would be saved.
    told = {"alluxio_chart_force": force} | ({} if force else {"alluxio_chart_before": {"leader": leader}})
    assert value("alluxio_chart", "{{ " + " and ".join(f"({condition})" for condition in tasks[place]["when"]) + " }}", **told) is saved
    assert "ansible_check_mode" not in str(tasks[place])


def test_no_knob_stands_where_an_inventory_could_not_turn_it() -> None:
    knobs = {name for role in ROLES for name in options(role)}
    assert not knobs & set(load(HOME / "group_vars" / "all.yml"))


def test_a_playbook_that_is_run_alone_reads_the_group_vars_too() -> None:
    assert {path.name: path.resolve() for path in (HOME / "playbooks" / "group_vars").iterdir()} == {
        path.name: path for path in (HOME / "group_vars").iterdir()
    }


def test_every_variable_of_the_inventories_is_one_that_a_role_knows() -> None:
    knobs = {name for role in ROLES for name in options(role)} | {"alluxio_kubeconfig", "alluxio_kube_context", "alluxio_namespace", "alluxio_release"}
    knobs.add("alluxio_datasets")
    example = load(HOME / "inventory" / "example" / "group_vars" / "all.yml")
    assert set(example) <= knobs


@pytest.mark.parametrize("role", ROLES)
def test_the_page_that_galaxy_shows_of_a_role_says_what_its_contract_says(role: str) -> None:
    said = load(HOME / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["short_description"]
    page = (HOME / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {role}\n{said}.\n")
    assert all((HOME / "roles" / role / target).exists() for target in re.findall(r"\]\(([^)]+)\)", page))


def test_no_role_takes_a_list_of_kubeconfigs_of_which_its_tools_would_choose_different_clusters(tmp_path: Path) -> None:
    first = {"alluxio_chart": "cluster", "dataset_operator": "others", "datasets": "declared", "loading_bench": "main", "persistent_volumes": "main"}
    assert set(first) == {role for role in ROLES if f"{role}_kubeconfig" in options(role)}
    task = {"name": "Run", "ansible.builtin.include_role": {"name": "alnair.alluxio.{{ inventory_hostname }}", "tasks_from": "{{ first[inventory_hostname] }}"}}
    play = {"name": "Play", "hosts": "all", "gather_facts": False, "connection": "local", "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    given = yaml.safe_dump({"first": first, "alluxio_kubeconfig": "/a:/b"}, default_flow_style=True, width=1000)
    words = ["ansible-playbook", "-i", ",".join([*first, ""]), str(tmp_path / "play.yml"), "-e", given.strip()]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    told = " ".join(done.stdout.split())
    assert told.count("msg: The kubeconfig /a:/b is a list of files, and one is needed. Name it with alluxio_kubeconfig in the inventory") == len(first), told
    assert all(re.search(rf"{role} : ok=\d+ changed=0 unreachable=0 failed=1", told) for role in first), told


def conditions(item: Any) -> Iterator[str]:
    """Yield each condition of tasks."""
    if isinstance(item, dict):
        for key, value in item.items():
            if key in ("when", "that", "until", "changed_when", "failed_when"):
                yield from [str(one) for one in (value if isinstance(value, list) else [value])]
            else:
                yield from conditions(value)
    elif isinstance(item, list):
        for value in item:
            yield from conditions(value)


def test_a_truth_that_comes_as_a_word_is_one_in_every_condition() -> None:
    """``-e name=true`` gives a text, which a condition refuses; and the text "false" is no untruth."""
    truths = {name for role in ROLES for name, option in options(role).items() if option.get("type") == "bool"}
    found = [text for path in HOME.glob("roles/*/tasks/*.yml") for text in conditions(load(path))]
    assert len(found) > 100
    assert not [text for text in found for name in re.findall(r"\b(\w+)\b(?! \| bool)", text) if name in truths]
