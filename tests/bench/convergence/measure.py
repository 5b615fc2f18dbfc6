"""One measured run, and the series of all of them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.convergence import cgroups, state
from tests.bench.convergence.commands import Cases
from tests.bench.convergence.hosts import HOME, Hosts

LOGIN = re.compile(r"Accepted publickey for (\S+) from")
EXEC = re.compile(r"Starting session: .* for root from")
TRIES = 3


class RunError(Exception):
    """A run of a case failed."""


class StateError(Exception):
    """A case does not do what the others do, so that its figures say nothing."""


@dataclasses.dataclass
class Figures:
    """What one run took; execs and connections are the controller's, per host."""

    seconds: float
    cpu_controller: float
    cpu_hosts: float
    execs: float
    connections: float
    memory_mib: float


class Meter:
    """Measures commands beside some hosts.

    Args:
        hosts: The hosts.
        limit: Seconds after which a command is ended.
    """

    def __init__(self, hosts: Hosts, limit: float = 1800) -> None:
        self.hosts, self.limit = hosts, limit
        self.controller = cgroups.Group("controller")

    def run(self, command: list[str], environment: dict[str, str]) -> Figures:
        """Run a command on cold connections.

        Raises:
            RunError: it failed, or a host was not proved to be reached from the source.
        """
        output = self.hosts.folder / "output"
        marks = {host: self.hosts.log(host).stat().st_size for host in self.hosts.members}
        before = self.controller.cpu(), self.hosts.cpu()
        peak, started = 0, time.monotonic()
        with output.open("wb") as sink:
            process = subprocess.Popen(self.controller.command(command), cwd=HOME, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
            try:
                while process.poll() is None:
                    peak = max(peak, self.controller.memory())
                    if time.monotonic() - started > self.limit:
                        raise RunError(f"it was not done after {self.limit:.0f} s: {tail(output)}")
                    time.sleep(0.05)
                seconds = time.monotonic() - started
            finally:
                # Connections that were left open belong to the run's cost, and the next run begins without them.
                self.controller.end()
                process.wait()
        time.sleep(0.5)
        after = self.controller.cpu(), self.hosts.cpu()
        if process.returncode:
            raise RunError(f"it ended with {process.returncode}: {tail(output)}")
        logs = {host: read_from(self.hosts.log(host), mark) for host, mark in marks.items()}
        unproved = [host.name for host, log in logs.items() if "alluxio-user" not in LOGIN.findall(log)]
        if unproved:
            raise RunError(f"it did not log in from the source to {', '.join(unproved[:10])}")
        count = len(logs)
        return Figures(
            seconds=round(seconds, 2), cpu_controller=round(after[0] - before[0], 3), cpu_hosts=round(after[1] - before[1], 3),
            execs=round(sum(len(EXEC.findall(log)) for log in logs.values()) / count, 2),
            connections=round(sum(LOGIN.findall(log).count("root") for log in logs.values()) / count, 2), memory_mib=round(peak / 2**20, 1),
        )  # fmt: skip


def tail(output: Path, size: int = 3000) -> str:
    """Return the end of what a command printed."""
    return output.read_text(errors="replace")[-size:].strip()


def read_from(log: Path, mark: int) -> str:
    """Return what a log has gained since a mark."""
    with log.open("rb") as file:
        file.seek(mark)
        return file.read().decode(errors="replace")


def pair(meter: Meter, cases: Cases, case: str) -> dict[str, Figures]:
    """Reset the hosts, measure a first run and a rerun, and check what they did.

    Raises:
        RunError: a run failed.
        StateError: the state is not reached, or the rerun changed something.
    """
    meter.hosts.reset()
    command, environment = cases.command(case), cases.environment(case)
    first = meter.run(command, environment)
    found = state.problems(meter.hosts)
    if found:
        raise StateError(f"{case}: the first run did not reach the state: " + "\n".join(found[:3]))
    before = state.snapshot(meter.hosts)
    noop = meter.run(command, environment)
    found = state.changes(before, state.snapshot(meter.hosts))
    if found:
        raise StateError(f"{case}: the rerun changed the hosts: " + "\n".join(found[:6]))
    return {"first": first, "noop": noop}


def series(meter: Meter, cases: Cases, names: list[str], runs: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """Measure all cases in turn, each round in another order, and return the rows.

    Raises:
        RunError: a case failed three times in one round.
    """
    count = len(meter.hosts.members)
    rows: dict[tuple[str, str], dict[str, object]] = {
        (name, kind): {"case": name, "n": count, "run": kind, **{field.name: [] for field in dataclasses.fields(Figures)}, "failed": 0}
        for name in names
        for kind in ("first", "noop")
    }
    for turn in range(runs):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            for attempt in range(1, TRIES + 1):
                try:
                    figures = pair(meter, cases, name)
                    break
                except RunError as error:
                    say(f"{name}, {count} hosts, round {turn + 1}, attempt {attempt} of {TRIES} failed: {error}")
                    for kind in ("first", "noop"):
                        rows[name, kind]["failed"] = turn_failed = int(str(rows[name, kind]["failed"])) + 1
                    if attempt == TRIES:
                        raise RunError(f"{name} failed {turn_failed} times with {count} hosts") from error
            for kind, one in figures.items():
                for field, value in dataclasses.asdict(one).items():
                    values = rows[name, kind][field]
                    assert isinstance(values, list)
                    values.append(value)
            say(f"{count} hosts, round {turn + 1} of {runs}, {name}: " + "; ".join(
                f"{kind} {one.seconds:.1f} s, CPU per host {(one.cpu_controller + one.cpu_hosts) / count:.3f} s, {one.execs:g} execs over {one.connections:g} connections"
                for kind, one in figures.items()))  # fmt: skip
    return list(rows.values())
