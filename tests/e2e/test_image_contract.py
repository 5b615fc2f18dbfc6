"""The lab's image keeps what the public chart expects of the public image: proved by manifests of our own that use it just so."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from alnair_runner import Alnair

pytestmark = pytest.mark.long
MANIFEST = Path(__file__).parent / "files" / "contract.yml"
NAMESPACE, LABEL, MOUNT = "contract", "alnair.io/contract", "/mnt/contract-fuse"
MASTER = "contract-master-0"


def ready(core: Any) -> dict[str, bool]:
    """Return whether each pod is Ready."""
    pods = core.list_namespaced_pod(NAMESPACE).items
    return {pod.metadata.name: bool(pod.status.container_statuses) and all(item.ready for item in pod.status.container_statuses) for pod in pods}


@pytest.fixture(scope="module")
def node(cluster: Alnair) -> str:
    return cluster.matched("alluxio_workers")[0]


@pytest.fixture(scope="module")
def contract(cluster: Alnair, core: Any, node: str, execute: Callable[..., str]) -> Iterator[None]:
    """The pods of the contract, of the older of the lab's two versions; the ports that they are asked at were moved by properties."""
    client = kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"])
    core.create_namespace({"metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}})
    core.patch_node(node, {"metadata": {"labels": {LABEL: "true"}}})
    kubernetes.utils.create_from_yaml(
        client, yaml_objects=list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8").replace("IMAGE", "localhost/alluxio:2.9.3"))), namespace=NAMESPACE
    )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        states = ready(core)
        if len(states) == 3 and all(states.values()):
            break
        time.sleep(2)
    assert len(states) == 3 and all(states.values()), states
    yield
    execute(MASTER, "rm -r /underFSStorage/contract", "master", NAMESPACE)
    core.patch_node(node, {"metadata": {"labels": {LABEL: None}}})
    core.delete_namespace(NAMESPACE)
    while any(item.metadata.name == NAMESPACE for item in core.list_namespace().items) and time.monotonic() < deadline + 180:
        time.sleep(1)


@pytest.fixture
def run(contract: None, execute: Callable[..., str]) -> Callable[..., str]:
    return lambda line, pod=MASTER, container="master": execute(pod, line, container, NAMESPACE)


def test_it_runs_as_the_user_alluxio_in_its_home(run: Callable[..., str]) -> None:
    assert run("id -u; id -g; pwd; command -v alluxio").split() == ["1000", "1000", "/opt/alluxio", "/opt/alluxio/bin/alluxio"]


def test_options_of_the_environment_reach_the_file_that_commands_read(run: Callable[..., str]) -> None:
    assert run("alluxio getConf alluxio.master.hostname").strip() == "contract-master-0"
    assert "ALLUXIO_MASTER_JAVA_OPTS" in run("cat conf/alluxio-env.sh")


def test_the_answers_that_operations_read(run: Callable[..., str]) -> None:
    assert run("alluxio fs getCapacityBytes").strip() == f"Capacity Bytes: {256 * 2**20}"
    assert run("alluxio fs getUsedBytes").startswith("Used Bytes: ")
    run("echo content > /tmp/file; alluxio fs copyFromLocal /tmp/file /contract-file")
    assert "md5sum: f75b8179e4bbe7e2b4a074dcef62de95" in run("alluxio fs checksum /contract-file")
    assert run("alluxio fs checksum / >/dev/null 2>&1; echo $?").strip() != "0"
    assert "is consistent" in run("alluxio fs checkConsistency /contract-file")


def test_its_own_tests_pass(run: Callable[..., str]) -> None:
    assert "Passed the test" in run("alluxio runTests; test $? = 0")


def test_what_the_master_wrote_is_read_through_the_mount_of_the_node(run: Callable[..., str], core: Any, node: str) -> None:
    pod = next(item.metadata.name for item in core.list_namespaced_pod(NAMESPACE, label_selector="role=fuse").items)
    assert run(f"cat {MOUNT}/contract-file", pod, "fuse").strip() == "content"
    words = ["ansible", "-i", "inventory/lab", node, "-m", "ansible.builtin.command", "-a", f"cat {MOUNT}/contract-file"]
    assert "content" in subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True).stdout
