"""Hosts from the nodes of a cluster, as ansible-inventory and the runner see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible_collections.alnair.alluxio.plugins.inventory import nodes
from ansible_collections.alnair.alluxio.plugins.inventory.nodes import Unfit, facts, in_order
from small_api import Api, serve

HOME = Path(__file__).parents[2]
MASTER, WORKER, ORDER = "alnair.io/cache-master", "alnair.io/cache", "alnair.io/cache-order"
OPTIONS = yaml.safe_load(nodes.DOCUMENTATION)["options"]


def node(name: str, number: int, *, ready: str = "True", cordoned: bool = False, gone: bool = False, **labels: str) -> dict[str, Any]:
    """Return a node; its number is its age in days and the end of its address."""
    named = {{"master": MASTER, "worker": WORKER, "order": ORDER}.get(key, key): value for key, value in labels.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": named, "creationTimestamp": f"2026-01-{28 - number:02}T00:00:00Z",
                     **({"deletionTimestamp": "2026-02-01T00:00:00Z"} if gone else {})},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "addresses": [{"type": kind, "address": address} for kind, address in (
                ("Hostname", name), ("InternalIP", f"192.0.2.{number}"), ("InternalIP", f"2001:db8::{number}"))],
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
        },
    }  # fmt: skip


class Plugin(nodes.InventoryModule):
    """The plugin, told its options by a test instead of by a file."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.given = {**{name: option.get("default") for name, option in OPTIONS.items()}, "cache": False, "strict": False, "compose": {}, "groups": {},
                      "keyed_groups": [], "use_extra_vars": False, **options}  # fmt: skip

    def get_option(self, option: str, hostvars: Any = None) -> Any:
        """Return what the test says, or the default."""
        return self.given[option]

    def _read_config_data(self, path: str) -> dict[str, Any]:
        return {}


class Cluster:
    """A cluster, and inventories of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.api, self.kubeconfig = folder, Api(), folder / "kubeconfig"
        self.server = serve(self.api, self.kubeconfig)

    def inventory(self, **more: Any) -> Path:
        """Return an inventory file in a folder."""
        path = self.folder / "inventory" / "nodes.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({"plugin": "alnair.alluxio.nodes", "kubeconfig": str(self.kubeconfig), **more}), encoding="utf-8")
        return path

    def listed(self, **options: Any) -> InventoryData:
        """Return what the plugin makes of the cluster."""
        found = InventoryData()
        Plugin(**{"kubeconfig": str(self.kubeconfig), **options}).parse(found, DataLoader(), "/inventory/nodes.yml")
        return found


def hosts(found: InventoryData, group: str) -> list[str]:
    """Return the names of a group's hosts in order."""
    return [host.name for host in found.groups[group].get_hosts()]


def asked(path: Path) -> subprocess.CompletedProcess[str]:
    """Return how ansible-inventory ended."""
    # Sentences are looked for, which Ansible would break into lines.
    environment = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(["ansible-inventory", "-i", str(path), "--list"], cwd=HOME, env=environment, capture_output=True, text=True, check=False)


