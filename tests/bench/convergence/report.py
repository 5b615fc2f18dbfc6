"""Table and goals from the rows of results."""

from __future__ import annotations

import statistics
from typing import Any

import rich.table

Row = dict[str, Any]
RUNS = {"first": "first run", "noop": "no-op rerun"}


def per_host(row: Row, *fields: str) -> float:
    """Return the median over a row's runs of the sum of some fields, per host."""
    return statistics.median(sum(values) for values in zip(*(row[field] for field in fields), strict=True)) / int(row["n"])


def cpu(row: Row) -> float:
    """Return the CPU seconds per host, of controller and hosts."""
    return per_host(row, "cpu_controller", "cpu_hosts")


def find(rows: list[Row], case: str, count: int, run: str) -> Row | None:
    """Return the row of a case, or None where it was not measured."""
    return next((row for row in rows if (row["case"], row["n"], row["run"]) == (case, count, run)), None)


def ratio(rows: list[Row], row: Row, other: str) -> str:
    """Return how many times another case's CPU a row took."""
    base = find(rows, other, row["n"], row["run"])
    return f"{cpu(row) / cpu(base):.2f}" if base else ""


def table(rows: list[Row]) -> rich.table.Table:
    """Return the medians as a table."""
    found = rich.table.Table(title="Medians; CPU in seconds per host", title_justify="left")
    for title in ("hosts", "run", "case", "runs", "CPU", "controller", "hosts' own", "x script", "x pyinfra", "wall s", "execs", "connections", "memory MiB"):
        found.add_column(title, justify="left" if title in ("run", "case") else "right")
    previous = None
    for row in sorted(rows, key=lambda row: (row["n"], row["run"], cpu(row))):
        if previous not in (None, (row["n"], row["run"])):
            found.add_section()
        previous = (row["n"], row["run"])
        found.add_row(
            str(row["n"]), RUNS[row["run"]], row["case"], str(len(row["seconds"])), f"{cpu(row):.3f}", f"{per_host(row, 'cpu_controller'):.3f}",
            f"{per_host(row, 'cpu_hosts'):.3f}", ratio(rows, row, "script"), ratio(rows, row, "pyinfra"), f"{statistics.median(row['seconds']):.1f}",
            *(f"{statistics.median(row[field]):g}" for field in ("execs", "connections")), f"{statistics.median(row['memory_mib']):.0f}",
        )  # fmt: skip
    return found


def compare(rows: list[Row], count: int, run: str, other: str, most: float) -> tuple[str, float, float] | None:
    """Return a goal on CPU against another case: text, figure and bound; None where one of them was not measured."""
    mine, theirs = find(rows, "alnair", count, run), find(rows, other, count, run)
    return (f"CPU of the {RUNS[run]}, times that of {other}", cpu(mine) / cpu(theirs), most) if mine and theirs else None


def goals(rows: list[Row]) -> list[tuple[int, str, float, str, bool]]:
    """Return the goals that the rows say something of: hosts, text, figure, bound and whether it is reached."""
    found: list[tuple[int, str, float, str, bool]] = []
    for count in sorted({int(row["n"]) for row in rows}):
        bounds = [
            compare(rows, count, "noop", "pyinfra", 0.6), compare(rows, count, "noop", "script", 2), compare(rows, count, "noop", "plain", 0.1),
            compare(rows, count, "first", "mitogen", 0.5), compare(rows, count, "first", "pyinfra", 1),
        ]  # fmt: skip
        mine, theirs = find(rows, "alnair", count, "noop"), find(rows, "pyinfra", count, "noop")
        if mine and theirs:
            wall = statistics.median(mine["seconds"]) / statistics.median(theirs["seconds"])
            bounds.append((f"wall time of the {RUNS['noop']}, times that of pyinfra", wall, 1))
        found += [(count, text, figure, f"at most {most:g}", figure <= most) for text, figure, most in filter(None, bounds)]
        if mine:
            for field, text, wanted in (("execs", "execs per unchanged host, one per role", 3.0), ("connections", "connections per unchanged host", 1.0)):
                figure = statistics.median(mine[field])
                found.append((count, text, figure, f"exactly {wanted:g}", set(mine[field]) == {wanted}))
    return found


def goals_table(rows: list[Row]) -> rich.table.Table:
    """Return the goals with what was reached."""
    found = rich.table.Table("hosts", "goal", "bound", "figure", "", title="Goals", title_justify="left")
    for count, text, figure, bound, reached in goals(rows):
        found.add_row(str(count), text, bound, f"{figure:.2f}", "reached" if reached else "missed", style="" if reached else "bold")
    return found


def merge(old: list[Row], new: list[Row]) -> list[Row]:
    """Return the rows with those that were measured again replaced, in a steady order."""

    def key(row: Row) -> tuple[int, str, str]:
        return row["n"], row["run"], row["case"]

    return sorted({**{key(row): row for row in old}, **{key(row): row for row in new}}.values(), key=key)
