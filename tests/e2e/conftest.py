"""The cluster that the end-to-end tests run on: whatever inventory/lab describes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import s3
from ansible.plugins.loader import init_plugin_loader
from caching import BUCKET, SECRET, Objects, Pods, everywhere, namespace, scale_operator
from fault_hosts import INVENTORY, NODES, playbook, strip
from kubernetes.stream import stream
from reading import data_set, nodes

from alnair import inventory as said
from alnair_runner import Alnair

HOME = Path(__file__).parents[2]
# Before a test loads a module of the collection in another way: inventories that name a plugin are read in this process.
init_plugin_loader([str(HOME / "collections")])


NAMESPACE = "alluxio"
ROOT = "/mnt/alluxio-fuse"


@pytest.fixture(scope="session")
def cluster() -> Alnair:
    return Alnair(HOME / "inventory" / "lab")


@pytest.fixture(scope="session")
def core(cluster: Alnair) -> Any:
    return kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"]))


@pytest.fixture(scope="session")
def execute(cluster: Alnair) -> Callable[..., str]:
    """Run a shell line in a pod; raise where it fails."""
    path = cluster.variables()["alluxio_kubeconfig"]

    def run(pod: str, line: str, container: str | None = None, namespace: str = NAMESPACE) -> str:
        api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(path))
        answer = stream(
            api.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=["bash", "-c", line],
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
            _preload_content=False,
            **({"container": container} if container else {}),
        )
        deadline = time.monotonic() + 120
        while answer.is_open() and time.monotonic() < deadline:
            answer.update(timeout=1)
        assert not answer.is_open(), f"{pod}: {line}: not done after 120 s"
        assert answer.returncode == 0, f"{pod}: {line}: {answer.read_stderr()}"
        return answer.read_stdout()

    return run


@pytest.fixture(scope="module")
def content(cluster: Alnair, execute: Callable[..., str]) -> Iterator[set[str]]:
    """A data set in the under storage, loaded into the cache; its checksums as the under storage has them."""
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    with data_set(execute) as there:
        yield there
        cluster.deploy()


@pytest.fixture(scope="session")
def fault_hosts() -> Iterator[Alnair]:
    """Three hosts with nothing but admin's login."""
    playbook("destroy.yml")
    playbook("create.yml")
    yield Alnair(INVENTORY)
    playbook("destroy.yml")


@pytest.fixture
def bare(fault_hosts: Alnair) -> Alnair:
    """The hosts without anything that the roles make."""
    for node in NODES:
        strip(node)
    return fault_hosts


@pytest.fixture(scope="session")
def served(cluster: Alnair) -> Alnair:
    """The release with the operator of data sets, as the whole chain makes them."""
    if not said.known(cluster.inventory).get("dataset_operator_image"):
        pytest.fail("This lab has no operator's image: raise it with LAB_DATASETS=1 make lab.")
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    return cluster


@pytest.fixture(scope="session")
def store(served: Alnair, core: Any) -> Iterator[s3.Endpoint]:
    """An S3 server with a bucket, and a Secret of its credentials."""
    with s3.endpoint(next(iter(nodes().values())), delay=0.002, rate="") as endpoint:
        endpoint.door.make_bucket(BUCKET)
        remove_secret(core, SECRET)
        core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": SECRET}, "stringData": endpoint.credentials})
        yield endpoint
        remove_secret(core, SECRET)


def remove_secret(core: Any, name: str) -> None:
    try:
        core.delete_namespaced_secret(name, NAMESPACE)
    except kubernetes.client.ApiException as error:
        assert error.status == 404, error


@pytest.fixture
def objects(served: Alnair) -> Iterator[Objects]:
    """Data sets, which are gone after the test."""
    found = Objects(served.variables()["alluxio_kubeconfig"])
    yield found
    found.end()


@pytest.fixture
def team(core: Any, served: Alnair) -> Iterator[Pods]:
    """A namespace for pods, with nothing in it."""
    yield from namespace(core, "e2e-team")


@pytest.fixture
def forget(objects: Objects) -> Iterator[None]:
    """Removes the data sets that the operator declares for folders by itself."""
    before = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in everywhere(objects)}
    yield
    objects.made += [key for item in everywhere(objects) if (key := (item["metadata"]["namespace"], item["metadata"]["name"])) not in before]


@pytest.fixture
def away(core: Any, served: Alnair) -> Iterator[Any]:
    """Takes the operator away where it is called; it is back after the test."""
    yield lambda: scale_operator(core, 0)
    scale_operator(core, 2)
