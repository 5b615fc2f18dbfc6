"""The runner's command line: what it takes, what it refuses before anything runs, and how it counts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click.testing
import pytest
import rich.console

import alnair_progress
import alnair_result
import alnair_runner
from alnair_runner import Alnair, Result, UsageError

HOME = Path(__file__).parents[2]
VERBS = ("backup", "bench", "deploy", "restore", "rollback", "scale", "status", "teardown", "upgrade", "verify")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text("alluxio_masters: {hosts: {node-1: }}\nalluxio_workers: {hosts: {node-2: }}\n", encoding="utf-8")
    return path


def call(*words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(alnair_runner.main, words)


def test_an_inventory_that_is_not_there_is_wrong_usage() -> None:
    done = call("deploy", "--inventory", "/nowhere")
    assert done.exit_code == 2
    assert "There is no inventory at /nowhere" in done.output


def test_an_inventory_without_hosts_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
    done = call("deploy", "--inventory", str(tmp_path))
    assert done.exit_code == 2
    assert "has no host in the groups alluxio_masters and alluxio_workers" in " ".join(done.output.split())


@pytest.mark.parametrize("limit", ["nope", "node-9:node-8", "*.example"])
def test_a_limit_that_matches_no_host_is_wrong_usage(inventory: Path, limit: str) -> None:
    done = call("deploy", "--inventory", str(inventory), "--limit", limit)
    assert done.exit_code == 2
    assert f'--limit "{limit}" matches no host' in done.output
    assert "node-1, node-2" in " ".join(done.output.split())


def test_a_limit_may_be_a_group_or_a_pattern(inventory: Path) -> None:
    assert Alnair(inventory).matched("alluxio_workers") == ["node-2"]
    assert Alnair(inventory).matched("node-*,!node-1") == ["node-2"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["a=1"], {"a": "1"}),
        (["a=b=c"], {"a": "b=c"}),
        (["a=true"], {"a": True}),
        (['{"a": [1]}'], {"a": [1]}),
        (["a: 1"], {"a": 1}),
        (["a=1", "a=2"], {"a": "2"}),
    ],
)
def test_extra_variables_are_taken_as_ansible_takes_them(words: list[str], found: dict[str, Any]) -> None:
    assert alnair_runner.extra_variables(tuple(words)) == found


def test_the_bench_takes_its_options_as_variables_and_those_of_the_user_win(inventory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def run(self: Alnair, playbook: str, *, extra_vars: dict[str, Any], **_: Any) -> Result:
        seen.update(extra_vars, playbook=playbook)
        return Result(status="successful")

    monkeypatch.setattr(Alnair, "run", run)
    words = ("--source", "s3://b/images", "--results", str(tmp_path / "r.json"), "-e", '{"loading_bench_readers": 2, "loading_bench_epochs": 4}')
    assert call("bench", "--inventory", str(inventory), *words).exit_code == 0
    assert seen == {
        "playbook": "bench", "loading_bench_source": "s3://b/images", "loading_bench_credentials": "", "loading_bench_readers": 2, "loading_bench_epochs": 4,
        "loading_bench_results": str(tmp_path / "r.json"), "loading_bench_picture": str(tmp_path / "r.png"),
    }  # fmt: skip
    assert call("bench", "--inventory", str(inventory)).exit_code == 2


@pytest.mark.parametrize(("word", "sentence"), [("@/nowhere.yml", "there is no file /nowhere.yml"), ("word", "is neither key=value nor")])
def test_extra_variables_that_are_none_are_refused(word: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        alnair_runner.extra_variables((word,))


def test_a_missing_kubeconfig_is_answered_with_the_remedy(inventory: Path) -> None:
    inventory.write_text(inventory.read_text(encoding="utf-8") + "all: {vars: {alluxio_kubeconfig: /nowhere/config}}\n", encoding="utf-8")
    done = call("status", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert "There is no kubeconfig at /nowhere/config. Set alluxio_kubeconfig" in " ".join(done.output.split())


@pytest.mark.parametrize(("status", "code"), [("successful", 0), ("failed", 1), ("unreachable", 3), ("interrupted", 130)])
def test_each_status_has_an_exit_code(status: str, code: int) -> None:
    assert Result(status=status).exit_code == code


def test_failures_outrank_unreachable_hosts_and_ignored_ones_do_not_count() -> None:
    result = Result()
    for event in (
        {"event": "runner_on_unreachable", "event_data": {"host": "node-1", "res": {"msg": "no route"}}},
        {"event": "runner_on_failed", "event_data": {"host": "node-2", "task": "t", "res": {"msg": "sorry"}, "ignore_errors": True}},
        {"event": "runner_on_failed", "event_data": {"host": "node-2", "task": "t", "res": {"msg": "no"}}},
        {"event": "playbook_on_stats", "event_data": {"processed": {"node-2": 1}, "changed": {"node-2": 3}, "failures": {"node-2": 1}}},
    ):
        alnair_result.collect(result, event)
    assert [failure.message for failure in result.failures] == ["no"]
    assert result.unreachable == {"node-1": "no route"}
    assert (result.changed, result.hosts["node-2"]["failures"]) == (3, 1)


def test_the_end_of_the_chain_is_no_failure_beside_its_reason() -> None:
    gate = {"event": "runner_on_failed", "event_data": {"host": "node-1", "task": alnair_result.GATE, "res": {"msg": "Not prepared: node-2"}}}
    away = {"event": "runner_on_unreachable", "event_data": {"host": "node-2", "res": {"msg": "no route"}}}
    result = Result()
    for event in (away, gate):
        alnair_result.collect(result, event)
    assert (result.failures, result.unreachable) == ([], {"node-2": "no route"})
    alone = Result()
    alnair_result.collect(alone, gate)
    assert [failure.message for failure in alone.failures] == ["Not prepared: node-2"]
    assert f"- name: {alnair_result.GATE}\n" in (HOME / "playbooks" / "prepare_hosts.yml").read_text(encoding="utf-8")


def test_a_loop_that_failed_is_told_by_its_items() -> None:
    result = Result()
    items = [{"msg": "fine"}, {"failed": True, "msg": "a.yaml is no mapping"}]
    alnair_result.collect(result, {"event": "runner_on_failed", "event_data": {"host": "h", "task": "t", "res": {"msg": "One or more items failed", "results": items}}})
    assert [failure.message for failure in result.failures] == ["a.yaml is no mapping"]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    alnair_runner.report(rich.console.Console(stderr=True), "deploy", Result(status="successful", duration=1.5), as_json=True)
    assert json.loads(capsys.readouterr().out) | {"messages": []} == {
        "verb": "deploy", "status": "successful", "hosts": {}, "changed": 0, "failures": [], "unreachable": {}, "messages": [], "duration": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_fits_a_screen(verb: str) -> None:
    done = call(verb, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) <= 24


def test_progress_tells_play_task_and_count_in_plain_lines() -> None:
    console = rich.console.Console(file=io.StringIO(), width=100)
    progress = alnair_progress.Progress(console)
    progress.expect(7)
    progress.event({"event": "playbook_on_play_start", "event_data": {"name": "Prepare"}})
    progress.event({"event": "playbook_on_task_start", "event_data": {"name": "alnair.alluxio.role : Make it"}})
    for _host in range(3):
        progress.event({"event": "playbook_on_task_start", "event_data": {"name": "alnair.alluxio.role : Leave it", "task_uuid": "meta"}})
    assert "task 2 of 7  Prepare: Leave it" in console.file.getvalue()  # type: ignore[attr-defined]
    assert progress.number == 2
    assert "task 1 of 7  Prepare: Make it" in console.file.getvalue()  # type: ignore[attr-defined]


def test_what_only_the_hosts_decide_is_counted_when_it_comes() -> None:
    tasks: list[dict[str, Any]] = [
        {"debug": {}},
        {"ansible.builtin.include_tasks": "present.yml", "when": "x"},
        {"block": [{"debug": {}}, {"debug": {}}]},
        {"block": [{"debug": {}}] * 9, "when": "x"},
    ]
    assert alnair_progress.tasks_of_list(tasks, HOME / "roles" / "alluxio_user", {}) == 4


@pytest.mark.parametrize("playbook", sorted(path.name for path in (HOME / "playbooks").glob("*.yml") if path.name not in ("lease.yml", "lock.yml")))
def test_every_playbook_has_tasks_to_count(playbook: str) -> None:
    assert alnair_progress.tasks_of_playbook(HOME / "playbooks" / playbook) >= 3
