"""The role persistent_volumes on a real cluster, with claims and pods of its own beside whatever is deployed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from reading import pod_log

from alnair_runner import HOME, Alnair

NAME, CLASS, FOLDER = "volumes", "volumes-class", "/mnt/volumes-test"
VOLUME, CLAIM = f"{NAME}-journal-0", f"alluxio-journal-{NAME}-master-0"
Play = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Run one of the role's task files; return the exit code and what was said."""
    path = tmp_path_factory.mktemp("play") / "play.yml"

    def run(tasks: str, *words: str, **variables: Any) -> tuple[int, str]:
        extra = {"alluxio_release": NAME, "alluxio_namespace": NAME, "persistent_volumes_storage_class": CLASS, "persistent_volumes_journal_path": FOLDER,
                 "alluxio_chart_values": {}, **variables}  # fmt: skip
        role = {"ansible.builtin.include_role": {"name": "alnair.alluxio.persistent_volumes", "tasks_from": tasks}}
        path.write_text(yaml.safe_dump([{"hosts": "alluxio_controller", "gather_facts": False, "tasks": [role]}]), encoding="utf-8")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run([program, "-i", "inventory/lab", "-e", yaml.safe_dump(extra, default_flow_style=True, width=10**6), str(path), *words],
                              cwd=HOME, capture_output=True, text=True, check=False)  # fmt: skip
        return done.returncode, " ".join(done.stdout.replace("\\", "").split())

    return run


