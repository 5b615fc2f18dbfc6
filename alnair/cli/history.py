"""The verb that tells of earlier runs."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click
import rich.console
import rich.markup
import rich.table

from alnair import records
from alnair.cli.common import Verbs

COLOURS = {"successful": "green", "failed": "red", "unreachable": "red", "running": "default"}
# So many columns let who, the inventory's whole path and the duration stand beside the rest.
WIDE = 120


class Runs(Verbs):
    """Verbs on runs, which have numbers."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the verb; a number alone is answered with the verb that takes it."""
        if args[0].isdigit() and not ctx.resilient_parsing:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{ctx.info_name} show {args[0]}'?")
        return super().resolve_command(ctx, args)


@click.group(cls=Runs, example="--json", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def history(context: click.Context, *, as_json: bool) -> None:
    """List the runs of this machine's user, the newest last."""
    if context.invoked_subcommand:
        return
    found = records.all_of_them()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(record) for record in found], indent=2))
    elif found:
        console = rich.console.Console(width=None if sys.stdout.isatty() else 160)
        console.print(table(found, wide=console.width >= WIDE))
    else:
        click.echo(f"No run has left a record in {records.folder()}.")


@history.command(example="12")
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(number: int | None, *, as_json: bool) -> None:
    """Tell of one run, the newest where no number is given."""
    found = {record.number: record for record in records.all_of_them()}
    if not found:
        raise click.ClickException(f"No run has left a record in {records.folder()}.")
    number = number or max(found)
    if number not in found:
        there = f"There are {min(found)} to {max(found)}; the newest {records.KEPT} are kept."
        raise click.ClickException(f"No record of run {number} is in {records.folder()}. {there}")
    record = found[number]
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(record), indent=2))
        return
    for line in told(record):
        click.echo(line)


def table(found: list[records.Record], *, wide: bool) -> rich.table.Table:
    """Return runs as a table.

    Args:
        found: The runs.
        wide: Whether there is room for all; else a run has a line of 80 columns, and `history show` tells the rest.
    """
    started, status = (rich.table.Column(name, no_wrap=True) for name in ("started (UTC)", "status"))
    run, changed, seconds = (rich.table.Column(name, justify="right") for name in ("run", "changed", "s"))
    place = rich.table.Column("inventory", overflow="fold")
    columns = (run, started, "who", "verb", place, status, changed, seconds) if wide else (run, started, "verb", place, status, changed)
    result = rich.table.Table(*columns)
    for record in found:
        asked = record.verb + (" --check" if record.options.get("check") else "")
        colour = COLOURS.get(record.status, "yellow")
        first, last = (str(record.number), record.started[:16].replace("T", " ")), (f"[{colour}]{record.status}[/]", str(record.changed))
        if wide:
            result.add_row(*first, *map(rich.markup.escape, (record.who, asked, record.inventory)), *last, f"{record.duration:.0f}")
        else:
            result.add_row(*first, *map(rich.markup.escape, (asked, named(record.inventory))), *last)
    return result


def named(inventory: str) -> str:
    """Return the name of an inventory's folder, which tells it from others of the same user most often."""
    path = Path(inventory)
    return path.parent.name if path.suffix in (".yml", ".yaml", ".ini") else path.name


def told(record: records.Record) -> list[str]:
    """Return the lines that tell of a run."""
    lines = [f"{name + ':':<12}{value}" for name, value in (
        ("run", record.number), ("verb", record.verb), ("status", record.status), ("started", record.started), ("duration", f"{record.duration:.0f} s"),
        ("who", record.who), ("inventory", record.inventory), ("digest", record.digest),
        ("options", ", ".join(f"{key}: {json.dumps(value)}" for key, value in record.options.items()) or "none"),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())), ("changed", record.changed),
    )]  # fmt: skip
    lines += [f"  {host}: {task}" for host, tasks in sorted(record.changes.items()) for task in tasks]
    lines += [f"failed:     {failure.host}: {failure.task}\n  {failure.message}" for failure in record.failures]
    return lines + [f"unreachable: {host}: {reason}" for host, reason in record.unreachable.items()]
