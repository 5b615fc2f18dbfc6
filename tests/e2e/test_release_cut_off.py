"""The release outlives what cuts a run off in the middle: the API server restarted, helm killed, the run killed."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cutting
import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from chart_variants import variant
from kubernetes.client import ApiException
from reading import knob, make_unsaved, nodes, ssh, sums, unsaved

from alnair_runner import HOME, Alnair

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.usefixtures("content")]
OLDER, NEWER = "2.9.3", "2.9.4"


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """Where the backups of a test go."""
    return {"alluxio_chart_backup_directory": str(tmp_path / "backups")}


def version(cluster: Alnair) -> str:
    return str(cluster.status()["release"]["image"]).rpartition(":")[2]


def other(cluster: Alnair) -> str:
    """Return the version of Alluxio that does not run."""
    return OLDER if version(cluster) == NEWER else NEWER


def converges(cluster: Alnair, content: set[str], variables: dict[str, Any], core: Any) -> None:
    """Run once more, then once more with nothing to do; the data set is whole, and nothing of ours is left in the cluster."""
    again = cluster.run("deploy_alluxio", extra_vars=variables)
    assert again.status == "successful", again.failures
    assert sums() == dict.fromkeys(nodes(), content)
    after = cluster.run("deploy_alluxio", extra_vars=variables)
    assert (after.status, after.changed) == ("successful", 0), after.failures
    assert cutting.newest(core) == "deployed"
    ours = core.list_namespaced_pod("alluxio", label_selector="app.kubernetes.io/managed-by=alnair").items
    # The operator of the data sets is meant to stay.
    assert not [pod.metadata.name for pod in ours if "-journal-" in pod.metadata.name]
    claim = core.read_namespaced_persistent_volume_claim("alluxio-journal-alluxio-master-0", "alluxio")
    assert "alnair.io/journal-move" not in (claim.metadata.annotations or {})


@pytest.mark.parametrize(
    "task", ["Read the cluster's nodes", "Compare what the chart renders", "Back the journal up", "Upgrade the release", "Wait until all pods"]
)
def test_the_api_server_restarts_in_the_middle_of_an_upgrade(cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], task: str) -> None:
    tag = {"alluxio_chart_image_tag": other(cluster), **place}
    run = cutting.start("deploy_alluxio", **tag)
    cutting.until_task(run, task)
    address = next(iter(nodes("alluxio_masters").values()))
    began = time.monotonic()
    subprocess.run(ssh(address, "systemctl restart kube-apiserver"), check=True, capture_output=True)
    print(f"{task}: the API server's restart took {time.monotonic() - began:.1f} s")
    output, _ = run.communicate(timeout=600)
    assert run.returncode == 0, output[-3000:]
    assert version(cluster) == tag["alluxio_chart_image_tag"]
    converges(cluster, content, tag, core)


def test_the_api_server_restarts_again_and_again_while_all_is_deployed(cluster: Alnair, content: set[str], core: Any, place: dict[str, Any]) -> None:
    assert cluster.teardown().status == "successful"
    address = next(iter(nodes("alluxio_masters").values()))
    done = threading.Event()

    def restart() -> None:
        while not done.wait(45):
            subprocess.run(ssh(address, "systemctl restart kube-apiserver"), check=True, capture_output=True)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        result = cluster.deploy(extra_vars=place)
    finally:
        done.set()
        thread.join()
    assert result.status == "successful", result.failures
    converges(cluster, content, place, core)


def formatting(folder: Path) -> str:
    """Return a chart that formats the journal at every start of a master, as the public one does, where journal.format.runFormat is true."""
    template = HOME / "charts/alluxio/templates/master/statefulset.yaml"
    (line,) = [line for line in template.read_text(encoding="utf-8").splitlines() if "exec alluxio formatJournal" in line]
    return variant(folder, ("master/statefulset.yaml", line.strip(), "{{ if $v.journal.format.runFormat }}exec alluxio formatJournal{{ end }}"))


def test_a_first_deploy_of_a_chart_that_formats_at_every_start(
    cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], tmp_path: Path, execute: Callable[..., str],
) -> None:  # fmt: skip
    """The role formats the new journal, also after a cut, and then nobody does."""
    chart = formatting(tmp_path)
    values = merged([knob("alluxio_chart_values"), {"journal": {"format": {"runFormat": True}}}])
    variables = {"alluxio_chart_ref": chart, "alluxio_chart_values": values, **place}
    assert cluster.teardown(purge=True).status == "successful"
    for name in ("prepare_hosts", "deploy_volumes"):
        assert cluster.run(name, extra_vars=variables).status == "successful"
    run = cutting.start("deploy_alluxio", **variables)
    cutting.until_task(run, "Format journals that are new")
    cutting.kill(run)
    assert run.returncode < 0
    converges(cluster, content - unsaved(), variables, core)
    make_unsaved(execute)
    # FUSE knows for a minute what a folder held (docs/explanation/tuning.md).
    deadline = time.monotonic() + 120
    while sums() != dict.fromkeys(nodes(), content):
        assert time.monotonic() < deadline
        time.sleep(5)
    core.delete_namespaced_pod("alluxio-master-0", "alluxio", grace_period_seconds=0)
    converges(cluster, content, variables, core)


def test_going_back_to_what_formats_at_every_start_keeps_the_journal(
    cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], tmp_path: Path, execute: Callable[..., str],
) -> None:  # fmt: skip
    """What plain helm has deployed is put back after an upgrade that fails, and by hand."""
    helm = [str(cutting.LAB / ".access/bin/helm"), "--kubeconfig", str(cutting.LAB / ".access/kubeconfig"), "--namespace", "alluxio"]
    words = ["upgrade", "alluxio", formatting(tmp_path), "--reuse-values", "--set", "journal.format.runFormat=true", "--wait", "--timeout", "5m"]
    subprocess.run([*helm, *words], check=True, capture_output=True)
    # By that the journal was new.
    make_unsaved(execute)
    failed = cluster.upgrade(extra_vars={"alluxio_chart_image_tag": "not-there", "alluxio_chart_timeout": 120, **place})
    assert failed.status == "failed"
    assert "was put back and is Ready again" in failed.failures[-1].message
    assert sums() == dict.fromkeys(nodes(), content)
    assert cluster.upgrade(extra_vars=place).status == "successful"
    back = cluster.rollback(extra_vars=place)
    assert back.status == "successful", back.failures
    converges(cluster, content, place, core)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_a_helm_that_was_killed_is_no_end(cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], status: str) -> None:
    def bare() -> None:
        assert cluster.run("teardown", extra_vars=place).status == "successful"
        assert cluster.run("deploy_volumes", extra_vars=place).status == "successful"

    def begin() -> subprocess.Popen[str]:
        variables = {**place, **({"alluxio_chart_image_tag": other(cluster)} if status == "pending-upgrade" else {})}
        return cutting.start("rollback" if status == "pending-rollback" else "deploy_alluxio", **variables)

    if status == "pending-install":
        bare()
    elif status == "pending-rollback":
        assert cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_image_tag": OLDER, **place}).status == "successful"
        assert cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_image_tag": NEWER, **place}).status == "successful"
    cutting.kill_while(core, status, begin, bare if status == "pending-install" else lambda: None)
    # Plain helm is stuck in front of it.
    helm = [str(cutting.LAB / ".access/bin/helm"), "--kubeconfig", str(cutting.LAB / ".access/kubeconfig"), "--namespace", "alluxio"]
    stuck = subprocess.run([*helm, "upgrade", "--install", "alluxio", str(HOME / "charts/alluxio")], capture_output=True, text=True, check=False)
    assert "another operation (install/upgrade/rollback) is in progress" in stuck.stderr
    if status == "pending-rollback":
        back = cluster.rollback(extra_vars=place)
        assert back.status == "successful", back.failures
        assert version(cluster) == OLDER
        assert sums() == dict.fromkeys(nodes(), content)
    converges(cluster, content, place, core)


@pytest.mark.parametrize(
    ("task", "seconds"),
    [("Back the journal up", 0.5), ("Back the journal up", 8), ("Upgrade the release", 1.5), ("Wait until all pods are Ready", 5)],
)
def test_a_run_killed_in_an_upgrade(cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], task: str, seconds: float) -> None:
    tag = {"alluxio_chart_image_tag": other(cluster), **place}
    run = cutting.start("upgrade", **tag)
    cutting.until_task(run, task)
    time.sleep(seconds)
    cutting.kill(run)
    assert run.returncode < 0
    converges(cluster, content, tag, core)
    assert version(cluster) == tag["alluxio_chart_image_tag"]


@pytest.mark.parametrize(
    ("before", "after", "tasks", "seconds"),
    [
        (1, 3, ["Stop the masters"], 0.5),
        (1, 3, ["Stop the masters"], 12),
        (1, 3, ["Start the masters from the backup", "Wait until all pods are Ready"], 5),
        (3, 1, ["Stop the masters"], 12),
        (3, 1, ["Let the masters start from their journal"], 3),
    ],
)
def test_a_run_killed_while_the_journal_moves(
    cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], tmp_path: Path, execute: Callable[..., str],
    before: int, after: int, tasks: list[str], seconds: float,
) -> None:  # fmt: skip
    old, new = cutting.with_masters(tmp_path / "old", before), cutting.with_masters(tmp_path / "new", after)
    if len(cluster.status()["masters"]) != before:
        ready = old.scale(extra_vars=place)
        assert ready.status == "successful", ready.failures
    run = cutting.start("scale", new.inventory, **place)
    for task in tasks:
        cutting.until_task(run, task)
    time.sleep(seconds)
    cutting.kill(run)
    assert run.returncode < 0
    late = tasks[-1].startswith("Let the masters start from their journal")
    if late:
        # They have started from the backup once, so somebody may write to them.
        written_late(execute)
    converges(new, content, place, core)
    assert len(cluster.status()["masters"]) == after
    if late:
        execute("alluxio-master-0", "alluxio fs rm /written-late", "alluxio-master")


def written_late(execute: Callable[..., str]) -> None:
    """Make an empty file as soon as a master answers."""
    deadline = time.monotonic() + 180
    while True:
        try:
            execute("alluxio-master-0", "alluxio fs touch /written-late", "alluxio-master")
        # The client takes for an exit code what the kubelet says of a container that is not there yet.
        except (AssertionError, ApiException, ValueError):
            assert time.monotonic() < deadline, "no master answers"
            time.sleep(2)
        else:
            return


@pytest.mark.parametrize(("task", "seconds"), [("Stop the masters", 12), ("Let the masters start from their journal", 3)])
def test_a_run_killed_in_a_restore(cluster: Alnair, content: set[str], core: Any, place: dict[str, Any], task: str, seconds: float) -> None:
    assert cluster.scale(extra_vars=place).status == "successful"
    made = cluster.backup(extra_vars=place)
    assert made.status == "successful", made.failures
    source = next(Path(place["alluxio_chart_backup_directory"]).glob("*.gz"))
    run = cutting.start("restore", alluxio_chart_restore_from=str(source), **place)
    cutting.until_task(run, task)
    time.sleep(seconds)
    cutting.kill(run)
    assert run.returncode < 0
    again = cluster.restore(source, extra_vars=place)
    assert again.status == "successful", again.failures
    converges(cluster, content, place, core)
