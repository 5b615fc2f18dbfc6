"""What a host costs the controller where nothing is to be changed, with 500 and with 5,000 hosts that answer from memory.

    python tests/bench/scale/run.py [hosts ...]

Measures CPU with the operating system's own count of ended processes, and memory as the sum of the proportional set sizes of all processes.
"""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
HOME = HERE.parents[2]
sys.path.insert(0, str(HERE / "connection_plugins"))
import canned

MASTERS = 3
MOST_RATIO, MOST_MIB = 1.1, 1024


def inventory(folder: Path, hosts: int) -> Path:
    """Write an inventory of hosts and return its path."""
    listed = [{canned.name(number): {"ansible_host": canned.address(number)} for number in part} for part in (range(MASTERS), range(MASTERS, hosts))]
    variables = {
        "ansible_connection": "canned",
        "ansible_python_interpreter": "/usr/bin/python3",
        "canned_hosts": hosts,
        "canned_masters": MASTERS,
        "canned_log": str(folder / "answers"),
    }
    children = {"alluxio_masters": {"hosts": listed[0]}, "alluxio_workers": {"hosts": listed[1]}}
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}), encoding="utf-8")
    return path


def family(root: int) -> list[int]:
    """Return the numbers of a process and of all below it."""
    children = collections.defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children[parent].append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += children[process]
    return found


def memory_kib(root: int) -> int:
    """Return the memory of a process and of all below it; what they share is counted once."""
    total = 0
    for process in family(root):
        try:
            total += sum(int(kib) for kib in re.findall(r"^Pss: +(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE))
        except OSError:  # It ended in between.
            continue
    return total


def play(hosts: int, playbook: Path) -> dict[str, Any]:
    """Run the playbook once and return what it cost, after a check that every host was asked all and needed nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"), "ANSIBLE_FORCE_COLOR": "0"}
        command = ["ansible-playbook", "-i", str(inventory(folder, hosts)), str(playbook)]
        peak, ended = [0], threading.Event()
        started = time.monotonic()
        with (folder / "output").open("w+") as output, subprocess.Popen(command, cwd=HOME, env=environment, stdout=output, stderr=output) as process:

            def watch() -> None:
                while not ended.wait(0.5):
                    peak[0] = max(peak[0], memory_kib(process.pid))

            watcher = threading.Thread(target=watch)
            watcher.start()
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            ended.set()
            watcher.join()
        wall = time.monotonic() - started
        text = (folder / "output").read_text()
        fine = set(re.findall(r"^(\S+) +: ok=\d+ +changed=0 +unreachable=0 +failed=0 ", text, re.MULTILINE)) & set(map(canned.name, range(hosts)))
        if process.returncode or len(fine) != hosts:
            sys.exit(f"{len(fine)} of {hosts} hosts needed no change, ansible-playbook ended with {process.returncode}:\n{text[-4000:]}")
        asked = collections.Counter((folder / "answers").read_text().splitlines())
        missed = [host for host in map(canned.name, range(hosts)) if any(asked[f"{host} {role}"] != 1 for role in canned.ROLES)]
        if missed:
            sys.exit(f"Not asked once by each of {', '.join(canned.ROLES)}: {', '.join(missed[:10])} ({len(missed)} in all)")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "n": hosts,
        "tasks": len(set(re.findall(r"^TASK \[(.*)\]", text, re.MULTILINE))),
        "cpu_controller": round(cpu, 2),
        "cpu_ms_per_host": round(1000 * cpu / hosts, 1),
        "seconds": round(wall, 1),
        "peak_mib": peak[0] // 1024,
        "probes_per_host": len(canned.ROLES),
        "changed": 0,
    }


def main() -> None:
    """Run all sizes, print the table, write the results and say whether the goals are reached."""
    sizes = [int(word) for word in sys.argv[1:]] or [500, 5000]
    rows = []
    print("hosts  tasks  CPU s  CPU ms/host  wall s  peak MiB")
    for size in sizes:
        row = play(size, HOME / "playbooks" / "prepare_hosts.yml")
        rows.append(row)
        print("{n:5}  {tasks:5}  {cpu_controller:5.0f}  {cpu_ms_per_host:11}  {seconds:6}  {peak_mib:8}".format(**row), flush=True)
    ratio = round(rows[-1]["cpu_ms_per_host"] / rows[0]["cpu_ms_per_host"], 3)
    most = max(row["peak_mib"] for row in rows)
    print(f"CPU per host, {sizes[-1]} to {sizes[0]} hosts: {ratio} (goal {MOST_RATIO}); peak memory {most} MiB (goal {MOST_MIB})")
    results = HERE.parent / "results" / "scale.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps({"rows": rows, "ratio": ratio, "most_ratio": MOST_RATIO, "most_mib": MOST_MIB}, indent=2) + "\n", encoding="utf-8")
    sys.exit(ratio > MOST_RATIO or most > MOST_MIB)


if __name__ == "__main__":
    main()
