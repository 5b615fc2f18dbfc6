"""The verbs that only read the cluster."""

from __future__ import annotations

import json
import re
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

import click
import rich.console
import rich.live
import rich.text

from alnair import cluster
from alnair import logs as read
from alnair import status as state
from alnair.api import Alnair
from alnair.cli.common import INVENTORY, Verb, reading, said
from alnair.errors import ClusterError

# How often status --watch looks, in seconds.
ANEW = 2.0
# How many of a kind it names that are not as they should be, where not all fit on the screen.
MOST = (3, 1, 0)
COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_yellow", "bright_blue", "bright_magenta")


def seconds(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """Return a time such as 30s, 10m, 2h or 1d in seconds.

    Raises:
        click.BadParameter: it is none.
    """
    found = re.fullmatch(r"(\d+)([smhd])", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no time. Say it as 30s, 10m, 2h or 1d.")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


@click.command(cls=Verb, example="--inventory inventory/mine --json")
@reading
@click.option("-w", "--watch", is_flag=True, help="Show it anew every two seconds, until ^C.")
def status(inventory: str | None, *, as_json: bool, watch: bool) -> None:
    """Show masters, workers, capacity, mounts and volumes."""
    # In a file or a pipe names stay whole.
    console = rich.console.Console(width=None if sys.stdout.isatty() else 120)
    if watch and (as_json or not console.is_terminal):
        raise click.UsageError("--watch writes over what a terminal shows. Leave it out where standard output is a file or a pipe, and beside --json.")
    with said():
        knobs = Alnair(inventory).variables()
        found = state.read(knobs)
        if watch:
            show_anew(console, found, lambda: state.read(knobs))
        elif as_json:
            click.echo(json.dumps(found, indent=2))
        else:
            console.print(state.table(found))


def show_anew(console: rich.console.Console, found: dict[str, Any], look: Callable[[], dict[str, Any]]) -> None:
    """Show the state again and again until an interrupt; an API server that is away for a while is said beneath what was seen last."""
    caption = ""
    try:
        with rich.live.Live(console=console, auto_refresh=False) as live:
            while True:
                # What does not fit is cut off below.
                for most in (None, *MOST):
                    table = state.table(found, most=most)
                    table.caption = rich.text.Text(caption or f"{time.strftime('%H:%M:%S')}, every {ANEW:.0f} s until ^C")
                    if len(console.render_lines(table)) < console.height:
                        break
                live.update(table, refresh=True)
                time.sleep(ANEW)
                try:
                    found, caption = look(), ""
                except ClusterError as error:
                    caption = str(error)
    except KeyboardInterrupt:
        return


@click.command(cls=Verb, example="--part master --part worker --since 2h | grep WARN")
@INVENTORY
@click.option("--part", "parts", multiple=True, type=click.Choice(read.PARTS), help="Only these pods; may be repeated.")
@click.option("--since", default="10m", show_default=True, callback=seconds, metavar="TIME", help="Lines that are not older: 30s, 10m, 2h, 1d.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, of new pods too, until ^C.")
def logs(inventory: str | None, *, parts: tuple[str, ...], since: int, follow: bool) -> None:
    """Show the logs of all pods of the release, merged by time.

    A line is time (UTC), pod/container and text; what looks like a credential is hidden.
    """
    import kubernetes

    console = rich.console.Console()
    try:
        with said():
            knobs = Alnair(inventory).variables()
            with cluster.asked(knobs) as client:
                release = read.Release(kubernetes.client.CoreV1Api(client), knobs["alluxio_namespace"], knobs["alluxio_release"], parts)
                if not release.sources():
                    raise click.ClickException(f"Release {release.name} has no such pods in namespace {release.namespace}. Try: alnair_runner.py status")
                for line in read.Follower(release, since).follow() if follow else release.merged(since):
                    show(console, line)
    except KeyboardInterrupt:
        sys.exit(0 if follow else 130)


def show(console: rich.console.Console, line: read.Line) -> None:
    """Print a line; on a terminal each container has a colour of its own, which stays the same."""
    if not console.is_terminal:
        click.echo(str(line))
        return
    source = str(line.source)
    text = rich.text.Text(str(line))
    text.highlight_words([source], COLOURS[zlib.crc32(source.encode()) % len(COLOURS)])
    console.print(text, soft_wrap=True, highlight=False)
