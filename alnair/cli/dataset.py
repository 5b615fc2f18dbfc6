"""The verbs of data sets."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from typing import Any

import click
import rich.console

from alnair import datasets
from alnair.api import Alnair
from alnair.cli.common import Verbs, changing, console_of, extra_variables, reading, report, run, said
from alnair.errors import ClusterError, UsageError
from alnair.inventory import listed


def end(verb: str, inventory: str | None, names: tuple[str, ...], options: dict[str, Any]) -> None:
    """Cancel the loads that a verb has begun, and no others: without names all would be cancelled that are declared, by whomever."""
    if verb == "mount":
        try:
            names = names or tuple(listed(Alnair(inventory).inventory, extra_variables(options["extra"])))
        except UsageError as error:
            click.echo(f"No load was cancelled, for only the playbook knows which it began: {error} Try: alnair_runner.py dataset cancel NAME", err=True)
            return
        # The interrupt may have come before they were declared.
        with contextlib.suppress(ClusterError):
            there = {item["name"] for item in datasets.read(Alnair(inventory).variables())}
            names = tuple(name for name in names if name in there)
        if not names:
            return
    console = console_of(options)
    ended = run(inventory, options, datasets.Watch(console), lambda cluster, **given: cluster.dataset("cancel", *names, **given))
    report(console, "dataset cancel", ended, None)


def perform(verb: str, inventory: str | None, names: tuple[str, ...], options: dict[str, Any], *, cancels: bool = False, **more: Any) -> None:
    """Do a verb and exit with its code; ``cancels`` tells whether an interrupt ends the load, too."""
    console, look = console_of(options), None
    if verb in ("mount", "load"):
        with said():
            knobs = Alnair(inventory).variables()
        look = functools.partial(datasets.read, knobs, names)
    watch = datasets.Watch(console, look, quiet=options["verbosity"] > 0)
    result = run(inventory, options, watch, lambda cluster, **given: cluster.dataset(verb, *names, **more, **given))
    if (shown := datasets.findings(watch.reports)) and not options["form"]:
        console.print(shown)
    interrupted = result.status == "interrupted" and not options["check"]
    try:
        if interrupted and cancels:
            end(verb, inventory, names, options)
    finally:
        # What a program reads as the last line comes after the events of the cancel, too, and where that fails.
        report(console, f"dataset {verb}", result, options["form"], datasets=watch.reports)
    if interrupted and not cancels and look:
        console.print(
            "The load goes on in the cluster: alnair_runner.py dataset status shows it, the same command joins it, dataset cancel NAME ends it.",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    sys.exit(result.exit_code)


def show(inventory: str | None, names: tuple[str, ...], *, as_json: bool) -> None:
    """Print how data sets stand."""
    with said():
        found = datasets.read(Alnair(inventory).variables(), names)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        rich.console.Console(width=None if sys.stdout.isatty() else 160).print(datasets.table(found))


@click.group(cls=Verbs, example="load images")
def dataset() -> None:
    """Mount, load, check and free data sets."""


named = click.argument("names", nargs=-1, metavar="[NAME]...")
asked = click.argument("names", nargs=-1, required=True, metavar="NAME...")


cancels = click.option("--cancel", "cancels", is_flag=True, help="^C cancels the load, too, which otherwise goes on.")


def compared(function: Any) -> Any:
    """Give a command the options of a comparison with the source."""
    content = click.option("--content", is_flag=True, help="Compare byte by byte what is cached, too.")
    sample = click.option("--sample", default=0, type=click.IntRange(0), metavar="N", help="Of only so many files, picked at random; 0 for all.")
    return content(sample(function))


@dataset.command(example="images")
@changing
@named
@cancels
def mount(inventory: str | None, names: tuple[str, ...], *, cancels: bool, **options: Any) -> None:
    """Declare, mount and load what the inventory lists."""
    perform("mount", inventory, names, options, cancels=cancels)


@dataset.command(example="images --evict texts")
@changing
@named
@click.option("--evict", multiple=True, metavar="NAME", help="Free this data set where there is too little space; may be repeated.")
@cancels
def load(inventory: str | None, names: tuple[str, ...], *, evict: tuple[str, ...], cancels: bool, **options: Any) -> None:
    """Load what is new at the source or not cached.

    A load that is under way is joined; ^C leaves it going.
    """
    perform("load", inventory, names, options, cancels=cancels, evict=list(evict))


@dataset.command(example="images")
@changing
@named
def cancel(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
    """End loads that are under way; what is cached stays."""
    perform("cancel", inventory, names, options)


@dataset.command(example="images --content --sample 100")
@changing
@named
@compared
def check(inventory: str | None, names: tuple[str, ...], *, content: bool, sample: int, **options: Any) -> None:
    """Compare what is cached and known with the source.

    Exit code 1 where something differs.
    """
    perform("check", inventory, names, options, content=content, sample=sample)


@dataset.command(example="images")
@changing
@named
@compared
def repair(inventory: str | None, names: tuple[str, ...], *, content: bool, sample: int, **options: Any) -> None:
    """Put right what differs from the source, which is only read."""
    perform("repair", inventory, names, options, content=content, sample=sample)


@dataset.command(example="images --path train/0.jpg")
@changing
@asked
@click.option("--path", default="", help="File or directory, relative to the data set.")
def checksum(inventory: str | None, names: tuple[str, ...], *, path: str, **options: Any) -> None:
    """Tell checksums of what readers get, of folders too."""
    perform("checksum", inventory, names, options, path=path)


@dataset.command(example="images")
@changing
@asked
def free(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
    """Take data sets out of the cache; they stay mounted."""
    perform("free", inventory, names, options)


@dataset.command(example="images texts")
@changing
@asked
@click.option("--force", is_flag=True, help="Remove what is stuck, too: its finalizers go, last.")
def unmount(inventory: str | None, names: tuple[str, ...], *, force: bool, **options: Any) -> None:
    """Take data sets out of Alluxio; the source stays as it is."""
    perform("unmount", inventory, names, options, force=force)


@dataset.command(example="images --json")
@reading
@named
def status(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
    """Show phase, share cached, files, size and message."""
    show(inventory, names, as_json=options["as_json"])
