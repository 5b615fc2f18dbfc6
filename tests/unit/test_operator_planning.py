"""What is loaded and whether it fits; data sets as they are declared; when pods may go."""

from __future__ import annotations

import re
from typing import Any

import pytest
from alnair_operator import datasets, gates, planning
from alnair_operator.datasets import Dataset, DatasetError
from alnair_operator.planning import File, Survey, Worker
from alnair_operator.settings import Settings, SettingsError
from alnair_operator.steps import moment_of

GIB = 1 << 30


def declared(name: str = "x", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Dataset:
    return Dataset.of({"metadata": {"name": name, "namespace": "n", "creationTimestamp": created}, "spec": {"source": "s3://b/p", **spec}})


def test_batches_hold_few_files_and_few_bytes() -> None:
    small = [File(f"/{index}", 1, 0, False) for index in range(130)]
    assert [len(batch.paths) for batch in planning.batches(small)] == [64, 64, 2]
    large = [File("/a", 200 << 20, 0, False), File("/b", 100 << 20, 0, False), File("/c", 1 << 40, 0, False), File("/d", 1, 0, False)]
    assert [batch.paths for batch in planning.batches(large)] == [("/a",), ("/b",), ("/c",), ("/d",)]
    assert [batch.paths for batch in planning.batches(small[:2], singly=True)] == [("/0",), ("/1",)]
    assert list(planning.batches([])) == []


def test_a_hundred_percent_is_said_only_where_nothing_lacks() -> None:
    survey = Survey()
    survey.add(File("/a", 10**12, 10**12, True))
    assert survey.percent == 100
    survey.add(File("/b", 1, 0, False))
    assert survey.percent == 99
    empty = Survey()
    empty.add(File("/a", 0, 0, False))
    assert empty.percent == 0


def test_what_fits_is_let_in() -> None:
    workers = [Worker("a", 10 * GIB, 0), Worker("b", 10 * GIB, 0)]
    assert planning.too_large(18 * GIB, workers) == ""
    assert planning.too_large(0, []) == ""


@pytest.mark.parametrize(
    ("needed", "used", "reserved", "figures"),
    [
        (19 * GIB, (0, 0), 0, ("19.0 GiB", "18.0 GiB are free", "1 more worker of 10.0 GiB", "at most 18.0 GiB")),
        (40 * GIB, (0, 0), 0, ("40.0 GiB", "3 more workers")),
        (8 * GIB, (0, 6 * GIB), 0, ("about 4.0 GiB on each of 2 workers", "worker b has 3.0 GiB free", "at most 6.0 GiB")),
        (10 * GIB, (0, 0), 12 * GIB, ("6.0 GiB are free", "12.0 GiB of it promised")),
    ],
)
def test_what_does_not_fit_is_told_with_figures_and_a_remedy(needed: int, used: tuple[int, int], reserved: int, figures: tuple[str, ...]) -> None:
    workers = [Worker("a", 10 * GIB, used[0]), Worker("b", 10 * GIB, used[1])]
    sentence = planning.too_large(needed, workers, reserved)
    assert all(figure in sentence for figure in figures), sentence


@pytest.mark.parametrize(("used", "needed", "reserved", "replicas"), [(0, 40, 0, 1), (6, 8, 0, 1), (8, 15, 2, 1), (9, 1, 0, 1), (0, 25, 0, 2)])
def test_what_is_named_as_a_remedy_lets_it_in(used: int, needed: int, reserved: int, replicas: int) -> None:
    workers = [Worker("a", 10 * GIB, 0), Worker("b", 10 * GIB, used * GIB)]
    sentence = planning.too_large(needed * GIB, workers, reserved * GIB, replicas)
    if more := re.search(r"(\d+) more worker", sentence):
        enough = [Worker(f"w{number}", 10 * GIB, 0) for number in range(int(more[1]))]
        assert planning.too_large(needed * GIB, [*workers, *enough], reserved * GIB, replicas) == ""
        assert int(more[1]) == 1 or planning.too_large(needed * GIB, [*workers, *enough[1:]], reserved * GIB, replicas)
    if part := re.search(r"at most ([\d.]+) GiB", sentence):
        fits = int(float(part[1]) * GIB)
        assert planning.too_large(fits * replicas, workers, reserved * GIB, replicas) == ""
        assert planning.too_large((fits + GIB // 4) * replicas, workers, reserved * GIB, replicas)
    assert bool(more) == (used < 9) and bool(part) == (used < 8), "where a worker is full, only a larger quota helps"
    assert "a larger quota" in sentence


def test_copies_need_workers() -> None:
    assert "2 copies are asked for, but there are 1 workers" in planning.too_large(1, [Worker("a", GIB, 0)], replicas=2)


def test_rate_and_time_left() -> None:
    assert planning.window([(0, 0)], 5) == (0, None)
    assert planning.window([(0, 0), (10, 1000)], 500) == (100, 5)
    assert planning.window([(0, 5), (10, 5)], 500) == (0, None)
    assert [planning.share(8, count) for count in (0, 1, 3, 20)] == [8, 8, 2, 1]


def test_the_one_of_two_that_overlap_which_is_mounted_is_served_or_else_the_elder() -> None:
    item = {"metadata": {"name": "new", "namespace": "n", "creationTimestamp": "2026-02-01T00:00:00Z"}, "spec": {"source": "/srv/x", "path": "/a"}}
    there = Dataset.of({**item, "status": {"mounted": {"path": "/a"}}})
    assert "overlaps with /a of data set n/new, which is mounted there" in datasets.problem(declared("old", path="/a/b"), [there])
    old, new = declared("old", path="/a/b"), declared("new", "2026-02-01T00:00:00Z", path="/a")
    assert datasets.problem(old, [new]) == ""
    assert "overlaps with /a/b of data set n/old, which is older" in datasets.problem(new, [old])
    assert datasets.problem(declared("other", "2026-02-01T00:00:00Z", path="/a/bc"), [old]) == ""
    assert datasets.problem(declared("same", path="/a/b"), [old]) != "" and datasets.problem(old, [declared("same", path="/a/b")]) == ""


@pytest.mark.parametrize("path", ["/", "a", "/a/", "/a/../b", "//a", "/a//b"])
def test_paths_that_cannot_be_used(path: str) -> None:
    assert "cannot be used" in datasets.problem(declared(path=path))


@pytest.mark.parametrize(
    ("key", "value"), [("subPaths", ["../x"]), ("subPaths", ["/x"]), ("ttl", "soon"), ("syncInterval", "5"), ("source", "ftp://x"), ("source", "s3://user@b/x")]
)
def test_declarations_that_cannot_be_used(key: str, value: Any) -> None:
    assert datasets.problem(declared(**{key: value}))


def test_sources_as_alluxio_knows_them() -> None:
    assert datasets.ufs(declared(source="/srv/x/"), {}) == "/srv/x"
    assert datasets.ufs(declared(source="pvc://images"), {"images": "/srv/pv"}) == "/srv/pv"
    assert datasets.ufs(declared(source="nfs://server/export", options={"alnair.localPath": "/mnt/nfs"}), {}) == "/mnt/nfs"
    for source in ("nfs://server/export", "pvc://images"):
        with pytest.raises(DatasetError, match=r"alnair\.localPath"):
            datasets.ufs(declared(source=source), {})
    assert datasets.same_ufs("s3a://b/p/", "s3://b/p") and datasets.same_ufs("file:///srv/x", "/srv/x") and not datasets.same_ufs("s3://b/p", "s3://b/p2")


def test_sub_paths_cover_each_file_once() -> None:
    assert declared(path="/d", subPaths=["a/b", "a", "c", "a"]).loaded_paths == ["/d/a", "/d/c"]
    assert declared(path="/d").loaded_paths == ["/d"]


def test_times() -> None:
    assert [datasets.seconds(text) for text in ("0", "-1", "10ms", "2m", "30d")] == [0, -1, 0.01, 120, 2592000]


def test_settings_are_read_and_refused() -> None:
    told = {
        "ALNAIR_NAMESPACE": "a",
        "ALNAIR_ROOTS": "/x/:/y",
        "ALNAIR_PREFIXES": '{"t": ["/p"]}',
        "ALNAIR_WATCH": "a,b",
        "ALNAIR_OPERATOR_SERVICE_HOST": "fd00::1",
    }
    found = Settings.of(told)
    assert (found.roots, found.prefixes, found.watch, found.service) == (("/x", "/y"), {"t": ("/p",)}, ("a", "b"), "[fd00::1]:8002")
    for wrong in ({}, {**told, "ALNAIR_ON_FAILURE": "x"}, {**told, "ALNAIR_PREFIXES": "[1]"}, {**told, "ALNAIR_METRICS_PORT": "x"}):
        with pytest.raises(SettingsError, match="ALNAIR_"):
            Settings.of(wrong)


AT = "2026-01-01T00:10:00Z"
CREATED = moment_of("2026-01-01T00:05:00Z")


def status(phase: str, settled: str = AT) -> dict[str, Any]:
    return {"phase": phase, "message": "why", "settledAt": settled}


@pytest.mark.parametrize(
    ("statuses", "on_failure", "word"),
    [
        ([status("Complete"), status("Complete")], "source", "go"),
        ([status("Complete"), status("Loading")], "source", "wait"),
        ([status("Complete"), {}], "source", "wait"),
        ([status("Complete"), status("TooLarge")], "source", "source"),
        ([status("Failed"), status("Incomplete")], "hold", "hold"),
        ([status("Failed"), status("Loading")], "source", "wait"),
        ([None, status("Complete")], "source", "source"),
        ([None, status("Complete")], "hold", "hold"),
    ],
)
def test_when_a_pod_may_go(statuses: list[dict[str, Any] | None], on_failure: str, word: str) -> None:
    names = [f"n/{index}" for index in range(len(statuses))]
    found = {name: said for name, said in zip(names, statuses, strict=True) if said is not None}
    verdict = gates.decide(names, found, on_failure, CREATED, CREATED + 600)
    assert verdict.word == word and not verdict.reload
    assert word == "go" or "n/" in verdict.message


def test_a_failure_from_before_the_pod_is_tried_again_first() -> None:
    verdict = gates.decide(["n/a"], {"n/a": status("Incomplete", "2026-01-01T00:00:00Z")}, "source", CREATED, CREATED + 1)
    assert verdict.word == "wait" and verdict.reload == ("n/a",)


def test_a_data_set_that_is_made_just_now_is_waited_for() -> None:
    assert gates.decide(["n/a"], {}, "source", CREATED, CREATED + 5).word == "wait"


def test_what_is_said_of_an_earlier_declaration_lets_nobody_go() -> None:
    said = {"phase": "Complete", "observedGeneration": 1}
    assert gates.status_of({"metadata": {"generation": 1}, "status": said}) == said
    stale = gates.status_of({"metadata": {"generation": 2}, "status": said})
    assert gates.decide(["n/a"], {"n/a": stale}, "source", CREATED, CREATED + 600).word == "wait"


def test_only_the_own_gate_is_lifted() -> None:
    own, other = {"name": "alnair.io/dataset"}, {"name": "other"}
    pod = {"metadata": {"labels": {"alnair.io/held": "true"}}, "spec": {"schedulingGates": [other, own]}}
    assert gates.release(pod) == [
        {"op": "test", "path": "/spec/schedulingGates", "value": [other, own]},
        {"op": "replace", "path": "/spec/schedulingGates", "value": [other]},
        {"op": "remove", "path": "/metadata/labels/alnair.io~1held"},
    ]
    assert gates.release({"metadata": {}, "spec": {}}) == []


def test_a_forged_annotation_makes_no_data_set() -> None:
    settings = Settings("alluxio", roots=("/mnt/d",), prefixes={"limited": ("/datasets/mine",)})
    held = {"alnair.io/datasets": "alluxio/x", "alnair.io/original": '[{"name": "v", "hostPath": {"path": "/mnt/d/x"}}]'}
    for namespace, volumes, expected in (
        ("open", None, {"alluxio/x": "/mnt/d/x"}),
        ("limited", None, {}),
        ("open", '[{"name": "v", "hostPath": {"path": "/etc"}}]', {}),
        ("open", "no json", {}),
        ("open", '[{"name": "v", "hostPath": {"path": "/mnt/d/y"}}]', {}),
    ):
        annotations = held if volumes is None else {**held, "alnair.io/original": volumes}
        assert gates.undeclared({"metadata": {"namespace": namespace, "annotations": annotations}}, [], settings, {}) == expected
