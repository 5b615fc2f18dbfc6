"""What is wrong with a variable is told before a host or the cluster is asked anything."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from role_tools import HOME, run_playbook

# Neither is there: who would ask it, fails with another word.
NOWHERE = {"alluxio_kubeconfig": "/nowhere/kubeconfig"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"alluxio_chart_timeout": "soon"}, "alluxio_chart_timeout"),
        ({"alluxio_datasets": [{"name": "Images", "source": "/srv"}]}, 'name "Images" must be'),
        ({"alluxio_datasets": [{"name": "a", "source": "s3://b//x"}]}, "has an empty part"),
        ({"alluxio_datasets": [{"name": "a", "source": "/srv", "path": "/d"}, {"name": "b", "source": "/srv", "path": "/d/b"}]}, "lie in each other"),
    ],
)
def test_a_wrong_variable_ends_the_chain_before_its_first_step(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    code, text = run_playbook(tmp_path, HOME / "playbooks" / "site.yml", "--check", **NOWHERE, **given)
    assert code != 0
    assert says in " ".join(text.split())
    assert "Install helm" not in text
    assert "changed=0" in text


@pytest.mark.parametrize("name", ["site", "scale", "teardown"])
def test_without_an_inventory_nothing_is_changed_whatever_cluster_the_kubeconfig_names(tmp_path: Path, name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_INVENTORY"} | {"KUBECONFIG": "/nowhere/kubeconfig"}
    words = ["ansible-playbook", f"playbooks/{name}.yml", "-e", f"helm_install_directory={tmp_path}"]
    done = subprocess.run(words, cwd=HOME, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "No inventory is named" in done.stdout + done.stderr
    assert "There is no kubeconfig" not in done.stdout + done.stderr and "changed=0" in done.stdout


def test_what_only_the_cluster_knows_is_left_to_the_roles(tmp_path: Path) -> None:
    sets = [{"name": "a", "source": "/srv", "namespaces": ["team"], "evict": ["declared-elsewhere"]}]
    code, text = run_playbook(tmp_path, HOME / "playbooks" / "check_variables.yml", "--check", alluxio_datasets=sets)
    assert code == 0, text


def test_a_name_that_no_role_takes_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    groups = {"alluxio_masters": {"hosts": {"n1": {"journal_directories_roots": "/x"}}}, "alluxio_workers": {"hosts": {"n2": {"alluxio_user_uid": 1000}}}}
    inventory.write_text(yaml.safe_dump({"all": {"vars": {"alluxio_chart_qota": "1Gi", "alluxio_chart_quota": "1Gi"}, "children": groups}}), encoding="utf-8")
    words = ["ansible-playbook", "-i", str(inventory), "playbooks/check_variables.yml", "-e", "datasets_of_my_own=1"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True)
    (said,) = re.findall(r"msg: (.*?)\n\n", done.stdout, re.DOTALL)
    assert " ".join(said.split()) == (
        "alluxio_chart_qota is nothing that a role takes; did you mean alluxio_chart_quota? datasets_of_my_own is nothing that a role takes. "
        "journal_directories_roots is nothing that a role takes; did you mean journal_directories_root?"
    )


def test_every_role_of_the_collection_is_known() -> None:
    play = yaml.safe_load((HOME / "playbooks" / "check_variables.yml").read_text(encoding="utf-8"))[0]
    assert play["tasks"][-1]["vars"]["check_variables_roles"] == sorted(path.name for path in (HOME / "roles").iterdir())


def test_what_the_lab_and_the_example_set_is_known() -> None:
    for source in ("inventory/example", *(["inventory/lab"] if (HOME / "inventory" / "lab").exists() else [])):
        words = ["ansible-playbook", "-i", source, "playbooks/check_variables.yml"]
        assert "nothing that a role takes" not in subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True).stdout
