"""A shell in the master and its web page, by a kubectl that only tells how it was called."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alnair import ClusterError, kubectl, masters
from alnair.cli import access
from tests.unit.runner_tools import call

HOME = Path(__file__).parents[2]
KNOBS = {"alluxio_kubeconfig": "", "alluxio_kube_context": "", "alluxio_namespace": "cache", "alluxio_release": "alluxio"}
FORWARDS = 'echo "Forwarding from 127.0.0.1:45678 -> 20000"'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a kubectl, first on the path, that writes its words down."""
    path = tmp_path / "bin" / "kubectl"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n', encoding="utf-8")
    path.chmod(0o755)
    (tmp_path / "config").touch()
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return path


def pod(name: str, *, running: bool = True) -> Any:
    status = SimpleNamespace(name=masters.CONTAINER, state=SimpleNamespace(running=running))
    container = SimpleNamespace(name=masters.CONTAINER, ports=[SimpleNamespace(name="web", container_port=20000)])
    return SimpleNamespace(metadata=SimpleNamespace(name=name, namespace="cache"), spec=SimpleNamespace(containers=[container]),
                           status=SimpleNamespace(container_statuses=[status]))  # fmt: skip


def test_kubectl_is_told_cluster_context_and_namespace(program: Path, tmp_path: Path) -> None:
    assert kubectl.words(KNOBS) == [str(program), "--kubeconfig", str(tmp_path / "config"), "--namespace", "cache"]
    assert kubectl.words({**KNOBS, "alluxio_kube_context": "x"})[3:5] == ["--context", "x"]


def test_without_kubectl_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterError, match="kubectl is not on the path, and this verb needs it. Install it"):
        kubectl.words(KNOBS)


def test_the_master_that_leads_is_found_with_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [pod("m-0"), pod("m-1")]
    gained = {"Master.LastGainPrimacyTime": {"value": 2}, "Master.LastLosePrimacyTime": {"value": 1}}
    monkeypatch.setattr(masters, "ask", lambda _core, item, _path: {"gauges": gained if item.metadata.name == "m-1" else {}})
    found = masters.leader(None, pods)
    assert found is pods[1]
    assert masters.web_port(found) == 20000
    assert masters.running([pod("m-0", running=False), pods[1]]) is pods[1]


def test_a_release_without_masters_is_said() -> None:
    core = SimpleNamespace(list_namespaced_pod=lambda *_words, **_options: SimpleNamespace(items=[]))
    with pytest.raises(ClusterError, match="Release alluxio has no master in namespace cache. Deploy it first"):
        masters.of_release(core, "cache", "alluxio")


@pytest.mark.parametrize(("words", "command"), [([], "bash"), (["--", "alluxio", "fs", "ls", "-R", "/"], "alluxio fs ls -R /")])
def test_a_shell_is_kubectls(program: Path, inventory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], command: str) -> None:
    started: list[str] = []
    monkeypatch.setattr(access, "master", lambda _knobs, *, leading: ("m-0", 1))
    monkeypatch.setattr(os, "execv", lambda _program, line: started.extend(line))
    call("shell", "--inventory", str(inventory), *words)
    assert started[0] == str(program)
    assert " ".join(started).endswith(f"--namespace alluxio exec --stdin --tty=false m-0 --container alluxio-master -- {command}")


def test_a_port_is_forwarded_until_it_is_no_longer_needed(program: Path, tmp_path: Path) -> None:
    # It tells more than a pipe holds, which must not stop it.
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\n{FORWARDS}\nseq 100000\ntouch {tmp_path}/told\nexec sleep 60\n', encoding="utf-8")
    with kubectl.forwarded(kubectl.words(KNOBS), "m-0", 20000, address="127.0.0.1", local=0) as (host, port, process):
        assert (host, port) == ("127.0.0.1", 45678)
        subprocess.run(["timeout", "10", "sh", "-c", f"until [ -e {tmp_path}/told ]; do sleep 0.1; done"], check=True)
    assert process.returncode == -signal.SIGTERM
    assert "port-forward --address 127.0.0.1 pod/m-0 :20000" in (tmp_path / "words").read_text(encoding="utf-8")


def test_a_port_that_is_taken_is_said(program: Path) -> None:
    program.write_text("#!/bin/sh\necho 'unable to listen on port 80' >&2\nexit 1\n", encoding="utf-8")
    told = "Port 1 of pod m-0 could not be forwarded to 127.0.0.1:80: unable to listen on port 80"
    with pytest.raises(ClusterError, match=told), kubectl.forwarded(kubectl.words(KNOBS), "m-0", 1, address="127.0.0.1", local=80):
        pass


@pytest.mark.parametrize(("words", "opened"), [((), []), (("--open",), ["http://127.0.0.1:45678/"])])
def test_the_dashboard_is_opened_in_the_browser_on_demand_and_once(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], opened: list[str]
) -> None:
    seen: list[str] = []
    waits = iter([None, KeyboardInterrupt])

    def wait() -> None:
        # The first connection is lost, the second one interrupted.
        if reason := next(waits):
            raise reason

    monkeypatch.setattr(access, "master", lambda _knobs, *, leading: ("m-0", 20000))
    monkeypatch.setattr(kubectl, "words", lambda _knobs: [])
    forwarded = contextlib.nullcontext(("127.0.0.1", 45678, SimpleNamespace(wait=wait)))
    monkeypatch.setattr(kubectl, "forwarded", lambda *_words, **_options: forwarded)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr("webbrowser.open", seen.append)
    done = call("dashboard", "--inventory", str(inventory), *words)
    assert (done.exit_code, done.stdout.splitlines()[-1], seen) == (0, "Ended.", opened)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_the_dashboard_finds_another_master_keeps_its_port_and_ends_in_order(program: Path, inventory: Path, tmp_path: Path, how: signal.Signals) -> None:
    # The first connection breaks at once.
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n{FORWARDS}\n[ $(wc -l < {tmp_path}/words) = 1 ] || exec sleep 60\n', encoding="utf-8")
    script = """
import itertools, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from alnair.cli import access, main
found = itertools.count()
access.master = lambda _knobs, leading: (f"m-{next(found)}", 20000)
main(["dashboard", "--inventory", sys.argv[1]])
"""
    words = [sys.executable, "-c", script, str(inventory)]
    with subprocess.Popen(words, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as run:
        assert run.stdout and run.stderr
        assert run.stdout.readline() == "m-0: http://127.0.0.1:45678/ until ^C\n"
        assert "The connection to m-0 was lost" in run.stderr.readline()
        assert run.stdout.readline() == "m-1: http://127.0.0.1:45678/ until ^C\n"
        run.send_signal(how)
        assert run.wait(timeout=20) == 0
        assert run.stdout.read() == "Ended.\n"
    asked = (tmp_path / "words").read_text(encoding="utf-8").splitlines()
    assert [re.sub(".* ", "", line) for line in asked] == [":20000", "45678:20000"]
