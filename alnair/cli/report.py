"""The verb that writes a page of HTML."""

from __future__ import annotations

from pathlib import Path

import click

from alnair.api import Alnair
from alnair.cli.common import INVENTORY, Verb, said


@click.command(cls=Verb, example="--inventory inventory/mine --output alluxio.html")
@INVENTORY
@click.option("-o", "--output", default="report.html", show_default=True, type=click.Path(dir_okay=False, path_type=Path), help="File that is written.")
@click.option("--bench", "figures", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Figures of bench --results; the last ones by default.")
def report(inventory: str | None, *, output: Path, figures: Path | None) -> None:
    """Write how the release stands as one page of HTML.

    State, data sets, hit ratio and the last bench; the file needs nothing else and can be sent on.
    """
    with said():
        page = Alnair(inventory).report(figures)
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}. Name another file with --output.") from error
    click.echo(f"Wrote {output.resolve()}")
