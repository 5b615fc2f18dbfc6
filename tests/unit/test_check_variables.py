"""What is wrong with a variable is told before a host or the cluster is asked anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
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
