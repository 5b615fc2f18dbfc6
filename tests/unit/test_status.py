"""The state of a release as a table, once and again and again."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rich.console

from alnair import ClusterError, masters, status
from alnair.cli import reading
from tests.unit.runner_tools import call

FOUND: dict[str, Any] = {
    "namespace": "alluxio",
    "release": None,
    "masters": [],
    "workers": [],
    "fuse": [],
    "leader": None,
    "capacity": None,
    "reads": None,
    "claims": [],
    "volumes": [],
    "operator": [],
    "held": [],
}


def worker(*, ready: bool) -> dict[str, Any]:
    return {**FOUND, "workers": [{"pod": "alluxio-worker-x", "node": "node-1", "ready": ready, "restarts": 0}]}


def test_it_is_shown_anew_outlasts_a_restart_of_the_api_server_and_ends_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ANEW", 0.0)
    answers: Iterator[Any] = iter([ClusterError("The API server does not answer"), worker(ready=True), KeyboardInterrupt()])

    def look() -> dict[str, Any]:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)

    console = rich.console.Console(file=io.StringIO(), width=100, force_terminal=True)
    reading.show_anew(console, worker(ready=False), look)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("not Ready") == 2
    assert printed.count("The API server does not answer") == 1
    assert printed.rindex("Ready") > printed.rindex("The API server does not answer")
    # The cursor was hidden and is shown again.
    assert printed.rindex("\x1b[?25h") > printed.rindex("\x1b[?25l")


@pytest.mark.parametrize("most", [0, None])
def test_the_master_that_leads_is_named(most: int | None) -> None:
    pods = [{"pod": f"m-{number}", "node": "node-1", "ready": True, "restarts": 0} for number in range(3)]
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print(status.table({**FOUND, "masters": pods, "leader": "m-1"}, most=most))
    lines = [line for line in console.file.getvalue().splitlines() if "leads" in line]  # type: ignore[attr-defined]
    assert len(lines) == 1 and "m-1" in lines[0]


def test_a_large_cluster_that_is_watched_fits_the_screen_with_all_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ANEW", 0.0)
    pods = [{"pod": f"alluxio-worker-{number}", "node": f"node-{number}", "ready": number != 300, "restarts": 0} for number in range(500)]
    volumes = [{"name": f"volume-{number}", "phase": "Bound"} for number in range(30)]
    found = {**FOUND, "workers": pods, "fuse": pods[:300], "volumes": [*volumes, {"name": "lost", "phase": "Failed"}], "held": ["a/b"] * 100}

    def look() -> dict[str, Any]:
        raise KeyboardInterrupt

    console = rich.console.Console(file=io.StringIO(), width=110, height=40, force_terminal=True)
    reading.show_anew(console, found, look)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())  # type: ignore[attr-defined]
    for word in ("499 Ready, 1 not Ready", "alluxio-worker-300", "300 Ready", "no master answers", "30 Bound, 1 Failed", "lost", "100 held", "until ^C"):
        assert word in text
    assert len(text.splitlines()) < 40


def test_names_of_a_cloud_fit_a_small_terminal_with_an_api_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ANEW", 0.0)
    release = {"name": "alluxio", "revision": 12, "status": "deployed", "chart": "alluxio-0.6.54", "image": "registry.example.org/mirror/alluxio/alluxio:2.9.4"}

    def pods(kind: str, count: int) -> list[dict[str, Any]]:
        return [
            {"pod": f"alluxio-{kind}-{number}", "node": f"ip-10-0-0-{number}.eu-central-1.compute.internal", "ready": False, "restarts": 0}
            for number in range(count)
        ]

    claims = [{"name": f"alluxio-journal-alluxio-master-{number}", "phase": "Pending"} for number in range(3)]
    found = {**FOUND, "release": release, "masters": pods("master", 3), "workers": pods("worker", 9), "fuse": pods("fuse", 9), "operator": pods("operator", 2),
             "claims": claims, "volumes": claims, "held": ["training/resnet"] * 4}  # fmt: skip
    answers: Iterator[BaseException] = iter(
        [ClusterError("The API server https://lab.example.org:6443 does not answer: connection refused"), KeyboardInterrupt()]
    )

    def look() -> dict[str, Any]:
        raise next(answers)

    console = rich.console.Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    reading.show_anew(console, found, look)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue()).rpartition("Alluxio in namespace")[2]  # type: ignore[attr-defined]
    for word in ("9 not Ready", "no master answers", "3 Pending", "4 held", "connection refused"):
        assert word in " ".join(last.split())
    assert len(last.splitlines()) < 24


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_pipe_is_not_watched(inventory: Path, words: list[str]) -> None:
    done = call("status", "--watch", *words, "--inventory", str(inventory))
    assert done.exit_code == 2
    assert "--watch writes over what a terminal shows" in done.output


def test_status_tells_which_pods_wait_and_for_whom() -> None:
    operator = {"pod": "alnair-operator-x", "node": "node-1", "ready": False, "restarts": 2}
    for ready, text in ((False, "waits for the operator, none of whose pods is Ready"), (True, "waits for its data sets")):
        console = rich.console.Console(file=io.StringIO(), width=200)
        console.print(status.table({**FOUND, "operator": [{**operator, "ready": ready}], "held": ["train/pod"]}))
        printed = console.file.getvalue()  # type: ignore[attr-defined]
        assert "train/pod" in printed
        assert text in printed


@pytest.mark.parametrize(
    ("lost", "read", "ratio", "text"),
    [
        (1, {"Local": 100, "Cache": 200, "UfsAll": 100}, 0.75, "75% since the master leads"),
        (1, {"Local": 0, "Cache": 0, "UfsAll": 0}, None, "nothing was read yet"),
        # It does not lead any more.
        (3, {"Local": 100, "Cache": 200, "UfsAll": 100}, None, "no master answers"),
        # It has not counted yet.
        (1, {}, None, "nothing was read yet"),
    ],
)
def test_the_hit_ratio_is_what_the_master_that_leads_has_counted(
    monkeypatch: pytest.MonkeyPatch, lost: int, read: dict[str, int], ratio: float | None, text: str
) -> None:
    gauges = {"Master.LastGainPrimacyTime": 2, "Master.LastLosePrimacyTime": lost, "Cluster.CapacityTotal": 8, "Cluster.CapacityUsed": 3}
    answer = {"gauges": {name: {"value": value} for name, value in gauges.items()},
              "counters": {f"Cluster.BytesRead{word}": {"count": count} for word, count in read.items()}}  # fmt: skip
    monkeypatch.setattr(masters, "ask", lambda _core, pod, _path: answer if pod.metadata.name == "m-1" else None)
    found = status.measures(None, [SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in ("m-0", "m-1")])
    assert (found and found["leader"]) == (None if text == "no master answers" else "m-1")
    reads = found["reads"] if found else None
    assert (found and found["capacity"]) == (None if text == "no master answers" else {"total": 8, "used": 3})
    assert status.hit_ratio(reads) == ratio
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print(status.table({**FOUND, "reads": reads}))
    assert re.search(rf"hit ratio +│ +│ +│ {text}", console.file.getvalue())  # type: ignore[attr-defined]


def test_pods_that_wait_for_their_data_sets_are_told_from_others() -> None:
    def pod(name: str, *gates: str) -> Any:
        spec = SimpleNamespace(scheduling_gates=[SimpleNamespace(name=gate) for gate in gates] or None)
        return SimpleNamespace(metadata=SimpleNamespace(namespace="train", name=name), spec=spec)

    assert status.held([pod("free"), pod("other", "example.org/quota"), pod("waits", "example.org/quota", "alnair.io/dataset")]) == ["train/waits"]
