"""The verbs that read, on a real cluster: what they print, how they end, and that they leave it as it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from alnair_runner import HOME, Alnair


@pytest.fixture(autouse=True, scope="module")
def released(cluster: Alnair) -> None:
    """Have a release that is Ready; nothing is changed where it is."""
    state = cluster.status()
    if not state["release"] or not state["capacity"]:
        result = cluster.deploy()
        assert result.status == "successful", result.failures


def words(*verb: str) -> list[str]:
    return [sys.executable, str(HOME / "alnair_runner.py"), *verb]


def run(*verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(*verb), cwd=HOME, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def started(*verb: str) -> subprocess.Popen[str]:
    """Start a verb that goes on until ^C, which it hears whatever started the tests."""
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from alnair.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, "-c", script, *verb], cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    told, _none = process.communicate(timeout=30)
    assert process.returncode == 0, told
    return told


@pytest.mark.long
def test_plan_finds_nothing_where_nothing_differs_and_says_what_does() -> None:
    done = run("plan")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Nothing would change."), done.stdout
    done = run("plan", "-e", "alluxio_chart_quota=300Mi")
    assert done.returncode == 10, done.stdout
    assert re.search(r"^would change: .* \(alluxio_chart\), on localhost", done.stdout, re.MULTILINE)
    assert "300" in done.stdout


def test_the_lab_is_fit_and_a_site_that_is_not_is_told_so() -> None:
    done = run("doctor", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["changed"]) == (0, 0), document["checks"]
    found = {(check["subject"], check["check"]): check["verdict"] for check in document["checks"]}
    for worker in Alnair().matched("alluxio_workers"):
        assert [
            found[worker, check] for check in ("ssh", "root shell", "python", "FUSE device", "FUSE module", "shared mounts", "disk", "memory", "account")
        ] == ["ok"] * 9
    assert found["cluster", "images"] == "ok"
    done = run(
        "doctor",
        "-e",
        "alluxio_user_uid=2",
        "-e",
        "alluxio_chart_image=localhost/none",
        "-e",
        "alluxio_chart_repository=http://127.0.0.1:9",
        "-e",
        "alluxio_chart_quota=9Ti",
    )
    assert done.returncode == 1
    for text in ("uid 2 belongs to user bin", "localhost/none:2.9.4 is not on", "http://127.0.0.1:9: ", "lower alluxio_chart_quota"):
        assert text in done.stdout


def test_logs_of_all_parts_are_in_order_of_time() -> None:
    lines = run("logs", "--since", "1d").stdout.splitlines()
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)
    containers = {line.split()[1].rpartition("/")[2] for line in lines}
    assert {"alluxio-master", "alluxio-job-master", "alluxio-worker", "alluxio-job-worker", "alluxio-fuse"} <= containers
    only = run("logs", "--since", "1d", "--part", "fuse").stdout.splitlines()
    assert {line.split()[1].rpartition("/")[2] for line in only} == {"alluxio-fuse"}


def test_logs_are_followed_until_an_interrupt() -> None:
    with started("logs", "--follow", "--since", "1d", "--part", "master") as process:
        assert process.stdout
        assert "alluxio-master-0/" in process.stdout.readline()
        ended(process)


def test_a_command_runs_in_the_leading_master_and_gives_its_exit_code() -> None:
    assert "alluxio-master-0" in run("shell", "--", "hostname").stdout
    assert run("shell", "--", "bash", "-c", "exit 7").returncode == 7


def test_the_masters_page_is_on_this_machine_until_an_interrupt() -> None:
    with started("dashboard") as process:
        assert process.stdout
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert address
        with urllib.request.urlopen(f"{address[0]}api/v1/master/info", timeout=30) as answer:
            assert json.load(answer)["workers"]
        assert ended(process).endswith("Ended.\n")
    with pytest.raises(OSError):
        urllib.request.urlopen(address[0], timeout=5)


def test_an_inventory_from_the_clusters_nodes_is_one_that_works(cluster: Alnair, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    done = run("init", str(folder), "--kubeconfig", cluster.variables()["alluxio_kubeconfig"])
    assert done.returncode == 0, done.stderr
    made = Alnair(folder)
    assert set(made.matched("alluxio_masters:alluxio_workers")) == set(cluster.matched("alluxio_masters:alluxio_workers"))
    assert made.status()["masters"]


def test_a_run_is_found_in_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    run("doctor", "-e", "alluxio_bootstrap_password=hush-hush")
    (record,) = json.loads(run("history", "--json").stdout)
    assert (record["verb"], record["status"], record["changes"]) == ("doctor", "successful", {})
    assert "hush-hush" not in json.dumps(record)
