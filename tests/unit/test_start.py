"""An inventory from the nodes of a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from alnair import UsageError, cluster, inventory, start
from alnair.start import Node
from tests.unit.runner_tools import call

GIB = 2**30
CONTROL = {start.CONTROL_PLANE: ""}


def node(name: str, *, labels: dict[str, str] | None = None, taint: str = "", cordoned: bool = False, ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else None, "unschedulable": cordoned or None},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": f"192.0.2.{len(name)}"}],
            "allocatable": {"memory": "8Gi"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the kubeconfig of a cluster of three nodes, one of which is cordoned."""
    path = tmp_path / "config"
    path.touch()
    found = [node("node-b"), node("node-a"), node("node-c", cordoned=True)]

    @contextlib.contextmanager
    def asked(_knobs: dict[str, Any]) -> Iterator[Any]:
        yield type("Client", (), {"sanitize_for_serialization": staticmethod(lambda item: item)})

    def listed(_self: Any, label_selector: str, **_limits: Any) -> Any:
        return type("List", (), {"items": found if label_selector in ("", "cache=true") else []})

    monkeypatch.setattr(cluster, "asked", asked)
    monkeypatch.setattr(kubernetes.client.CoreV1Api, "__init__", lambda _self, _client: None)
    monkeypatch.setattr(kubernetes.client.CoreV1Api, "list_node", listed)
    return path


@pytest.mark.parametrize(
    ("given", "away"),
    [
        (node("n"), ""),
        (node("n", taint="gpu"), "tainted by gpu"),
        (node("n", cordoned=True, taint="node.kubernetes.io/unschedulable"), "cordoned"),
        (node("n", ready="Unknown"), "not Ready"),
    ],
)
def test_why_a_node_takes_no_pods_is_said(given: dict[str, Any], away: str) -> None:
    assert start.node(given) == Node("n", "192.0.2.1", 8 * GIB, away=away)


def test_the_control_plane_becomes_master_first_and_the_rest_workers() -> None:
    found = [Node("a"), Node("b", control_plane=True), Node("c"), Node("d", away="cordoned")]
    first, rest = start.groups(found, 1)
    assert ([item.name for item in first], [item.name for item in rest]) == (["b"], ["a", "c"])
    alone = start.groups(found[:1], 1)
    assert alone == ([Node("a")], [Node("a")])
    with pytest.raises(UsageError, match="3 masters are wanted, but pods run on 2 of these nodes: d is cordoned"):
        start.groups([found[0], found[2], found[3]], 3)


def test_an_inventory_is_written_that_ansible_reads(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    done = call("init", str(folder), "--kubeconfig", str(config), "--context", "yes", "--namespace", "cache")
    assert done.exit_code == 0, done.output
    assert "Left out node-c: it is cordoned" in done.output
    assert f"doctor --inventory {folder}, then plan" in done.output
    assert (inventory.hosts(folder, "alluxio_masters"), inventory.hosts(folder, "alluxio_workers")) == (["node-a"], ["node-b"])
    assert inventory.variables(folder) == {
        "alluxio_kubeconfig": str(config),
        "alluxio_kube_context": "yes",
        "alluxio_namespace": "cache",
        "alluxio_release": "alluxio",
    }
    text = (folder / "group_vars" / "all.yml").read_text(encoding="utf-8")
    assert "gives 8.0 GiB to pods" in text
    assert (
        yaml.safe_load((folder / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]["alluxio_workers"]["hosts"]["node-b"]["ansible_host"]
        == "192.0.2.6"
    )


def test_every_variable_that_is_written_or_proposed_is_one_that_a_role_knows(config: Path, tmp_path: Path) -> None:
    call("init", str(tmp_path / "mine"), "--kubeconfig", str(config))
    text = (tmp_path / "mine" / "group_vars" / "all.yml").read_text(encoding="utf-8")
    proposed = [
        line.removeprefix("# ").partition(":")[0]
        for line in text.splitlines()
        if line.removeprefix("# ").split(":")[0].replace("_", "").isalnum() and ":" in line
    ]
    specs = [yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"] for path in Path(__file__).parents[2].glob("roles/*/meta/argument_specs.yml")]
    known = {name for spec in specs for entry in spec.values() for name in entry.get("options", {})} | set(inventory.KNOBS) | {"ansible_user"}
    assert {"alluxio_chart_quota", "helm_install_directory"} <= set(proposed)
    assert '#   alluxio.underfs.allow.set.owner.failure: "true"' in text.splitlines()
    assert set(proposed) <= known


def test_nothing_is_overwritten(config: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hosts.yml").write_text("precious", encoding="utf-8")
    done = call("init", str(tmp_path / "mine"), "--kubeconfig", str(config))
    assert done.exit_code == 2
    assert "is there already, and nothing is overwritten" in " ".join(done.output.split())
    assert (tmp_path / "mine" / "hosts.yml").read_text(encoding="utf-8") == "precious"


def test_a_folder_that_cannot_be_made_is_wrong_usage(config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = call("init", str(tmp_path / "file" / "mine"), "--kubeconfig", str(config))
    assert done.exit_code == 2
    assert "cannot be written: Not a directory" in done.output


def test_a_number_of_masters_that_deploy_refuses_is_refused_before_anything_is_written(config: Path, tmp_path: Path) -> None:
    done = call("init", str(tmp_path / "mine"), "--kubeconfig", str(config), "--masters", "2")
    assert done.exit_code == 2
    told = "2 masters tolerate the loss of 0 of them, no more than 1 do, and elect no leader without a majority: make it --masters 1, 3 or 5."
    assert told in " ".join(done.output.split())
    assert not (tmp_path / "mine").exists()


def test_a_label_that_no_node_has_is_said(config: Path, tmp_path: Path) -> None:
    done = call("init", str(tmp_path / "mine"), "--kubeconfig", str(config), "--from-nodes", "cache=no")
    assert done.exit_code == 1
    assert 'No node of the cluster has the label "cache=no". Try: kubectl get nodes --show-labels' in done.output
    assert not (tmp_path / "mine").exists()
    assert call("init", str(tmp_path / "mine"), "--kubeconfig", str(config), "--from-nodes", "cache=true").exit_code == 0


@pytest.mark.parametrize(("text", "written"), [("node-1", "node-1"), ("yes", "'yes'"), ("1e3", "1e3"), ("10.0", "'10.0'"), ("a: b", "'a: b'")])
def test_a_name_is_quoted_where_yaml_would_take_it_for_something_else(text: str, written: str) -> None:
    assert start.plain(text) == written
    assert yaml.safe_load(start.plain(text)) == text
