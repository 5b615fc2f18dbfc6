"""The runner's command line: what it takes, what it refuses before anything runs, and how it counts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import rich.console
import urllib3
import yaml

from alnair import Alnair, ClusterError, Event, Result, cluster, counting, datasets, start
from alnair.cli import common
from alnair.progress import Progress
from alnair.result import GATE, collect
from tests.unit.runner_tools import call
from tests.unit.small_api import CUT_OFF, Api, serve

HOME = Path(__file__).parents[2]


def test_an_inventory_that_is_not_there_is_wrong_usage() -> None:
    done = call("deploy", "--inventory", "/nowhere")
    assert done.exit_code == 2
    assert "There is no inventory at /nowhere" in done.output


def test_an_inventory_without_hosts_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
    done = call("deploy", "--inventory", str(tmp_path))
    assert done.exit_code == 2
    assert "has no host in the groups alluxio_masters and alluxio_workers" in " ".join(done.output.split())


@pytest.mark.parametrize("limit", ["nope", "node-9:node-8", "*.example", "alluxio_workers[9]", "!"])
def test_a_limit_that_matches_no_host_is_wrong_usage(inventory: Path, limit: str) -> None:
    done = call("deploy", "--inventory", str(inventory), "--limit", limit)
    assert done.exit_code == 2
    assert f'--limit "{limit}" matches no host' in done.output
    assert "node-1, node-2" in " ".join(done.output.split())


def test_a_limit_may_be_a_group_or_a_pattern(inventory: Path) -> None:
    assert Alnair(inventory).matched("alluxio_workers") == ["node-2"]
    assert Alnair(inventory).matched("node-*,!node-1") == ["node-2"]


def test_the_bench_takes_its_options_as_variables_and_those_of_the_user_win(inventory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def run(self: Alnair, playbook: str, *, extra_vars: dict[str, Any], **_: Any) -> Result:
        seen.update(extra_vars, playbook=playbook)
        return Result(status="successful")

    monkeypatch.setattr(Alnair, "run", run)
    words = ("--source", "s3://b/images", "--results", str(tmp_path / "r.json"), "-e", '{"loading_bench_readers": 2, "loading_bench_epochs": 4}')
    assert call("bench", "--inventory", str(inventory), *words).exit_code == 0
    assert seen == {
        "playbook": "bench", "loading_bench_source": "s3://b/images", "loading_bench_readers": 2, "loading_bench_epochs": 4,
        "loading_bench_results": str(tmp_path / "r.json"), "loading_bench_picture": str(tmp_path / "r.png"),
    }  # fmt: skip
    assert call("bench", "--inventory", str(inventory)).exit_code == 2


def test_an_inventory_with_a_vault_is_read_by_the_password_that_the_environment_names(tmp_path: Path, inventory: Path) -> None:
    password, secret = tmp_path / "password", "hidden-release"
    password.write_text("correct-horse\n", encoding="utf-8")
    for form, name in (("encrypt_string", "alluxio_release"), ("encrypt", "")):
        group = inventory.parent / "group_vars" / "all.yml"
        group.parent.mkdir(exist_ok=True)
        group.write_text(f"alluxio_release: {secret}\n", encoding="utf-8")
        words = ["--name", name, secret] if name else [str(group)]
        vault = Path(sys.executable).with_name("ansible-vault")
        done = subprocess.run([vault, form, "--vault-password-file", password, *words], capture_output=True, text=True, check=True)
        group.write_text(done.stdout if name else group.read_text(encoding="utf-8"), encoding="utf-8")
        assert secret not in group.read_text(encoding="utf-8")
        # A process of its own, because Ansible reads its settings once.
        script = "import sys; from alnair import Alnair; print(Alnair(sys.argv[1]).variables()['alluxio_release'])"
        for environment, told in (({"ANSIBLE_VAULT_PASSWORD_FILE": str(password)}, secret), ({}, "by ANSIBLE_VAULT_PASSWORD_FILE.")):
            read = subprocess.run(
                [sys.executable, "-c", script, inventory], cwd=HOME, env={**os.environ, **environment}, capture_output=True, text=True, check=False
            )
            assert (read.stdout or read.stderr).strip().endswith(told), read.stderr


def test_a_missing_kubeconfig_is_answered_with_the_remedy(inventory: Path) -> None:
    inventory.write_text(inventory.read_text(encoding="utf-8") + "all: {vars: {alluxio_kubeconfig: /nowhere/config}}\n", encoding="utf-8")
    done = call("status", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert "There is no kubeconfig at /nowhere/config. Set alluxio_kubeconfig" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("group", "release"), [("", "of-all"), ("alluxio_controller: \n", "of-all"), ("alluxio_controller: {hosts: {head: {alluxio_release: of-head}}}\n", "of-head")]
)
def test_the_variables_are_those_that_the_playbooks_controller_has(inventory: Path, group: str, release: str) -> None:
    text = "all: {vars: {alluxio_release: of-all}}\nalluxio_masters: {hosts: {node-1: {alluxio_release: of-node-1}}}\n"
    inventory.write_text(text + group, encoding="utf-8")
    assert Alnair(inventory).variables()["alluxio_release"] == release


def test_what_is_left_blank_is_as_if_it_were_not_said(inventory: Path) -> None:
    said = inventory.read_text(encoding="utf-8")
    before = Alnair(inventory).variables()
    blank = "alluxio_kubeconfig: , alluxio_kube_context: , alluxio_namespace: , alluxio_release: '{{ none }}'"
    inventory.write_text(f"{said}all: {{vars: {{{blank}}}}}\n", encoding="utf-8")
    assert Alnair(inventory).variables() == before


@pytest.mark.parametrize("words", [("status",), ("logs",), ("shell",), ("dashboard",), ("dataset", "status"), ("report",), ("init", "/nowhere/mine")])
def test_a_list_of_kubeconfigs_is_refused_with_the_remedy(inventory: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    monkeypatch.setattr("shutil.which", lambda _name: "/bin/true")
    done = call(*words, *(() if words[0] == "init" else ("--inventory", str(inventory))))
    assert done.exit_code == 1
    assert "The kubeconfig /a:/b is a list of files, and one is needed. Name it with alluxio_kubeconfig" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [\n", "while parsing"), ("", "is empty"), (None, "Is a directory"), ("one line of text\n", "it has not the form of one."), ("- a\n", "not the form"),
        (CUT_OFF, "Invalid base64"), (CUT_OFF.replace("{token: t}", "t"), "it has not the form of one."),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_is_none_is_a_sentence(inventory: Path, tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path if text is None else tmp_path / "config"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    inventory.write_text(inventory.read_text(encoding="utf-8") + f"all: {{vars: {{alluxio_kubeconfig: {path}}}}}\n", encoding="utf-8")
    done = call("status", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert f"Error: The kubeconfig {path} cannot be used: " in done.output and reason in done.output


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (kubernetes.client.ApiException(status=403, reason="Forbidden"), "refused: 403 pods is forbidden"),
        (urllib3.exceptions.MaxRetryError(None, "/api", OSError("no route")), "does not answer: no route. Try: kubectl --kubeconfig"),  # type: ignore[arg-type]
    ],
)
def test_what_the_api_server_says_is_told_and_nothing_around_it(tmp_path: Path, error: Exception, sentence: str) -> None:
    path = tmp_path / "config"
    serve(Api(), path).shutdown()
    if isinstance(error, kubernetes.client.ApiException):
        error.body = json.dumps({"message": "pods is forbidden"})
    with pytest.raises(ClusterError, match=sentence), cluster.asked({"alluxio_kubeconfig": str(path), "alluxio_kube_context": ""}):
        raise error


def test_what_is_no_api_server_is_told_in_a_sentence(tmp_path: Path) -> None:
    api = Api()
    api.answer = lambda *_words: {"kind": "Login"}  # type: ignore[method-assign]
    server = serve(api, tmp_path / "config")
    with pytest.raises(ClusterError, match="answers otherwise than one: .* Is something else in front of it?") as raised:
        start.nodes({"alluxio_kubeconfig": str(tmp_path / "config"), "alluxio_kube_context": ""})
    server.shutdown()
    assert "\n" not in str(raised.value)


def interrupted(*_words: Any, **_options: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("words", [("status",), ("dataset", "status"), ("report",), ("deploy",)])
def test_every_verb_that_is_interrupted_ends_with_130(inventory: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setattr(Alnair, "__init__", interrupted)
    done = call(*words, "--inventory", str(inventory))
    assert (done.exit_code, done.output) == (130, "Interrupted.\n")


@pytest.mark.parametrize(("words", "helm"), [(("upgrade",), True), (("teardown",), True), (("verify",), False), (("dataset", "load", "a"), False)])
def test_only_what_helm_does_is_repaired_by_the_next_run_and_a_sentence_is_a_line(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], helm: bool
) -> None:
    monkeypatch.setattr(Alnair, "run", lambda *_words, **_options: Result(status="interrupted"))
    lines = call(*words, "--inventory", str(inventory)).output.splitlines()
    assert lines[0].startswith("What was done so far stays. The same command goes on from there")
    assert lines[0].endswith("a helm that was cut off is repaired by it first." if helm else "from there.")
    assert lines[1] == f"{' '.join(words[:2])}: interrupted, 0 changed, 0 s"
    assert [line.endswith("dataset cancel NAME ends it.") for line in lines[2:]] == [True] * (words[0] == "dataset")


def test_names_stay_whole_where_standard_output_is_no_terminal(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ip-192-0-2-1." + "long." * 12 + "example"
    counts = {"ok": 1, "changed": 0, "failures": 0, "unreachable": 0}
    monkeypatch.setattr(Alnair, "run", lambda *_words, **_options: Result(status="successful", hosts={name: counts}))
    assert name in call("deploy", "--inventory", str(inventory)).output


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
        collect(result, event)
    assert [failure.message for failure in result.failures] == ["no"]
    assert result.unreachable == {"node-1": "no route"}
    assert (result.changed, result.hosts["node-2"]["failures"]) == (3, 1)


def test_changes_are_counted_as_they_come_where_the_playbook_never_counts_them() -> None:
    result = Result()
    for answer in ({"changed": True}, {"changed": False}, {"censored": "hidden"}, {"changed": True}):
        collect(result, {"event": "runner_on_ok", "event_data": {"host": "node-1", "task": "t", "res": answer}})
    assert result.changed == 2
    # Here the secret one was one, too.
    collect(result, {"event": "playbook_on_stats", "event_data": {"processed": {"node-1": 1}, "changed": {"node-1": 3}}})
    assert result.changed == 3


def test_the_end_of_the_chain_is_no_failure_beside_its_reason() -> None:
    gate = {"event": "runner_on_failed", "event_data": {"host": "node-1", "task": GATE, "res": {"msg": "Not prepared: node-2"}}}
    away = {"event": "runner_on_unreachable", "event_data": {"host": "node-2", "res": {"msg": "no route"}}}
    result = Result()
    for event in (away, gate):
        collect(result, event)
    assert (result.failures, result.unreachable) == ([], {"node-2": "no route"})
    alone = Result()
    collect(alone, gate)
    assert [failure.message for failure in alone.failures] == ["Not prepared: node-2"]
    assert f"- name: {GATE}\n" in (HOME / "playbooks" / "prepare_hosts.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("failures", "told"), [({}, []), ({"localhost": 1}, ["Start anew"])])
def test_a_failure_that_was_rescued_fails_no_run(failures: dict[str, int], told: list[str]) -> None:
    result = Result()
    data = {"host": "localhost", "task": "Start anew", "res": {"msg": "not Ready"}, "ignore_errors": None}
    collect(result, {"event": "runner_on_failed", "event_data": data})
    stats = {"processed": {"localhost": 1}, "failures": failures, "rescued": {"localhost": 1}}
    collect(result, {"event": "playbook_on_stats", "event_data": stats})
    assert [item.task for item in result.failures] == told


def test_a_loop_that_failed_is_told_by_its_items() -> None:
    result = Result()
    items = [{"msg": "fine"}, {"failed": True, "msg": "a.yaml is no mapping"}]
    collect(result, {"event": "runner_on_failed", "event_data": {"host": "h", "task": "t", "res": {"msg": "One or more items failed", "results": items}}})
    assert [failure.message for failure in result.failures] == ["a.yaml is no mapping"]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    common.report(rich.console.Console(stderr=True), "deploy", Result(status="successful", duration=1.5), "json")
    assert json.loads(capsys.readouterr().out) | {"messages": []} == {
        "verb": "deploy", "status": "successful", "hosts": {}, "changed": 0, "failures": [], "unreachable": {}, "messages": [], "changes": [],
        "checks": [], "duration": 1.5,
    }  # fmt: skip


def test_progress_tells_play_task_and_count_in_plain_lines() -> None:
    console = rich.console.Console(file=io.StringIO(), width=100)
    progress = Progress(console)
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
    assert counting.tasks_of_list(tasks, HOME / "roles" / "alluxio_user", {}) == 4
    # A default says what holds without an answer; there will be one.
    told = [{"block": [{"debug": {}}] * 9, "when": "helm_install_found.stdout | default('') == ''"}]
    assert counting.tasks_of_list(told, HOME / "roles" / "helm_install", {}) == 0


@pytest.mark.parametrize("playbook", sorted(path.name for path in (HOME / "playbooks").glob("*.yml") if path.name not in ("lease.yml", "lock.yml")))
def test_every_playbook_has_tasks_to_count(playbook: str) -> None:
    assert counting.tasks_of_playbook(HOME / "playbooks" / playbook, {}) >= 3


def test_what_the_inventory_decides_is_counted_before_it_comes() -> None:
    def count(playbook: str, **variables: Any) -> int:
        return counting.tasks_of_playbook(HOME / "playbooks" / f"{playbook}.yml", variables)

    operator = {"dataset_operator_image": "registry.example/operator"}
    assert count("site", **operator) - count("site") == count("deploy_operator", **operator) - count("deploy_operator") > 9
    # Who lists data sets is told that the operator is lacking.
    sets = {"alluxio_datasets": [{"name": "images"}]}
    assert count("site", **sets) - count("site", **operator) == count("datasets", **sets) - count("datasets") > 5
    assert count("teardown", alluxio_purge=True) > count("teardown")


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
def test_each_verb_of_data_sets_is_the_playbook_with_variables(inventory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, Any]) -> None:
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
