"""Healthy hosts' time beside hosts that swallow packets and hosts that hang after login."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.bench.convergence import cgroups
from tests.bench.convergence.commands import Cases
from tests.bench.convergence.hosts import HOME, Host, HostError, Loopback

MOST = 1.2


@contextlib.contextmanager
def black_holes(members: list[Host]) -> Iterator[None]:
    """Let addresses answer nothing at all: the kernel drops what comes in for a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        for host in members:
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host.address, 22))
            listener.listen(0)
            stack.enter_context(socket.create_connection((host.address, 22), 2))
            probe = stack.enter_context(socket.socket())
            probe.settimeout(1)
            with contextlib.suppress(TimeoutError):
                probe.connect((host.address, 22))
                raise HostError(f"{host.address}:22 still takes connections, so it is no black hole.")
        yield


def finish_times(cases: Cases, limit: float) -> tuple[dict[str, float], float]:
    """Run the roles and return when each host had its last task answered, and the time of the whole; hosts that failed are left out."""
    controller = cgroups.Group("controller")
    environment = {**cases.environment("alnair"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"}
    started = time.monotonic()
    last: dict[str, float] = {}
    failed: set[str] = set()
    words = controller.command(["timeout", "--kill-after=5", str(limit), *cases.command("alnair")])
    with subprocess.Popen(words, cwd=HOME, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                event = json.loads(line) if line.startswith("{") else {}
                kind, now = event.get("_event", ""), time.monotonic() - started
                if kind in ("v2_runner_on_ok", "v2_runner_on_skipped"):
                    last.update(dict.fromkeys(event["hosts"], now))
                elif kind in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
                    failed.update(event["hosts"])
        finally:
            controller.end()
    return {name: when for name, when in last.items() if name not in failed}, time.monotonic() - started


def compare(hosts: Loopback, cases: Cases, runs: int, limit: float, say: Callable[[str], None]) -> None:
    """Time healthy hosts alone and beside faulty ones, in turn, and print the ratio."""
    count = len(hosts.members)
    dead, hanging = hosts.members[-round(count * 0.1) :], hosts.members[1 : 1 + max(1, round(count * 0.05))]
    healthy = {host.name for host in hosts.members} - {host.name for host in dead + hanging}
    say("First run, not timed")
    done, _all = finish_times(cases, limit)
    if len(done) != count:
        raise HostError(f"Only {len(done)} of {count} hosts were done while all were healthy.")
    figures: dict[str, list[float]] = {"healthy": [], "faulty": []}
    for turn in range(runs):
        done, whole = finish_times(cases, limit)
        figures["healthy"].append(max(done[name] for name in healthy))
        say(f"Round {turn + 1} of {runs}, all healthy: the last of {len(healthy)} was done after {figures['healthy'][-1]:.1f} s, the run after {whole:.1f} s")
        hosts.end(dead + hanging)
        for host in hanging:
            hosts.launch(host, "-o", "ForceCommand=sleep 86400")
        with black_holes(dead):
            time.sleep(1)
            done, whole = finish_times(cases, limit)
        missing = healthy - set(done)
        figures["faulty"].append(max(done[name] for name in healthy & set(done)) if done else float("inf"))
        say(
            f"Round {turn + 1} of {runs}, {len(dead)} black-holed, {len(hanging)} hanging: the last healthy one was done after {figures['faulty'][-1]:.1f} s, "
            f"the run after {whole:.1f} s, {len(missing)} of the healthy failed"
        )
        hosts.end(hanging)
        for host in dead + hanging:
            hosts.launch(host)
        hosts.find(dead + hanging)
        hosts.wait()
    medians = {kind: statistics.median(values) for kind, values in figures.items()}
    ratio = medians["faulty"] / medians["healthy"]
    say(f"Healthy hosts alone {medians['healthy']:.1f} s, beside faulty ones {medians['faulty']:.1f} s: {ratio:.2f} x, "
        f"goal at most {MOST:g}, {'reached' if ratio <= MOST else 'missed'}")  # fmt: skip
