"""What the release outlives while it runs: pods and nodes lost under reading load, memory and disks that are full, a journal of somebody else's."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from reading import FILES, FOLDER, MOUNT, knob, nodes, readers, ssh, sums

from alnair_runner import Alnair

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("content")]
JOURNAL = "/mnt/fuse/alluxio-journal"


def on(address: str, line: str) -> str:
    return subprocess.run(ssh(address, line), capture_output=True, text=True, check=True).stdout


def converges(cluster: Alnair, content: set[str]) -> None:
    """Run until all is Ready, then once more with nothing to do; the data set is whole."""
    again = cluster.deploy()
    assert again.status == "successful", again.failures
    assert sums() == dict.fromkeys(nodes(), content)
    after = cluster.deploy()
    assert (after.status, after.changed) == ("successful", 0), after.failures


def pod_of(core: Any, role: str, node: str = "") -> Any:
    found = core.list_namespaced_pod("alluxio", label_selector=f"release=alluxio,role=alluxio-{role}").items
    return next(item for item in found if not node or item.spec.node_name == node)


@pytest.mark.long
@pytest.mark.parametrize("role", ["master", "worker", "fuse"])
def test_a_pod_is_killed_under_reading_load(cluster: Alnair, content: set[str], core: Any, role: str, record_property: Callable[..., None]) -> None:
    pod = pod_of(core, role)
    with readers(FOLDER, FILES[1:]) as seen:
        core.delete_namespaced_pod(pod.metadata.name, "alluxio", grace_period_seconds=0)
        began = time.monotonic()
        result = cluster.run("deploy_alluxio")
        took = time.monotonic() - began
    assert (result.status, result.changed) == ("successful", 0), (result.failures, result.changes)
    print(f"{role} on {pod.spec.node_name} killed: Ready after at most {took:.0f} s; {seen.told()}")
    record_property(f"outage_{role}", seen.outages())
    if role == "fuse":
        assert all(count[1] == 0 for name, count in seen.counts().items() if name != pod.spec.node_name)
    # A worker that is gone is given four seconds to answer, and its files come from under the storage.
    assert all(seconds < {"worker": 10}.get(role, 120) for seconds in seen.outages().values())
    converges(cluster, content)


@pytest.mark.long
def test_fuse_is_killed_in_its_pod(cluster: Alnair, content: set[str], core: Any, execute: Callable[..., str]) -> None:
    pod = pod_of(core, "fuse")
    address = nodes()[pod.spec.node_name]

    def state() -> Any:
        return core.read_namespaced_pod(pod.metadata.name, "alluxio").status.container_statuses[0]

    restarts = state().restart_count
    with readers(FOLDER, FILES[1:]) as seen:
        with contextlib.suppress(Exception):
            execute(
                pod.metadata.name, "for entry in /proc/[0-9]*; do grep -qs '[A]lluxioFuse' $entry/cmdline && kill -KILL ${entry#/proc/}; done", "alluxio-fuse"
            )
        deadline = time.monotonic() + 180
        # The pod stays, and its container is started again: no init container runs, and nothing was unmounted.
        while not (state().restart_count > restarts and state().ready):
            assert time.monotonic() < deadline, state()
            time.sleep(1)
    assert state().restart_count == restarts + 1
    assert core.read_namespaced_pod(pod.metadata.name, "alluxio").metadata.uid == pod.metadata.uid
    print(f"FUSE on {pod.spec.node_name} killed in its pod: {seen.told()}")
    assert on(address, f"grep -c ' {MOUNT} fuse' /proc/mounts").strip() == "1"
    assert seen.counts()[pod.spec.node_name][1] > 0
    assert all(count[1] == 0 for name, count in seen.counts().items() if name != pod.spec.node_name)
    assert all(seconds < 120 for seconds in seen.outages().values())
    converges(cluster, content)


@pytest.mark.long
def test_a_node_is_lost_and_back(cluster: Alnair, content: set[str], core: Any) -> None:
    name = next(iter(nodes()))
    with readers(FOLDER, FILES[1:]) as seen:
        subprocess.run(["podman", "stop", "--time", "1", name], check=True, capture_output=True)
        time.sleep(60)
    print(f"{name} lost: {seen.told()}")
    try:
        # A worker's silence is noticed by the time-out of its reads; nothing else may fail on the nodes that are there.
        assert all(seconds < 60 for other, seconds in seen.outages().items() if other != name)
        lost = cluster.deploy(extra_vars={"alluxio_chart_timeout": 30})
        assert lost.status in ("failed", "unreachable")
        assert name in f"{lost.unreachable} {lost.failures}"
    finally:
        subprocess.run(["podman", "start", name], check=True, capture_output=True)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.CalledProcessError):
                on(nodes()[name], "systemctl is-active kubelet")
                if any(item.type == "Ready" and item.status == "True" for item in core.read_node(name).status.conditions):
                    break
            time.sleep(2)
    converges(cluster, content)


@pytest.mark.long
def test_a_worker_runs_out_of_memory(cluster: Alnair, content: set[str], core: Any, execute: Callable[..., str]) -> None:
    pod = pod_of(core, "worker")
    # The kernel is told whom to end, and then the memory of the container is filled by processes each of which has less than the worker.
    line = ("for entry in /proc/[0-9]*; do grep -qs alluxio.worker.AlluxioWorker $entry/cmdline && echo 1000 > $entry/oom_score_adj; done; "
            "for number in $(seq 60); do (text=$(head -c 50M /dev/zero | tr '\\0' x); sleep 20) & done; wait")  # fmt: skip
    with readers(FOLDER, FILES[1:]) as seen:
        with contextlib.suppress(Exception):
            execute(pod.metadata.name, line, "alluxio-worker")
        result = cluster.run("deploy_alluxio")
    assert (result.status, result.changed) == ("successful", 0), (result.failures, result.changes)
    state = next(item for item in core.read_namespaced_pod(pod.metadata.name, "alluxio").status.container_statuses if item.name == "alluxio-worker")
    assert state.last_state.terminated.reason == "OOMKilled"
    print(f"worker out of memory: {seen.told()}")
    converges(cluster, content)


@pytest.mark.long
def test_a_host_with_too_little_shared_memory_is_named(cluster: Alnair, content: set[str]) -> None:
    name, address = next(iter(nodes().items()))
    size = on(address, "df --block-size=1 --output=size /dev/shm | tail -1").strip()
    tier = {"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "hostPath", "quota": "512Mi", "high": 0.95, "low": 0.7}
    values = merged([knob("alluxio_chart_values"), {"tieredstore": {"levels": [tier]}}])
    on(address, "mount -o remount,size=64m /dev/shm")
    try:
        result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_values": values})
    finally:
        on(address, f"mount -o remount,size={size} /dev/shm")
    assert (result.status, result.changed) == ("failed", 0)
    assert f"{name} has a /dev/shm of 64 MiB" in result.failures[0].message, result.failures
    converges(cluster, content)


@pytest.mark.long
def test_a_journal_of_somebody_else_is_given_back(cluster: Alnair, content: set[str], core: Any) -> None:
    address = next(iter(nodes("alluxio_masters").values()))
    on(address, f"chown -R 0:0 {JOURNAL}")
    core.delete_namespaced_pod("alluxio-master-0", "alluxio", grace_period_seconds=0)
    # Without the hosts' part the reason is told …
    alone = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_timeout": 60})
    assert alone.status == "failed"
    assert "ermission denied" in alone.failures[0].message, alone.failures
    # … with it the owner is put right, and the master starts.
    converges(cluster, content)
    assert on(address, f"find {JOURNAL} -not -user 1000") == ""


@pytest.fixture
def full_journal(cluster: Alnair, content: set[str], core: Any) -> Iterator[str]:
    """The journal on a disk of its own that is full; the address of its node."""
    apps = kubernetes.client.AppsV1Api(core.api_client)
    address = next(iter(nodes("alluxio_masters").values()))

    def masters(count: int) -> None:
        apps.patch_namespaced_stateful_set_scale("alluxio-master", "alluxio", {"spec": {"replicas": count}})
        while not count and core.list_namespaced_pod("alluxio", label_selector="release=alluxio,role=alluxio-master").items:
            time.sleep(1)

    masters(0)
    on(address, f"mkdir -p /run/small && mount -t tmpfs -o size=4m,mode=0700,uid=1000,gid=1000 small /run/small && cp -a {JOURNAL}/. /run/small && "
                f"mount --bind /run/small {JOURNAL}; head -c 8M /dev/zero > {JOURNAL}/.full; true")  # fmt: skip
    masters(1)
    yield address
    masters(0)
    on(
        address,
        f"umount {JOURNAL} && find {JOURNAL} -mindepth 1 -delete && rm -f /run/small/.full && cp -a /run/small/. {JOURNAL} && umount /run/small && rmdir /run/small",
    )
    masters(1)
    converges(cluster, content)


@pytest.mark.long
def test_a_journal_disk_that_is_full(cluster: Alnair, content: set[str], execute: Callable[..., str], full_journal: str) -> None:
    result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_timeout": 90})
    if result.status == "failed":
        assert "No space left" in result.failures[0].message, result.failures
    else:
        with pytest.raises(AssertionError):
            execute("alluxio-master-0", "timeout 60 alluxio fs mkdir /full", "alluxio-master")
    on(full_journal, f"rm {JOURNAL}/.full")
    again = cluster.run("deploy_alluxio")
    assert again.status == "successful", again.failures
    assert sums() == dict.fromkeys(nodes(), content)
    # What nobody was promised may have come to be as soon as there was room.
    execute("alluxio-master-0", "(! alluxio fs test -d /full || alluxio fs rm -R /full) && alluxio fs mkdir /room && alluxio fs rm -R /room", "alluxio-master")
