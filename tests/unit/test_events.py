"""Events as programs and people follow them: callbacks, --jsonl, progress."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rich.console

from alnair import Alnair, Event, Failure, Result, UsageError, running
from alnair.events import Reader
from alnair.progress import Progress
from tests.unit.runner_tools import call

HOME = Path(__file__).parents[2]
TASK = {
    "name": "alnair.alluxio.r : Make it",
    "task": "alnair.alluxio.r : Make it",
    "role": "alnair.alluxio.r",
    "task_action": "alnair.alluxio.x",
    "task_uuid": "1",
}
RAW: list[dict[str, Any]] = [
    {"event": "playbook_on_play_start", "event_data": {"name": "Prepare"}},
    {"event": "playbook_on_task_start", "event_data": TASK},
    {"event": "playbook_on_task_start", "event_data": TASK},
    {"event": "runner_on_start", "event_data": {**TASK, "host": "a"}},
    {"event": "runner_on_ok", "event_data": {**TASK, "host": "a", "res": {"changed": True}}},
    {"event": "runner_on_ok", "event_data": {**TASK, "host": "b", "res": {}}},
    {"event": "runner_on_skipped", "event_data": {**TASK, "host": "c", "res": {}}},
    {"event": "runner_on_failed", "event_data": {**TASK, "host": "d", "res": {"msg": "sorry"}}},
    {"event": "runner_on_failed", "event_data": {**TASK, "host": "e", "res": {"msg": "so so"}, "ignore_errors": True}},
    {"event": "runner_on_unreachable", "event_data": {**TASK, "host": "f", "res": {"msg": "no route"}}},
    {"event": "runner_on_ok", "event_data": {**TASK, "host": "a", "task_action": "ansible.builtin.debug", "res": {"msg": "mind the gap"}}},
    {"event": "playbook_on_stats", "event_data": {}},
]


def play(_home: Path, _playbook: Path, _inventory: Path, result: Result, told: Any, **_: Any) -> None:
    for event in RAW:
        told(event)
    result.status, result.hosts = "failed", {"d": dict.fromkeys(("ok", "changed", "failures", "unreachable"), 0)}


def test_what_happens_is_told_once_and_in_few_words() -> None:
    reader = Reader()
    told = [event for raw in RAW if (event := reader.read({**raw, "created": "now"}))]
    assert [(event.event, event.host, event.status, event.text) for event in told] == [
        ("play", "", "", ""), ("task", "", "", ""), ("host", "a", "changed", ""), ("host", "b", "ok", ""), ("host", "c", "skipped", ""),
        ("host", "d", "failed", "sorry"), ("host", "e", "ignored", "so so"), ("host", "f", "unreachable", "no route"), ("message", "a", "", "mind the gap"),
    ]  # fmt: skip
    assert told[2].told() == {
        "event": "host",
        "time": "now",
        "play": "Prepare",
        "task": "Make it",
        "role": "alnair.alluxio.r",
        "host": "a",
        "status": "changed",
    }


def test_jsonl_is_an_event_a_line_and_the_result_last(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "play", play)
    done = call("deploy", "--jsonl", "--inventory", str(inventory))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["play", "task", *["host"] * 6, "message", "result"]
    assert (done.exit_code, lines[-1]["verb"], lines[-1]["status"]) == (1, "deploy", "failed")
    assert "Prepare: Make it" in done.stderr
    document = json.loads(call("deploy", "--json", "--inventory", str(inventory)).stdout)
    assert {**document, "duration": 0, "event": "result"} == {**lines[-1], "duration": 0}


@pytest.mark.parametrize("form", ["--json", "--jsonl"])
def test_nothing_but_json_is_printed_whatever_else_is_asked_for(inventory: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    asked: list[int] = []

    def heard(*words: Any, verbosity: int, **more: Any) -> None:
        asked.append(verbosity)
        play(*words, **more)

    monkeypatch.setattr(running, "play", heard)
    done = call("deploy", form, "--diff", "-vv", "--inventory", str(inventory))
    assert json.loads(done.stdout if form == "--json" else done.stdout.splitlines()[-1])["status"] == "failed"
    assert asked == [0]


def test_a_callback_is_given_each_event(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "play", play)
    found: list[Event] = []
    result = Alnair(inventory).deploy(on_event=found.append)
    assert len(found) == 9
    assert result.failures == [Failure("d", "alnair.alluxio.r : Make it", "sorry")]


def test_a_callback_that_raises_ends_the_run_and_is_heard_of(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "hosts.yml").write_text("alluxio_masters: {hosts: {one: {ansible_connection: local}}}\n", encoding="utf-8")
    tasks = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.command: echo x}, {ansible.builtin.command: sleep 60}]}\n"
    (tmp_path / "playbooks" / "site.yml").write_text(tasks, encoding="utf-8")
    cluster = Alnair(tmp_path / "hosts.yml")
    cluster.home = tmp_path

    def fall(event: Event) -> None:
        if event.event == "host":
            raise ZeroDivisionError(event.host)

    with pytest.raises(ZeroDivisionError, match="one"):
        cluster.deploy(on_event=fall)


def test_progress_counts_hosts_and_failures_in_plain_lines() -> None:
    console = rich.console.Console(file=io.StringIO(), width=100)
    progress = Progress(console)
    for event in RAW[:8]:
        progress.event(event)
    progress.said -= 30
    progress.tick()
    assert console.file.getvalue().splitlines()[-1].endswith("Prepare: Make it (4 hosts done, 1 host failed)")  # type: ignore[attr-defined]
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_progress_of_five_hundred_hosts_is_a_line_a_task() -> None:
    console = rich.console.Console(file=io.StringIO(), width=100)
    progress = Progress(console)
    progress.event({"event": "playbook_on_play_start", "event_data": {"name": "Prepare"}})
    for task in ("Look", "Make"):
        progress.event({"event": "playbook_on_task_start", "event_data": {"name": task, "task_uuid": task}})
        for number in range(500):
            kind = "runner_on_failed" if number < 7 and task == "Look" else "runner_on_ok"
            progress.event({"event": kind, "event_data": {"host": f"node-{number}", "task": task}})
    progress.said -= 30
    progress.tick()
    lines = [line.split("  ", 1)[1].strip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line.rpartition("Prepare: ")[2] for line in lines] == ["Look", "Make (7 hosts failed)", "Make (500 hosts done, 7 hosts failed)"]


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_obey_no_color(inventory: Path, environment: dict[str, str], *, coloured: bool) -> None:
    script = (
        "import sys; from pathlib import Path; from alnair import Result, records\nwith records.kept('deploy', Path(sys.argv[1]), Path('.'), Result()): pass"
    )
    subprocess.run([sys.executable, "-c", script, str(inventory)], cwd=HOME, check=True)
    base = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    words = [sys.executable, "alnair_runner.py", "history"]
    done = subprocess.run(words, cwd=HOME, check=True, capture_output=True, text=True, env={**base, "FORCE_COLOR": "1", **environment})
    assert ("\x1b[31mfailed" in done.stdout) is coloured


@pytest.mark.parametrize(
    ("words", "verb", "code", "why"),
    [
        (["deploy", "--inventory", "/nowhere"], "deploy", 2, "There is no inventory at /nowhere"),
        (["plan", "--limit", "nobody"], "plan", 2, '--limit "nobody" matches no host'),
        (["doctor", "-e", "no variable"], "doctor", 2, '-e "no variable" is neither key=value'),
        (["deploy", "--chekc"], "deploy", 2, "No such option '--chekc'"),
        (["rollback", "--revision", "last"], "rollback", 2, "'last' is not a valid integer"),
        (["dataset", "mount", "--inventory", "/nowhere"], "dataset mount", 2, "There is no inventory at /nowhere"),
        (["dataset", "free"], "dataset free", 2, "Missing argument 'NAME...'"),
        (["status"], "status", 1, "There is no kubeconfig at /nowhere"),
        (["dataset", "status"], "dataset status", 1, "There is no kubeconfig at /nowhere"),
        (["history", "show", "7"], "history show", 1, "No run has left a record in"),
    ],
)
def test_a_call_that_cannot_begin_prints_the_document_of_a_failed_run(inventory: Path, words: list[str], verb: str, code: int, why: str) -> None:
    inventory.write_text(f"{inventory.read_text(encoding='utf-8')}all: {{vars: {{alluxio_kubeconfig: /nowhere}}}}\n", encoding="utf-8")
    place = [] if "--inventory" in words or verb == "history show" else ["--inventory", str(inventory)]
    done = call(*words, *place, "--json")
    told = json.loads(done.stdout)
    (failure,) = told.pop("failures")
    assert (failure["host"], failure["task"]) == ("localhost", f"start of {verb}") and why in failure["message"]
    assert told == {"verb": verb, **{key: value for key, value in dataclasses.asdict(Result()).items() if key != "failures"}, "exit_code": code}
    assert done.exit_code == code and why in done.stderr
    # Without it nothing is printed for programs; those that follow events get it as the last line, and verbs that only read have none.
    assert call(*words, *place).stdout == ""
    if code == 2:
        assert json.loads(call(*words, *place, "--jsonl").stdout) == {"event": "result", **told, "failures": [failure]}


def test_words_of_a_command_in_the_cluster_ask_for_no_document() -> None:
    assert call("shell", "--inventory", "/nowhere", "--", "x", "--json").stdout == call("shell", "--chekc", "--", "--json").stdout == ""


def test_a_document_is_printed_once_though_the_cancel_of_a_load_fails(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dataset(_self: Alnair, verb: str, *_names: str, **_options: object) -> Result:
        if verb == "cancel":
            raise UsageError("It cannot be cancelled.")
        return Result("interrupted")

    monkeypatch.setattr(Alnair, "dataset", dataset)
    done = call("dataset", "load", "a", "--cancel", "--json", "--inventory", str(inventory))
    assert json.loads(done.stdout)["status"] == "interrupted" and "It cannot be cancelled." in done.stderr
