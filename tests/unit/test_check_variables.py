"""What is wrong with a variable is told before a host or the cluster is asked anything."""

from __future__ import annotations

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


def test_what_only_the_cluster_knows_is_left_to_the_roles(tmp_path: Path) -> None:
    sets = [{"name": "a", "source": "/srv", "namespaces": ["team"], "evict": ["declared-elsewhere"]}]
    code, text = run_playbook(tmp_path, HOME / "playbooks" / "check_variables.yml", "--check", alluxio_datasets=sets)
    assert code == 0, text
