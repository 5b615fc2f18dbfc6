"""The lab's nodes by label are the hosts that its inventory names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alnair import inventory
from alnair_runner import Alnair

MASTER, WORKER = "alnair.io/cache-master", "alnair.io/cache"

pytestmark = pytest.mark.long


class Labels:
    """Labels of nodes, which are gone after the test."""

    def __init__(self, core: Any) -> None:
        self.core, self.given = core, set[tuple[str, str]]()

    def give(self, label: str, *names: str) -> None:
        """Label nodes as `kubectl label node` does."""
        for name in names:
            self.core.patch_node(name, {"metadata": {"labels": {label: "true"}}})
            self.given.add((label, name))

    def end(self) -> None:
        for label, name in self.given:
            self.core.patch_node(name, {"metadata": {"labels": {label: None}}})


@pytest.fixture
def labels(core: Any) -> Iterator[Labels]:
    found = Labels(core)
    yield found
    found.end()


def test_labelled_nodes_are_the_hosts_of_the_lab_and_a_label_more_is_a_host_more(cluster: Alnair, labels: Labels, tmp_path: Path) -> None:
    masters, workers = (inventory.hosts(cluster.inventory, group) for group in ("alluxio_masters", "alluxio_workers"))
    # Beside it lies what the lab's inventory says of all hosts.
    for name in ("group_vars", ".access"):
        (tmp_path / name).symlink_to(cluster.inventory / name)
    (tmp_path / "nodes.yml").write_text(f"plugin: alnair.alluxio.nodes\nkubeconfig: {tmp_path}/.access/kubeconfig\n", encoding="utf-8")
    labels.give(MASTER, *masters)
    labels.give(WORKER, *workers[:-1])
    assert inventory.hosts(tmp_path, "alluxio_workers") == workers[:-1]
    labels.give(WORKER, workers[-1])
    dynamic = Alnair(tmp_path)
    assert {group: dynamic.matched(group) for group in ("alluxio_masters", "alluxio_workers", "alluxio_controller")} == {
        "alluxio_masters": masters, "alluxio_workers": workers, "alluxio_controller": ["localhost"],
    }  # fmt: skip
    # What was deployed with the lab's inventory is as this one wants it, by the same addresses.
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    result = dynamic.deploy(check=True)
    assert (result.status, result.changed) == ("successful", 0), (result.failures, result.unreachable, result.changes)
    assert {*masters, *workers} <= set(result.hosts)
