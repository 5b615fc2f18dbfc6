"""The Python API: awaited, cancelled, called back, installed, and stable in what it offers."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
import typing
from pathlib import Path

import packaging.specifiers
import pytest
import yaml

import alnair
from alnair import Alnair, Event, UsageError, home, records, running
from alnair.options import Options, Plain
from tests.unit import public_api

HOME = Path(__file__).parents[2]
# A number that no other process has in its arguments.
MARK = "314.1592"


@pytest.fixture
def cluster(tmp_path: Path) -> Alnair:
    """Return a cluster of this machine alone, whose playbook takes long."""
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "hosts.yml").write_text("alluxio_masters: {hosts: {one: {ansible_connection: local}}}\n", encoding="utf-8")
    tasks = f"- {{hosts: all, gather_facts: false, tasks: [{{ansible.builtin.command: echo x}}, {{ansible.builtin.command: sleep {MARK}}}]}}\n"
    (tmp_path / "playbooks" / "site.yml").write_text(tasks, encoding="utf-8")
    (tmp_path / "playbooks" / "short.yml").write_text("- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.command: echo x}]}\n", encoding="utf-8")
    found = Alnair(tmp_path / "hosts.yml")
    found.home = tmp_path
    return found


@pytest.mark.parametrize(
    ("limit", "left", "controller"),
    [
        ("node-1,node-2", "12", "localhost"), ("node-1:node-2", "12", "localhost"), ("alluxio_workers,!node-3", "12", "localhost"),
        ("alluxio_workers:&rack1", "13", "localhost"), ("!node-3", "12", "localhost"), ("alluxio_workers[0]", "1", "localhost"), ("~node-[23]", "23", "localhost"),
        ("node-?,!node-2,&rack1", "13", "head"), ("head", "", "head"),
    ],
)  # fmt: skip
def test_a_limit_of_any_form_holds_for_the_hosts_and_the_clusters_tasks_run_all_the_same(cluster: Alnair, limit: str, left: str, controller: str) -> None:
    named = f"alluxio_controller: {{hosts: {{{controller}: }}}}\n" if controller != "localhost" else ""
    hosts = "all: {vars: {ansible_connection: local}}\nalluxio_workers: {hosts: {node-1: , node-2: , node-3: }}\nrack1: {hosts: {node-1: , node-3: }}\n"
    cluster.inventory.write_text(hosts + named, encoding="utf-8")
    play = "- {{hosts: {}, gather_facts: false, tasks: [{{ansible.builtin.debug: {{msg: '{} {{{{ inventory_hostname }}}}'}}}}]}}\n"
    plays = play.format("alluxio_workers", "host") + play.format("\"{{ groups.alluxio_controller | default(['localhost'], true) }}\"", "cluster")
    (cluster.home / "playbooks" / "tell.yml").write_text(plays, encoding="utf-8")
    result = cluster.run("tell", limit=limit)
    assert (result.status, sorted(result.messages)) == ("successful", [f"cluster {controller}", *(f"host node-{number}" for number in left)])


def test_a_limit_may_leave_thousands_of_hosts_and_temporary_files_lie_anywhere(cluster: Alnair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b: c").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b: c"))
    hosts = ", ".join(f"a-name-that-is-long-{number}: " for number in range(9000))
    cluster.inventory.write_text(f"alluxio_workers: {{hosts: {{{hosts}}}}}\n", encoding="utf-8")
    (tmp_path / "playbooks" / "tell.yml").write_text(
        "- {hosts: localhost, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: done}}]}\n", encoding="utf-8"
    )
    assert cluster.run("tell", limit="all").messages == ["done"]


def sleepers() -> int:
    return int(subprocess.run(["pgrep", "-c", "-f", f"^sleep {MARK}"], capture_output=True, text=True, check=False).stdout)


def patiently(wanted: int) -> bool:
    deadline = time.monotonic() + 60
    while sleepers() != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return sleepers() == wanted


def test_a_run_is_awaited_and_its_events_come_in_the_loops_thread(cluster: Alnair) -> None:
    heard: list[tuple[str, threading.Thread]] = []

    async def go() -> alnair.Result:
        return await cluster.arun(cluster.run, "short", on_event=lambda event: heard.append((event.event, threading.current_thread())))

    result = asyncio.run(go())
    assert (result.status, result.changed) == ("successful", 1)
    assert [kind for kind, _thread in heard] == ["play", "task", "host"]
    assert {thread for _kind, thread in heard} == {threading.main_thread()}


def test_what_only_reads_is_awaited_too(cluster: Alnair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alnair.status, "read", lambda knobs: {"namespace": knobs["alluxio_namespace"], "thread": threading.current_thread()})
    found = asyncio.run(cluster.arun(cluster.status, on_event=print))
    assert found["namespace"] == "alluxio" and found["thread"] is not threading.main_thread()


def test_a_type_checker_knows_the_options_that_run_has() -> None:
    of_run = set(inspect.signature(Alnair.run).parameters) - {"self", "playbook"}
    assert set(typing.get_type_hints(Options)) == of_run
    assert set(typing.get_type_hints(Plain)) == of_run - {"verb", "extra_vars"}
    # Everything that runs a playbook hands them on.
    loose = [name for name, method in inspect.getmembers(Alnair, inspect.isfunction) if name != "arun" and "**options: 'Any'" in str(inspect.signature(method))]
    assert loose == []


def test_a_kubeconfig_is_named_from_where_the_user_is(cluster: Alnair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: \"{{ lookup('env', 'KUBECONFIG') }}\"}}]}\n"
    (tmp_path / "playbooks" / "tell.yml").write_text(tell, encoding="utf-8")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setenv("KUBECONFIG", "one:/two:~/three")
    assert cluster.run("tell").messages == [f"{tmp_path}/there/one:/two:{Path.home()}/three"]


def test_a_task_that_keeps_its_output_secret_fails_with_that_as_its_message(cluster: Alnair, tmp_path: Path) -> None:
    fail = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.fail: {msg: correct-horse}, no_log: true}]}\n"
    (tmp_path / "playbooks" / "secret.yml").write_text(fail, encoding="utf-8")
    events: list[Event] = []
    (failure,) = cluster.run("secret", on_event=events.append).failures
    assert "the output has been hidden due to the fact that 'no_log: true' was specified" in failure.message
    assert [event.text for event in events if event.status == "failed"] == [failure.message]


def test_a_variable_may_be_a_path_or_a_date_and_what_json_does_not_know_is_refused_before_the_run(cluster: Alnair, tmp_path: Path) -> None:
    tell = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: '{{ files[0] }} {{ since }}'}}]}\n"
    (tmp_path / "playbooks" / "tell.yml").write_text(tell, encoding="utf-8")
    assert cluster.run("tell", extra_vars={"files": [Path("/values.yml")], "since": datetime.date(2026, 1, 1)}).messages == ["/values.yml 2026-01-01"]
    for value, reason in (({"correct-horse"}, "it holds a set"), ({Path("/a"): 1}, "keys must be str")):
        with pytest.raises(UsageError, match=f"The variable files cannot be handed to ansible-playbook as JSON: {reason}") as refused:
            cluster.run("tell", extra_vars={"files": value})
        assert "correct-horse" not in str(refused.value)
    assert len(records.written()) == 1


def test_callbacks_of_the_user_are_heard_too(cluster: Alnair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    lines = ["from ansible.plugins.callback import CallbackBase", "class CallbackModule(CallbackBase):", "    CALLBACK_VERSION = 2.0",
             "    CALLBACK_TYPE = 'aggregate'", "    CALLBACK_NAME = 'mine'", "    def v2_playbook_on_stats(self, stats):",
             f"        open({str(tmp_path / 'heard')!r}, 'w').close()", ""]  # fmt: skip
    (tmp_path / "mine" / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(tmp_path / "mine"))
    assert cluster.run("short").status == "successful"
    assert (tmp_path / "heard").exists()


def test_a_cancelled_task_ends_its_run_and_nothing_else(cluster: Alnair) -> None:
    async def go() -> None:
        run = asyncio.create_task(cluster.arun(cluster.deploy))
        assert await asyncio.to_thread(patiently, 1)
        # Twice, as a timeout does in a shutdown.
        run.cancel()
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert sleepers() == 0

    with subprocess.Popen(["sleep", "60"]) as other:
        asyncio.run(go())
        assert patiently(0)
        assert other.poll() is None
        other.kill()


def test_what_a_callback_raises_ends_the_run_and_is_raised(cluster: Alnair) -> None:
    def fall(event: Event) -> None:
        if event.event == "host":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(cluster.arun(cluster.deploy, on_event=fall))
    assert patiently(0)


def started(cluster: Alnair) -> subprocess.Popen[str]:
    """Deploy in a process of its own, as the command line does."""
    script = """
