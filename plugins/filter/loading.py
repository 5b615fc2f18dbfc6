"""Filter: the figures of the bench of loading as a table and bars of text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

DOCUMENTATION = r"""
name: loading
short_description: Figures of the bench of loading as text
description:
  - Makes a table with a line per case and kind of files, the first epoch and the later ones apart, of medians over rounds and epochs, with bars below it.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  _input:
    description: The figures, an entry per case, round, epoch and kind of files, as role loading_bench collects them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
text: "{{ loading_bench_rows | alnair.alluxio.loading_table }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

Row = dict[str, Any]
CASES = {"remote": "source itself", "cold": "cache, cold", "loaded": "cache, loaded", "disk": "node's disk"}
KINDS = {"small": "small files", "large": "large files", "all": "all files"}
EPOCHS = ("first", "later")
FIELDS = ("files_s", "mb_s", "p50_ms", "p99_ms", "first_batch_s", "cpu_s", "node_cpu_s")
TITLES = ("files", "case", "epoch", "n", "files/s", "MB/s", "p50 ms", "p99 ms", "1st batch s", "CPU s", "node CPU s", "x source", "x disk")
BAR = 40
PARTS = " ▏▎▍▌▋▊▉█"


def whole(rows: Iterable[Row]) -> list[Row]:
    """Return an entry per case, round and epoch for all kinds together, where there are several."""
    epochs: dict[tuple[str, int, int], list[Row]] = {}
    for row in rows:
        if row["case"] in CASES and row["kind"] in ("small", "large"):
            epochs.setdefault((row["case"], row["round"], row["epoch"]), []).append(row)
    found = []
    for (case, turn, epoch), members in epochs.items():
        if len(members) > 1:
            files, size, seconds, cpu, node = (sum(row[field] for row in members) for field in ("files", "bytes", "seconds", "cpu_s", "node_cpu_s"))
            found.append({"case": case, "round": turn, "epoch": epoch, "kind": "all", "files": files, "bytes": size, "seconds": seconds,
                          "files_s": files / seconds, "mb_s": size / seconds / 1e6, "cpu_s": cpu, "node_cpu_s": node})  # fmt: skip
    return found


def summary(rows: list[Row]) -> dict[tuple[str, str, str], Row]:
    """Return medians by kind, case and epoch (first or later), with the number of epochs (n) and how many times the source's and the disk's speed it is.

    Args:
        rows: The figures.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in [*rows, *whole(rows)]:
        if row["case"] in CASES and row["kind"] in KINDS:
            groups.setdefault((row["kind"], row["case"], EPOCHS[row["epoch"] > 1]), []).append(row)
    found: dict[tuple[str, str, str], Row] = {}
    for kind in KINDS:
        for case in CASES:
            for epoch in EPOCHS:
                if members := groups.get((kind, case, epoch)):
                    found[kind, case, epoch] = {field: statistics.median(row[field] for row in members) for field in FIELDS if field in members[0]}
                    found[kind, case, epoch]["n"] = len(members)
    for (kind, _case, epoch), row in found.items():
        for field, other in (("x_source", "remote"), ("x_disk", "disk")):
            if base := found.get((kind, other, epoch)):
                row[field] = row["files_s"] / base["files_s"]
    return found


def figure(value: float | None) -> str:
    """Return a figure with as many digits as tell something."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bar_of(share: float) -> str:
    """Return a bar of a share of the whole width."""
    eighths = max(1, round(share * BAR * 8))
    return PARTS[-1] * (eighths // 8) + PARTS[eighths % 8].strip()


def columns(lines: list[tuple[str, ...]]) -> list[str]:
    """Return lines of words as lines of text: the first three words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = ([word.ljust(width) if place < 3 else word.rjust(width) for place, (word, width) in enumerate(zip(line, widths))] for line in lines)
    return ["  ".join(line).rstrip() for line in aligned]


def lines_of(found: dict[tuple[str, str, str], Row]) -> list[tuple[str, ...]]:
    """Return the lines of the table, under TITLES, of what :func:`summary` returned."""
    fields = (*FIELDS, "x_source", "x_disk")
    return [(KINDS[kind], CASES[case], epoch, str(row["n"]), *(figure(row.get(field)) for field in fields)) for (kind, case, epoch), row in found.items()]


def notes(rows: list[Row]) -> list[str]:
    """Return a sentence on loads, and one on copies, where there were any."""
    found = []
    for case, what in (("load", "Loads into the cache"), ("copy", "Copies from the source by one reader")):
        if members := [row for row in rows if row["case"] == case]:
            seconds, speed, rate = (figure(statistics.median(row[field] for row in members)) for field in ("seconds", "mb_s", "files_s"))
            found.append(f"{what}: {seconds} s, {speed} MB/s, {rate} files/s (median of {len(members)})")
    return found


def loading_table(rows: list[Row]) -> str:
    """Return the figures of the bench as a table, what loads and copies took, and bars of files/s or MB/s.

    Args:
        rows: The figures.
    """
    found = summary(rows)
    text = columns([TITLES, *lines_of(found)]) if found else []
    for note in notes(rows):
        text += ["", note]
    for kind, name in KINDS.items():
        field, unit = ("files_s", "files/s") if kind == "small" else ("mb_s", "MB/s")
        if mine := {key: row for key, row in found.items() if key[0] == kind}:
            most = max(row[field] for row in mine.values())
            drawn = [(CASES[case], epoch, bar_of(row[field] / most), figure(row[field])) for (_kind, case, epoch), row in mine.items()]
            text += ["", f"{unit}, {name}", *(f"{case:14}{epoch:7}{line} {value}" for case, epoch, line, value in drawn)]
    return "\n".join(text)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"loading_table": loading_table}
