"""Runs that are killed where a test says so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from alnair import processes
from alnair_runner import HOME, Alnair

LAB = HOME / "inventory" / "lab"
VERBS = ("upgrade", "scale", "restore", "rollback")


def start(playbook: str, inventory: Path = LAB, **variables: Any) -> subprocess.Popen[str]:
    """Start a playbook as a user's shell would: by the runner where it is a verb of it, else by Ansible."""
    by_runner = playbook in VERBS
    words = (
        [sys.executable, "alnair_runner.py", playbook, "-v"]
        if by_runner
        else [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}.yml"]
    )
    if source := variables.pop("alluxio_chart_restore_from", ""):
        words += ["--from", source]
    words += ["-i", str(inventory), "-e", json.dumps(variables)]
    return subprocess.Popen(words, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def until_task(run: subprocess.Popen[str], name: str) -> None:
    """Wait until a run begins a task."""
    assert run.stdout
    seen = []
    for line in run.stdout:
        seen.append(line)
        if line.startswith("TASK [") and name in line:
            return
    raise AssertionError(f"the run ended before the task {name}:\n{''.join(seen)[-3000:]}")


def keeps_lease(pid: int) -> bool:
    """Tell whether a process is the keeper of a run's Lease."""
    try:
        return b"plugin_utils.lease" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def kill(run: subprocess.Popen[str]) -> None:
    """Kill a run with all that it started here, at one instant: nothing is told to end in order.

    Only the keeper of its Lease goes on, which is there to outlive it.
    """
    found = {run.pid: ""}
    while True:
        for pid in found:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGSTOP)
        more = {pid: start for pid, start in processes.descendants(run.pid).items() if not keeps_lease(pid)}
        if set(more) <= set(found):
            break
        found.update(more)
    for pid in found:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
    run.communicate(timeout=30)


def helm_of(run: subprocess.Popen[str]) -> list[int]:
    """Return the processes of a run that are helm changing something."""
    found = []
    for pid in processes.descendants(run.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[0].endswith("helm") and {"upgrade", "rollback", "uninstall"} & set(words) and "--dry-run=server" not in words:
            found.append(pid)
    return found


def newest(core: Any) -> str:
    """Return helm's word of the newest revision of the release; empty for none. An earlier one that was cut off stays pending for good, and helm does not mind."""
    items = core.list_namespaced_secret("alluxio", label_selector="owner=helm,name=alluxio").items
    found = {int(item.metadata.labels["version"]): item.metadata.labels["status"] for item in items}
    return str(found[max(found)]) if found else ""


def kill_while(core: Any, status: str, begin: Callable[[], subprocess.Popen[str]], again: Callable[[], object]) -> None:
    """Kill helm, and the run that started it, while the release has a status of helm's; begin anew when that was over too soon."""
    for _attempt in range(5):
        run = begin()
        while run.poll() is None:
            if helm_of(run) and newest(core) == status:
                for pid in helm_of(run):
                    os.kill(pid, signal.SIGKILL)
                kill(run)
                break
            time.sleep(0.02)
        if newest(core) == status:
            return
        if run.poll() is not None and run.stdout and not run.stdout.closed:
            run.communicate()
        again()
    raise AssertionError(f"helm was never caught in {status}")


def with_masters(folder: Path, count: int) -> Alnair:
    """Return the lab with another number of masters: 1, or one on every node."""
    if count == 1:
        return Alnair(LAB)
    shutil.copytree(LAB, folder, symlinks=True, dirs_exist_ok=True)
    path = folder / "hosts.yml"
    hosts = yaml.safe_load(path.read_text(encoding="utf-8"))
    groups = hosts["all"]["children"]
    groups["alluxio_masters"]["hosts"].update({name: {} for name in groups["alluxio_workers"]["hosts"]})
    path.write_text(yaml.safe_dump(hosts), encoding="utf-8")
    return Alnair(folder)
