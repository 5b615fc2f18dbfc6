"""Goals from the rows of results."""

from __future__ import annotations

import statistics
from typing import Any

import rich.table
from ansible_collections.alnair.alluxio.plugins.filter import loading

Row = dict[str, Any]
SETS = {"images": "images", "shards": "large files alone", "tiny": "20 kB files"}


def of(rows: list[Row], name: str, case: str = "") -> list[Row]:
    """Return the rows of a data set, and of a case where one is given."""
    return [row for row in rows if row["set"] == name and case in ("", row["case"])]


def link(rows: list[Row]) -> float:
    """Return the MB/s that the link gives: what readers of large files at the source itself got, or what it carries where that was not measured."""
    direct = [row["mb_s"] for row in rows if (row["case"], row["kind"]) == ("remote", "large")]
    return statistics.median(direct) if direct else rows[0]["rate"] / 8


def goals(rows: list[Row]) -> list[tuple[str, float, float]]:
    """Return the goals that the rows say something of: text, figure and what it shall be at least."""
    found, medians = [], loading.summary(of(rows, "images"))
    bounds = (
        ("loaded", "first", "x_source", "source", 3.0), ("loaded", "later", "x_source", "source", 10.0), ("loaded", "later", "x_disk", "disk", 0.5),
        ("cold", "first", "x_source", "source", 1.0),
    )  # fmt: skip
    for case, epoch, field, other, least in bounds:
        for kind, name in loading.KINDS.items():
            row = medians.get((kind, case, epoch), {})
            if field in row:
                found.append((f"{loading.CASES[case]}, {epoch} epoch, {name}: times the {other}'s speed", row[field], least))
    if loads := of(rows, "shards", "load"):
        found.append(("load of large files: share of what the link gives", statistics.median(row["mb_s"] for row in loads) / link(rows), 0.9))
    loads, copies = of(rows, "tiny", "load"), of(rows, "tiny", "copy")
    if loads and copies:
        speeds = [statistics.median(row["files_s"] for row in members) for members in (loads, copies)]
        found.append(("load of 20 kB files: times the speed of a single-threaded copy", speeds[0] / speeds[1], 1.0))
    return found


def table(rows: list[Row]) -> rich.table.Table:
    """Return the goals with what was reached."""
    found = rich.table.Table("goal", "at least", "figure", "", title="Goals", title_justify="left")
    for text, value, least in goals(rows):
        reached = value >= least
        found.add_row(text, f"{least:g}", f"{value:.2f}", "reached" if reached else "missed", style="" if reached else "bold")
    return found
