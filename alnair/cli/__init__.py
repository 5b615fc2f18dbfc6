"""The command line: a verb a command."""

from __future__ import annotations

import signal

import click

from alnair import home, records
from alnair.cli import access, playbooks, reading
from alnair.cli.common import Verbs, said
from alnair.cli.completion import completion
from alnair.cli.dataset import dataset
from alnair.cli.doctor import doctor
from alnair.cli.history import history
from alnair.cli.report import report
from alnair.cli.start import init


class Runner(Verbs):
    """All verbs; the few options stand in the usage alone, so that the help fits a screen."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs."""
        self.format_commands(ctx, formatter)


def version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the versions of what runs, and end."""
    if wanted:
        with said():
            click.echo(", ".join(f"{name} {number}" for name, number in records.versions(home.find()).items()))
        context.exit()


@click.group(
    cls=Runner,
    options_metavar="[-h] [--version]",
    example="deploy --inventory inventory/mine --check",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=version, help="Print the versions of what runs.")
def main() -> None:
    """Alluxio on Kubernetes, from the hosts to cached training."""
    # A CI job ends a run as a person does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


VERBS = (
    *(init, doctor, playbooks.plan, playbooks.deploy, playbooks.verify, playbooks.upgrade, playbooks.rollback, playbooks.scale),
    *(playbooks.backup, playbooks.restore, playbooks.bench, playbooks.teardown, dataset),
    *(reading.status, report, reading.logs, access.shell, access.dashboard, history, completion),
)
for verb in VERBS:
    main.add_command(verb)
