"""Call the runner's command line as a user does."""

from __future__ import annotations

import click.testing

from alnair.cli import main


def call(*words: str) -> click.testing.Result:
    """Return what a command line printed and its exit code."""
    return click.testing.CliRunner().invoke(main, words, prog_name="alnair_runner.py")
