"""Two controllers at once on one cluster: the second run ends quickly and names the first; a dead controller's Lease is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from test_lock import start, start_up, until_locked

from alnair_runner import Alnair

NAME = ("alnair-run", "default")


@pytest.fixture
def leases(cluster: Alnair) -> Iterator[Any]:
    api = kubernetes.client.CoordinationV1Api(kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"]))
    yield api
    gone(api, 10)


def holder(leases: Any) -> str:
    return "".join(str(item.spec.holder_identity) for item in leases.list_namespaced_lease(NAME[1]).items if item.metadata.name == NAME[0])


def gone(leases: Any, seconds: float) -> None:
    """Wait until nobody has the Lease."""
    deadline = time.monotonic() + seconds
    while name := holder(leases):
        assert time.monotonic() < deadline, f"{name} has the Lease after {seconds} s"
        time.sleep(0.2)


def until_held(leases: Any, run: subprocess.Popen[str]) -> None:
    """Wait until a run has the Lease."""
    deadline = time.monotonic() + 60
    while f"process {run.pid} of" not in holder(leases):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def keepers(run: subprocess.Popen[str]) -> list[int]:
    """Return the processes that renew a run's Lease."""
    word = f'"pid": {run.pid}'.encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if word in path.read_bytes()]


def elsewhere(folder: Path, playbook: str, *more: str) -> subprocess.Popen[str]:
    """Start a run that shares no lock with others of this machine, as one on another machine would."""
    return start(playbook, *more, environment={"XDG_CACHE_HOME": str(folder)})


def test_a_run_on_another_controller_is_refused_with_the_holders_name(leases: Any, tmp_path: Path) -> None:
    first = elsewhere(tmp_path / "one", "site")
    until_held(leases, first)
    started = time.monotonic()
    second = elsewhere(tmp_path / "two", "deploy_volumes")
    output = " ".join(second.communicate(timeout=30)[0].split())
    took = time.monotonic() - started
    assert first.poll() is None, "the first run was over too early for this to say anything"
    assert second.returncode == 2
    assert f"Another run on this cluster goes on: site.yml, process {first.pid} of " in output
    assert " since " in output
    assert "changed=0" in output
    idle = start_up()
    assert took < max(3, 6 * idle), f"this took {took:.1f} s; ansible-playbook alone starts in {idle:.1f} s"
    # Hosts alone are no matter of the cluster's.
    third = elsewhere(tmp_path / "two", "prepare_hosts", "--check")
    output, _ = third.communicate(timeout=60)
    assert third.returncode == 0, output
    os.kill(first.pid, signal.SIGTERM)
    first.communicate(timeout=60)


def test_a_check_takes_no_lease(leases: Any) -> None:
    run = start("deploy_volumes", "--check")
    until_locked(run)
    while run.poll() is None:
        assert holder(leases) == ""
        time.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lease_of_a_killed_run_is_given_back(leases: Any, how: signal.Signals) -> None:
    run = start("site")
    until_held(leases, run)
    os.kill(run.pid, how)
    run.communicate(timeout=60)
    gone(leases, 10)


@pytest.mark.long
def test_a_run_that_slept_until_another_began_does_not_go_on(leases: Any, tmp_path: Path) -> None:
    run = elsewhere(tmp_path, "site", "-e", "alluxio_lease_seconds=8")
    until_held(leases, run)
    leases.patch_namespaced_lease(*NAME, {"spec": {"holderIdentity": "somebody else"}})
    output, _ = run.communicate(timeout=20)
    assert run.returncode != 0, output
    assert holder(leases) == "somebody else"
    leases.delete_namespaced_lease(*NAME)


@pytest.mark.long
def test_the_lease_of_a_dead_machine_is_taken_over_when_it_expired(leases: Any, tmp_path: Path) -> None:
    first = elsewhere(tmp_path / "one", "site", "-e", "alluxio_lease_seconds=12")
    until_held(leases, first)
    keeper = keepers(first)
    assert len(keeper) == 1
    # Long enough that only renewals explain that the Lease is still held.
    time.sleep(14)
    refused = elsewhere(tmp_path / "two", "deploy_volumes")
    assert f"process {first.pid} of" in " ".join(refused.communicate(timeout=30)[0].split())
    # The keeper first, so that nobody gives the Lease back.
    os.kill(keeper[0], signal.SIGKILL)
    os.kill(first.pid, signal.SIGKILL)
    died = time.monotonic()
    first.communicate(timeout=60)
    refused = elsewhere(tmp_path / "two", "deploy_volumes")
    assert "the Lease default/alnair-run is free" in " ".join(refused.communicate(timeout=30)[0].split())
    time.sleep(max(0, died + 13 - time.monotonic()))
    second = elsewhere(tmp_path / "two", "deploy_volumes")
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0, output
