"""What a run leaves behind, what of it is kept secret, and how it is told."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rich.console
from ansible_collections.alnair.alluxio.plugins.plugin_utils import controller

from alnair import Alnair, Failure, Result, records, running, secrets
from alnair.changes import Change
from alnair.cli.history import table
from tests.unit.runner_tools import call

PASSWORD = "correct-horse"


def leave(inventory: Path, result: Result, **options: Any) -> None:
    with records.kept("deploy", inventory, Path(__file__).parents[2], result, **options):
        pass


def play(_home: Path, _playbook: Path, _inventory: Path, result: Result, **_: Any) -> None:
    result.status, result.hosts = "successful", {"node-1": {"changed": 1}}
    result.changes = [Change("node-1", "Make it")]


def test_a_run_leaves_who_what_when_where_and_what_it_changed(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "play", play)
    Alnair(inventory).deploy(check=True, limit="node-1", extra_vars={"a": 1, "alluxio_bootstrap_password": PASSWORD})
    (path,) = records.written()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text(encoding="utf-8")
    assert PASSWORD not in text
    (record,) = records.all_of_them()
    assert (record.verb, record.status, record.changes, record.changed) == ("deploy", "successful", {"node-1": ["Make it"]}, 1)
    assert record.options == {"limit": "node-1", "check": True, "extra_vars": {"a": 1, "alluxio_bootstrap_password": secrets.HIDDEN}}
    assert record.who.startswith(controller.user() + "@")
    assert {"ansible-core", "collection"} <= set(record.versions)
    assert [item.name for item in path.parent.iterdir()] == ["000001.json"]


def test_an_inventory_that_changed_has_another_digest(inventory: Path) -> None:
    (inventory.parent / "group_vars").mkdir()
    before = records.digest(inventory.parent)
    assert before == records.digest(inventory.parent) != records.digest(inventory)
    (inventory.parent / "group_vars" / "all.yml").write_text("a: 1\n", encoding="utf-8")
    assert records.digest(inventory.parent) != before


def test_variables_beside_an_inventory_of_one_file_count_for_its_digest(inventory: Path) -> None:
    before = records.digest(inventory)
    (inventory.parent / "group_vars").mkdir()
    (inventory.parent / "group_vars" / "all.yml").write_text("a: 1\n", encoding="utf-8")
    assert records.digest(inventory) != before


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("uid")])
def test_a_user_without_a_name_is_known_by_the_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert controller.user() == str(os.getuid())


def test_an_interrupt_before_the_playbook_has_begun_is_told_as_one(inventory: Path) -> None:
    with pytest.raises(KeyboardInterrupt), records.kept("deploy", inventory, Path(__file__).parents[2], Result()):
        raise KeyboardInterrupt
    assert [record.status for record in records.all_of_them()] == ["interrupted"]


def test_the_newest_hundred_are_kept_and_keep_their_numbers(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "versions", lambda _home: {})
    for _ in range(records.KEPT + 3):
        leave(inventory, Result("successful"))
    assert [record.number for record in records.all_of_them()] == list(range(4, records.KEPT + 4))


def test_a_run_that_was_killed_left_a_record(inventory: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; from alnair import records; records.begin('deploy', Path(sys.argv[1]), Path('.')); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(inventory)], check=False, cwd=Path(__file__).parents[2])
    assert [record.status for record in records.all_of_them()] == [records.CUT_OFF]


def test_a_process_that_was_given_the_number_of_a_killed_run_is_not_that_run(inventory: Path) -> None:
    record = records.begin("deploy", inventory, Path("."))
    assert [item.status for item in records.all_of_them()] == [records.RUNNING]
    # Always there, and begun at another time.
    record.process = 1
    records.save(record)
    assert [item.status for item in records.all_of_them()] == [records.CUT_OFF]


def test_what_fails_with_an_exception_is_recorded_too(inventory: Path) -> None:
    with pytest.raises(ZeroDivisionError), records.kept("deploy", inventory, Path("."), Result()):
        raise ZeroDivisionError
    assert [record.status for record in records.all_of_them()] == ["failed"]


def test_a_folder_that_cannot_be_written_ends_no_run(inventory: Path, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    (state / "alnair").write_text("in the way", encoding="utf-8")
    leave(inventory, Result("successful"))
    assert "This run leaves no record in" in caplog.text


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"api_token": "abcd"}, {"api_token": secrets.HIDDEN}),
        ({"dataset_operator_credentials": {"s": {"id": "abcd"}}}, {"dataset_operator_credentials": secrets.HIDDEN}),
        ({"alluxio_chart_properties": {"s3a.secretKey": "abcd", "x": "y"}}, {"alluxio_chart_properties": {"s3a.secretKey": secrets.HIDDEN, "x": "y"}}),
        ({"url": "https://me:pw@example.org/x"}, {"url": f"https://{secrets.HIDDEN}@example.org/x"}),
        ({"o": "-Xmx1g -Ds3a.secretKey=abcd -x"}, {"o": f"-Xmx1g -Ds3a.secretKey={secrets.HIDDEN} -x"}),
        ({"list": [{"password": "abcd"}]}, {"list": [{"password": secrets.HIDDEN}]}),
        ({"passwordless_ssh_rotate": True, "password": ""}, {"passwordless_ssh_rotate": True, "password": ""}),
    ],
)
def test_what_looks_like_a_secret_is_hidden(variables: dict[str, Any], shown: dict[str, Any]) -> None:
    assert secrets.masked(variables) == shown


def test_a_secret_is_hidden_in_what_a_failure_says(inventory: Path) -> None:
    failed = Result("failed", failures=[Failure("h", "t", f"login with {PASSWORD} at https://u:p@x refused")], unreachable={"n": f"no {PASSWORD}"})
    leave(inventory, failed, extra_vars={"nested": {"password": PASSWORD}})
    text = records.written()[0].read_text(encoding="utf-8")
    assert PASSWORD not in text and "u:p" not in text
    assert PASSWORD in failed.failures[0].message


def test_on_80_columns_a_run_has_a_line_that_tells_when_what_where_and_how_it_ended(inventory: Path) -> None:
    for _ in range(12):
        leave(inventory, Result("interrupted"), check=True)
    found = records.all_of_them()
    for record in found:
        record.who, record.inventory = "somebody@controller-1.example.org", "/home/somebody/projects/cache/inventory/production"
    found[-1].inventory += "/hosts.yml"
    found[-1].verb = "dataset checksum"
    shown = {}
    for wide in (True, False):
        console = rich.console.Console(file=io.StringIO(), width=160 if wide else 80)
        console.print(table(found, wide=wide))
        shown[wide] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert {len(line) for line in shown[False]} == {80} and {line[-1] for line in shown[False]} <= set("┓┃┩│┘")
    when = found[0].started[:16].replace("T", " ")
    assert shown[False][3].strip("│ ").replace("│", "").split() == ["1", *when.split(), "deploy", "--check", "production", "interrupted", "0"]
    # The longest verb takes more lines, and no room of the others.
    assert [word in "".join(shown[False][-4:]) for word in ("dataset", "checksum", "--check", "production", "interrupted")] == [True] * 5
    assert len(shown[False]) == 3 + len(found) + 2 + 1
    heads = [[cell.strip() for cell in shown[wide][1].strip("┃").split("┃")] for wide in (True, False)]
    assert heads[0] == ["run", "started (UTC)", "who", "verb", "inventory", "status", "changed", "s"]
    assert heads[1] == [name for name in heads[0] if name not in ("who", "s")]


def test_history_lists_and_tells(inventory: Path) -> None:
    assert "No run has left a record" in call("history").output
    for words in (("show",), ("show", "7")):
        none = call("history", *words)
        assert none.exit_code == 1 and "Error: No run has left a record in" in none.output
    leave(inventory, Result("successful", changes=[Change("node-1", "Make it")]), check=True)
    leave(inventory, Result("failed", failures=[Failure("node-2", "Try [it]", "sorry")]))
    listed = call("history").output
    assert "deploy --check" in listed and "failed" in listed
    assert [item["number"] for item in json.loads(call("history", "--json").stdout)] == [1, 2]
    assert "  node-1: Make it" in call("history", "show", "1").output
    assert "node-2: Try [it]\n  sorry" in call("history", "show").output
    assert json.loads(call("history", "show", "--json").stdout)["number"] == 2
    missing = call("history", "show", "7")
    assert missing.exit_code == 1
    assert "No record of run 7 is in" in missing.output and "There are 1 to 2" in missing.output


def test_a_broken_record_is_left_out(inventory: Path) -> None:
    leave(inventory, Result("successful"))
    (records.folder() / "000002.json").write_text("{", encoding="utf-8")
    leave(inventory, Result("successful"))
    assert [record.number for record in records.all_of_them()] == [1, 3]
    assert os.listdir(records.folder())
