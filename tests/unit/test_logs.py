"""Logs of many containers as one: in order of time, without credentials, and followed past restarts."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest

from alnair import cluster, logs, secrets
from alnair.cli import reading
from alnair.logs import Follower, Line, Release, Source
from tests.unit.runner_tools import call

NOW = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=60)


def stamp(seconds: float) -> str:
    """Return a time as the kubelet writes it: without the zeros at its end."""
    return (NOW + datetime.timedelta(seconds=seconds)).isoformat().replace("+00:00", "").rstrip("0") + "Z"


class Answer:
    def __init__(self, text: str) -> None:
        self.text = text.encode()

    def stream(self, _size: int) -> Iterator[bytes]:
        yield from (self.text[start : start + 7] for start in range(0, len(self.text), 7))

    def close(self) -> None:
        pass


class Core:
    """An API server with some pods and their logs."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts, self.asked = texts, []  # type: dict[str, str], list[dict[str, Any]]

    def list_namespaced_pod(self, _namespace: str, **_: Any) -> Any:
        labels = {"master": {"release": "alluxio", "role": "alluxio-master"}, "fuse": {"release": "alluxio", "role": "alluxio-fuse"},
                  "operator": {"app.kubernetes.io/name": "alnair-operator"}, "other": {"app": "train"}}  # fmt: skip
        status = SimpleNamespace(name="c", restart_count=0, state=SimpleNamespace(running=True))
        return SimpleNamespace(items=[
            SimpleNamespace(metadata=SimpleNamespace(name=name, labels=labels.get(name)), status=SimpleNamespace(init_container_statuses=None, container_statuses=[status]))
            for name in labels
        ])  # fmt: skip

    def read_namespaced_pod_log(self, pod: str, _namespace: str, **options: Any) -> Any:
        self.asked.append({"pod": pod, **options})
        if pod not in self.texts:
            error = kubernetes.client.ApiException(status=400, reason="Bad Request")
            error.body = json.dumps({"message": 'container "c" is waiting to start: ContainerCreating'})
            raise error
        return Answer(self.texts[pod])


@pytest.fixture
def core() -> Core:
    return Core({"master": f"{stamp(0.1)} first\n{stamp(0.123456)} third\n", "fuse": f"{stamp(0.12)} second\n{stamp(0.5)} no end"})


def test_all_parts_are_merged_by_time_and_strangers_left_out(core: Core) -> None:
    found = list(Release(core, "ns", "alluxio").merged(60))
    assert [item.text for item in found[:4]] == ["first", "second", "third", "no end"]
    assert str(found[0]).endswith("master/c first")
    assert found[4].text == '(no log: container "c" is waiting to start: ContainerCreating)'
    assert {item["pod"] for item in core.asked} == {"master", "fuse", "operator"}
    assert {item["since_seconds"] for item in core.asked} == {60}


def test_parts_may_be_chosen(core: Core) -> None:
    assert {item.source.pod for item in Release(core, "ns", "alluxio", ("fuse",)).merged(None)} == {"fuse"}
    assert "since_seconds" not in core.asked[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-Ds3a.secretKey=abc -Dx=y", f"-Ds3a.secretKey={secrets.HIDDEN} -Dx=y"),
        ('{"password": "abc"}', f'{{"password": "{secrets.HIDDEN}"}}'),
        ("aws.accessKeyId=AK1, ok", f"aws.accessKeyId={secrets.HIDDEN}, ok"),
        ("mount s3://me:pw@bucket/x", f"mount s3://{secrets.HIDDEN}@bucket/x"),
        ("block token expired, key=3", "block token expired, key=3"),
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str, shown: str) -> None:
    assert logs.line(Source("p", "c"), f"{stamp(0)} {text}").text == shown


def test_a_line_without_a_time_is_told_now() -> None:
    found = logs.line(Source("p", "c"), "unable to retrieve container logs")
    assert found.text == "unable to retrieve container logs"
    assert found.time >= NOW


def test_following_goes_on_with_new_pods_and_tells_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "GATHER", 0.05)
    monkeypatch.setattr(logs, "LOOK", 0.0)
    old, new, done = Source("old", "c"), Source("new", "c"), Source("init", "c", runs=False)
    looks, reads = [0], list[tuple[str, int | None]]()

    class Fake:
        def sources(self) -> list[Source]:
            looks[0] += 1
            if looks[0] == 2:
                raise kubernetes.client.ApiException(status=503)
            return [old, done] if looks[0] < 4 else [old, done, new]

        def read(self, source: Source, since: int | None, *, follow: bool) -> Iterator[Line]:
            assert follow
            reads.append((source.pod, since))
            # The connection breaks after each line; the API tells whole seconds anew.
            times = [-3.0] if source != old else [-2.0, -1.0][: sum(pod == "old" for pod, _ in reads)]
            for moment in times:
                yield Line(NOW + datetime.timedelta(seconds=moment), source, f"{source.pod} {moment}")

    told = []
    for item in Follower(Fake(), 1000).follow():  # type: ignore[arg-type]
        told.append(item.text)
        if len(told) == 4:
            break
    assert sorted(told) == ["init -3.0", "new -3.0", "old -1.0", "old -2.0"]
    assert [pod for pod, _since in reads].count("init") == 1
    assert dict(reversed(reads))["old"] in (1001, 1002)
    assert dict(reads)["new"] is None


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_a_time_is_said_in_words(text: str, seconds: int) -> None:
    context = reading.logs.make_context("logs", ["--since", text])
    assert context.params["since"] == seconds


def test_a_time_that_is_none_is_answered_with_how_to_say_it() -> None:
    done = call("logs", "--since", "5x")
    assert done.exit_code == 2
    assert "'5x' is no time. Say it as 30s, 10m, 2h or 1d." in done.output


def test_logs_are_printed_plain_where_nobody_watches(core: Core, inventory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "asked", lambda _knobs: contextlib.nullcontext())
    monkeypatch.setattr(kubernetes.client, "CoreV1Api", lambda _client: core)
    done = call("logs", "--inventory", str(inventory))
    assert done.exit_code == 0
    assert [line.split(" ", 1)[1] for line in done.stdout.splitlines()[:2]] == ["master/c first", "fuse/c second"]
    monkeypatch.setattr(core, "list_namespaced_pod", lambda *_words, **_options: SimpleNamespace(items=[]))
    done = call("logs", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert "has no such pods in namespace alluxio. Try: alnair_runner.py status" in done.output
