"""The verbs that run one playbook each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from alnair.api import Alnair
from alnair.cli.common import Verb, changing, console_of, perform, report, run, running
from alnair.plan import lines
from alnair.progress import Progress
from alnair.result import EXIT_DIFFERS, EXIT_FINE


@click.command(cls=Verb, example="--inventory inventory/mine --check --diff")
@changing
def deploy(inventory: str | None, **options: Any) -> None:
    """Run the whole chain, from the hosts to Ready pods."""
    perform("deploy", inventory, options)


@click.command(cls=Verb, example="--inventory inventory/mine --limit node-2")
@running
def plan(inventory: str | None, **options: Any) -> None:
    """Tell what deploy would change, from what to what.

    Exit code 0 where nothing would change, 10 where something would.
    """
    console = console_of(options)
    result = run(inventory, options, Progress(console, quiet=options["verbosity"] > 0), Alnair.plan)
    code = result.exit_code or (EXIT_DIFFERS if result.changes else EXIT_FINE)
    if not options["form"]:
        for line in ["Nothing would change."] if code == EXIT_FINE else lines(result.changes):
            click.echo(line)
    if options["form"] or code not in (EXIT_FINE, EXIT_DIFFERS):
        report(console, "plan", result, options["form"])
    sys.exit(code)


@click.command(cls=Verb, example="--inventory inventory/mine")
@changing
def verify(inventory: str | None, **options: Any) -> None:
    """Read through the cache on every worker.

    Runs Alluxio's own tests, and reads a file through FUSE on every worker.
    """
    perform("verify", inventory, options)


@click.command(cls=Verb, example="-e alluxio_chart_image_tag=2.9.4 --check --diff")
@changing
def upgrade(inventory: str | None, **options: Any) -> None:
    """Bring the release to what the inventory says now.

    With a backup before, and the way back when it does not become Ready.
    """
    perform("upgrade", inventory, options)


@click.command(cls=Verb, example="--revision 3 --journal")
@changing
@click.option("--revision", default=0, type=click.IntRange(0), help="Revision to put back; the newest that was Ready before by default.")
@click.option("--journal", is_flag=True, help="Restore that revision's journal too: files made since vanish.")
def rollback(inventory: str | None, *, revision: int, journal: bool, **options: Any) -> None:
    """Put an earlier revision of the release back."""
    perform("rollback", inventory, options, revision=revision, journal=journal)


@click.command(cls=Verb, example="--inventory inventory/mine --check")
@changing
def scale(inventory: str | None, **options: Any) -> None:
    """Bring masters and workers to what the inventory's groups say."""
    perform("scale", inventory, options)


@click.command(cls=Verb, example="--json")
@changing
def backup(inventory: str | None, **options: Any) -> None:
    """Back the journal up to this machine.

    It is proved that a master starts from it.
    """
    perform("backup", inventory, options)


@click.command(cls=Verb, example="--from ~/.local/state/alnair/backups/alluxio-20260101T000000Z.gz")
@changing
@click.option("--from", "source", required=True, type=click.Path(exists=True, dir_okay=False), help="The backup that the masters start from.")
def restore(inventory: str | None, *, source: str, **options: Any) -> None:
    """Start the masters from a backup.

    Their journals are kept aside.
    """
    perform("restore", inventory, options, source=source)


@click.command(cls=Verb, example="--source s3://training/images --credentials images-s3")
@changing
@click.option("--source", required=True, help="The data set, which is only read: s3://bucket/prefix, or a folder that all nodes see.")
@click.option("--credentials", help="Secret with s3a.accessKeyId and s3a.secretKey in the release's namespace.")
@click.option("--readers", type=click.IntRange(1), metavar="N", help="Processes that read at once; 8 by default.")
@click.option("--results", type=click.Path(dir_okay=False, resolve_path=True), help="File for the figures (JSON), with a picture beside it.")
def bench(inventory: str | None, *, source: str, credentials: str | None, readers: int | None, results: str | None, **options: Any) -> None:
    """Measure how fast a data set is read.

    From its source, through the cache and from a node's disk.
    """
    picture = results and str(Path(results).with_suffix(".png"))
    chosen = {"source": source, "credentials": credentials, "readers": readers, "results": results, "picture": picture}
    # Of what is not given the inventory's holds. What -e says comes last, so that it holds.
    options["extra"] = (json.dumps({f"loading_bench_{name}": value for name, value in chosen.items() if value is not None}), *options["extra"])
    perform("bench", inventory, options)


@click.command(cls=Verb, example="--purge --check")
@changing
@click.option("--force", is_flag=True, help="Remove although pods mount the cache, or only workers hold files; take finalizers off last.")
@click.option("--purge", is_flag=True, help="Remove journal, data sets' directories, trust and account from the hosts too.")
def teardown(inventory: str | None, *, force: bool, purge: bool, **options: Any) -> None:
    """Remove release, claims and volumes.

    What lies on the hosts is kept.
    """
    perform("teardown", inventory, options, force=force, purge=purge)
