"""The runner's verbs of data sets: what they hand to the playbook, what an interrupt ends, and how a load is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import rich.console
import yaml

from alnair import Alnair, ClusterError, Event, Result, datasets
from alnair.progress import Progress
from tests.unit.runner_tools import call

HOME = Path(__file__).parents[2]


@pytest.mark.parametrize("verb", ["checksum", "free", "unmount"])
def test_what_takes_away_wants_a_name(inventory: Path, verb: str) -> None:
    done = call("dataset", verb, "--inventory", str(inventory))
    assert done.exit_code == 2
    assert "Missing argument 'NAME...'" in done.output


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["mount"], {}),
        (["mount", "a", "b"], {"datasets_only": ["a", "b"]}),
        (["load", "a", "--evict", "b"], {"datasets_only": ["a"], "datasets_verb": "load", "datasets_evict": ["b"]}),
        (["check", "--content", "--sample", "5"], {"datasets_verb": "check", "datasets_content": True, "datasets_sample": 5}),
        (["repair", "a"], {"datasets_only": ["a"], "datasets_verb": "repair"}),
        (["repair", "a", "--content"], {"datasets_only": ["a"], "datasets_verb": "repair", "datasets_content": True}),
        (["checksum", "a", "--path", "x/y"], {"datasets_only": ["a"], "datasets_verb": "checksum", "datasets_path": "x/y"}),
        (["cancel"], {"datasets_verb": "cancel"}),
        (["free", "a"], {"datasets_only": ["a"], "datasets_verb": "free"}),
        (["unmount", "a"], {"datasets_only": ["a"], "datasets_state": "absent"}),
        (["unmount", "a", "--force"], {"datasets_only": ["a"], "datasets_state": "absent", "datasets_force": True}),
        (["unmount", "a", "-e", "alluxio_force=true"], {"datasets_only": ["a"], "datasets_state": "absent", "alluxio_force": True}),
        (["load", "-e", "{datasets_only: [b], datasets_evict: [c]}"], {"datasets_only": ["b"], "datasets_verb": "load", "datasets_evict": ["c"]}),
    ],
)
def test_each_verb_of_data_sets_is_the_playbook_with_variables(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, Any]
) -> None:
    given: dict[str, Any] = {}

    def run(_self: Alnair, playbook: str, **options: Any) -> Result:
        given.update({"playbook": playbook, **options})
        return Result(status="successful")

    monkeypatch.setattr(Alnair, "run", run)
    done = call("dataset", words[0], "--inventory", str(inventory), *words[1:])
    assert done.exit_code == 0, done.output
    assert (given["playbook"], given["extra_vars"]) == ("datasets", variables)
    knobs = {name for role in ("datasets", "dataset_operator") for name in role_options(role)}
    assert set(variables) <= knobs | {"datasets_verb", "alluxio_force"}


@pytest.mark.parametrize(
    ("words", "verbs"),
    [
        (["load", "a"], ["load"]), (["load", "a", "--cancel"], ["load", "cancel"]), (["mount", "a", "--cancel"], ["mount", "cancel"]),
        (["load", "--cancel"], ["load", "cancel"]),
    ],
)  # fmt: skip
def test_an_interrupt_cancels_the_load_only_on_demand(inventory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], verbs: list[str]) -> None:
    called: list[tuple[str, ...]] = []

    def dataset(_self: Alnair, verb: str, *names: str, **_options: Any) -> Result:
        called.append((verb, *names))
        return Result(status="successful" if verb == "cancel" else "interrupted")

    monkeypatch.setattr(Alnair, "dataset", dataset)
    # Nobody knows what is declared.
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    done = call("dataset", words[0], "--inventory", str(inventory), *words[1:])
    names = [word for word in words[1:] if not word.startswith("-")]
    assert called == [(verb, *names) for verb in verbs]
    assert ("dataset cancel NAME ends it" in done.output) is (len(verbs) == 1)
    assert done.exit_code == 130


@pytest.mark.parametrize(
    ("variables", "words", "there", "ended"),
    [
        ("alluxio_datasets: [{name: a}, {name: '{{ x }}'}], x: b", [], ["a", "b", "others"], ["a", "b"]),
        ("alluxio_datasets: [{name: a}, {name: b}]", [], ["b", "others"], ["b"]),
        ("alluxio_datasets: [{name: a}, {name: b}]", [], None, ["a", "b"]),
        ("alluxio_datasets: [{name: a}, {name: b}]", ["b"], ["a", "b", "others"], ["b"]),
        ("alluxio_datasets: [{name: a}]", ["-e", "{alluxio_datasets: [{name: c}]}"], ["a", "c"], ["c"]),
        ("alluxio_datasets: [{name: a}, {name: b}], datasets_only: [a]", [], ["a", "b"], ["a"]),
        ("datasets_list: [{name: b}]", [], ["a", "b"], ["b"]),
        ("alluxio_datasets: [{name: a}]", [], ["others"], None),
        ("alluxio_datasets: text", [], ["others"], None),
        ("x: 1", [], ["others"], None),
    ],
)
def test_a_mount_that_is_interrupted_cancels_no_loads_of_others(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, variables: str, words: list[str], there: list[str] | None, ended: list[str] | None
) -> None:
    inventory.write_text(f"{inventory.read_text(encoding='utf-8')}all: {{vars: {{{variables}}}}}\n", encoding="utf-8")
    called: list[tuple[str, ...]] = []

    def dataset(_self: Alnair, verb: str, *names: str, **_options: Any) -> Result:
        called.append((verb, *names))
        return Result(status="successful" if verb == "cancel" else "interrupted")

    def read(_knobs: dict[str, Any], _names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        if there is None:
            raise ClusterError("away")
        return [{"name": name} for name in there]

    monkeypatch.setattr(Alnair, "dataset", dataset)
    monkeypatch.setattr(datasets, "read", read)
    done = call("dataset", "mount", "--cancel", "--inventory", str(inventory), *words)
    assert done.exit_code == 130, done.output
    assert called[1:] == ([] if ended is None else [("cancel", *ended)])


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_line_for_programs_is_the_result_where_a_load_is_cancelled_too(inventory: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    def dataset(_self: Alnair, verb: str, *_names: str, on_event: Any, **_options: Any) -> Result:
        on_event(Event("message", "now", text=verb))
        if fails and verb == "cancel":
            raise ClusterError("gone")
        return Result(status="successful" if verb == "cancel" else "interrupted")

    monkeypatch.setattr(Alnair, "dataset", dataset)
    lines = [json.loads(line) for line in call("dataset", "load", "a", "--cancel", "--jsonl", "--inventory", str(inventory)).stdout.splitlines()]
    assert [(line["event"], line.get("text"), line.get("verb")) for line in lines] == [
        ("message", "load", None), ("message", "cancel", None), ("result", None, "dataset load"),
    ]  # fmt: skip


def role_options(role: str) -> dict[str, Any]:
    text = (HOME / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["argument_specs"]["main"]["options"])


def test_every_verb_that_the_playbook_is_told_is_a_file_of_the_role() -> None:
    for verb in ("load", "cancel", "check", "repair", "checksum", "free"):
        assert (HOME / "roles" / "datasets" / "tasks" / f"{verb}.yml").exists()


def job_event(kind: str, rc: int) -> dict[str, Any]:
    report = {"message": "1 of 9 files differs.", "differences": [{"path": "/datasets/a/[x]", "reason": "size"}]} if rc else {"message": "9 files agree."}
    answer = {"datasets": {"a": {"rc": rc, "report": report, "said": ""}}}
    return {"event": kind, "event_data": {"host": "h", "task": "Run a Job", "task_action": "alnair.alluxio.dataset_job", "res": answer}}


def test_what_a_check_found_is_a_table_and_json_and_an_exit_code(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_self: Alnair, _playbook: str, progress: Progress, **_options: Any) -> Result:
        progress.event(job_event("runner_on_ok", 1))
        return Result(status="failed")

    monkeypatch.setattr(Alnair, "run", run)
    done = call("dataset", "check", "a", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert "/datasets/a/[x]" in done.output
    done = call("dataset", "check", "a", "--json", "--inventory", str(inventory))
    found = json.loads(done.stdout)
    assert (found["verb"], found["datasets"]["a"]["rc"]) == ("dataset check", 1)
    assert done.exit_code == 1


def test_a_load_that_is_interrupted_goes_on_and_is_said_to(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alnair, "run", lambda *_words, **_options: Result(status="interrupted"))
    done = call("dataset", "load", "a", "--inventory", str(inventory))
    assert done.exit_code == 130
    assert "The load goes on in the cluster" in done.output
    assert "The load goes on" not in call("dataset", "check", "a", "--inventory", str(inventory)).output


LOADING = {"namespace": "alluxio", "name": "images", "path": "/datasets/images", "source": "/x", "phase": "Loading", "message": "", "cachedPercent": 42,
           "files": 7, "bytes": 2**30, "cachedBytes": 2**29, "rate": 2**20, "secondsLeft": 30}  # fmt: skip


def test_a_load_is_told_with_bytes_files_rate_and_time_left() -> None:
    console = rich.console.Console(file=io.StringIO(), width=200)
    watch = datasets.Watch(console, lambda: [LOADING])
    watch.said = watch.looked = -100.0
    watch.tick()
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    watch.event({"event": "playbook_on_task_start", "event_data": {"name": "Wait", "task_action": "alnair.alluxio.datasets_ready"}})
    watch.said = watch.looked = -100.0
    watch.tick()
    assert "images: Loading, 512.0 MiB of 1.0 GiB (42 %), 7 files, 1.0 MiB/s, 30 s left" in console.file.getvalue()  # type: ignore[attr-defined]


def test_what_a_load_tells_in_brackets_is_shown_on_a_terminal_as_it_stands() -> None:
    watch = datasets.Watch(rich.console.Console(file=io.StringIO(), force_terminal=True, width=200), lambda: [{**LOADING, "name": "[/x]"}])
    watch.loading, watch.looked = True, -100.0
    try:
        watch.tick()
        assert watch.status and "[/x]: Loading" in str(watch.status.renderable.text)
    finally:
        watch.end()


def test_an_api_server_that_restarts_does_not_end_the_watch() -> None:
    def away() -> list[dict[str, Any]]:
        raise ClusterError("away")

    watch = datasets.Watch(rich.console.Console(file=io.StringIO()), away)
    watch.loading, watch.looked = True, -100.0
    watch.tick()


def test_data_sets_are_a_table_and_json(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {**LOADING, "name": "texts", "phase": "Failed", "message": "Bucket [x] is not there."}
    monkeypatch.setattr(datasets, "read", lambda _knobs, _names: [LOADING, failed])
    output = call("dataset", "status", "--inventory", str(inventory)).output
    for text in ("alluxio/images", "42 %", "1.0 GiB", "Failed", "Bucket [x] is not there."):
        assert text in output
    assert [item["name"] for item in json.loads(call("dataset", "status", "--json", "--inventory", str(inventory)).stdout)] == ["images", "texts"]


def test_without_a_kubeconfig_status_of_data_sets_tells_the_remedy(inventory: Path) -> None:
    inventory.write_text(inventory.read_text(encoding="utf-8") + "all: {vars: {alluxio_kubeconfig: /nowhere/config}}\n", encoding="utf-8")
    done = call("dataset", "status", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert "There is no kubeconfig at /nowhere/config. Set alluxio_kubeconfig" in " ".join(done.output.split())
