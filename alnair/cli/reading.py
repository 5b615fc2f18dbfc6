"""The verbs that only read the cluster."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import rich.console

from alnair import status as state
from alnair.api import Alnair
from alnair.cli.common import Verb, reading, said


@click.command(cls=Verb, example="--inventory inventory/mine --json")
@reading
def status(inventory: str | None, **options: Any) -> None:
    """Show masters, workers, capacity, mounts and volumes."""
    with said():
        found = Alnair(inventory).status()
    if options["as_json"]:
        click.echo(json.dumps(found, indent=2))
    else:
        # In a file or a pipe names stay whole.
        rich.console.Console(width=None if sys.stdout.isatty() else 120).print(state.table(found))
