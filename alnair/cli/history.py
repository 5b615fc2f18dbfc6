"""The verb that tells of earlier runs."""

from __future__ import annotations

import dataclasses
import json
import sys

import click
import rich.console
import rich.markup
import rich.table

from alnair import records
from alnair.cli.common import Verbs

COLOURS = {"successful": "green", "failed": "red", "unreachable": "red", "running": "default"}


@click.group(cls=Verbs, example="--json", invoke_without_command=True)
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
        rich.console.Console(width=None if sys.stdout.isatty() else 160).print(table(found))
    else:
        click.echo(f"No run has left a record in {records.folder()}.")


@history.command(example="12")
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(number: int | None, *, as_json: bool) -> None:
    """Tell of one run, the newest where no number is given."""
    found = {record.number: record for record in records.all_of_them()}
    if number is None and found:
        number = max(found)
    if number not in found:
        there = f"There are {min(found)} to {max(found)}; the newest {records.KEPT} are kept." if found else "There is none."
        raise click.ClickException(f"No record of run {number or 1} is in {records.folder()}. {there}")
    record = found[number]
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(record), indent=2))
        return
    for line in told(record):
        click.echo(line)


def table(found: list[records.Record]) -> rich.table.Table:
    """Return runs as a table."""
    right = [rich.table.Column(name, justify="right") for name in ("run", "changed", "s")]
    wide = rich.table.Column("inventory", overflow="fold")
    # On 80 columns, too, when, what and how it ended stay whole; `history show` tells the rest.
    started, status = (rich.table.Column(name, no_wrap=True) for name in ("started (UTC)", "status"))
    verb = rich.table.Column("verb", no_wrap=True)
    result = rich.table.Table(right[0], started, "who", verb, wide, status, right[1], right[2])
    for record in found:
        asked = record.verb + (" --check" if record.options.get("check") else "")
        colour = COLOURS.get(record.status, "yellow")
        cells = [rich.markup.escape(text) for text in (str(record.number), record.started[:16].replace("T", " "), record.who, asked, record.inventory)]
        result.add_row(*cells, f"[{colour}]{record.status}[/]", str(record.changed), f"{record.duration:.0f}")
    return result


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
