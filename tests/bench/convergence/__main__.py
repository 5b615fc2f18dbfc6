"""Measure how fast the host roles are beside other tools: ``python -m tests.bench.convergence run``, as root, from the checkout."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import click
import rich.console

from tests.bench.convergence import cgroups, commands, faults, hosts, measure, report

RESULTS = hosts.HOME / "tests" / "bench" / "results" / "convergence.json"
PICTURE = hosts.HOME / "docs" / "pictures" / "convergence.png"
CONTAINERS_FIT = 12
MOST_HOSTS = 1000
STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the time since the start."""
    print(f"{time.monotonic() - STARTED:7.1f} s  {text}", flush=True)


def counts(_context: click.Context, _option: click.Parameter, text: str) -> list[int]:
    """Return the numbers of hosts that were asked for."""
    words = text.split(",")
    if not all(word.isdigit() and 2 <= int(word) <= MOST_HOSTS for word in words):
        raise click.BadParameter(f'"{text}" is no list of numbers from 2 to {MOST_HOSTS}, such as 4,12.')
    return sorted({int(word) for word in words})


def names(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    """Return the cases that were asked for."""
    words = list(dict.fromkeys(text.split(",")))
    unknown = [word for word in words if word not in commands.NAMES]
    if unknown:
        raise click.BadParameter(f"there is no case {', '.join(unknown)}; the cases are {', '.join(commands.NAMES)}.")
    return words


class Raised:
    """Hosts for the time of a ``with``, and all that belongs to them.

    Args:
        count: Number of hosts.
        loopback: Whether they are sshds on loopback addresses; else node containers.
    """

    def __init__(self, count: int, *, loopback: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="alnair-bench-", dir="/tmp"))
        self.hosts: hosts.Hosts = (hosts.Loopback if loopback else hosts.Containers)(self.folder, count)

    def __enter__(self) -> tuple[hosts.Hosts, commands.Cases]:
        say(f"Start {len(self.hosts.members)} hosts: {'sshds on loopback addresses' if isinstance(self.hosts, hosts.Loopback) else 'node containers'}")
        try:
            hosts.make_access(self.folder)
            cases = commands.Cases(self.folder, self.hosts.members)
            cases.write()
            self.hosts.start()
            cases.pin(self.hosts.everywhere("cat /etc/ssh/ssh_host_*_key.pub"))
        except BaseException:
            self.__exit__()
            raise
        say("They answer")
        return self.hosts, cases

    def __exit__(self, *_: object) -> None:
        # A second ^C must not leave half of them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cgroups.Group("controller").remove()
        self.hosts.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def prepare() -> None:
    """Look at the machine and remove what a killed bench left."""
    if os.geteuid():
        raise click.ClickException("The bench makes namespaces and cgroups: run it as root.")
    cgroups.demand()
    # Kept open, and so held, until the bench ends.
    lock = os.open("/run/alnair-bench.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise click.ClickException("Another bench runs on this machine, and both would measure each other. Wait for its end.") from error
    hosts.remove_leftovers()
    say("Packages of the bench")
    commands.bench_venv()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Measure the host roles beside plain Ansible tasks, mitogen, pyinfra and a shell script."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command()
@click.option("--hosts", "numbers", default="4,12,24,48,100", show_default=True, callback=counts, help="Numbers of hosts.")
@click.option("--cases", "ways", default=",".join(commands.NAMES), show_default=True, callback=names, help="Cases to measure.")
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1, 100), help="Runs of each case; the figures are their medians.")
@click.option("--loopback", is_flag=True, help=f"Use loopback sshds also up to {CONTAINERS_FIT} hosts, where node containers fit.")
@click.option("--results", default=str(RESULTS), type=click.Path(dir_okay=False, path_type=Path), help="File of the rows; those measured anew are replaced.")
def run(numbers: list[int], ways: list[str], runs: int, results: Path, *, loopback: bool) -> None:
    """Measure first runs and no-op reruns, interleaved, and write rows, table and picture."""
    prepare()
    for count in numbers:
        with Raised(count, loopback=loopback or count > CONTAINERS_FIT) as (members, cases):
            rows = measure.series(measure.Meter(members), cases, ways, runs, say)
        old = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
        results.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"  {json.dumps(row)}" for row in report.merge(old, rows))
        results.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    show(results, PICTURE if results == RESULTS else results.with_suffix(".png"))


def show(results: Path, picture: Path) -> None:
    """Print tables and draw the picture."""
    if not results.exists():
        raise click.ClickException(f"There is no {results}. Measure first: python -m tests.bench.convergence run")
    rows = json.loads(results.read_text(encoding="utf-8"))
    console = rich.console.Console(width=150)
    console.print(report.table(rows), report.goals_table(rows))
    commands.draw(Path(__file__).with_name("draw.py"), results, picture)
    console.print(f"Picture: {picture}", highlight=False)


@main.command("report")
@click.option("--results", default=str(RESULTS), type=click.Path(dir_okay=False, path_type=Path), help="File of the rows.")
def report_(results: Path) -> None:
    """Print table and goals of the last series and draw its picture again."""
    show(results, PICTURE if results == RESULTS else results.with_suffix(".png"))


@main.command()
@click.option("--hosts", "count", default=40, show_default=True, type=click.IntRange(10, MOST_HOSTS), help="Number of hosts.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 100), help="Runs of each kind.")
@click.option("--limit", default=300, show_default=True, type=click.IntRange(10), help="Seconds after which a run is ended.")
def faulty(count: int, runs: int, limit: int) -> None:
    """Time the roles with 10 % of the hosts black-holed and 5 % hanging after login, against all of them healthy."""
    prepare()
    with Raised(count, loopback=True) as (members, cases):
        assert isinstance(members, hosts.Loopback)
        faults.compare(members, cases, runs, limit, say)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from error
    except (cgroups.GroupError, hosts.HostError, measure.RunError, measure.StateError) as error:
        raise SystemExit(f"Error: {error}") from error
    except (KeyboardInterrupt, click.Abort) as error:
        raise SystemExit(130) from error
