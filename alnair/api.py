"""The Python API: a cluster as an inventory describes it, and what can be done with it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import inspect
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, Unpack

from alnair import counting, home, records, running
from alnair import datasets as data
from alnair import inventory as said
from alnair import report as page
from alnair import status as state
from alnair.errors import UsageError
from alnair.events import Event, Reader
from alnair.options import Options, Plain
from alnair.progress import Progress
from alnair.result import Result, collect

Answer = TypeVar("Answer")


def given(**values: Any) -> dict[str, Any]:
    """Return the variables of options that were given: of the others the inventory's hold."""
    return {name: value for name, value in values.items() if value}


def plain(variables: dict[str, Any]) -> dict[str, Any]:
    """Return variables as JSON, in which ansible-playbook gets them: a path or a date becomes its text.

    Raises:
        UsageError: one has a value that JSON does not know.
    """

    def text(value: Any) -> str:
        if isinstance(value, os.PathLike | datetime.date):
            return str(value)
        raise TypeError(f"it holds a {type(value).__name__}")

    found = {}
    for name, value in variables.items():
        try:
            found[name] = json.loads(json.dumps(value, default=text))
        except (TypeError, ValueError) as error:
            raise UsageError(f"The variable {name} cannot be handed to ansible-playbook as JSON: {error}.") from error
    return found