@pytest.fixture(scope="module")
def storage(cluster: Alnair) -> Any:
    return kubernetes.client.StorageV1Api(kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"]))


@pytest.fixture(autouse=True)
def space(core: Any, storage: Any) -> Iterator[None]:
    """A namespace for the claims; nothing of a test is left to the next."""
    if NAME not in [item.metadata.name for item in core.list_namespace().items]:
        core.create_namespace({"metadata": {"name": NAME}})
    yield
    for pod in core.list_namespaced_pod(NAME).items:
        core.delete_namespaced_pod(pod.metadata.name, NAME, grace_period_seconds=0)
    until(lambda: not core.list_namespaced_pod(NAME).items)
    for item in core.list_namespaced_persistent_volume_claim(NAME).items:
        core.delete_namespaced_persistent_volume_claim(item.metadata.name, NAME)
    until(lambda: not core.list_namespaced_persistent_volume_claim(NAME).items)
    for item in core.list_persistent_volume(label_selector=f"release={NAME}").items:
        core.delete_persistent_volume(item.metadata.name)
    until(lambda: not core.list_persistent_volume(label_selector=f"release={NAME}").items)
    if CLASS in classes(storage):
        storage.delete_storage_class(CLASS)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def classes(storage: Any) -> list[str]:
    return [item.metadata.name for item in storage.list_storage_class().items]


def ask(core: Any, size: str = "1Gi") -> None:
    """Make the claim that the master of a release makes."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": CLASS, "resources": {"requests": {"storage": size}}}
    core.create_namespaced_persistent_volume_claim(NAME, {"metadata": {"name": CLAIM, "labels": {"app": "alluxio", "release": NAME}}, "spec": spec})


def use(core: Any, line: str) -> str:
    """Run a shell line in a pod that has the volume at /data; return what it printed."""
    container = {"name": "use", "image": "localhost/alnair-client:1", "command": ["sh", "-c", line], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec = {"containers": [container], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}], "restartPolicy": "Never"}
    core.create_namespaced_pod(NAME, {"metadata": {"name": "use"}, "spec": spec})
    until(lambda: core.read_namespaced_pod("use", NAME).status.phase in ("Succeeded", "Failed"))
    text = pod_log(core, "use", NAME)
    core.delete_namespaced_pod("use", NAME, grace_period_seconds=0)
    until(lambda: not core.list_namespaced_pod(NAME).items)
    return text


def on_masters(line: str) -> None:
    words = ["ansible", "-i", "inventory/lab", "alluxio_masters", "-m", "ansible.builtin.shell", "-a", line]
    subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True)


def bound(core: Any) -> bool:
    return bool(core.read_persistent_volume(VOLUME).status.phase == "Bound")


@pytest.mark.parametrize("kind", ["local", pytest.param("hostPath", marks=pytest.mark.long)])
def test_a_released_volume_is_taken_up_again_with_its_data(play: Play, core: Any, kind: str) -> None:
    on_masters(f"rm -rf {FOLDER} && mkdir {FOLDER}")
    assert play("main", persistent_volumes_type=kind)[0] == 0
    ask(core)
    until(lambda: bound(core))
    assert use(core, "echo kept > /data/word; cat /data/word") == "kept\n"
    core.delete_namespaced_persistent_volume_claim(CLAIM, NAME)
    until(lambda: core.read_persistent_volume(VOLUME).status.phase == "Released")
    code, output = play("main", "--check", persistent_volumes_type=kind)
    assert (code, "changed=1" in output) == (0, True), output
    assert core.read_persistent_volume(VOLUME).status.phase == "Released"
    assert play("main", persistent_volumes_type=kind)[0] == 0
    ask(core)
    until(lambda: bound(core))
    assert use(core, "cat /data/word") == "kept\n"
    code, output = play("main", persistent_volumes_type=kind)
    assert (code, "changed=0" in output) == (0, True), output
    assert play("bound")[0] == 0
    on_masters(f"rm -r {FOLDER}")


def test_a_storage_class_is_made_where_it_is_missing_and_goes_when_nothing_uses_it(play: Play, core: Any, storage: Any) -> None:
    assert play("main")[0] == 0
    found = storage.read_storage_class(CLASS)
    assert (found.provisioner, found.volume_binding_mode) == ("kubernetes.io/no-provisioner", "WaitForFirstConsumer")
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "hostPath": {"path": "/mnt"}, "storageClassName": CLASS}
    core.create_persistent_volume({"metadata": {"name": "volumes-other"}, "spec": spec})
    try:
        code, output = play("main", persistent_volumes_state="absent")
        assert code == 0, output
        assert CLASS in classes(storage)
    finally:
        core.delete_persistent_volume("volumes-other")
    until(lambda: "volumes-other" not in [item.metadata.name for item in core.list_persistent_volume().items])
    code, output = play("main", persistent_volumes_state="absent")
    assert f"Removed: storage class {CLASS}" in output
    assert CLASS not in classes(storage)
    code, output = play("main", persistent_volumes_state="absent")
    assert "changed=0" in output


def test_a_storage_class_of_somebody_else_stays_as_it_is(play: Play, storage: Any) -> None:
    storage.create_storage_class({"metadata": {"name": CLASS}, "provisioner": "example.org/other", "volumeBindingMode": "Immediate"})
    before = storage.read_storage_class(CLASS).to_dict()
    assert play("main")[0] == 0
    assert play("main", persistent_volumes_state="absent")[0] == 0
    assert storage.read_storage_class(CLASS).to_dict() == before


def test_claims_that_do_not_fit_are_named_before_anything_is_changed(play: Play, core: Any, storage: Any, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("journal: {size: 7Gi}\n", encoding="utf-8")
    code, output = play("main", alluxio_chart_values_files=[str(values)])
    assert f"claim {CLAIM} asks for 7Gi, volume {VOLUME} has 1Gi. Nothing was changed" in output
    assert code == 2
    ask(core, "2Gi")
    code, output = play("main", alluxio_chart_values_files=[])
    assert f"claim {CLAIM} asks for 2Gi, volume {VOLUME} has 1Gi" in output
    assert CLASS not in classes(storage)
    assert not core.list_persistent_volume(label_selector=f"release={NAME}").items
    code, output = play("main", persistent_volumes_journal_size="2Gi")
    assert code == 0, output
    until(lambda: bound(core))


def test_a_claim_that_stays_unbound_is_named_with_the_reason(play: Play, core: Any) -> None:
    ask(core, "3Gi")
    code, output = play("bound", persistent_volumes_timeout=5)
    assert code == 2
    assert f"claim {CLAIM} is Pending" in output
    # In the cluster's own words.
    assert f'storageclass.storage.k8s.io "{CLASS}" not found' in output


def test_a_larger_volume_is_changed_in_place_and_another_path_is_refused_in_words(play: Play, core: Any) -> None:
    assert play("main")[0] == 0
    ask(core)
    until(lambda: bound(core))
    code, output = play("main", persistent_volumes_journal_size="4Gi", persistent_volumes_claim_size="1Gi")
    assert (code, "changed=1" in output) == (0, True), output
    assert core.read_persistent_volume(VOLUME).spec.capacity["storage"] == "4Gi"
    code, output = play("main", persistent_volumes_journal_path="/mnt/elsewhere", persistent_volumes_journal_size="4Gi", persistent_volumes_claim_size="1Gi")
    assert code == 2
    assert f"volume {VOLUME} is local {FOLDER}, wanted is local /mnt/elsewhere. Kubernetes cannot change that" in output


def test_a_release_of_the_same_name_in_another_namespace_keeps_its_volumes(play: Play, core: Any) -> None:
    assert play("main")[0] == 0
    code, output = play("main", alluxio_namespace="default")
    assert code == 2
    assert f"volume {VOLUME} is for claim {NAME}/{CLAIM}, not for default/{CLAIM}" in output
    code, output = play("main", alluxio_namespace="default", persistent_volumes_state="absent")
    assert (code, "changed=0" in output) == (0, True), output
    assert core.read_persistent_volume(VOLUME)


def test_a_master_whose_disk_can_never_hold_the_journal_is_named(cluster: Alnair) -> None:
    result = cluster.run("prepare_hosts", check=True, extra_vars={"persistent_volumes_journal_size": "900Ti"})
    assert result.status == "failed"
    masters = {failure.host for failure in result.failures if "MiB in all, 943718400 MiB are asked for" in failure.message}
    assert masters == set(cluster.matched("alluxio_masters"))


def test_another_release_is_refused_the_directory_of_a_journal(play: Play, core: Any) -> None:
    assert play("main")[0] == 0
    before = {item.metadata.name for item in core.list_persistent_volume().items}
    code, said = play("main", alluxio_release="second", alluxio_namespace=NAME)
    assert code
    assert f"volume second-journal-0 would be local {FOLDER}" in said and f"as is volume {VOLUME} of release {NAME}" in said, said[-2000:]
    assert {item.metadata.name for item in core.list_persistent_volume().items} == before
