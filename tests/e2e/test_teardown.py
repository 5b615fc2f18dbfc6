"""Teardown: somebody's pod on a claim, what pods killed hard leave on the hosts, an API server that restarts in the middle, and nothing left for a second run."""

from __future__ import annotations

import contextlib
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes.client import ApiException

from alnair_runner import HOME, Alnair, Event, Result

MOUNT, SOCKETS, CLAIM = "/mnt/alluxio-fuse", "/mnt/fuse/domain-socket", "alluxio-journal-alluxio-master-0"
HOSTS = "alluxio_masters:alluxio_workers"
# A mount whose process is gone, and a socket that nobody listens on any more: what SIGKILL leaves of a FUSE pod and of a worker.
STALE = textwrap.dedent(f"""
    import ctypes, os, socket
    os.makedirs("{MOUNT}", exist_ok=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={{device}},rootmode=40000,user_id=0,group_id=0".encode()
    assert libc.mount(b"alluxio-fuse", b"{MOUNT}", b"fuse.alluxio-fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
    os.close(device)
    socket.socket(socket.AF_UNIX).bind("{SOCKETS}/0a0b0c0d-dead")
""")


def on_hosts(line: str, hosts: str = HOSTS) -> str:
    """Run a shell line on hosts over ssh and return what they print."""
    words = ["ansible", "-i", "inventory/lab", hosts, "-m", "ansible.builtin.shell", "-a", line]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def objects(core: Any) -> set[str]:
    """Return what the release has in the cluster."""
    return {
        f"{type(item).__name__} {item.metadata.name} {item.metadata.uid}"
        for items in (core.list_namespaced_pod("alluxio"), core.list_namespaced_persistent_volume_claim("alluxio"), core.list_persistent_volume())
        for item in items.items
    }


@pytest.fixture
def deployed(cluster: Alnair) -> None:
    result = cluster.deploy()
    assert result.status == "successful", result.failures


@pytest.fixture
def squatter(deployed: None, core: Any) -> Iterator[str]:
    """A pod of somebody else that uses the journal's claim."""
    container = {"name": "backup", "image": "localhost/alnair-client:1", "command": ["sleep", "300"]}
    spec = {"containers": [container], "volumes": [{"name": "journal", "persistentVolumeClaim": {"claimName": CLAIM}}], "terminationGracePeriodSeconds": 1}
    core.create_namespaced_pod("alluxio", {"metadata": {"name": "squatter"}, "spec": spec})
    yield "alluxio/squatter"
    core.delete_namespaced_pod("squatter", "alluxio", grace_period_seconds=0)
    deadline = time.monotonic() + 60
    while "squatter" in [item.metadata.name for item in core.list_namespaced_pod("alluxio").items]:
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_claim_that_somebody_uses_stops_before_anything_is_removed(cluster: Alnair, core: Any, squatter: str) -> None:
    before = objects(core)
    result = cluster.teardown()
    assert result.status == "failed"
    assert f"pod {squatter} holds claim {CLAIM}" in result.failures[0].message
    assert "https://" in result.failures[0].message
    assert (objects(core), result.changed) == (before, 0)
    after = cluster.deploy()
    assert (after.status, after.changed) == ("successful", 0), after.failures


@pytest.mark.long
def test_what_killed_pods_left_on_the_hosts_goes(cluster: Alnair, deployed: None, tmp_path: Path) -> None:
    assert on_hosts("cat /proc/mounts").count("fuse.alluxio") == 2
    on_hosts("pkill -KILL -f '[A]lluxioFuse|[A]lluxioWorker'", "alluxio_workers")
    result = cluster.teardown()
    assert result.status == "successful", result.failures
    assert "fuse.alluxio" not in on_hosts("cat /proc/mounts")
    assert "srw" not in on_hosts(f"ls -l {SOCKETS}", "alluxio_workers")
    script = tmp_path / "stale.py"
    script.write_text(STALE, encoding="utf-8")
    words = ["ansible", "-i", "inventory/lab", "alluxio_workers", "-m", "ansible.builtin.script", "-a", f"{script} executable=python3"]
    subprocess.run(words, cwd=HOME, check=True, capture_output=True)
    assert on_hosts(f"ls {MOUNT} 2>&1 || true", "alluxio_workers").count("not connected") == 2
    plan = cluster.teardown(check=True)
    assert (plan.status, plan.changed) == ("successful", 2), plan.failures
    assert on_hosts("cat /proc/mounts").count("fuse.alluxio") == 2
    result = cluster.teardown()
    assert (result.status, result.changed) == ("successful", 2), result.failures
    assert "fuse.alluxio" not in on_hosts("cat /proc/mounts")
    assert "0a0b0c0d-dead" not in on_hosts(f"ls {SOCKETS}")
    again = cluster.teardown()
    assert (again.status, again.changed) == ("successful", 0), again.failures


@pytest.mark.long
def test_a_purge_is_listed_before_and_in_a_check(cluster: Alnair) -> None:
    assert cluster.run("prepare_hosts").status == "successful"
    on_hosts("touch /mnt/fuse/datasets/precious", "alluxio_workers")
    plan = cluster.teardown(purge=True, check=True)
    assert plan.status == "successful", plan.failures
    assert sum("would be removed: the account alluxio-user" in message for message in plan.messages) == 3
    listed = [message for message in plan.messages if "would be removed (" in message]
    assert len(listed) == 3
    assert sum("/mnt/fuse/datasets/precious" in message for message in listed) == 2
    assert on_hosts("ls /mnt/fuse/datasets", "alluxio_workers").count("precious") == 2
    result = cluster.teardown(purge=True)
    assert result.status == "successful", result.failures
    assert [message for message in result.messages if "going now" in message and "precious" in message]
    assert "from the cluster https://" in result.messages[0]
    again = cluster.teardown(purge=True)
    assert (again.status, again.changed) == ("successful", 0), again.failures


class Restarts(threading.Thread):
    """Restarts the API server again and again for as long as it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended, self.count = threading.Event(), 0

    def run(self) -> None:
        while not self.ended.is_set():
            on_hosts("systemctl restart kube-apiserver", "alluxio_masters")
            self.count += 1
            self.ended.wait(25)


def steady(core: Any) -> None:
    """Wait until the API server answers and all nodes are Ready, whose kubelets could not tell it so meanwhile."""
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError):
            if all(item.status == "True" for node in core.list_node().items for item in node.status.conditions if item.type == "Ready"):
                return
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.fixture
def restarting(core: Any) -> Iterator[Callable[[], Restarts]]:
    restarts = Restarts()

    def begin() -> Restarts:
        restarts.start()
        return restarts

    yield begin
    restarts.ended.set()
    restarts.join(30)
    steady(core)


@pytest.mark.long
def test_teardown_ends_well_while_the_api_server_restarts(cluster: Alnair, deployed: None, core: Any, restarting: Callable[[], Restarts]) -> None:
    begun: list[Restarts] = []

    def begin(event: Event) -> None:
        """Begin with the restarts when the release is about to go."""
        if event.event == "task" and event.task.endswith("Remove the release") and not begun:
            begun.append(restarting())

    result: Result = cluster.teardown(on_event=begin)
    assert begun
    begun[0].ended.set()
    begun[0].join(30)
    assert begun[0].count > 0
    assert result.status == "successful", result.failures
    steady(core)
    assert not objects(core)
    again = cluster.teardown()
    assert (again.status, again.changed) == ("successful", 0), again.failures
