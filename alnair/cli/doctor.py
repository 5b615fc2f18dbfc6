"""The verb that tells what must be mended before a deploy."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click
import rich.console
import rich.text

from alnair.api import Alnair
from alnair.cli.common import Verb, console_of, report, run, running
from alnair.plan import named
from alnair.progress import Progress
from alnair.result import Check

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(cls=Verb, example="--inventory inventory/mine --json")
@running
def doctor(inventory: str | None, **options: Any) -> None:
    """Tell whether hosts and cluster are fit for a deploy.

    Each line is ok, warn or fail with the remedy; exit code 1 where one fails. Changes nothing.
    """
    console = console_of(options)
    progress = Progress(console, quiet=options["verbosity"] > 0, messages=False)
    result = run(inventory, options, progress, Alnair.doctor)
    if options["form"] or not result.checks:
        report(console, "doctor", result, options["form"])
    else:
        show(console, result.checks)
    sys.exit(result.exit_code)


def show(console: rich.console.Console, checks: list[Check]) -> None:
    """Print the report; hosts of which the same is told share a line."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for item in checks:
        groups.setdefault((item.check, item.verdict, item.text, item.remedy), []).append(item.subject)
    # What is wrong stands last, where one looks first.
    for (check, verdict, text, remedy), subjects in sorted(groups.items(), key=lambda group: [*COLOURS].index(group[0][1])):
        line = rich.text.Text(f"{verdict:<5} {named(subjects)}: {check}: {text}")
        line.stylize(COLOURS[verdict], 0, len(verdict))
        console.print(line, soft_wrap=True, highlight=False)
        if remedy:
            console.print(f"      {remedy}", soft_wrap=True, highlight=False, markup=False)
    counts = Counter(item.verdict for item in checks)
    console.print(f"doctor: {counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail", style="bold")
