"""Data sets: how they stand, how far a load is, and the variables by which playbooks/datasets.yml does a verb."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rich.console
import rich.markup
import rich.table

from alnair import cluster
from alnair.errors import ClusterError
from alnair.home import shared
from alnair.progress import Progress

GROUP = {"group": "centaurusinfra.com", "version": "v1", "plural": "alnairdatacaches"}
# How often a load is looked at, in seconds.
LOOK = 2.0


def read(knobs: dict[str, Any], names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the data sets of the cluster: namespace, name, path, source and all of the status.

    Args:
        knobs: As :func:`alnair.inventory.variables` returns them.
        names: Which are meant, as NAME or NAMESPACE/NAME; all where it is empty.

    Raises:
        ClusterError: there is no kubeconfig, the API server does not answer, or it knows no data sets.
    """
    import kubernetes

    with cluster.asked(knobs) as client:
        try:
            found = kubernetes.client.CustomObjectsApi(client).list_cluster_custom_object(**GROUP, **cluster.LIMITS)["items"]
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
            raise ClusterError("The cluster knows no data sets: no operator was deployed. Run playbooks/deploy_operator.yml.") from error
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
    known = {name for item in listed for name in called(item)}
    if lacking := [name for name in names if name not in known]:
        there = ", ".join(sorted(item["name"] for item in listed)) or "none"
        raise ClusterError(f"There is no data set {', '.join(lacking)}. Declared: {there}.")
    return [item for item in listed if not names or called(item) & set(names)]


def called(item: dict[str, Any]) -> set[str]:
    """Return the names by which a data set may be meant."""
    return {item["name"], f"{item['namespace']}/{item['name']}"}


def table(found: list[dict[str, Any]]) -> rich.table.Table:
    """Return data sets as a table."""
    wide = [rich.table.Column(name, overflow="fold") for name in ("name", "message")]
    result = rich.table.Table(wide[0], "phase", rich.table.Column("cached", justify="right"), "files", "size", wide[1], title="Data sets")
    colours = {"Complete": "green", "Failed": "red", "TooLarge": "red", "Incomplete": "yellow"}
    for item in found:
        phase = item["phase"] or "waits for the operator"
        result.add_row(
            f"{item['namespace']}/{item['name']}", f"[{colours.get(item['phase'], 'default')}]{phase}[/]", f"{item['cachedPercent']} %", str(item["files"]),
            shared("datasets").size(item["bytes"]), rich.markup.escape(item["message"]),
        )  # fmt: skip
    return result


def findings(reports: dict[str, dict[str, Any]]) -> rich.table.Table | None:
    """Return what a check or a repair told file by file as a table, None where it told nothing."""
    listed = [(name, entry) for name, found in reports.items() for entry in shared("datasets").rows(found.get("report"))]
    if not listed:
        return None
    columns = list(dict.fromkeys(key for _name, entry in listed for key in entry))
    result = rich.table.Table("data set", *[rich.table.Column(key, overflow="fold") for key in columns])
    for name, entry in listed:
        result.add_row(name, *(rich.markup.escape(str(entry.get(key, ""))) for key in columns))
    return result


class Watch(Progress):
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
            lines = [shared("datasets").progress(item["name"], item) for item in self.look()]
        except ClusterError:
            # The load goes on without being seen; whether it failed, the playbook tells.
            return
        if self.status:
            self.status.update(rich.markup.escape(f"{time.monotonic() - self.started:5.0f} s  " + "; ".join(lines)))
        elif lines != self.lines and time.monotonic() - self.said > 10:
            self.said, self.lines = time.monotonic(), lines
            self.console.print(f"{time.monotonic() - self.started:5.0f} s  " + "; ".join(lines), markup=False, highlight=False, soft_wrap=True)


def extra(verb: str, names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Return the variables by which playbooks/datasets.yml does a verb; of options that were not given none, so that the inventory's hold."""
    found = {f"datasets_{key}": value for key, value in {"only": list(names), **more}.items() if value}
    if verb == "unmount":
        return {**found, "datasets_state": "absent"}
    return found if verb == "mount" else {**found, "datasets_verb": verb}
