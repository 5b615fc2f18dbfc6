"""Help that fits a screen, examples that are valid, words that are nearly right, and shells that complete."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from alnair.cli import main
from alnair.cli.common import Verb
from tests.unit.runner_tools import call

HOME = Path(__file__).parents[2]
# Lines of a terminal of the usual 80 columns; the list of all verbs alone takes more.
SCREEN, LISTED = 24, 27


def verbs(group: click.Group = main, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every verb with the words before it."""
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*above, name))


@pytest.mark.parametrize("words", [(), *verbs()], ids=lambda words: " ".join(words) or "none")
def test_the_help_of_every_verb_fits_a_screen_and_ends_with_an_example(words: tuple[str, ...]) -> None:
    done = call(*words, "--help")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert len(lines) <= (SCREEN if words else LISTED)
    assert lines[-1].startswith(" ".join(("Example: alnair_runner.py", *words)) + " ")
    assert not [line for line in lines if line.startswith("  ") and line.endswith("...")]


def test_what_a_newcomer_asks_first_is_answered() -> None:
    for words, said in {
        ("upgrade",): "Bring the release to what the inventory says now.",
        ("deploy",): "Only these hosts; the cluster's tasks always run.",
        ("dataset", "repair"): "the source, which is only read",
        ("dataset", "check"): "Of only so many files, picked at random; 0 for all.",
    }.items():
        assert said in call(*words, "--help").output, words


def test_versions_are_told() -> None:
    assert re.match(r"ansible-core 2\.\d+\.\S+, collection \d+\.\d+\.\d+", call("--version").output)


@pytest.mark.parametrize("words", [(), *verbs()], ids=lambda words: " ".join(words) or "none")
def test_every_example_is_a_command_line_that_is_taken(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    command: click.Command = main
    context = main.make_context("alnair_runner.py", [*words, "x"], resilient_parsing=True)
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert isinstance(command, Verb)
    # The shell's part of a line is not the runner's.
    line = [os.path.expanduser(word) for word in shlex.split(re.split(" >| [|]", command.example)[0])]
    for path in [Path(word) for word in line if word.startswith(str(tmp_path))]:
        path.parent.mkdir(parents=True)
        path.touch()
    while isinstance(command, click.Group) and line and line[0] in command.commands:
        command, line = command.commands[line[0]], line[1:]
    command.make_context("verb", line, parent=context)


@pytest.mark.parametrize(("words", "near"), [(["plna"], "plan"), (["statsu"], "status"), (["dataset", "lod"], "load"), (["deploy", "--chekc"], "--check"),
                                             (["history", "3"], "history show 3"), (["history", "shwo"], "show")])  # fmt: skip
def test_a_word_that_is_nearly_right_is_answered_with_the_right_one(words: list[str], near: str) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert "Did you mean" in done.output and f"'{near}'" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_the_script_that_asks_the_very_file_that_was_called(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HOME)
    monkeypatch.setattr(sys, "argv", ["./alnair_runner.py"])
    done = call("completion", shell)
    assert done.exit_code == 0
    (asking,) = [line for line in done.stdout.splitlines() if f"_ALNAIR_RUNNER_PY_COMPLETE={shell}_complete" in line]
    assert f" {shlex.quote(str(HOME / 'alnair_runner.py'))})" in asking
    # Zsh would look for it on the path first.
    assert "$+commands" not in done.stdout


@pytest.mark.parametrize(("shell", "registers"), [("bash", "complete -o nosort -F"), ("zsh", "compdef "), ("fish", "complete --no-files --command ")])
def test_the_script_of_a_shell_is_one_that_it_reads(shell: str, registers: str, tmp_path: Path) -> None:
    script = call("completion", shell).stdout
    assert registers in script
    (tmp_path / "script").write_text(script, encoding="utf-8")
    # Where it is installed, as bash is everywhere.
    if shutil.which(shell):
        done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_a_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(HOME / "alnair_runner.py")])
    (tmp_path / "script").write_text(call("completion", "fish").stdout, encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ask = ["fish", "--no-config", "-c", f"source {tmp_path}/script; complete --do-complete 'alnair_runner.py upg'"]
    done = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path, "HOME": str(tmp_path)})
    assert done.stdout.split()[0] == "upgrade"


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_takes_the_script_behind_the_line_that_the_page_names(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(call("completion", "zsh").stdout, encoding="utf-8")
    page = (HOME / "docs" / "runner.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`(autoload [^`]+)`", page)
    ask = ["zsh", "--no-rcs", "-c", f"{line} -u -D; source {tmp_path}/script; print $_comps[alnair_runner.py]"]
    done = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(tmp_path)})
    assert done.stdout.strip() == "_alnair_runnerpy_completion"


def test_an_inventory_is_completed_as_a_path() -> None:
    for words in verbs():
        command: click.Command = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        for option in command.params:
            if option.name == "inventory":
                assert [item.type for item in option.type.shell_complete(click.Context(command), option, "")] == ["file"], words


def test_bash_completes_a_verb_without_loading_what_the_verbs_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(HOME / "alnair_runner.py")])
    script = call("completion", "bash").stdout
    ask = f"{script}\nCOMP_WORDS=('~/alnair_runner.py' upg) COMP_CWORD=1; _alnair_runnerpy_completion '~/alnair_runner.py'; echo ${{COMPREPLY[@]}}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "upgrade"
    loaded = "import sys, alnair_runner; print([name for name in ('ansible', 'ansible_runner', 'kubernetes') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=HOME, capture_output=True, text=True, check=True).stdout == "[]\n"
