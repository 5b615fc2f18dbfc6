"""The runner's verbs for data sets: how they stand, and the playbook that mounts, loads, checks and frees them."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import kubernetes
import rich.console
import rich.markup
import rich.table
import urllib3

import alnair_progress
import alnair_status
from alnair_result import Result
from plugins.module_utils import datasets

GROUP = {"group": "centaurusinfra.com", "version": "v1", "plural": "alnairdatacaches"}
# How often a load is looked at, in seconds.
LOOK = 2.0


def read(knobs: dict[str, Any], names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the data sets of the cluster: namespace, name, path, source and all of the status.

    Args:
        knobs: As :func:`alnair_status.variables` returns them.
        names: Which are meant; all where it is empty.

    Raises:
        ClusterError: there is no kubeconfig, the API server does not answer, or it knows no data sets.
    """
    path = os.path.expanduser(knobs["alluxio_kubeconfig"] or os.environ.get("KUBECONFIG", "") or "~/.kube/config")
    if not os.path.exists(path):
        raise alnair_status.ClusterError(f"There is no kubeconfig at {path}. Set alluxio_kubeconfig in the inventory, or KUBECONFIG in the environment.")
    try:
        client = kubernetes.config.new_client_from_config(path, context=knobs["alluxio_kube_context"] or None)
        found = kubernetes.client.CustomObjectsApi(client).list_cluster_custom_object(**GROUP, _request_timeout=10)["items"]
    except kubernetes.client.ApiException as error:
        if error.status == 404:
            raise alnair_status.ClusterError("The cluster knows no data sets: no operator was deployed. Run playbooks/deploy_operator.yml.") from error
        raise alnair_status.ClusterError(f"The API server that {path} names refused: {error.status} {error.reason}") from error
    except (kubernetes.config.ConfigException, urllib3.exceptions.HTTPError) as error:
        raise alnair_status.ClusterError(f"The Kubernetes API server that {path} names does not answer: {str(error)[:300]}") from error
    listed = [
        {
            "namespace": item["metadata"]["namespace"],
            "name": item["metadata"]["name"],
            "path": item["spec"].get("path") or f"/datasets/{item['metadata']['name']}",
            "source": item["spec"]["source"],
            "phase": "",
            "message": "",
            "cachedPercent": 0,
            "files": 0,
            "bytes": 0,
            "cachedBytes": 0,
            **(item.get("status") or {}),
        }
        for item in found
    ]
    if lacking := [name for name in names if name not in [item["name"] for item in listed]]:
        there = ", ".join(sorted(item["name"] for item in listed)) or "none"
        raise alnair_status.ClusterError(f"There is no data set {', '.join(lacking)}. Declared: {there}.")
    return [item for item in listed if not names or item["name"] in names]


def table(found: list[dict[str, Any]]) -> rich.table.Table:
    """Return data sets as a table."""
    wide = [rich.table.Column(name, overflow="fold") for name in ("name", "message")]
    result = rich.table.Table(wide[0], "phase", rich.table.Column("cached", justify="right"), "files", "size", wide[1], title="Data sets")
    colours = {"Complete": "green", "Failed": "red", "TooLarge": "red", "Incomplete": "yellow"}
    for item in found:
        phase = item["phase"] or "waits for the operator"
        result.add_row(
            f"{item['namespace']}/{item['name']}", f"[{colours.get(item['phase'], 'default')}]{phase}[/]", f"{item['cachedPercent']} %", str(item["files"]),
            datasets.size(item["bytes"]), rich.markup.escape(item["message"]),
        )  # fmt: skip
    return result


def findings(reports: dict[str, dict[str, Any]]) -> rich.table.Table | None:
    """Return what a check or a repair told file by file as a table, None where it told nothing."""
    listed = [(name, entry) for name, found in reports.items() for entry in datasets.rows(found.get("report"))]
    if not listed:
        return None
    columns = list(dict.fromkeys(key for _name, entry in listed for key in entry))
    result = rich.table.Table("data set", *[rich.table.Column(key, overflow="fold") for key in columns])
    for name, entry in listed:
        result.add_row(name, *(rich.markup.escape(str(entry.get(key, ""))) for key in columns))
    return result


