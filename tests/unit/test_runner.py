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

from alnair import Alnair, ClusterError, Result, cluster, counting, start
from alnair.cli import common
from alnair.progress import Progress
from alnair.result import GATE, Failure, collect
from tests.unit.runner_tools import call
from tests.unit.small_api import CUT_OFF, Api, serve

HOME = Path(__file__).parents[2]


def test_an_inventory_that_is_not_there_is_wrong_usage() -> None:
    done = call("deploy", "--inventory", "/nowhere")
    assert done.exit_code == 2
    assert "There is no inventory at /nowhere" in done.output


def test_an_inventory_that_ansible_is_told_of_is_the_default(tmp_path: Path, inventory: Path) -> None:
    # Processes of their own, because Ansible reads its settings once.
    script = "from alnair import Alnair; print(Alnair().inventory)"
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ninventory = {inventory}\n", encoding="utf-8")
    for name, value, told in (
        ("ANSIBLE_INVENTORY", str(inventory), str(inventory)), ("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"), str(inventory)),
        ("ANSIBLE_INVENTORY", f"{inventory},/other", "names 2 inventories"),
    ):  # fmt: skip
        done = subprocess.run([sys.executable, "-c", script], cwd=HOME, env={**os.environ, name: value}, capture_output=True, text=True, check=False)
        assert told in done.stdout + done.stderr


def test_an_inventory_without_hosts_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
    done = call("deploy", "--inventory", str(tmp_path))
    assert done.exit_code == 2
    assert "has no host in the groups alluxio_masters and alluxio_workers" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [("alluxio_namespace: a\n bad: [\n", "all.yml:2:5", "Mapping values"), ("alluxio_namespace: '{{ nothere }}'\n", "all.yml:1:20", "'nothere' is undefined")],
)
def test_variables_that_cannot_be_read_are_told_with_their_line(tmp_path: Path, text: str, where: str, why: str) -> None:
    (tmp_path / "hosts.yml").write_text("alluxio_masters: {hosts: {a: }}\n", encoding="utf-8")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(text, encoding="utf-8")
    done = call("status", "--inventory", str(tmp_path))
    assert done.exit_code == 2
    assert why in done.output and f"({tmp_path}/group_vars/{where})" in done.output.replace("\n", "")


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
    ("group", "release"),
    [("", "of-all"), ("alluxio_controller: \n", "of-all"), ("alluxio_controller: {hosts: {head: {alluxio_release: of-head}}}\n", "of-head")],
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


def test_a_host_that_is_away_is_told_without_ansibles_frame_and_with_what_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result("unreachable")
    for host in ("b", "a"):
        collect(result, {"event": "runner_on_unreachable", "event_data": {"host": host, "res": {"msg": "Task failed: no route"}}})
    common.report(rich.console.Console(width=200), "plan", result, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["a does not answer over ssh: no route", "b does not answer over ssh: no route"]
    assert lines[2].startswith("Try ssh by hand: ")


@pytest.mark.parametrize(("message", "told"), [("'s3_access_key' is undefined", True), ("undefined behaviour", False)])
def test_a_variable_that_is_not_set_is_told_with_what_to_try(capsys: pytest.CaptureFixture[str], message: str, *, told: bool) -> None:
    common.report(rich.console.Console(width=200), "deploy", Result(failures=[Failure("localhost", "Check the variables", message)]), None)
    assert ("Set it among the inventory's variables. With -v " in capsys.readouterr().out) is told


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


@pytest.mark.parametrize(("message", "lines"), [("This goes.", ["This goes."]), ({"before": {}, "after": {"/bin/helm": "v3.19.5"}}, [])])
def test_progress_shows_what_a_playbook_says_and_no_dictionary(message: Any, lines: list[str]) -> None:
    console = rich.console.Console(file=io.StringIO(), width=100)
    Progress(console).event({"event": "runner_on_ok", "event_data": {"host": "h", "task_action": "ansible.builtin.debug", "res": {"msg": message}}})
    assert console.file.getvalue().splitlines() == lines  # type: ignore[attr-defined]


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
    assert counting.tasks_of_playbook(HOME / "playbooks" / playbook, {}) >= 2


def test_what_the_inventory_decides_is_counted_before_it_comes() -> None:
    def count(playbook: str, **variables: Any) -> int:
        return counting.tasks_of_playbook(HOME / "playbooks" / f"{playbook}.yml", variables)

    operator = {"dataset_operator_image": "registry.example/operator"}
    assert count("site", **operator) - count("site") == count("deploy_operator", **operator) - count("deploy_operator") > 9
    # Who lists data sets is told that the operator is lacking.
    sets = {"alluxio_datasets": [{"name": "images"}]}
    assert count("site", **sets) - count("site", **operator) == count("datasets", **sets) - count("datasets") > 5
    assert count("teardown", alluxio_purge=True) > count("teardown")
