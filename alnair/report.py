"""One page of HTML that tells how a release stands: state, data sets, hit ratio and the figures of the last bench, without a word from elsewhere."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import jinja2

from alnair import datasets, records, status
from alnair.errors import ClusterError, UsageError
from alnair.home import shared
from alnair.inventory import figures as figures_of

PARTS = {"masters": "master", "workers": "worker", "fuse": "FUSE mount", "operator": "operator"}
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar of a plot.

    Attributes:
        case: How the data was read, as in the rows of the bench.
        label: The same in words.
        text: The figure in words.
        share: Of the longest bar, 0 to 1.
        first: Whether it is of the first epoch.
    """

    case: str
    label: str
    text: str
    share: float
    first: bool


@dataclasses.dataclass(frozen=True)
class Plot:
    """Bars of one kind of files.

    Attributes:
        title: What was read, and the unit.
        bars: From the source to the node's disk.
    """

    title: str
    bars: list[Bar]


@dataclasses.dataclass(frozen=True)
class Series:
    """The figures of one data set.

    Attributes:
        title: Its name where there are several, else empty.
        plots: One for each kind of files.
        head: Titles of the table's columns.
        table: Its lines, in words.
        notes: What loads and copies took.
    """

    title: str
    plots: list[Plot]
    head: tuple[str, ...]
    table: list[list[str]]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Bench:
    """The last bench.

    Attributes:
        when: When it ended, as people read it.
        source: What was read; empty where nobody knows.
        series: Its figures.
    """

    when: str
    source: str
    series: list[Series]


@dataclasses.dataclass(frozen=True)
class Page:
    """What the page tells.

    Attributes:
        when: When it was read, as people read it.
        inventory: Name of the inventory.
        state: As :func:`alnair.status.read` returns it.
        sets: As :func:`alnair.datasets.read` returns them.
        no_sets: Why there are none; empty where there are.
        bench: The last bench; None where there is none.
    """

    when: str
    inventory: str
    state: dict[str, Any]
    sets: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    no_sets: str = ""
    bench: Bench | None = None

    @property
    def pods(self) -> list[dict[str, Any]]:
        """Return all pods, each with its part."""
        return [{"part": part, **pod} for key, part in PARTS.items() for pod in self.state[key]]

    @property
    def hit_ratio(self) -> float | None:
        """Return the part of what was read that came from the cache; None where nobody knows."""
        return status.hit_ratio(self.state["reads"])


def read(knobs: dict[str, Any], inventory: Path, figures: Path | None = None) -> Page:
    """Return how a release stands.

    Args:
        knobs: As :func:`alnair.inventory.variables` returns them.
        inventory: Folder or file.
        figures: File of a bench's rows; that of the inventory's last bench by default.

    Raises:
        ClusterError: the cluster could not be read.
        UsageError: that file has no rows of a bench.
    """
    state, sets, lacking = status.read(knobs), [], ""
    try:
        sets = datasets.read(knobs)
        lacking = "" if sets else "No data set is declared."
    except ClusterError as error:
        lacking = str(error)
    measured = bench(figures, "") if figures else last_bench(inventory)
    return Page(when=said(datetime.datetime.now(datetime.UTC)), inventory=inventory.name, state=state, sets=sets, no_sets=lacking, bench=measured)


def last_bench(inventory: Path) -> Bench | None:
    """Return the newest bench of an inventory that left a record and whose figures are still there, or figures that outlived their record.

    Raises:
        UsageError: the file has no rows of a bench.
    """
    for record in reversed(records.all_of_them()):
        chosen = record.options.get("extra_vars") or {}
        path = Path(chosen.get("loading_bench_results") or "/dev/null")
        measured = (record.verb, record.inventory, record.status) == ("bench", str(inventory), "successful") and not record.options.get("check")
        if measured and path.is_file():
            return bench(path, str(chosen.get("loading_bench_source", "")))
    kept = figures_of(inventory)
    return bench(kept, "") if kept and kept.is_file() else None


def bench(path: Path, source: str) -> Bench:
    """Return what a file of a bench's rows says.

    Args:
        path: The file.
        source: What was read.

    Raises:
        UsageError: it has no such rows.
    """
    try:
        rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list) or not rows:
            raise ValueError("no list of rows")
        names = list(dict.fromkeys(row.get("set", "") for row in rows))
        found = [series(name, [row for row in rows if row.get("set", "") == name]) for name in names]
        ended = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} has no figures of the bench as `bench --results` writes them: {error}") from error
    return Bench(said(ended), source, found)


def series(title: str, rows: list[Row]) -> Series:
    """Return the figures of a data set's rows."""
    loading = shared("loading", "filter")
    found = loading.summary(rows)
    plots = []
    for kind, name in loading.KINDS.items():
        field, unit = ("files_s", "files/s") if kind == "small" else ("mb_s", "MB/s")
        mine = {key: row for key, row in found.items() if key[0] == kind}
        most = max((row[field] for row in mine.values()), default=0.0)
        bars = [Bar(case, f"{loading.CASES[case]}, {epoch}", loading.figure(row[field]), row[field] / most, epoch == loading.EPOCHS[0])
                for (_kind, case, epoch), row in mine.items()]  # fmt: skip
        plots += [Plot(f"{name}, {unit}", bars)] if bars else []
    return Series(title, plots, loading.TITLES, loading.lines_of(found), loading.notes(rows))


def said(moment: datetime.datetime) -> str:
    """Return a moment as people read it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def render(page: Page) -> str:
    """Return the page as HTML that needs nothing else: styles and pictures are in it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["size"] = shared("datasets").size
    return environment.get_template("report.html.j2").render(page=page, state=page.state)
