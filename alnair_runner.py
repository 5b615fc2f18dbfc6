#!/usr/bin/env python3
"""Run Alnair's playbooks and read a cluster's state: a command line and a Python API.

The playbooks hold the knowledge; this picks one, hands it inventory and variables, shows its progress and returns a typed result::

    from alnair_runner import Alnair

    result = Alnair(inventory="inventory/lab").deploy()
    print(result.status, result.changed)
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["Alnair", "Failure", "Result", "UsageError"]
HOME = Path(__file__).resolve().parent
try:
    import ansible_runner
    import click
    import rich.console
    import rich.table
    import yaml
except ImportError as missing:
    # `python alnair_runner.py` shall work in a checkout after the set-up, whichever python that is.
    venv_python = HOME / ".venv" / "bin" / "python"
    if __name__ == "__main__" and venv_python.exists() and Path(sys.prefix).resolve() != (HOME / ".venv").resolve():
        os.execv(venv_python, [str(venv_python), *sys.argv])
    sys.exit(f"The Python package {missing.name} is missing. Run `make setup`, or pip install -r requirements.txt.")

import alnair_dataset
import alnair_processes
import alnair_progress
import alnair_status
from alnair_result import Failure, Result, collect

CONTROLLER = "alluxio_controller:localhost"


class UsageError(Exception):
    """What was asked for cannot be run; nothing was changed."""


class Alnair:
    """A cluster as an inventory describes it.

    Args:
        inventory: Folder or file; by default inventory/lab of the checkout where it exists.

    Raises:
        UsageError: there is no such inventory, or none was named.
    """

    def __init__(self, inventory: str | Path | None = None) -> None:
        if inventory is None and not (HOME / "inventory" / "lab").exists():
            raise UsageError("No inventory was named. Give one with --inventory, such as a copy of inventory/example.")
        self.inventory = Path(inventory or HOME / "inventory" / "lab").expanduser().resolve()
        if not self.inventory.exists():
            raise UsageError(f"There is no inventory at {self.inventory}. Name a folder or file that exists with --inventory.")

    def variables(self) -> dict[str, Any]:
        """Return the controller's variables, with templates worked out for kubeconfig, context, namespace and release."""
        return alnair_status.variables(self.inventory)

    def matched(self, limit: str) -> list[str]:
        """Return the hosts of the inventory that a limit matches."""
        return alnair_status.hosts(self.inventory, limit)

    def run(self, playbook: str, *, limit: str = "", check: bool = False, diff: bool = False, extra_vars: dict[str, Any] | None = None,
            verbosity: int = 0, progress: alnair_progress.Progress | None = None) -> Result:
        """Run one of the playbooks.

        Args:
            playbook: Name of a file in playbooks/ without its ending.
            limit: Pattern of hosts; the controller's tasks run all the same.
            check: Whether to tell only what would change.
            diff: Whether to collect differences.
            extra_vars: Variables that win over all others.
            verbosity: How much ansible-playbook says, 0 to 5.
            progress: Who is told of events.

        Raises:
            UsageError: the limit matches no host.
        """
        if limit and not self.matched(limit):
            known = ", ".join(self.matched("all")[:20]) or "none"
            raise UsageError(f'--limit "{limit}" matches no host of {self.inventory}. Its hosts are: {known}.')
        if not self.matched("alluxio_masters:alluxio_workers"):
            raise UsageError(f"{self.inventory} has no host in the groups alluxio_masters and alluxio_workers. See inventory/example.")
        path = HOME / "playbooks" / f"{playbook}.yml"
        if progress:
            variables = {**alnair_status.known(self.inventory), **(extra_vars or {}), "ansible_check_mode": check}
            progress.expect(alnair_progress.tasks_of_playbook(path, variables))
        words = [word for word, wanted in (("--check", check), ("--diff", diff)) if wanted]
        result, started = Result(), time.monotonic()
        # A folder for each run: ansible-runner reads options of an earlier run again from a folder that is used twice.
        # The sockets lie by themselves because their paths may have no more than 107 characters, and TMPDIR may be long.
        with tempfile.TemporaryDirectory(prefix="alnair-") as folder, tempfile.TemporaryDirectory(prefix="alnair-", dir="/tmp") as sockets_folder:
            sockets = Path(sockets_folder)

            def handle(event: dict[str, Any]) -> bool:
                collect(result, event)
                if progress:
                    progress.event(event)
                return False

            thread, runner = ansible_runner.run_async(
                private_data_dir=folder, project_dir=str(HOME), playbook=str(path),
                inventory=str(self.inventory), limit=f"{limit}:{CONTROLLER}" if limit else None, cmdline=" ".join(words) or None,
                extravars=extra_vars or {}, verbosity=verbosity or None, quiet=verbosity == 0, event_handler=handle,
                # Its own one would take SIGINT and SIGTERM for itself and end less than all.
                cancel_callback=lambda: False,
                envvars={
                    "ANSIBLE_CONFIG": str(HOME / "ansible.cfg"),
                    # ansible-runner would switch the check of host keys off, whatever inventory and ansible.cfg say.
                    "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
                    "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                },
            )
            try:
                while thread.is_alive():
                    thread.join(0.5)
                    if progress:
                        progress.tick()
                result.status = "failed" if result.failures else "unreachable" if result.unreachable else "successful"
                if result.status == "successful" and runner.status != "successful":
                    result.status = "failed"
                    text = runner.stdout.read()[-2000:] if runner.stdout else ""
                    result.failures.append(Failure("localhost", "start of ansible-playbook", text.strip() or f"it ended with {runner.rc}"))
            except KeyboardInterrupt:
                alnair_processes.end_run(sockets)
                thread.join(5)
                result.status = "interrupted"
            finally:
                alnair_processes.end_connections(sockets)
        if result.status == "successful" and not result.hosts:
            raise UsageError(f"No host of {self.inventory} was matched, so nothing was done.")
        result.duration = time.monotonic() - started
        return result

    def deploy(self, **options: Any) -> Result:
        """Run the whole chain; options as for :meth:`run`."""
        return self.run("site", **options)

    def upgrade(self, **options: Any) -> Result:
        """Bring a release that is there to what the inventory says, with a backup before and the way back when it does not become Ready."""
        return self.run("upgrade", **options)

    def rollback(self, *, revision: int = 0, journal: bool = False, extra_vars: dict[str, Any] | None = None, **options: Any) -> Result:
        """Put an earlier revision back.

        Args:
            revision: Its number; 0 for the newest one that was Ready before.
            journal: Whether the journal is restored from that revision's backup too; files made since vanish.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        more = {"alluxio_chart_revision": revision, "alluxio_chart_rollback_journal": journal}
        return self.run("rollback", extra_vars={**(extra_vars or {}), **more}, **options)

    def scale(self, **options: Any) -> Result:
        """Bring masters and workers to what the inventory's groups say."""
        return self.run("scale", **options)

    def backup(self, **options: Any) -> Result:
        """Back the journal up and prove that a master starts from the backup."""
        return self.run("backup", **options)

    def restore(self, source: str | Path, *, extra_vars: dict[str, Any] | None = None, **options: Any) -> Result:
        """Start the masters from a backup; the journals that are there are kept aside.

        Args:
            source: The backup, a file on the controller.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        return self.run("restore", extra_vars={**(extra_vars or {}), "alluxio_chart_restore_from": str(Path(source).expanduser().resolve())}, **options)

    def verify(self, **options: Any) -> Result:
        """Run Alluxio's own tests and read a file through FUSE on every worker."""
        return self.run("verify", **options)

    def bench(self, **options: Any) -> Result:
        """Measure how fast a data set is read with and without the cache; the variables of role loading_bench say which and how."""
        return self.run("bench", **options)

    def teardown(self, *, force: bool = False, purge: bool = False, extra_vars: dict[str, Any] | None = None, **options: Any) -> Result:
        """Remove release, claims and volumes; with purge also what lies on the hosts."""
        return self.run("teardown", extra_vars={**(extra_vars or {}), "alluxio_force": force, "alluxio_purge": purge}, **options)

    def dataset(self, verb: str, *names: str, extra_vars: dict[str, Any] | None = None, **options: Any) -> Result:
        """Mount, load, check, repair, checksum, free or unmount data sets.

        Args:
            verb: Which of these.
            names: Names of the data sets; all that are listed, or declared, where there is none.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        return self.run("datasets", extra_vars={**(extra_vars or {}), **alnair_dataset.extra(verb, names)}, **options)

    def datasets(self) -> list[dict[str, Any]]:
        """Return how the data sets of the cluster stand; see :func:`alnair_dataset.read`."""
        return alnair_dataset.read(self.variables())

    def status(self) -> dict[str, Any]:
        """Return the state of the release as the Kubernetes API tells it; see :func:`alnair_status.read`."""
        return alnair_status.read(self.variables())


def extra_variables(items: tuple[str, ...]) -> dict[str, Any]:
    """Return variables from words as ansible-playbook's -e takes them: key=value, YAML or JSON, or @file.

    Raises:
        UsageError: a word is none of these.
    """
    found: dict[str, Any] = {}
    for item in items:
        if item.startswith("@") and not Path(item[1:]).is_file():
            raise UsageError(f"-e {item}: there is no file {item[1:]}.")
        if not item.startswith(("@", "{")) and "=" in item:
            key, _, value = item.partition("=")
            found[key] = yaml.safe_load(value) if value in ("true", "false") else value
            continue
        text = Path(item[1:]).read_text(encoding="utf-8") if item.startswith("@") else item
        values = yaml.safe_load(text)
        if not isinstance(values, dict):
            raise UsageError(f'-e "{item}" is neither key=value nor a mapping in YAML or JSON nor @file.')
        found.update(values)
    return found


def report(console: rich.console.Console, verb: str, result: Result, *, as_json: bool) -> None:
    """Print what a run did."""
    if as_json:
        click.echo(json.dumps({"verb": verb, **dataclasses.asdict(result)}, indent=2))
        return
    table = rich.table.Table("host", "ok", "changed", "failed", "unreachable")
    for host, counts in sorted(result.hosts.items()):
        table.add_row(host, *(str(counts[key]) for key in ("ok", "changed", "failures", "unreachable")))
    if result.hosts:
        console.print(table)
    for failure in result.failures:
        console.print(f"{failure.host}: {failure.task}\n  {failure.message}", style="red", markup=False, highlight=False, soft_wrap=True)
    for host, reason in result.unreachable.items():
        console.print(f"{host} does not answer over ssh: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    if result.status == "interrupted":
        console.print("What was done so far stays. The same command goes on from there; a helm that was cut off is repaired by it first.")
    console.print(f"{verb}: {result.status}, {result.changed} changed, {result.duration:.0f} s", style="bold")


COMMON = [
    click.option("-i", "--inventory", help="Inventory folder or file; inventory/lab where it exists."),
    click.option("-l", "--limit", default="", help="Hosts that the host roles run on; the cluster's tasks always run."),
    click.option("-C", "--check", is_flag=True, help="Tell what would change; change nothing."),
    click.option("-D", "--diff", is_flag=True, help="Show differences."),
    click.option("-e", "extra", multiple=True, metavar="VAR", help="key=value, YAML, JSON or @file; may be repeated."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    click.option("-v", "verbosity", count=True, help="Show ansible-playbook's own output; -vvv for more."),
]


def common(function: Any) -> Any:
    """Give a command the options that all verbs have."""
    for option in reversed(COMMON):
        function = option(function)
    return function


def perform(verb: str, inventory: str | None, options: dict[str, Any], **more: Any) -> None:
    """Run a verb for the command line and exit with its code."""
    console = rich.console.Console(stderr=options["as_json"])
    progress = None
    try:
        cluster = Alnair(inventory)
        extra = extra_variables(options["extra"])
        if options["limit"] and cluster.matched(options["limit"]):
            console.print(f"--limit {options['limit']} holds for the tasks on hosts; the cluster's tasks run all the same.", markup=False)
        progress = alnair_progress.Progress(console, quiet=options["verbosity"] > 0)
        result: Result = getattr(cluster, verb)(limit=options["limit"], check=options["check"], diff=options["diff"], extra_vars=extra,
                                                verbosity=max(options["verbosity"], int(options["diff"])), progress=progress, **more)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    finally:
        if progress:
            progress.end()
    report(console, verb, result, as_json=options["as_json"])
    sys.exit(result.exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Alluxio on Kubernetes. Example: alnair_runner.py deploy --inventory inventory/lab --check --diff."""
    # A CI job ends a run as a person does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command()
@common
def deploy(inventory: str | None, **options: Any) -> None:
    """Run the whole chain, from the hosts to Ready pods."""
    perform("deploy", inventory, options)


@main.command()
@common
def verify(inventory: str | None, **options: Any) -> None:
    """Run Alluxio's own tests and read a file through FUSE on every worker."""
    perform("verify", inventory, options)


@main.command()
@common
def upgrade(inventory: str | None, **options: Any) -> None:
    """Change the release that is there, with a backup before and the way back."""
    perform("upgrade", inventory, options)


@main.command()
@common
@click.option("--revision", default=0, type=click.IntRange(0), help="Revision to put back; the newest that was Ready before by default.")
@click.option("--journal", is_flag=True, help="Restore that revision's journal too: files made since vanish.")
def rollback(inventory: str | None, *, revision: int, journal: bool, **options: Any) -> None:
    """Put an earlier revision back."""
    perform("rollback", inventory, options, revision=revision, journal=journal)


@main.command()
@common
def scale(inventory: str | None, **options: Any) -> None:
    """Bring masters and workers to what the inventory's groups say."""
    perform("scale", inventory, options)


@main.command()
@common
def backup(inventory: str | None, **options: Any) -> None:
    """Back the journal up to this machine and prove that a master starts from it."""
    perform("backup", inventory, options)


@main.command()
@common
@click.option("--from", "source", required=True, type=click.Path(exists=True, dir_okay=False), help="The backup that the masters start from.")
def restore(inventory: str | None, *, source: str, **options: Any) -> None:
    """Start the masters from a backup; their journals are kept aside."""
    perform("restore", inventory, options, source=source)


@main.command()
@common
@click.option("--source", required=True, help="The data set, which is only read: s3://bucket/prefix, or a folder that all nodes see.")
@click.option("--credentials", default="", help="Secret with s3a.accessKeyId and s3a.secretKey in the release's namespace.")
@click.option("--readers", default=8, show_default=True, type=click.IntRange(1), help="Processes that read at the same time.")
@click.option("--results", type=click.Path(dir_okay=False, resolve_path=True), help="File for the figures, as JSON; a picture (PNG) is drawn beside it.")
def bench(inventory: str | None, *, source: str, credentials: str, readers: int, results: str | None, **options: Any) -> None:
    """Measure how fast a data set is read from its source, through the cache and from a node's disk."""
    chosen = {"source": source, "credentials": credentials, "readers": readers}
    if results:
        chosen.update(results=results, picture=str(Path(results).with_suffix(".png")))
    # What -e says comes last, so that it holds.
    options["extra"] = (json.dumps({f"loading_bench_{name}": value for name, value in chosen.items()}), *options["extra"])
    perform("bench", inventory, options)


@main.command()
@common
@click.option("--force", is_flag=True, help="Remove although pods mount the cache; take finalizers off what is stuck, last.")
@click.option("--purge", is_flag=True, help="Remove journal, data sets' directories, trust and account from the hosts too.")
def teardown(inventory: str | None, *, force: bool, purge: bool, **options: Any) -> None:
    """Remove release, claims and volumes; keep what lies on the hosts."""
    perform("teardown", inventory, options, force=force, purge=purge)


@main.command()
@common
def status(inventory: str | None, **options: Any) -> None:
    """Show masters, workers, capacity, mounts and volumes; reads only."""
    try:
        found = Alnair(inventory).status()
    except (UsageError, alnair_status.ClusterError) as error:
        if isinstance(error, UsageError):
            raise click.UsageError(str(error)) from error
        raise click.ClickException(str(error)) from error
    if options["as_json"]:
        click.echo(json.dumps(found, indent=2))
    else:
        # In a file or a pipe names stay whole.
        rich.console.Console(width=None if sys.stdout.isatty() else 120).print(alnair_status.table(found))


main.add_command(alnair_dataset.commands(common, alnair_dataset.Runner(Alnair, extra_variables, report, UsageError)))

if __name__ == "__main__":
    main()
