"""Modules of the controller run in the worker of their task, and give what they give beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(__file__).parents[2]
MODULES = HOME / "plugins" / "modules"
# The same Python by another name, which Ansible starts for itself.
BESIDE = f"{Path(sys.executable).parent}/./{Path(sys.executable).name}"


def run(folder: Path, python: str, tasks: list[dict[str, Any]], *words: str) -> tuple[list[dict[str, Any]], str]:
    """Run tasks on this machine with a Python; return their results without what tells of the run, and all that was printed."""
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": python}, "ignore_errors": True, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(HOME / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(HOME / "collections"),
                   "ANSIBLE_LOCAL_TEMP": str(folder / "local"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"}  # fmt: skip
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([program, "play.yml", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    results = [event["hosts"]["localhost"] for event in events if event["_event"] == "v2_runner_on_ok" or event["_event"] == "v2_runner_on_failed"]
    ignored = ("action", "_ansible_no_log", "warnings", "exception")
    return [{key: value for key, value in item.items() if key not in ignored} for item in results], done.stdout + done.stderr


def test_every_module_that_asks_the_cluster_has_an_action_that_runs_it_in_the_worker() -> None:
    asks = {path.stem for path in MODULES.glob("*.py") if re.search(r"import kubernetes|kube import", path.read_text(encoding="utf-8"))}
    in_worker = {path.stem for path in (HOME / "plugins" / "action").glob("*.py") if "WorkerAction" in path.read_text(encoding="utf-8")}
    assert asks
    assert asks <= in_worker
    assert all((MODULES / f"{name}.py").exists() for name in in_worker)


@pytest.mark.parametrize("words", [(), ("--check", "--diff")])
def test_a_module_gives_the_same_in_the_worker_and_beside_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    chart = {"chart": str(HOME / "charts" / "alluxio"), "helm": "helm", "values": [{"alluxio": {"worker": {"ramdisk": {"size": "2G"}}}}]}
    missing = {"kubeconfig": "/nonexistent", "release": "alluxio", "namespace": "alluxio"}
    broken = {"kubeconfig": "{{ playbook_dir }}/kubeconfig", "release": "alluxio", "namespace": "alluxio"}
    tasks: list[dict[str, Any]] = [
        {"alnair.alluxio.helm_chart": chart},
        {"alnair.alluxio.release_info": missing},
        {"alnair.alluxio.release_info": broken},
        {"alnair.alluxio.release_info": {**missing, "unheard": 1}},
        # Of the task, and of it alone.
        {"alnair.alluxio.helm_chart": {**chart, "values": []}, "environment": {"PATH": "/nonexistent"}},
        {"alnair.alluxio.helm_chart": {**chart, "values": []}},
        {"alnair.alluxio.datasets_ready": {"kubeconfig": "/nonexistent", "namespace": "alluxio", "names": ["images"]}},
    ]
    answers = {}
    for name, python in (("worker", "{{ ansible_playbook_python }}"), ("beside", BESIDE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kubeconfig").write_text("apiVersion: v1\nkind: Config\n", encoding="utf-8")
        answers[name], printed = run(tmp_path / name, python, tasks, *words, "-vvv")
        assert ("Using module file" in printed) == (name == "beside"), printed
        assert "alluxio.worker.ramdisk.size" in printed.replace("\n", " ")
        assert not list((tmp_path / name / "local").glob("*"))
    folders = [json.loads(json.dumps(answer).replace(str(tmp_path / name), "")) for name, answer in answers.items()]
    assert len(folders[0]) == len(tasks)
    assert folders[0] == folders[1]
    assert "/nonexistent" in folders[0][1]["msg"]
    assert "unheard" in folders[0][3]["msg"]


def test_a_task_that_goes_on_behind_the_play_is_not_run_in_its_worker(tmp_path: Path) -> None:
    task = {"alnair.alluxio.release_info": {"kubeconfig": "/nonexistent", "release": "alluxio", "namespace": "alluxio"}, "async": 30, "poll": 1}
    (answer,), printed = run(tmp_path, "{{ ansible_playbook_python }}", [task], "-vvv")
    assert "Using module file" in printed
    assert "/nonexistent" in answer["msg"]