class Alnair:
    """A cluster as an inventory describes it.

    Args:
        inventory: Folder or file; by default the one of Ansible's configuration (ANSIBLE_INVENTORY, ansible.cfg), else inventory/lab of the checkout.

    Raises:
        UsageError: there is no such inventory, or none was named.
    """

    def __init__(self, inventory: str | Path | None = None) -> None:
        lab = home.BESIDE / "inventory" / "lab"
        named = inventory or said.configured() or (lab if lab.exists() else None)
        if not named:
            raise UsageError("No inventory was named. Give one with --inventory, such as a copy of inventory/example, or one that init writes.")
        self.inventory = Path(named).expanduser().resolve()
        if not self.inventory.exists():
            raise UsageError(f"There is no inventory at {self.inventory}. Name a folder or file that exists with --inventory.")

    @functools.cached_property
    def home(self) -> Path:
        """Return the folder of the playbooks; what only reads the cluster needs none.

        Raises:
            UsageError: they are not there.
        """
        return home.find()

    def variables(self) -> dict[str, Any]:
        """Return the controller's variables, with templates worked out for kubeconfig, context, namespace and release."""
        return said.variables(self.inventory)

    def matched(self, limit: str) -> list[str]:
        """Return the hosts of the inventory that a limit matches."""
        return said.hosts(self.inventory, limit)

    def run(self, playbook: str, *, limit: str = "", check: bool = False, diff: bool = False, extra_vars: dict[str, Any] | None = None,
            verbosity: int = 0, progress: Progress | None = None, verb: str = "",
            on_event: Callable[[Event], None] | None = None, cancel: threading.Event | None = None) -> Result:  # fmt: skip
        """Run one of the playbooks.

        Args:
            playbook: Name of a file in playbooks/ without its ending.
            limit: Pattern of hosts; the controller's tasks run all the same.
            check: Whether to tell only what would change.
            diff: Whether to collect differences.
            extra_vars: Variables that win over all others, as JSON knows them; paths and dates become text.
            verbosity: How much ansible-playbook says, 0 to 5.
            progress: Shows how far the run is.
            verb: What the run's record calls it; the playbook's name by default.
            on_event: Called with each event as it comes, from another thread; what it raises ends the run and is raised here.
            cancel: Ends the run in order when another thread sets it, as an interrupt does.

        Raises:
            UsageError: the limit matches no host, a variable is no JSON, or the playbooks are not there.
        """
        variables = plain(extra_vars or {})
        # As names, because a pattern that takes away or intersects could not be added to.
        names = self.matched(limit) if limit else []
        if limit and not names:
            known = ", ".join(self.matched("all")[:20]) or "none"
            raise UsageError(f'--limit "{limit}" matches no host of {self.inventory}. Its hosts are: {known}.')
        if not self.matched("alluxio_masters:alluxio_workers"):
            raise UsageError(f"{self.inventory} has no host in the groups alluxio_masters and alluxio_workers. See inventory/example.")
        path = self.home / "playbooks" / f"{playbook}.yml"
        if progress:
            progress.expect(counting.tasks_of_playbook(path, {**said.known(self.inventory), **variables, "ansible_check_mode": check}))
        names += said.controllers(self.inventory) if limit else []
        result, reader = Result(), Reader()

        def told(event: dict[str, Any]) -> None:
            collect(result, event)
            if progress:
                progress.event(event)
            if on_event and (read := reader.read(event)):
                on_event(read)

        words = [word for word, wanted in (("--check", check), ("--diff", diff)) if wanted]
        with records.kept(verb or playbook, self.inventory, self.home, result, limit=limit, check=check, extra_vars=variables):
            running.play(self.home, path, self.inventory, result, limit=names, words=words, extra_vars=variables, verbosity=verbosity,
                         told=told, tick=progress.tick if progress else lambda: None, interrupted=progress.interrupt if progress else lambda: None,
                         cancel=cancel)  # fmt: skip
        if result.status == "successful" and not result.hosts:
            raise UsageError(f"No host of {self.inventory} was matched, so nothing was done.")
        return result

    async def arun(self, work: Callable[..., Answer], *words: Any, on_event: Callable[[Event], None] | None = None, **options: Any) -> Answer:
        """Run a method of this class without holding up the event loop.

        A cancelled task ends the run in order before it is done::

            result = await cluster.arun(cluster.deploy, limit="node-1", on_event=print)

        Args:
            work: The method: one that takes the options of :meth:`run`, or one that only reads, which has no events and is waited for when it is cancelled.
            words: Its words.
            on_event: Called in the event loop with each event as it comes; what it raises ends the run and is raised here.
            options: Its options.
        """
        loop, cancel, raised = asyncio.get_running_loop(), threading.Event(), list[Exception]()

        def hear(event: Event) -> None:
            try:
                if on_event and not raised:
                    on_event(event)
            except Exception as error:  # noqa: BLE001
                raised.append(error)
                cancel.set()

        def told(event: Event) -> None:
            loop.call_soon_threadsafe(hear, event)

        kinds = {item.name: item.kind for item in inspect.signature(work).parameters.values()}
        runs = "on_event" in kinds or inspect.Parameter.VAR_KEYWORD in kinds.values()
        followed = {"on_event": told, "cancel": cancel} if runs else {}
        run = asyncio.create_task(asyncio.to_thread(work, *words, **followed, **options))
        try:
            result = await asyncio.shield(run)
        except asyncio.CancelledError:
            cancel.set()
            # However often it is cancelled: the run is not left alone.
            while not run.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([run])
            # What the end of a cancelled run raises is nobody's.
            run.cancelled() or run.exception()
            raise
        if raised:
            raise raised[0]
        return result

    def deploy(self, **options: Unpack[Options]) -> Result:
        """Run the whole chain; options as for :meth:`run`."""
        options.setdefault("verb", "deploy")
        return self.run("site", **options)

    def plan(self, **options: Unpack[Options]) -> Result:
        """Tell what :meth:`deploy` would change, and change nothing: the result's changes say it; options as for :meth:`run`."""
        options.setdefault("verb", "plan")
        options["check"] = options["diff"] = True
        return self.run("site", **options)

    def doctor(self, **options: Unpack[Options]) -> Result:
        """Tell whether all holds that must hold before a deploy, and change nothing: the result's checks say it; options as for :meth:`run`."""
        return self.run("doctor", **options)

    def upgrade(self, **options: Unpack[Options]) -> Result:
        """Bring a release that is there to what the inventory says, with a backup before and the way back when it does not become Ready."""
        return self.run("upgrade", **options)

    def rollback(self, *, revision: int = 0, journal: bool = False, extra_vars: dict[str, Any] | None = None, **options: Unpack[Plain]) -> Result:
        """Put an earlier revision back.

        Args:
            revision: Its number; 0 for the newest one that was Ready before.
            journal: Whether the journal is restored from that revision's backup too; files made since vanish.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        chosen = given(alluxio_chart_revision=revision, alluxio_chart_rollback_journal=journal)
        return self.run("rollback", extra_vars={**chosen, **(extra_vars or {})}, **options)

    def scale(self, **options: Unpack[Options]) -> Result:
        """Bring masters and workers to what the inventory's groups say."""
        return self.run("scale", **options)

    def backup(self, **options: Unpack[Options]) -> Result:
        """Back the journal up and prove that a master starts from the backup."""
        return self.run("backup", **options)

    def restore(self, source: str | Path, *, extra_vars: dict[str, Any] | None = None, **options: Unpack[Plain]) -> Result:
        """Start the masters from a backup; the journals that are there are kept aside.

        Args:
            source: The backup, a file on the controller.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        return self.run("restore", extra_vars={"alluxio_chart_restore_from": str(Path(source).expanduser().resolve()), **(extra_vars or {})}, **options)

    def verify(self, **options: Unpack[Options]) -> Result:
        """Run Alluxio's own tests and read a file through FUSE on every worker."""
        return self.run("verify", **options)

    def bench(self, *, extra_vars: dict[str, Any] | None = None, **options: Unpack[Plain]) -> Result:
        """Measure how fast a data set is read with and without the cache; the variables of role loading_bench say which and how.

        The figures are written to loading_bench_results. Where nobody says a file and the controller is this machine, they lie below the user's state
        folder. :func:`alnair.report.last_bench` finds them.

        Args:
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        chosen = dict(extra_vars or {})
        if said.controllers(self.inventory) == ["localhost"] and chosen.get("loading_bench_results") != "":
            # As a whole path, by which the run's record leads the report to it.
            named = chosen.get("loading_bench_results") or said.figures(self.inventory)
            # What only the play can work out it gets as it is.
            if named and "{{" not in str(named):
                path = Path(named).expanduser().resolve()
                if path == records.figures(self.inventory).resolve():
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                chosen["loading_bench_results"] = str(path)
        return self.run("bench", extra_vars=chosen, **options)

    def teardown(self, *, force: bool = False, purge: bool = False, extra_vars: dict[str, Any] | None = None, **options: Unpack[Plain]) -> Result:
        """Remove release, claims and volumes; with purge also what lies on the hosts."""
        return self.run("teardown", extra_vars={**given(alluxio_force=force, alluxio_purge=purge), **(extra_vars or {})}, **options)

    def dataset(self, verb: str, *names: str, evict: Sequence[str] = (), content: bool = False, sample: int = 0, path: str = "", force: bool = False,
                extra_vars: dict[str, Any] | None = None, **options: Unpack[Plain]) -> Result:  # fmt: skip
        """Mount, load, cancel, check, repair, checksum, free or unmount data sets.

        Args:
            verb: Which of these.
            names: Names of the data sets; all that are listed, or declared, where there is none.
            evict: Data sets that may be freed where there is too little space to load others.
            content: Whether a check compares byte by byte what is cached, too.
            sample: Of how many files picked at random; 0 for all.
            path: File or directory whose checksum is told, relative to the data set.
            force: Whether finalizers are taken off what is stuck, last.
            extra_vars: As for :meth:`run`.
            options: As for :meth:`run`.
        """
        more = data.extra(verb, names, evict=list(evict), content=content, sample=sample, path=path, force=force)
        return self.run("datasets", extra_vars={**more, **(extra_vars or {})}, verb=f"dataset {verb}", **options)

    def datasets(self) -> list[dict[str, Any]]:
        """Return how the data sets of the cluster stand; see :func:`alnair.datasets.read`."""
        return data.read(self.variables())

    def status(self) -> dict[str, Any]:
        """Return the state of the release as the Kubernetes API tells it; see :func:`alnair.status.read`."""
        return state.read(self.variables())

    def report(self, figures: Path | None = None) -> str:
        """Return how the release stands as one page of HTML that needs nothing else.

        Args:
            figures: File of a bench's rows; that of this inventory's last bench by default.

        Raises:
            ClusterError: the cluster could not be read.
            UsageError: the file has no rows of a bench.
        """
        return page.render(page.read(self.variables(), self.inventory, figures))
