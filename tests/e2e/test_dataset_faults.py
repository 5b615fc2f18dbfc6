"""What data sets survive: a source with errors or gone, workers killed, a full cache, files that change, wrong credentials."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
import s3
from ansible_collections.alnair.alluxio.plugins.module_utils.certificates import made
from caching import BUCKET, ENDED, NAMESPACE, Objects, fuse_sums, kill_operator, numbered, on_node, operator_pods, printed, put, runner, shares, until
from conftest import remove_secret
from reading import MOUNT, readers

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
# Until a status unsays what a worker has lost: the masters forget its blocks after half a minute, and each minute the operator looks (docs/datasets.md).
UNSAID = 90


def loading(objects: Objects, name: str) -> bool:
    """Tell whether a part of a data set is in the cache, and not all."""
    status = objects.status(name)
    assert status.get("phase") not in ENDED, status
    return status.get("phase") == "Loading" and status.get("cachedBytes", 0) > 0


def honest(objects: Objects, name: str, execute: Callable[..., str], sums: dict[str, str], *, lost: bool = False) -> str:
    """Check that a data set that says Complete is whole, and one that does not says why; return the phase.

    Args:
        objects: The data sets of the lab.
        name: The data set.
        execute: Runs a line in a pod.
        sums: Checksums of its files.
        lost: Whether a worker may have been lost after the load, which the operator sees when it reads back the next time.
    """
    status = objects.reach(name, *ENDED, seconds=300)
    if lost and status["phase"] == "Complete":
        whole = dict.fromkeys(sums, 100)
        until("status and cache agree", lambda: objects.status(name)["phase"] != "Complete" or shares(execute, f"/datasets/{name}") == whole, UNSAID, 3)
        status = objects.reach(name, *ENDED, seconds=300)
    if status["phase"] == "Complete":
        found = shares(execute, f"/datasets/{name}")
        assert found == dict.fromkeys(sums, 100), (status, found)
        assert status["cachedPercent"] == 100
    else:
        assert status["message"]
        assert status["phase"] != "Incomplete" or status["failedCount"] > 0 or lost, status
    return str(status["phase"])


def mends(objects: Objects, name: str, execute: Callable[..., str], sums: dict[str, str]) -> None:
    """Ask for another load, with nothing in its way, and check that all is there."""
    if objects.status(name)["phase"] != "Complete":
        objects.reload(name)
        until(f"{name} is Complete", lambda: objects.status(name).get("phase") == "Complete", 180)
    assert shares(execute, f"/datasets/{name}") == dict.fromkeys(sums, 100)
    assert fuse_sums(f"/datasets/{name}") == sums


def test_a_source_with_errors(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "flaky", numbered(300), size=20_000)
    with store.errors(0.05):
        objects.stored("flaky", store)
        phase = honest(objects, "flaky", execute, sums)
    assert store.order()["failed"] > 0
    # Each file is asked for again, by Alluxio and by the operator: of one in twenty none is left.
    assert phase == "Complete"
    mends(objects, "flaky", execute, sums)


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "is silent"])
def test_a_source_that_is_gone_in_the_middle_of_a_load(objects: Objects, store: s3.Endpoint, execute: Callable[..., str], silent: bool) -> None:
    name = f"vanishing-{'silently' if silent else 'loudly'}"
    sums = put(store, name, numbered(100), size=400_000)
    with store.narrow("24mbit"):
        objects.stored(name, store)
        until("it is loading", lambda: loading(objects, name), 90)
        with store.gone(silent=silent):
            time.sleep(20)
            status = objects.status(name)
            assert status["phase"] != "Complete", status
    honest(objects, name, execute, sums)
    mends(objects, name, execute, sums)


def kill_worker(core: Any) -> None:
    """Kill a worker with no time to end in order."""
    found = core.list_namespaced_pod(NAMESPACE, label_selector="app=alluxio,role=alluxio-worker").items[0]
    core.delete_namespaced_pod(found.metadata.name, NAMESPACE, grace_period_seconds=0)


def test_a_worker_that_is_killed_during_a_load(served: Alnair, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    sums = put(store, "half-killed", numbered(100), size=400_000)
    with store.narrow("24mbit"):
        objects.stored("half-killed", store)
        until("it is loading", lambda: loading(objects, "half-killed"), 90)
        kill_worker(core)
    # What it held in memory is lost: whoever says Complete now has loaded that again.
    honest(objects, "half-killed", execute, sums, lost=True)
    assert served.deploy().status == "successful"
    mends(objects, "half-killed", execute, sums)


def test_a_worker_that_is_killed_after_a_load_is_told_and_readers_go_on(
    served: Alnair, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]
) -> None:
    sums = put(store, "bereft", numbered(40))
    objects.stored("bereft", store)
    objects.reach("bereft", "Complete")
    with readers("/datasets/bereft", sorted(sums)) as seen:
        kill_worker(core)
        assert served.deploy().status == "successful"
    print(f"a worker killed after a load: {seen.told()}")
    assert all(failed == 0 and reads > len(sums) for reads, failed in seen.counts().values()), seen.told()
    assert fuse_sums("/datasets/bereft") == sums
    # Status does not go on saying Complete of what is no longer there.
    until(
        "status and cache agree",
        lambda: (objects.status("bereft")["phase"] == "Complete") == (set(shares(execute, "/datasets/bereft").values()) == {100}),
        UNSAID,
        3,
    )
    mends(objects, "bereft", execute, sums)


def test_a_cache_that_others_have_filled(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    total = int(re.findall(r"\d+", execute("alluxio-master-0", "alluxio fs getCapacityBytes", "alluxio-master"))[-1])
    count = int(total * 0.8) // 16_000_000
    put(store, "squatting", [str(number) for number in range(count)], size=16_000_000)
    objects.stored("squatting", store, pin=True)
    objects.reach("squatting", "Complete", seconds=600)
    put(store, "late", [str(number) for number in range(int(total * 0.3) // 16_000_000)], size=16_000_000)
    objects.stored("late", store)
    status = objects.reach("late", "TooLarge")
    assert len(re.findall(r"\d[\d.]* [KMGT]?i?B", status["message"])) >= 2, status
    assert set(shares(execute, "/datasets/squatting").values()) == {100}
    for name in ("squatting", "late"):
        for key in store.door.list(BUCKET, f"{name}/"):
            store.door.delete(BUCKET, key)


def test_a_cache_that_is_filled_after_a_load_was_let_in(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    total, size = int(re.findall(r"\d+", execute("alluxio-master-0", "alluxio fs getCapacityBytes", "alluxio-master"))[-1]), 16_000_000

    def shell(line: str) -> str:
        return execute("alluxio-master-0", line, "alluxio-master")

    def part(share: float) -> list[str]:
        return [str(number) for number in range(int(total * share) // size)]

    put(store, "pinned", part(0.25), size=size)
    objects.stored("pinned", store, pin=True)
    objects.reach("pinned", "Complete", seconds=600)
    sums = put(store, "squeezed", part(0.4), size=size)
    shell("alluxio fs rm -R /filled >/dev/null 2>&1; alluxio fs mkdir /filled && alluxio fs pin /filled")
    try:
        # One file by many names, so that it takes no more of the container's disk.
        shell(f"mkdir -p /tmp/filling && cd /tmp/filling && head -c {size} /dev/urandom > 0 && for name in {' '.join(part(0.5)[1:])}; do ln -f 0 $name; done")
        with store.narrow("16mbit"):
            objects.stored("squeezed", store)
            until("it is loading", lambda: loading(objects, "squeezed"), 120)
            # Somebody writes so much that there is no room for both, and what is pinned goes for neither.
            shell("alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE copyFromLocal --thread 2 /tmp/filling /filled/all || true")
        status = objects.reach("squeezed", "Incomplete", "TooLarge", seconds=900)
        found = shares(execute, "/datasets/squeezed")
        assert set(found) == set(sums) and min(found.values()) < 100, "there was room for all"
        assert status["cachedPercent"] < 100
        if status["phase"] == "Incomplete":
            told = re.search(rf"(\d+) of {len(sums)} files are not wholly cached, \d[\d.]* [KMGT]?i?B are lacking", status["message"])
            assert told and int(told[1]) == status["failedCount"] > 0 and status["failedFiles"], status
        else:
            assert len(re.findall(r"\d[\d.]* [KMGT]?i?B", status["message"])) >= 2, status
        assert set(shares(execute, "/datasets/pinned").values()) == {100}
        assert len(shares(execute, "/filled")) > len(sums) // 3, "hardly anything was written"
    finally:
        shell("alluxio fs rm -R /filled; rm -rf /tmp/filling")
    # With room it is loaded.
    objects.reload("squeezed")
    until("it is Complete", lambda: objects.status("squeezed").get("phase") == "Complete", 600, 2)
    assert shares(execute, "/datasets/squeezed") == dict.fromkeys(sums, 100)
    for name in ("pinned", "squeezed"):
        for key in store.door.list(BUCKET, f"{name}/"):
            store.door.delete(BUCKET, key)


def test_a_file_that_changes_at_the_source_between_load_and_check(objects: Objects, store: s3.Endpoint) -> None:
    sums = put(store, "shifting", numbered(6))
    objects.stored("shifting", store)
    objects.reach("shifting", "Complete")
    # Longer than before: metadata alone tells.
    name = "class 0/0003.jpg"
    sums.update(put(store, "shifting", [name], size=120_000))
    result = runner("dataset", "check", "shifting")
    assert result.returncode == 1, result.stdout + result.stderr
    assert name in result.stdout
    assert runner("dataset", "repair", "shifting").returncode == 0
    assert fuse_sums("/datasets/shifting") == sums


def test_wrong_credentials_are_told_and_right_ones_mend_it(objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    sums = put(store, "barred", numbered(5))
    wrong = "not-the-secret-key-0123456789"
    remove_secret(core, "barred")
    core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": "barred"}, "stringData": {**store.credentials, "s3a.secretKey": wrong}})
    try:
        objects.stored("barred", store, credentials="barred")
        status = objects.reach("barred", "Failed")
        # The store's own word, to whoever asks.
        reason = "could not be mounted with the credentials of Secret barred: mount: An error occurred (SignatureDoesNotMatch)"
        assert reason in status["message"], status
        loaded, shown = runner("dataset", "load", "barred"), runner("dataset", "status", "barred", "--json")
        assert loaded.returncode == 1 and "(SignatureDoesNotMatch)" in loaded.stdout, loaded.stdout + loaded.stderr
        told = [text for done in (loaded, shown, runner("dataset", "status", "barred")) for text in (done.stdout, done.stderr)]
        told += [str(objects.read("barred")), str(core.list_namespaced_event(NAMESPACE).items), *printed(core)]
        assert reason in " ".join(told)
        for text in told:
            assert wrong not in text and store.keys[1] not in text, text[-2000:]
        core.patch_namespaced_secret("barred", NAMESPACE, {"stringData": store.credentials})
        objects.reload("barred")
        until("it is Complete", lambda: objects.status("barred").get("phase") == "Complete", 180)
        assert shares(execute, "/datasets/barred") == dict.fromkeys(sums, 100)
    finally:
        remove_secret(core, "barred")


def test_a_secret_that_is_not_there_is_named(objects: Objects, store: s3.Endpoint) -> None:
    put(store, "secretless", ["a"])
    objects.stored("secretless", store, credentials="no-such-secret")
    status = objects.reach("secretless", "Failed", seconds=240)
    assert "no-such-secret" in status["message"], status


def test_a_folder_with_very_many_files(objects: Objects, core: Any) -> None:
    # As many as make the difference between holding them all in memory and not, on a machine like this.
    count = 100_000
    on_node(f"mkdir -p /mnt/fuse3/datasets/crowd && cd /mnt/fuse3/datasets/crowd && seq 1 {count} | xargs touch && chown 1000:1000 .")
    try:
        objects.make("crowd", "/mnt/fuse3/datasets/crowd", preload="metadata")
        status = objects.reach("crowd", "Complete", seconds=900)
        assert status["files"] == count
        # Nobody was killed for memory, and the object itself stays small.
        for pod in operator_pods(core):
            assert [item.restart_count for item in pod.status.container_statuses] == [0]
        assert len(str(objects.read("crowd"))) < 20_000
        measured = subprocess.run(["/usr/bin/env", "python3", "-c", MEASURED], capture_output=True, text=True, check=False, cwd=".", timeout=600)
        assert measured.returncode == 0, measured.stderr
        assert int(measured.stdout.split()[-1]) < 400 * 1024, measured.stdout
    finally:
        on_node("rm -rf /mnt/fuse3/datasets/crowd")


# The most memory, in KiB, that the runner and all that it starts have while it tells of the data set.
MEASURED = """
import resource, subprocess, sys
done = subprocess.run([".venv/bin/python", "alnair_runner.py", "dataset", "status", "crowd"], capture_output=True, text=True)
sys.stderr.write(done.stdout + done.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


@contextlib.contextmanager
def trouble(kind: str, store: s3.Endpoint, core: Any) -> Iterator[None]:
    """Cause a fault for the time of a ``with``."""
    if kind == "errors":
        with store.errors(0.3):
            yield
    elif kind == "gone":
        with store.gone():
            yield
    elif kind == "operator":
        kill_operator(core)
        yield
    else:
        kill_worker(core)
        yield


@pytest.mark.timeout(7200)
def test_in_fifty_trials_with_faults_nothing_incomplete_is_called_complete(
    served: Alnair, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]
) -> None:
    source, phases, met = random.Random(6), [], 0
    for trial in range(50):
        name, kind = f"trial-{trial}", source.choice(["errors", "errors", "gone", "gone", "operator", "worker"])
        sums = put(store, name, numbered(24), size=50_000)
        # So slow that a load takes longer than the fault lets it wait.
        with store.narrow("2mbit"):
            objects.stored(name, store)
            time.sleep(source.uniform(0, 6))
            met += objects.status(name).get("phase") not in ENDED
            with trouble(kind, store, core):
                time.sleep(source.uniform(1, 6))
        phases.append((kind, honest(objects, name, execute, sums, lost=kind == "worker")))
        objects.remove(name)
        for key in store.door.list(BUCKET, f"{name}/"):
            store.door.delete(BUCKET, key)
    # Not won by faults that come too late, or by never saying it.
    assert met >= 40, met
    assert sum(phase == "Complete" for _kind, phase in phases) >= 25, phases


