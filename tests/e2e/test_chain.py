"""The whole chain on a real cluster: deploy, nothing to change, data, restart, teardown, deploy again. The tests stand in the order of that life."""

from __future__ import annotations

import functools
import http.server
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import rich.console
import yaml

from alnair.progress import Progress
from alnair_runner import Alnair

HOME = Path(__file__).parents[2]
ROOT = "/mnt/alluxio-fuse"
HOSTS = "alluxio_masters:alluxio_workers"


def pods(core: Any) -> dict[str, tuple[str, str]]:
    return {item.metadata.name: (item.metadata.uid, str(item.status.start_time)) for item in core.list_namespaced_pod("alluxio").items}


def on_hosts(line: str) -> str:
    """Run a shell line on all hosts over ssh and return what they print."""
    words = ["ansible", "-i", "inventory/lab", HOSTS, "-m", "ansible.builtin.shell", "-a", line]
    return subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True).stdout


def fuse_pods(cluster: Alnair) -> list[str]:
    return [item["pod"] for item in cluster.status()["fuse"]]


def test_check_runs_through_on_a_cluster_with_nothing_on_it(cluster: Alnair) -> None:
    cluster.teardown()
    result = cluster.deploy(check=True, diff=True)
    assert result.status == "successful", result.failures
    assert cluster.status()["release"] is None


def test_deploy_makes_everything_ready(cluster: Alnair) -> None:
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    state = cluster.status()
    assert state["release"]["status"] == "deployed"
    for part in ("masters", "workers", "fuse"):
        assert state[part], part
        assert all(item["ready"] for item in state[part])
    assert {item["phase"] for item in state["claims"] + state["volumes"]} == {"Bound"}
    assert state["capacity"]["total"] == len(state["workers"]) * 512 * 2**20


def test_a_second_run_and_a_check_change_nothing_and_restart_nothing(cluster: Alnair, core: Any) -> None:
    before = pods(core)
    for check in (False, True):
        progress = Progress(rich.console.Console(file=io.StringIO()))
        result = cluster.deploy(progress=progress, check=check, diff=check)
        assert abs(progress.expected - progress.number) < 5
        assert result.status == "successful", result.failures
        assert {host: counts["changed"] for host, counts in result.hosts.items() if counts["changed"]} == {}
    assert pods(core) == before


def test_hosts_as_wanted_are_asked_once_by_each_role_and_start_no_python() -> None:
    words = ["ansible-playbook", "-vvv", "-i", "inventory/lab", "playbooks/prepare_hosts.yml"]
    said = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True).stdout
    asked = [line for line in said.splitlines() if "SSH: EXEC" in line]
    # Three roles, three hosts.
    assert len(asked) == 9
    assert not [line for line in asked if "python" in line]


def test_the_hosts_roles_work_with_sudo_and_without_root(cluster: Alnair) -> None:
    result = cluster.run("prepare_hosts", extra_vars={"ansible_user": "admin"})
    assert (result.status, result.changed) == ("successful", 0), result.failures


@pytest.mark.long
def test_the_chart_may_come_from_a_repository(cluster: Alnair, tmp_path: Path) -> None:
    assert cluster.deploy().status == "successful"
    helm = HOME / "inventory" / "lab" / ".access" / "bin" / "helm"
    subprocess.run([helm, "package", HOME / "charts" / "alluxio", "--destination", tmp_path], check=True, capture_output=True)
    subprocess.run([helm, "repo", "index", tmp_path], check=True, capture_output=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_repository": f"http://127.0.0.1:{server.server_port}"})
        server.shutdown()
    # It is the same chart as the bundled one.
    assert (result.status, result.changed) == ("successful", 0), result.failures


def test_a_volume_that_is_not_bound_is_named(cluster: Alnair, core: Any) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "hostPath": {"path": "/mnt"}, "storageClassName": "standard"}
    core.create_persistent_volume({"metadata": {"name": "stray", "labels": {"app": "alluxio", "release": "alluxio"}}, "spec": spec})
    try:
        result = cluster.run("deploy_alluxio")
    finally:
        core.delete_persistent_volume("stray")
    assert result.status == "failed"
    assert "Not bound to the claim that they are for: stray" in result.failures[0].message


def test_pods_run_as_the_pinned_user_and_the_hosts_agree(execute: Callable[..., str]) -> None:
    assert execute("alluxio-master-0", "id -u", "alluxio-master").strip() == "1000"
    assert on_hosts("id -u alluxio-user").count("1000") >= 3
    assert on_hosts("stat -c '%a %u %g' /mnt/fuse/alluxio-journal").count("700 1000 1000") == 3


def test_what_one_node_writes_the_others_read_with_the_same_checksum(cluster: Alnair, execute: Callable[..., str]) -> None:
    # Who may write where is Alluxio's matter: its root belongs to the user of the pods.
    execute("alluxio-master-0", "alluxio fs test -d /e2e || alluxio fs mkdir /e2e; alluxio fs chmod 777 /e2e", "alluxio-master")
    first, *others = fuse_pods(cluster)
    written = execute(first, f"rm -f {ROOT}/e2e/data; head -c 3000000 /dev/urandom > {ROOT}/e2e/data; md5sum < {ROOT}/e2e/data").split()[0]
    assert others
    for pod in others:
        assert execute(pod, f"md5sum < {ROOT}/e2e/data").split()[0] == written
    assert on_hosts(f"md5sum < {ROOT}/e2e/data || true").count(written) == 2
    execute("alluxio-master-0", "alluxio fs persist /e2e/data", "alluxio-master")


