"""Bad input is answered before anything is changed, with the thing, the value and the remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alnair_runner import Alnair


def failed(cluster: Alnair, **extra_vars: object) -> str:
    """Run the release's playbook and return the message that it ends with."""
    result = cluster.run("deploy_alluxio", extra_vars=extra_vars)
    assert result.status == "failed"
    assert result.changed == 0
    return " ".join(result.failures[-1].message.split())


def test_a_missing_kubeconfig(cluster: Alnair) -> None:
    assert "There is no kubeconfig at /nowhere/config. Set alluxio_kubeconfig" in failed(cluster, alluxio_kubeconfig="/nowhere/config")


def test_an_api_server_that_does_not_answer(cluster: Alnair, tmp_path: Path) -> None:
    broken = tmp_path / "config"
    text = Path(cluster.variables()["alluxio_kubeconfig"]).read_text(encoding="utf-8")
    broken.write_text("\n".join(line if "server:" not in line else "    server: https://127.0.0.1:9" for line in text.splitlines()), encoding="utf-8")
    assert f"The Kubernetes API server that {broken} names does not answer" in failed(cluster, alluxio_kubeconfig=str(broken))


def test_a_values_file_that_is_not_there(cluster: Alnair) -> None:
    assert "names what is not there: /nowhere/values.yaml" in failed(cluster, alluxio_chart_values_files=["/nowhere/values.yaml"])


def test_a_values_file_that_is_no_mapping(cluster: Alnair, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("- a list\n", encoding="utf-8")
    assert f"{values} is no mapping of values" in failed(cluster, alluxio_chart_values_files=[str(values)])


def test_a_quota_that_no_node_can_hold(cluster: Alnair) -> None:
    text = failed(cluster, alluxio_chart_quota="900Gi")
    assert "The workers do not fit" in text
    assert "alnair-lab-1 has" in text


def test_a_repository_that_does_not_answer(cluster: Alnair) -> None:
    text = failed(cluster, alluxio_chart_repository="http://127.0.0.1:9/charts", alluxio_chart_ref="alluxio")
    assert "http://127.0.0.1:9/charts" in text


def test_too_little_disk(cluster: Alnair) -> None:
    result = cluster.run("prepare_hosts", extra_vars={"journal_directories_free_mib": 999999999})
    assert result.status == "failed"
    assert "MiB free, 999999999 MiB are asked for" in result.failures[0].message


def test_a_number_that_somebody_else_has(cluster: Alnair) -> None:
    result = cluster.run("prepare_hosts", extra_vars={"alluxio_user_name": "trainer", "alluxio_user_uid": 2000})
    assert result.status == "failed"
    assert result.changed == 0
    assert "uid 2000 belongs to user admin" in result.failures[0].message


def test_a_value_that_a_variable_does_not_allow(cluster: Alnair) -> None:
    result = cluster.run("prepare_hosts", extra_vars={"alluxio_user_state": "gone"})
    assert (result.status, result.changed) == ("failed", 0)
    assert "alluxio_user_state" in result.failures[0].message
    assert "present, absent" in result.failures[0].message


@pytest.fixture
def elsewhere(cluster: Alnair, tmp_path: Path) -> Alnair:
    """The same inventory with one host at an address where nobody listens."""
    shutil.copytree(cluster.inventory, tmp_path / "lab")
    hosts = tmp_path / "lab" / "hosts.yml"
    hosts.write_text(hosts.read_text(encoding="utf-8").replace("10.89.77.12", "127.0.0.9"), encoding="utf-8")
    return Alnair(tmp_path / "lab")


def test_a_host_that_refuses_ssh(elsewhere: Alnair) -> None:
    result = elsewhere.run("prepare_hosts", extra_vars={"ansible_ssh_timeout": 5})
    assert result.status == "unreachable"
    assert result.exit_code == 3
    assert list(result.unreachable) == ["alnair-lab-2"]