def test_a_certificate_of_the_webhook_that_runs_out_is_renewed_without_a_restart(served: Alnair, core: Any) -> None:
    admission = kubernetes.client.AdmissionregistrationV1Api(core.api_client)

    def bundles() -> set[str]:
        found = admission.list_mutating_webhook_configuration().items
        return {hook.client_config.ca_bundle for item in found if item.metadata.name.startswith("alnair-operator") for hook in item.webhooks}

    def certificate() -> str:
        return str(core.read_namespaced_secret("alnair-operator-tls", NAMESPACE).data["tls.crt"])

    def annotated() -> bool:
        body = {"metadata": {"name": "certified", "annotations": {"cacheDataset": "yes"}},
                "spec": {"containers": [{"name": "main", "image": "localhost/alnair-client:1"}],
                         "volumes": [{"name": "data", "hostPath": {"path": "/mnt/fuse3/datasets/certified"}}]}}  # fmt: skip
        answer = core.create_namespaced_pod("default", body, dry_run="All")
        return any((volume.host_path and volume.host_path.path or "").startswith(MOUNT) for volume in answer.spec.volumes)

    assert certificate()
    before, pods = certificate(), {pod.metadata.uid for pod in operator_pods(core)}
    # One that has only a day left is renewed by the next run.
    assert served.run("deploy_operator", extra_vars={"dataset_operator_certificate_days": 1}).status == "successful"
    core.delete_namespaced_secret("alnair-operator-tls", NAMESPACE)
    assert served.run("deploy_operator", extra_vars={"dataset_operator_certificate_days": 1}).status == "successful"
    short = certificate()
    # One that has run out: who asks for the cache is let in on the source.
    server, key, _authority = made([f"alnair-operator.{NAMESPACE}.svc"], 0)
    files = {"tls.crt": server, "tls.key": key}
    core.patch_namespaced_secret("alnair-operator-tls", NAMESPACE, {"data": {name: base64.b64encode(text).decode() for name, text in files.items()}})
    until("the webhook's certificate has run out", lambda: not annotated(), 180, 2)
    assert served.run("deploy_operator").status == "successful"
    assert certificate() not in (before, short)
    assert all(bundles())

    # The kubelet hands the new one on within two minutes, and the same processes serve it.
    until("the webhook answers with the new certificate", annotated, 180, 2)
    assert {pod.metadata.uid for pod in operator_pods(core)} == pods