def test_a_restart_of_the_pods_keeps_the_files(cluster: Alnair, core: Any, execute: Callable[..., str]) -> None:
    pod = fuse_pods(cluster)[0]
    written = execute(pod, f"md5sum < {ROOT}/e2e/data").split()[0]
    for name in pods(core):
        core.delete_namespaced_pod(name, "alluxio")
    time.sleep(2)
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    for pod in fuse_pods(cluster):
        assert execute(pod, f"md5sum < {ROOT}/e2e/data").split()[0] == written


def test_verify_passes(cluster: Alnair) -> None:
    result = cluster.verify()
    assert result.status == "successful", result.failures
    assert any("same checksum" in message for message in result.messages)


def test_status_takes_less_than_two_seconds_and_says_it_in_a_table() -> None:
    def seconds(*words: str) -> tuple[float, str]:
        started = time.monotonic()
        done = subprocess.run([sys.executable, *words], cwd=HOME, capture_output=True, text=True, check=True)
        return time.monotonic() - started, done.stdout

    bare, _said = seconds("-c", "import alnair_runner, ansible.vars.manager, kubernetes")
    took, said = seconds("alnair_runner.py", "status")
    # On a machine that is slow today, the runner's own imports say how slow.
    assert took < max(2.0, 3.5 * bare)
    assert "alluxio-master-0" in said
    version = yaml.safe_load((HOME / "charts" / "alluxio" / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    assert f"alluxio-{version}" in said


@pytest.fixture
def consumer(core: Any) -> Any:
    """A pod of somebody else that mounts the cache."""
    volume = {"name": "cache", "hostPath": {"path": ROOT}}
    container = {"name": "train", "image": "localhost/alnair-client:1", "command": ["sleep", "300"], "volumeMounts": [{"name": "cache", "mountPath": "/data"}]}
    spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 1, "nodeSelector": {"alnair.io/alluxio-worker": "true"}}
    core.create_namespaced_pod("default", {"metadata": {"name": "consumer"}, "spec": spec})
    yield "default/consumer"
    core.delete_namespaced_pod("consumer", "default")
    for _ in range(30):
        try:
            core.read_namespaced_pod("consumer", "default")
        except kubernetes.client.ApiException:
            break
        time.sleep(1)


def test_teardown_names_a_pod_that_mounts_the_cache_and_removes_nothing(cluster: Alnair, core: Any, consumer: str) -> None:
    before = pods(core)
    result = cluster.teardown()
    assert result.status == "failed"
    assert consumer in result.failures[0].message
    assert pods(core) == before


def test_what_fits_on_no_node_is_named_before_anything_changes(cluster: Alnair, core: Any) -> None:
    before = pods(core)
    values = {"master": {"resources": {"requests": {"cpu": "900", "memory": "256Mi"}, "limits": {"cpu": "900", "memory": "1Gi"}}}}
    result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_values": values})
    assert result.status == "failed"
    assert "The release does not fit. Nothing was changed" in result.failures[0].message
    assert pods(core) == before


@pytest.mark.long
def test_what_is_stuck_is_named_and_freed_only_by_force(cluster: Alnair, core: Any) -> None:
    held = "alluxio-journal-0"
    core.patch_persistent_volume(held, {"metadata": {"finalizers": ["example.org/held"]}})
    result = cluster.teardown(extra_vars={"persistent_volumes_timeout": 5})
    assert result.status == "failed"
    assert held in result.failures[0].message
    assert "example.org/held" in result.failures[0].message
    forced = cluster.teardown(force=True, extra_vars={"persistent_volumes_timeout": 5})
    assert forced.status == "successful", forced.failures
    assert any("Finalizers were taken off" in message and held in message for message in forced.messages)
    result = cluster.deploy()
    assert result.status == "successful", result.failures


def test_teardown_leaves_nothing_but_the_journal_and_is_fine_with_nothing_there(cluster: Alnair) -> None:
    result = cluster.teardown()
    assert result.status == "successful", result.failures
    state = cluster.status()
    assert (state["release"], state["masters"], state["workers"], state["fuse"], state["claims"], state["volumes"]) == (None, [], [], [], [], [])
    assert "fuse.alluxio" not in on_hosts("cat /proc/mounts")
    assert "FileSystemMaster" in on_hosts("ls /mnt/fuse/alluxio-journal")
    again = cluster.teardown()
    assert (again.status, again.changed) == ("successful", 0), again.failures


def test_deploy_again_finds_the_old_files(cluster: Alnair, execute: Callable[..., str]) -> None:
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    assert execute(fuse_pods(cluster)[0], f"ls {ROOT}/e2e").split() == ["data"]


@pytest.mark.long
def test_purge_leaves_nothing_on_the_hosts(cluster: Alnair) -> None:
    result = cluster.teardown(purge=True)
    assert result.status == "successful", result.failures
    assert on_hosts("id alluxio-user 2>&1 || true").count("no such user") == 3
    assert on_hosts("ls -d /mnt/fuse /home/alluxio-user 2>&1 || true").count("No such file") == 6
    again = cluster.teardown(purge=True)
    assert (again.status, again.changed) == ("successful", 0), again.failures
    result = cluster.deploy()
    assert result.status == "successful", result.failures
