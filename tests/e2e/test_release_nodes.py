"""A node that joins the cluster becomes a worker by one run, and leaves without taking the only copy of a file with it."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reading import MOUNT, nodes, ssh

from alnair_runner import HOME, Alnair

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def raise_lab(workers: int) -> None:
    """Bring the lab to a number of workers' nodes."""
    name, address = next(iter(nodes("alluxio_masters").items()))
    network = ipaddress.ip_network(f"{address}/24", strict=False)
    words = ["-e", f"lab_workers={workers}", "-e", f"lab_name={name.rpartition('-')[0]}", "-e", f"lab_subnet={network}"]
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([program, "up.yml", *words], cwd=HOME / "lab", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.fixture
def another_node(core: Any) -> Iterator[str]:
    """A node more than before, which the lab's inventory calls a worker; its name."""
    before = nodes()
    raise_lab(len(before) + 1)
    name = next(iter(set(nodes()) - set(before)))
    yield name
    raise_lab(len(before))
    core.delete_node(name)


def test_a_new_node_works_after_one_run_and_leaves_nothing_missing(cluster: Alnair, execute: Callable[..., str], another_node: str, tmp_path: Path) -> None:
    joined = cluster.scale()
    assert joined.status == "successful", joined.failures
    assert another_node in [item["node"] for item in cluster.status()["workers"] if item["ready"]]
    assert cluster.scale().changed == 0
    # Written on the new node, so that its worker holds the only copy.
    address = nodes()[another_node]
    execute("alluxio-master-0", "alluxio fs rm -R /leaving >/dev/null 2>&1; alluxio fs mkdir /leaving && alluxio fs chmod 777 /leaving", "alluxio-master")
    fuse = next(item["pod"] for item in cluster.status()["fuse"] if item["node"] == another_node)
    line = ("head -c 300000 /dev/urandom > /tmp/only && alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE copyFromLocal /tmp/only /leaving/only >&2 && "
            "md5sum < /tmp/only && alluxio fs ls /leaving/only >&2")  # fmt: skip
    written = execute(fuse, line).split()[0]
    assert "NOT_PERSISTED" in execute("alluxio-master-0", "alluxio fs ls /leaving", "alluxio-master")
    fewer = {"alluxio_chart_workers": [name for name in nodes() if name != another_node]}
    left = cluster.run("deploy_alluxio", extra_vars=fewer)
    assert left.status == "successful", left.failures
    assert all(any(words in message for message in left.messages) for words in (another_node, "1 files were held by workers alone")), left.messages
    assert another_node not in [item["node"] for item in cluster.status()["workers"]]
    others = {name: there for name, there in nodes().items() if there != address}
    for there in others.values():
        read = subprocess.run(ssh(there, f"md5sum < {MOUNT}/leaving/only"), capture_output=True, text=True, check=True).stdout
        assert read.split()[0] == written
    execute("alluxio-master-0", "alluxio fs rm -R /leaving", "alluxio-master")
