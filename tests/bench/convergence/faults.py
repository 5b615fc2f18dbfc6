"""Healthy hosts' time beside hosts that swallow packets and hosts that hang after login."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import math
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.bench.convergence import cgroups
from tests.bench.convergence.commands import Cases
from tests.bench.convergence.hosts import HOME, Host, HostError, Loopback

MOST = 1.2
# Answered by one host for all, and meant to fail where another is missing: no work of that host's own.
VERDICT = "Stop where a host is not prepared"


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


@dataclasses.dataclass
class Outcome:
    """What a run's events said.

    Attributes:
        last: Each host's last answered task that did not fail, and when it was answered.
        failed: Hosts that failed or were not reached.
        seconds: Time of the whole run.
    """

    last: dict[str, tuple[str, float]]
    failed: set[str]
    seconds: float

    def done(self, names: set[str], reference: Outcome) -> dict[str, float]:
        """Return when hosts were done: those that got as far as in another run."""
        return {name: self.last[name][1] for name in names & set(self.last) - self.failed if self.last[name][0] == reference.last[name][0]}


def outcome(cases: Cases, limit: float) -> Outcome:
    """Run the roles and read their events."""
    controller = cgroups.Group("controller")
    environment = {**cases.environment("alnair"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"}
    started = time.monotonic()
    last: dict[str, tuple[str, float]] = {}
    failed: set[str] = set()
    words = controller.command(["timeout", "--kill-after=5", str(limit), *cases.command("alnair")])
    with subprocess.Popen(words, cwd=HOME, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                event = json.loads(line) if line.startswith("{") else {}
                kind, now = event.get("_event", ""), time.monotonic() - started
                # The lock is the controller's own task.
                names = set(event.get("hosts", ())) - {"localhost"}
                if event.get("task", {}).get("name") == VERDICT:
                    continue
                if kind in ("v2_runner_on_ok", "v2_runner_on_skipped"):
                    last.update(dict.fromkeys(names, (event["task"]["name"], now)))
                elif kind in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
                    failed.update(names)
        finally:
            controller.end()
    return Outcome(last, failed, time.monotonic() - started)


def compare(hosts: Loopback, cases: Cases, runs: int, limit: float, say: Callable[[str], None]) -> None:
    """Time healthy hosts alone and beside faulty ones, in turn, and print the ratio."""
    count = len(hosts.members)
    dead, hanging = hosts.members[-round(count * 0.1) :], hosts.members[1 : 1 + max(1, round(count * 0.05))]
    healthy = {host.name for host in hosts.members} - {host.name for host in dead + hanging}
    say("First run, not timed")
    first = outcome(cases, max(limit, 10 * count))
    if first.failed or len(first.last) != count:
        raise HostError(f"Of {count} healthy hosts {len(first.last)} answered and {len(first.failed)} failed in the first run.")
    figures: dict[str, list[float]] = {"healthy": [], "faulty": []}
    for turn in range(runs):
        title = f"Round {turn + 1} of {runs}"
        reference = outcome(cases, limit)
        figures["healthy"].append(max(when for name, (_task, when) in reference.last.items() if name in healthy))
        say(f"{title}, all healthy: the last of {len(healthy)} was done after {figures['healthy'][-1]:.1f} s, the run after {reference.seconds:.1f} s")
        hosts.end(dead + hanging)
        for host in hanging:
            hosts.launch(host, "-o", "ForceCommand=sleep 86400")
        hosts.find(hanging)
        with black_holes(dead):
            time.sleep(1)
            found = outcome(cases, limit)
        done = found.done(healthy, reference)
        figures["faulty"].append(max(done.values()) if done.keys() == healthy else math.inf)
        say(f"{title}, {len(dead)} black-holed, {len(hanging)} hanging: {len(done)} of {len(healthy)} healthy hosts were done, "
            f"the last after {max(done.values(), default=0):.1f} s, the run after {found.seconds:.1f} s")  # fmt: skip
        stopped = collections.Counter(found.last.get(name, ("before the first task", 0))[0] for name in healthy - done.keys())
        for task, number in stopped.items():
            say(f"  {number} healthy hosts were not done; the last task that they had answered: {task}")
        hosts.end(hanging)
        for host in dead + hanging:
            hosts.launch(host)
        hosts.find(dead + hanging)
        hosts.wait()
        # They begin anew, so they are brought to the state again.
        outcome(cases, limit)
    medians = {kind: statistics.median(values) for kind, values in figures.items()}
    ratio = medians["faulty"] / medians["healthy"]
    say(f"Healthy hosts alone {medians['healthy']:.1f} s, beside faulty ones {medians['faulty']:.1f} s: {ratio:.2f} x, "
        f"goal at most {MOST:g}, {'reached' if ratio <= MOST else 'missed'}")  # fmt: skip
