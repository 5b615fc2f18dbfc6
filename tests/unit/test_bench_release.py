"""Table, goals and inputs of the bench of the release."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import rich.console

from tests.bench.release import report


def row(case: str, what: str = "first", *seconds: float) -> dict[str, Any]:
    ready = [second + 5 for second in seconds]
    return {"case": case, "what": what, "seconds": [*seconds], "ready_seconds": ready, "cpu_controller": [2.0], "proof_seconds": [0.0], "load": [1.0]}


def printed(table: Any) -> str:
    console = rich.console.Console(width=150, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_changes_and_proofs_are_read_from_a_run() -> None:
    lines = [
        {"_event": "v2_runner_on_ok", "hosts": {"localhost": {"changed": True, "proof_seconds": 7.5}}},
        {"_event": "v2_runner_on_ok", "hosts": {"a": {"changed": False}}},
        {"_event": "v2_playbook_on_stats", "stats": {"a": {"changed": 1}, "localhost": {"changed": 2}}},
    ]
    assert report.events("\n".join(["[WARNING]: a line of words", *map(json.dumps, lines)])) == (3, 7.5)


def test_the_ratio_is_of_medians() -> None:
    rows = [row("alnair", "first", 10, 23, 90), row("bare", "first", 20, 1, 200)]
    assert report.ratio(rows, "first", "seconds") == 1.15
    assert report.ratio(rows[:1], "first", "seconds") is None


@pytest.mark.parametrize(("what", "mine", "word"), [("noop", 20, "reached"), ("noop", 20.1, "missed"), ("first", 11.6, "missed"), ("upgrade", 11.5, "reached")])
def test_goals_have_their_own_bounds(what: str, mine: float, word: str) -> None:
    assert word in printed(report.table([row("alnair", what, mine), row("bare", what, 10)]))


def test_the_table_has_all_rows() -> None:
    text = printed(report.table([row("alnair", "noop", 12), row("bare", "upgrade", 34)]))
    assert "12.0" in text and "helm upgrade --wait" in text and "39.0" in text


def test_volumes_are_those_of_the_namespace_and_without_what_the_server_added() -> None:
    claim = {"name": "journal-0", "namespace": "alluxio", "uid": "1", "resourceVersion": "7"}
    mine = {"metadata": {"name": "a", "uid": "2", "annotations": {}}, "spec": {"capacity": {"storage": "1Gi"}, "claimRef": claim}, "status": {}}
    others: list[Any] = [{"metadata": {"name": "b"}, "spec": {"claimRef": {**claim, "namespace": "x"}}}, {"metadata": {"name": "c"}, "spec": {}}]
    assert report.volumes([mine, *others], "alluxio")["items"] == [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "a"},
         "spec": {"capacity": {"storage": "1Gi"}, "claimRef": {"name": "journal-0", "namespace": "alluxio"}}},
    ]  # fmt: skip


def test_host_keys_are_checked() -> None:
    text = report.ssh_config({"node-0": "10.0.0.1"}, Path("/lab"))
    assert "Host node-0\nHostName 10.0.0.1\n" in text
    assert "StrictHostKeyChecking yes" in text and "UserKnownHostsFile /lab/known_hosts" in text


def test_nodes_without_labels_of_the_release_are_left_out() -> None:
    nodes = [{"metadata": {"name": name, "labels": labels}} for name, labels in {"a": {"x/r-worker": "true", "y": "1"}, "b": {"y": "1"}}.items()]
    assert report.labels(nodes, "x/r-") == {"a": ["x/r-worker=true"]}
