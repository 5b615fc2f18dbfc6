"""The verb that teaches a shell the others."""

from __future__ import annotations

import os
import re
import shlex
import sys

import click
from click.shell_completion import get_completion_class

from alnair.cli.common import Verb


@click.command(cls=Verb, example="bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes verbs.

    Append it to ~/.bashrc, ~/.zshrc (behind compinit) or ~/.config/fish/config.fish. It completes the name by which this was called, alnair-runner where that
    is installed or alnair_runner.py, in whatever folder it is typed, by the very file that was called.
    """
    root = context.find_root()
    name = root.info_name or "alnair-runner"
    # As click itself names the variable by which the script asks it.
    variable = f"_{name}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    made = get_completion_class(shell)
    assert made is not None, shell
    script = made(root.command, {}, name, variable).source()
    # Click's scripts ask what the path has under this name, or bash what was typed, ~ and all; this one need not be on the path.
    program = shlex.quote(os.path.abspath(sys.argv[0]))
    script = re.sub(rf"(={shell}_complete .*?)(\$1|{re.escape(name)})\)", lambda found: f"{found[1]}{program})", script)
    click.echo(re.sub(r".*\$\+commands.*\n", "", script))
