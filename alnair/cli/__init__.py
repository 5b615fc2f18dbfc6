"""The command line: a verb a command."""

from __future__ import annotations

import signal

import click

from alnair.cli import access, playbooks, reading
from alnair.cli.common import Verbs
from alnair.cli.completion import completion
from alnair.cli.dataset import dataset
from alnair.cli.doctor import doctor
from alnair.cli.history import history
from alnair.cli.report import report
from alnair.cli.start import init


@click.group(cls=Verbs, example="deploy --inventory inventory/mine --check", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
