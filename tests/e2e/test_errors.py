"""Bad input is answered before anything is changed, with the thing, the value and the remedy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from alnair_runner import Alnair


def failed(cluster: Alnair, **extra_vars: object) -> str:
    """Run the release's playbook and return the message that it ends with."""
    result = cluster.run("deploy_alluxio", extra_vars=extra_vars)
    assert result.status == "failed"
    assert result.changed == 0
    return " ".join(result.failures[-1].message.split())


def workers(cluster: Alnair) -> list[str]:
    return cluster.matched("alluxio_workers")


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
    assert "The release does not fit. Nothing was changed." in text
    for name in workers(cluster):
        assert f"node {name} has" in text
    assert "lower alluxio_chart_quota" in text


def test_all_that_does_not_fit_is_one_plan(cluster: Alnair, core: Any) -> None:
    """A tier larger than the hosts' /dev/shm, a heap above its limit, two masters, a taint and a cordoned master."""
    master, first = cluster.matched("alluxio_masters")[0], workers(cluster)[0]
    level = {"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "hostPath", "quota": "512Mi", "high": 0.95, "low": 0.7}
    heap = {"jvmOptions": ["-Xmx900m", "-XX:MaxDirectMemorySize=900m"], "resources": {"limits": {"memory": "1Gi"}}}
    values = {"tieredstore": {"levels": [level]}, "jobWorker": heap, "master": {"count": 2}}
    core.patch_node(first, {"spec": {"taints": [{"key": "alnair.io/test", "value": "x", "effect": "NoSchedule"}]}})
    core.patch_node(master, {"spec": {"unschedulable": True}})
    try:
        text = failed(cluster, alluxio_chart_values=values)
    finally:
        core.patch_node(first, {"spec": {"taints": None}})
        core.patch_node(master, {"spec": {"unschedulable": None}})
    assert "2 masters tolerate the loss of 0 of them" in text
    assert "the limit of 1024 MiB does not hold jobWorker with its heap and direct memory of 1800 MiB" in text
    assert f"node {first} has the taint alnair.io/test=x:NoSchedule, which worker and fuse do not tolerate" in text
    assert text.count("has a /dev/shm of") == len(workers(cluster))
    assert f"kubectl uncordon {master}" in text


def test_values_that_change_nothing_are_named_with_what_does(cluster: Alnair, tmp_path: Path) -> None:
    manifest = tmp_path / "alluxio-configmap.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: alluxio-config}\ndata: {ALLUXIO_JAVA_OPTS: -Dx=y}\n", encoding="utf-8")
    values = tmp_path / "values.yaml"
    values.write_text("alluxio: {worker: {ramdisk: {size: 5G}}}\n", encoding="utf-8")
    result = cluster.run("deploy_alluxio", check=True, extra_vars={"alluxio_chart_values_files": [str(manifest), str(values)]})
    # The bundled chart refuses what it does not know; another one would take it in silence.
    assert result.status == "failed"
    assert "additional properties" in result.failures[0].message
    text = " ".join(result.messages)
    assert "the chart does not know alluxio.worker.ramdisk.size, which changes nothing: the size of the memory tier is alluxio_chart_quota" in text
    assert "a Kubernetes object of kind ConfigMap was given as values, which changes nothing" in text


def test_a_repository_that_does_not_answer(cluster: Alnair) -> None:
    text = failed(cluster, alluxio_chart_repository="http://127.0.0.1:9/charts", alluxio_chart_ref="alluxio", alluxio_chart_version="0.6.48")
    assert "The chart alluxio in version 0.6.48 of the repository http://127.0.0.1:9/charts: it could not be fetched" in text
    assert "connection refused" in text


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