import io, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import rich.console
from alnair import Alnair
from alnair.progress import Progress
cluster = Alnair(sys.argv[1])
cluster.home = pathlib.Path(sys.argv[2])
sys.exit(cluster.deploy(progress=Progress(rich.console.Console(width=200))).exit_code)
"""
    words = [sys.executable, "-c", script, str(cluster.inventory), str(cluster.home)]
    return subprocess.Popen(words, cwd=HOME, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("times", "pause"), [(1, 0.0), (2, 0.1), (2, 0.02)])
def test_one_interrupt_ends_a_run_in_order_and_two_at_once(cluster: Alnair, times: int, pause: float) -> None:
    with started(cluster) as run:
        assert patiently(1)
        for _ in range(times):
            run.send_signal(signal.SIGINT)
            time.sleep(pause)
        try:
            told, _none = run.communicate(timeout=20)
        finally:
            run.kill()
    assert run.returncode == 130
    assert "Interrupted in task 2, all: ansible.builtin.command (0 hosts done). It ends in order; ^C again ends it at once." in told
    assert sleepers() == 0


def test_a_runner_that_is_killed_leaves_no_run_that_holds_the_lock(cluster: Alnair) -> None:
    def playbooks() -> list[str]:
        return subprocess.run(["pgrep", "-f", f"ansible-playbook.*{cluster.home}"], capture_output=True, text=True, check=False).stdout.split()

    with started(cluster) as run:
        assert patiently(1) and playbooks()
        run.kill()
    assert patiently(0)
    deadline = time.monotonic() + 10
    while playbooks():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_another_thread_may_end_a_run(cluster: Alnair) -> None:
    cancel = threading.Event()

    def end() -> None:
        patiently(1)
        cancel.set()

    threading.Thread(target=end).start()
    ended = cluster.deploy(cancel=cancel)
    # Before it came to counting.
    assert (ended.status, ended.changed, ended.hosts) == ("interrupted", 1, {})
    assert patiently(0)


def test_the_playbooks_are_those_of_the_checkout_or_of_the_installed_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.find() == HOME
    assert "ANSIBLE_COLLECTIONS_PATH" not in home.settings(HOME)
    monkeypatch.setattr(home, "BESIDE", tmp_path)
    monkeypatch.setattr(home, "roots", lambda: [tmp_path / "empty", tmp_path / "root"])
    with pytest.raises(UsageError, match=r"alnair.alluxio is neither in .* nor below .*/empty, .*/root. Install it"):
        home.find()
    installed = tmp_path / "root" / home.NAME
    (installed / "playbooks").mkdir(parents=True)
    (installed / "playbooks" / "site.yml").touch()
    assert home.find() == installed
    (installed / "ansible.cfg").touch()
    assert home.settings(installed)["ANSIBLE_COLLECTIONS_PATH"] == f"{tmp_path}/root:{tmp_path}/empty"


def test_a_configuration_of_the_users_own_holds_and_lacks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen() -> tuple[str | None, ...]:
        found = home.settings(HOME)
        return found["ANSIBLE_CONFIG"], *(found.get(name) for name in home.NEEDED.values())

    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(HOME)
    ours = str(HOME / "ansible.cfg")
    assert chosen() == (ours, None, None)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert chosen() == (ours, None, None)
    (tmp_path / ".ansible.cfg").write_text("[defaults]\nforks = 7\n", encoding="utf-8")
    assert chosen() == (str(tmp_path / ".ansible.cfg"), None, "True")
    assert home.settings(HOME)["ANSIBLE_COLLECTIONS_PATH"].split(":")[0] == str(HOME / "collections")
    (tmp_path / "there" / "ansible.cfg").touch()
    assert chosen() == (str(tmp_path / "there" / "ansible.cfg"), "25", "True")
    monkeypatch.setenv("ANSIBLE_CONFIG", "../mine.cfg")
    monkeypatch.setenv("ANSIBLE_FORKS", "3")
    (tmp_path / "mine.cfg").write_text("[inventory]\nany_unparsed_is_failed = false\n", encoding="utf-8")
    assert chosen() == (str(tmp_path / "mine.cfg"), None, None)


def test_a_run_goes_by_the_users_configuration_and_finds_the_collection(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\nforks = 7\ncollections_path = nowhere\n[privilege_escalation]\nbecome_ask_pass = true\n", encoding="utf-8"
    )
    inventory.write_text("alluxio_masters: {hosts: {node-1: {ansible_connection: local}}}\n", encoding="utf-8")
    tell = (
        "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: \"{{ ansible_forks }} {{ 'v3.19.5' | alnair.alluxio.helm_number }}\"}}]}\n"
    )
    (tmp_path / "tell.yml").write_text(tell, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    heard: list[str] = []
    running.play(HOME, tmp_path / "tell.yml", inventory, result := alnair.Result(), limit=[], words=[], extra_vars={}, verbosity=0, tick=lambda: None,
                 told=lambda event: heard.append(str(event.get("event_data", {}).get("res", {}).get("msg", ""))), interrupted=lambda: None, cancel=None)  # fmt: skip
    assert (result.status, [text for text in heard if text]) == ("successful", ["7 3.19.5"])


def test_ansibles_own_paths_are_looked_at(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "from alnair import home; print(*home.roots(), sep='\\n')"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True, env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)})
    assert done.stdout.splitlines()[0] == str(tmp_path)


def test_the_package_says_of_itself_what_the_collection_says() -> None:
    about = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
    project = about["project"]
    assert project["version"] == yaml.safe_load((HOME / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    lines = (HOME / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {re.split("[<>=!;]", line)[0].strip(): line.partition(";")[0].strip() for line in lines if line and not line.startswith("#")}
    said = {re.split("[<>=!]", line)[0]: line for line in project["dependencies"]}
    assert said["click"] == required["click"]
    assert packaging.specifiers.SpecifierSet(said["kubernetes"].removeprefix("kubernetes")).contains(required["kubernetes"].partition("==")[2])
    assert set(required) - {"ansible"} <= set(said)
    packages = {".".join(path.parent.relative_to(HOME).parts) for path in (HOME / "alnair").rglob("*.py")}
    assert packages == set(about["tool"]["setuptools"]["packages"])
    module, _, name = project["scripts"]["alnair-runner"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    # What is no code goes into the package only where a pattern names it: templates, without which init and report fail.
    files = {path for path in (HOME / "alnair").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    named = {path for pattern in about["tool"]["setuptools"]["package-data"]["alnair"] for path in (HOME / "alnair").glob(pattern)}
    assert files == named > {HOME / "alnair" / "py.typed", HOME / "alnair" / "templates" / "report.html.j2", HOME / "alnair" / "templates" / "hosts.yml.j2"}


def test_what_python_programs_may_rely_on_is_as_it_was() -> None:
    golden = HOME / "tests" / "unit" / "files" / "public_api.txt"
    assert public_api.lines() == golden.read_text(encoding="utf-8").splitlines(), (
        "What was taken away or changed breaks programs, and needs a new major version. Was something added, write the list anew: "
        "PYTHONPATH=. python tests/unit/public_api.py > tests/unit/files/public_api.txt"
    )


def test_what_is_offered_is_there() -> None:
    import alnair_runner

    assert set(alnair.__all__) <= set(alnair_runner.__all__)
    assert all(getattr(alnair_runner, name) is getattr(alnair, name) for name in alnair.__all__)
