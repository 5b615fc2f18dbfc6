"""Table and goals of the bench of the host roles, from rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import rich.console
from click.testing import CliRunner

from tests.bench.convergence import commands, report, state
from tests.bench.convergence.faults import Outcome


def row(case: str, run: str = "noop", count: int = 12, **more: Any) -> dict[str, Any]:
    fields = {"seconds": [3.0], "cpu_controller": [6.0], "cpu_hosts": [6.0], "execs": [3.0], "connections": [1.0], "memory_mib": [50.0]}
    return {"case": case, "n": count, "run": run, **fields, **more}


def reached(rows: list[dict[str, Any]]) -> dict[str, bool]:
    return {text: holds for _count, text, _figure, _bound, holds in report.goals(rows)}


def test_the_median_is_of_the_sum_of_controller_and_hosts_in_each_run() -> None:
    assert report.cpu(row("alnair", cpu_controller=[12, 24, 0], cpu_hosts=[0, 12, 120])) == 3.0


@pytest.mark.parametrize(
    ("other", "run", "most"), [("pyinfra", "noop", 0.6), ("script", "noop", 2), ("plain", "noop", 0.1), ("mitogen", "first", 0.5), ("pyinfra", "first", 1)]
)
def test_a_goal_is_reached_up_to_its_bound(other: str, run: str, most: float) -> None:
    text = f"CPU of the {report.RUNS[run]}, times that of {other}"
    for figure, holds in ((most * 0.99, True), (most * 1.01, False)):
        rows = [row("alnair", run, cpu_controller=[figure * 12], cpu_hosts=[0]), row(other, run)]
        assert reached(rows)[text] is holds


def test_wall_time_is_compared_with_pyinfra() -> None:
    text = "wall time of the no-op rerun, times that of pyinfra"
    assert reached([row("alnair", seconds=[2.9]), row("pyinfra")])[text]
    assert not reached([row("alnair", seconds=[3.1]), row("pyinfra")])[text]


@pytest.mark.parametrize(("execs", "holds"), [([3.0, 3.0], True), ([3.0, 3.08, 3.0], False), ([2.0], False)])
def test_one_run_with_another_number_of_execs_misses_the_goal(execs: list[float], *, holds: bool) -> None:
    assert reached([row("alnair", execs=execs)])["execs per unchanged host, one per role"] is holds


def test_goals_of_cases_that_were_not_measured_are_left_out() -> None:
    assert report.goals([row("plain"), row("alnair", count=4)]) == [
        (4, "execs per unchanged host, one per role", 3.0, "exactly 3", True), (4, "connections per unchanged host", 1.0, "exactly 1", True),
    ]  # fmt: skip


def test_the_table_shows_ratios() -> None:
    console = rich.console.Console(width=160, record=True, file=io.StringIO())
    console.print(report.table([row("alnair", cpu_controller=[3.0], cpu_hosts=[3.0]), row("script"), row("pyinfra", cpu_hosts=[18.0])]))
    line = next(text for text in console.export_text().splitlines() if "alnair" in text)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "12", "no-op rerun", "alnair", "1", "0.500", "0.250", "0.250", "0.50", "0.25", "3.0", "3", "1", "50",
    ]  # fmt: skip


def test_rows_measured_anew_replace_those_of_the_same_case_hosts_and_run() -> None:
    old, new = [row("alnair"), row("plain", seconds=[9.0]), row("plain", count=4)], [row("plain", seconds=[1.0])]
    assert report.merge(old, new) == [row("plain", count=4), row("alnair"), row("plain", seconds=[1.0])]


def test_a_file_that_was_written_again_is_a_change() -> None:
    before = {"a": "/etc/passwd 12 1.0\n/home 2 1.0\n", "b": "/home 2 1.0\n"}
    assert state.changes(before, before) == []
    assert state.changes(before, {**before, "a": "/etc/passwd 13 2.0\n/home 2 1.0\n"}) == ["a: /etc/passwd 12 1.0", "a: /etc/passwd 13 2.0"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--cases", "alnair,puppet"], "there is no case puppet"),
        (["--hosts", "4,many"], '"4,many" is no list of numbers'),
        (["--hosts", "1"], '"1" is no list of numbers'),
    ],
)
def test_cases_and_hosts_that_are_not_there_are_named(words: list[str], expected: str) -> None:
    from tests.bench.convergence.__main__ import main

    answer = CliRunner().invoke(main, ["run", *words])
    assert answer.exit_code == 2
    assert expected in answer.output


def test_every_case_has_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib/python3/site-packages/ansible_mitogen/plugins/strategy").mkdir(parents=True)
    monkeypatch.setattr(commands, "bench_venv", lambda: tmp_path)
    ways = commands.Cases(tmp_path, [])
    assert {ways.environment(name).get("ANSIBLE_STRATEGY") for name in commands.NAMES} == {None, "mitogen_linear"}
    assert len({tuple(ways.command(name)) for name in commands.NAMES}) == len(commands.NAMES) - 1


def test_a_host_that_stopped_before_its_last_task_or_failed_is_not_done() -> None:
    reference = Outcome({"a": ("last", 9.0), "b": ("last", 9.0), "c": ("last", 9.0)}, set(), 9.0)
    found = Outcome({"a": ("last", 3.0), "b": ("first", 1.0), "c": ("last", 2.0)}, {"c"}, 90.0)
    assert found.done({"a", "b", "c", "d"}, reference) == {"a": 3.0}