def plain(item: dict[str, Any]) -> Any:
    """Return a text of the cluster as itself; Ansible lists it as one in which no template is worked out."""
    return item.get("__ansible_unsafe", item)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return a cluster of a master, two workers and a node without a label."""
    found = Cluster(tmp_path)
    for item in (node("node-a", 1, master="true"), node("node-b", 2, worker="true"), node("node-c", 3, worker="true", zone="east"), node("node-d", 4)):
        found.api.add(item)
    yield found
    found.server.shutdown()


def test_ansible_takes_hosts_from_the_cluster_beside_those_of_another_file(cluster: Cluster) -> None:
    kept = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(cluster.folder / "kept"), "cache_timeout": 600}
    path = cluster.inventory(
        **kept, compose={"ansible_port": "2200 + 22"}, keyed_groups=[{"prefix": "zone", "key": "alluxio_node_labels.zone | default('none')"}]
    )
    (path.parent / "hosts.yml").write_text("alluxio_controller: {hosts: {admin: }}\n", encoding="utf-8")
    done = asked(path.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, object_hook=plain)
    assert (found["alluxio_masters"]["hosts"], found["alluxio_workers"]["hosts"]) == (["node-a"], ["node-c", "node-b"])
    assert (found["zone_east"]["hosts"], found["zone_none"]["hosts"]) == (["node-c"], ["node-a", "node-b"])
    assert found["alluxio_controller"]["hosts"] == ["admin"]
    told = found["_meta"]["hostvars"]
    assert {(told[name]["ansible_port"], told[name]["ansible_host"]) for name in ("node-a", "node-b")} == {(2222, "192.0.2.1"), (2222, "192.0.2.2")}
    # What was read is kept where the cache is switched on.
    for item in cluster.api.known("Node"):
        item["metadata"]["labels"] = {}
    assert json.loads(asked(path.parent).stdout, object_hook=plain) == found


def test_ansible_stops_where_it_cannot_have_the_hosts(cluster: Cluster) -> None:
    path = cluster.inventory(masters="zone=west")
    done = asked(path)
    # The repository's ansible.cfg makes it an error: without hosts, the playbooks would take all of them for gone.
    assert done.returncode != 0
    assert f'{path}: masters: no node of the cluster matches "zone=west". Try: kubectl label node NAME zone=west' in done.stderr


def test_the_runner_reads_it_and_refuses_one_that_cannot_be_read(cluster: Cluster) -> None:
    # In a process of its own, as the tests have loaded the collection without Ansible's finder.
    line = "import sys, pathlib; from alnair import inventory; print(inventory.hosts(pathlib.Path(sys.argv[1]), 'alluxio_workers'))"
    done = subprocess.run([sys.executable, "-c", line, str(cluster.inventory())], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.stdout == "['node-c', 'node-b']\n", done.stderr
    done = subprocess.run([sys.executable, "-c", line, str(cluster.inventory(masters="zone=west"))], cwd=HOME, capture_output=True, text=True, check=False)
    assert "UsageError" in done.stderr
    assert "cannot be read; Ansible's warnings say why" in done.stderr


def test_labels_make_masters_and_workers_and_a_label_more_a_host_more(cluster: Cluster) -> None:
    found = cluster.listed()
    assert (hosts(found, "alluxio_masters"), hosts(found, "alluxio_workers")) == (["node-a"], ["node-c", "node-b"])  # The older one first.
    assert hosts(found, "alluxio_controller") == ["localhost"]
    assert found.hosts["localhost"].vars["ansible_connection"] == "local"
    assert found.groups["all"].vars == {"alluxio_kubeconfig": str(cluster.kubeconfig)}
    cluster.api.known("Node")[3]["metadata"]["labels"][WORKER] = "true"
    assert hosts(cluster.listed(), "alluxio_workers") == ["node-d", "node-c", "node-b"]


def test_other_labels_and_addresses_are_taken_and_what_is_told_composes(cluster: Cluster) -> None:
    found = cluster.listed(masters=f"{WORKER}=true", workers="zone=east", address="Hostname", groups={"away": "not alluxio_node_ready"})
    assert (hosts(found, "alluxio_masters"), hosts(found, "alluxio_workers")) == (["node-c", "node-b"], ["node-c"])
    assert found.hosts["node-c"].vars["ansible_host"] == "node-c"
    assert "away" not in found.groups


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": "a=b,c=d"}, 'workers: no node of the cluster matches "a=b,c=d". Try: kubectl label node NAME KEY=VALUE'),
        ({"address": "ExternalIP"}, "address: node node-a has no ExternalIP. It has: Hostname, InternalIP. Set address to one of them."),
        ({"order": "zone"}, 'order: zone of node node-c is "east", which is no whole number. Try: kubectl label --overwrite node node-c zone=0'),
        ({"kubeconfig": "/none/config"}, "kubeconfig: there is no file /none/config. Name the one that kubectl uses"),
        ({"kubeconfig": "/a:/b"}, "The kubeconfig /a:/b is a list of files, and one is needed. Name it with alluxio_kubeconfig"),
        ({"context": "other"}, "cannot be used: Invalid kube-config file. Expected object with name other"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_value_and_remedy(cluster: Cluster, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleParserError) as raised:
        cluster.listed(**options)
    assert str(raised.value).startswith("/inventory/nodes.yml: ")
    assert said in str(raised.value)


def test_masters_keep_their_place_when_an_older_node_becomes_one() -> None:
    first, older = node("first", 1, order="0"), node("older", 9)
    assert [item["metadata"]["name"] for item in in_order([older, first, node("new", 0)], ORDER)] == ["first", "older", "new"]
    with pytest.raises(Unfit, match='order: .* of node bad is "1st"'):
        in_order([node("bad", 1, order="1st")], ORDER)


def test_a_node_that_is_away_stays_and_one_that_is_deleted_goes() -> None:
    found = [node("away", 1, ready="Unknown"), node("cordoned", 2, cordoned=True), node("gone", 3, gone=True)]
    assert [item["metadata"]["name"] for item in in_order(found, ORDER)] == ["cordoned", "away"]
    assert (facts(found[0])["alluxio_node_ready"], facts(found[0])["alluxio_node_cordoned"]) == (False, False)
    assert (facts(found[1])["alluxio_node_ready"], facts(found[1])["alluxio_node_cordoned"]) == (True, True)
    assert facts(found[1])["alluxio_node_addresses"] == {"Hostname": "cordoned", "InternalIP": "192.0.2.2"}