class Watch(alnair_progress.Progress):
    """Shows how far a load is beside how far the playbook is, and keeps what the Jobs reported."""

    def __init__(self, console: rich.console.Console, look: Callable[[], list[dict[str, Any]]] | None = None, *, quiet: bool = False) -> None:
        super().__init__(console, quiet=quiet)
        self.look, self.looked, self.loading = look, 0.0, False
        self.reports: dict[str, dict[str, Any]] = {}
        self.lines: list[str] = []

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of ansible-runner."""
        data = event.get("event_data", {})
        action, answer = str(data.get("task_action", "")).rpartition(".")[2], data.get("res") or {}
        if event["event"] == "playbook_on_task_start":
            self.loading = action == "datasets_ready"
        elif event["event"].startswith("runner_on_") and isinstance(answer.get("datasets"), dict) and action == "dataset_job":
            self.reports.update(answer["datasets"])
        super().event(event)

    def tick(self) -> None:
        """Look at the load, and tell it where it moved."""
        if not self.loading or not self.look or self.quiet:
            super().tick()
            return
        if time.monotonic() - self.looked < LOOK:
            return
        self.looked = time.monotonic()
        try:
            lines = [datasets.progress(item["name"], item) for item in self.look()]
        except alnair_status.ClusterError:
            # The load goes on without being seen; whether it failed, the playbook tells.
            return
        if self.status:
            self.status.update(f"{time.monotonic() - self.started:5.0f} s  " + "; ".join(lines))
        elif lines != self.lines and time.monotonic() - self.said > 10:
            self.said, self.lines = time.monotonic(), lines
            self.console.print(f"{time.monotonic() - self.started:5.0f} s  " + "; ".join(lines), markup=False, highlight=False, soft_wrap=True)


def extra(verb: str, names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Return the variables by which playbooks/datasets.yml does a verb."""
    found: dict[str, Any] = {"datasets_only": list(names), **{f"datasets_{key}": value for key, value in more.items() if value}}
    if verb == "unmount":
        return {**found, "datasets_state": "absent", "alluxio_force": bool(more.get("force"))}
    return found if verb == "mount" else {**found, "datasets_verb": verb}


@dataclasses.dataclass
class Runner:
    """What the verbs need of the runner.

    Attributes:
        cluster: Makes an Alnair of an inventory.
        variables: Takes -e's words.
        report: Prints a result.
        usage: The error of wrong usage.
    """

    cluster: Callable[[str | None], Any]
    variables: Callable[[tuple[str, ...]], dict[str, Any]]
    report: Callable[..., None]
    usage: type[Exception]


def perform(runner: Runner, verb: str, inventory: str | None, names: tuple[str, ...], options: dict[str, Any], **more: Any) -> None:
    """Do a verb for the command line and exit with its code."""
    console, watch = rich.console.Console(stderr=options["as_json"]), None
    try:
        cluster = runner.cluster(inventory)
        variables = {**runner.variables(options["extra"]), **extra(verb, names, **more)}
        knobs = cluster.variables() if verb in ("mount", "load") else {}
        watch = Watch(console, (lambda: read(knobs, names)) if knobs else None, quiet=options["verbosity"] > 0)
        result: Result = cluster.run(
            "datasets",
            limit=options["limit"],
            check=options["check"],
            diff=options["diff"],
            extra_vars=variables,
            verbosity=max(options["verbosity"], int(options["diff"])),
            progress=watch,
        )
    except runner.usage as error:
        raise click.UsageError(str(error)) from error
    finally:
        if watch:
            watch.end()
    if options["as_json"]:
        click.echo(json.dumps({"verb": f"dataset {verb}", "datasets": watch.reports, **dataclasses.asdict(result)}, indent=2))
        sys.exit(result.exit_code)
    if shown := findings(watch.reports):
        console.print(shown)
    runner.report(console, f"dataset {verb}", result, as_json=False)
    if result.status == "interrupted" and verb in ("mount", "load"):
        console.print(
            "The load goes on in the cluster: alnair_runner.py dataset status shows it, the same command joins it, dataset unmount NAME ends it.", markup=False
        )
    sys.exit(result.exit_code)


