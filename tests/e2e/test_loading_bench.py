"""The bench of loading on a data set of a user: figures of all cases, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import s3
from caching import BUCKET, NAMESPACE, SECRET, Objects, numbered, on_node, put, runner
from reading import nodes

from tests.bench.convergence import commands

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
CASES = ("remote", "cold", "loaded", "disk")


def left(core: Any, objects: Objects) -> list[str]:
    """Return what there is of the bench in the cluster and on the nodes."""
    mine = {"label_selector": "alnair.io/bench=loading"}
    found = [*core.list_namespaced_pod(NAMESPACE, **mine).items, *core.list_namespaced_config_map(NAMESPACE, **mine).items]
    names = [item.metadata.name for item in found] + [item["metadata"]["name"] for item in objects.list() if item["metadata"]["name"] == "loading-bench"]
    return names + [line for node in nodes() for line in on_node("ls -d /var/tmp/alnair-loading-bench* 2>/dev/null || true", node).splitlines()]


def test_all_cases_are_measured_and_nothing_is_left(objects: Objects, store: s3.Endpoint, core: Any, tmp_path: Path) -> None:
    put(store, "benched", numbered(60), size=50_000)
    put(store, "benched", ["shards/0.tar"], size=4_000_000)
    results = tmp_path / "rows.json"
    more = {"loading_bench_options": store.options, "loading_bench_epochs": 2, "loading_bench_rounds": 2, "loading_bench_batch": 8,
            "loading_bench_draw_python": str(commands.bench_venv() / "bin" / "python")}  # fmt: skip
    words = ("--source", f"s3://{BUCKET}/benched", "--credentials", SECRET, "--readers", "4", "--results", str(results), "-e", json.dumps(more))
    done = runner("bench", *words, seconds=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(results.read_text(encoding="utf-8"))
    found = [(row["case"], row["round"], row["epoch"], row["kind"], row["files"]) for row in rows if row["case"] in CASES]
    wanted = [(case, turn, epoch, kind, files) for case in CASES for turn in (1, 2) for epoch in (1, 2) for kind, files in (("small", 60), ("large", 1))]
    assert sorted(found) == sorted(wanted)
    # Before a load, and not after it.
    assert all(row["dropped"] is (row["epoch"] == 1 and row["case"] != "loaded") for row in rows if row["case"] in CASES)
    assert [row["files"] for row in rows if row["case"] == "load"] == [61, 61]
    assert "cache, loaded" in done.stdout and "█" in done.stdout
    assert results.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert left(core, objects) == []


def test_a_source_that_cannot_be_read_is_told_and_nothing_is_left(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    words = ("--source", f"s3://{BUCKET}/nowhere", "--credentials", SECRET, "-e", json.dumps({"loading_bench_options": store.options}))
    done = runner("bench", *words)
    assert done.returncode == 1
    assert "has no files" in done.stdout, done.stdout
    assert left(core, objects) == []
