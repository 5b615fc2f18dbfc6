"""What the runner's -e takes, and what it refuses before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from alnair import Alnair, Result, UsageError, records
from alnair.cli.common import extra_variables
from tests.unit.runner_tools import call


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["a=1"], {"a": "1"}),
        (["a=b=c"], {"a": "b=c"}),
        (["a=true b=false"], {"a": True, "b": False}),
        (["a=1 b=2"], {"a": "1", "b": "2"}),
        (["msg='x y' z=\"{{ a b }}\""], {"msg": "x y", "z": "{{ a b }}"}),
        (['{"a": [1]}'], {"a": [1]}),
        (["a: 1"], {"a": 1}),
        (["a: {b: {c: -Xmx2g -Dx=y}}"], {"a": {"b": {"c": "-Xmx2g -Dx=y"}}}),
        (["a=1", "a=2"], {"a": "2"}),
        (["a: 2026-01-01", "b=2026-01-01", "{c: 2026-01-01T00:00:00Z}"], {"a": "2026-01-01", "b": "2026-01-01", "c": "2026-01-01T00:00:00Z"}),
    ],
)
def test_extra_variables_are_taken_as_ansible_takes_them(words: list[str], found: dict[str, Any]) -> None:
    assert extra_variables(tuple(words)) == found


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("@/nowhere.yml", "there is no file /nowhere.yml"),
        ("word", "is neither key=value, with"),
        ("my-key=1", "is neither key=value, with letters, digits and _ in the key"),
        ("{a: ", "-e {a:  cannot be read: expected the node content"),
        ("a=1 word", "-e a=1 word: word is no key=value"),
        ("a='1", "-e a='1 cannot be read: its quotes"),
    ],
)
def test_extra_variables_that_are_none_are_refused(word: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        extra_variables((word,))


def test_a_file_of_variables_may_have_encrypted_values_which_stay_so(tmp_path: Path) -> None:
    path = tmp_path / "more.yml"
    path.write_text("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nb: !unsafe '{{'\n", encoding="utf-8")
    assert extra_variables((f"@{path}",)) == {"a": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n00\n"}, "b": {"__ansible_unsafe": "{{"}}
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is encrypted as a whole"):
        extra_variables((f"@{path}",))


def test_a_file_of_variables_that_is_no_yaml_is_told_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text("a: 1\npassword: [correct-horse\nb: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot be read: .* in line 3, column 2") as refused:
        extra_variables((f"@{tmp_path}/more.yml",))
    assert "correct-horse" not in str(refused.value)


def test_a_variable_that_json_does_not_know_ends_no_run_without_a_record(inventory: Path) -> None:
    given = {"alluxio_chart_values_files": [Path("/values.yml")], "since": yaml.safe_load("2026-01-01")}
    with records.kept("deploy", inventory, Path(__file__).parents[2], Result(), extra_vars=given):
        pass
    (record,) = records.all_of_them()
    assert record.options["extra_vars"] == {"alluxio_chart_values_files": ["/values.yml"], "since": "2026-01-01"}


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["teardown"], {}),
        (["teardown", "--force", "--purge"], {"alluxio_force": True, "alluxio_purge": True}),
        (["teardown", "--purge", "-e", "alluxio_force=true"], {"alluxio_force": True, "alluxio_purge": True}),
        (["teardown", "--force", "-e", "alluxio_force=false"], {"alluxio_force": False}),
        (["rollback"], {}),
        (["rollback", "--revision", "3", "--journal"], {"alluxio_chart_revision": 3, "alluxio_chart_rollback_journal": True}),
        (["rollback", "-e", "alluxio_chart_revision=3"], {"alluxio_chart_revision": "3"}),
        (["restore", "--from", __file__], {"alluxio_chart_restore_from": __file__}),
        (["restore", "--from", __file__, "-e", "alluxio_chart_restore_from=/b"], {"alluxio_chart_restore_from": "/b"}),
    ],
)
def test_only_options_that_are_given_become_variables_and_those_of_the_user_win(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, Any]
) -> None:
    seen: list[dict[str, Any]] = []

    def run(_self: Alnair, _playbook: str, *, extra_vars: dict[str, Any], **_options: Any) -> Result:
        seen.append(extra_vars)
        return Result(status="successful")

    monkeypatch.setattr(Alnair, "run", run)
    done = call(words[0], "--inventory", str(inventory), *words[1:])
    assert (done.exit_code, seen) == (0, [variables]), done.output