def show(runner: Runner, inventory: str | None, names: tuple[str, ...], *, as_json: bool) -> None:
    """Print how data sets stand."""
    try:
        found = read(runner.cluster(inventory).variables(), names)
    except runner.usage as error:
        raise click.UsageError(str(error)) from error
    except alnair_status.ClusterError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        rich.console.Console(width=None if sys.stdout.isatty() else 160).print(table(found))


def commands(common: Callable[[Any], Any], runner: Runner) -> click.Group:
    """Return the verbs as a group of commands."""

    @click.group()
    def dataset() -> None:
        """Mount, load, check and free data sets."""

    named = click.argument("names", nargs=-1, metavar="[NAME]...")
    asked = click.argument("names", nargs=-1, required=True, metavar="NAME...")

    def verb(function: Any, argument: Any, *decorators: Any) -> None:
        """Add a command that runs the playbook."""
        name, wrapped = function.__name__, function
        for decorator in (*reversed(decorators), argument):
            wrapped = decorator(wrapped)
        dataset.command(name)(common(wrapped))

    def mount(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
        """Declare, mount and load what the inventory lists."""
        perform(runner, "mount", inventory, names, options)

    def load(inventory: str | None, names: tuple[str, ...], *, evict: tuple[str, ...], **options: Any) -> None:
        """Load what is new at the source or not cached; ^C leaves the load going."""
        perform(runner, "load", inventory, names, options, evict=list(evict))

    def check(inventory: str | None, names: tuple[str, ...], *, content: bool, sample: int, **options: Any) -> None:
        """Compare with the source; exit code 1 where something differs."""
        perform(runner, "check", inventory, names, options, content=content, sample=sample)

    def repair(inventory: str | None, names: tuple[str, ...], *, content: bool, sample: int, **options: Any) -> None:
        """Put right what differs from the source."""
        perform(runner, "repair", inventory, names, options, content=content, sample=sample)

    def checksum(inventory: str | None, names: tuple[str, ...], *, path: str, **options: Any) -> None:
        """Tell checksums of what is cached, of directories too."""
        perform(runner, "checksum", inventory, names, options, path=path)

    def free(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
        """Take data sets out of the cache; they stay mounted."""
        perform(runner, "free", inventory, names, options)

    def unmount(inventory: str | None, names: tuple[str, ...], *, force: bool, **options: Any) -> None:
        """Take data sets out of Alluxio; the source stays as it is."""
        perform(runner, "unmount", inventory, names, options, force=force)

    def status(inventory: str | None, names: tuple[str, ...], **options: Any) -> None:
        """Show phase, share cached, files, size and message; reads only."""
        show(runner, inventory, names, as_json=options["as_json"])

    verb(mount, named)
    verb(load, named, click.option("--evict", multiple=True, metavar="NAME", help="Free this data set first; may be repeated."))
    compared = (
        click.option("--content", is_flag=True, help="Compare byte by byte what is cached, too."),
        click.option("--sample", default=0, type=click.IntRange(0), metavar="N", help="Of so many files picked at random; 0 for all."),
    )
    verb(check, named, *compared)
    verb(repair, named, *compared)
    verb(checksum, asked, click.option("--path", default="", help="File or directory, relative to the data set."))
    verb(free, asked)
    verb(unmount, asked, click.option("--force", is_flag=True, help="Take finalizers off what is stuck, last."))
    verb(status, named)
    return dataset
