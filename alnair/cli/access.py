"""The verbs that lead into the cluster: a shell, and the master's web page."""

from __future__ import annotations

import os
import signal
import sys
import time
import webbrowser
from typing import Any

import click

from alnair import cluster, kubectl, masters
from alnair.api import Alnair
from alnair.cli.common import INVENTORY, Verb, said
from alnair.errors import ClusterError

# How long a master is waited for whose pod went away while its page was shown, in seconds.
PATIENCE = 120.0


def master(knobs: dict[str, Any], *, leading: bool) -> tuple[str, int]:
    """Return pod and web port of the master that leads; where none does and that is not asked for, of one that runs.

    Raises:
        ClusterError: there is none.
    """
    import kubernetes

    namespace, release = knobs["alluxio_namespace"], knobs["alluxio_release"]
    with cluster.asked(knobs) as client:
        core = kubernetes.client.CoreV1Api(client)
        pods = masters.of_release(core, namespace, release)
        found = masters.leader(core, pods)
        if not found and not leading:
            found = masters.running(pods)
            if found:
                click.echo(f"No master leads now; {found.metadata.name} runs.", err=True)
    if not found:
        raise ClusterError(
            f"No master of release {release} in namespace {namespace} {'answers' if leading else 'runs'}. Try: alnair_runner.py logs --part master"
        )
    return found.metadata.name, masters.web_port(found)


@click.command(cls=Verb, example="-- alluxio fs ls /")
@INVENTORY
@click.argument("command", nargs=-1)
def shell(inventory: str | None, command: tuple[str, ...]) -> None:
    """Open a shell in the leading master, or run a command there.

    Words behind -- are the command; the exit code is its own.
    """
    with said():
        knobs = Alnair(inventory).variables()
        words = kubectl.words(knobs)
        pod, _port = master(knobs, leading=False)
    terminal = "--tty" if sys.stdin.isatty() and sys.stdout.isatty() else "--tty=false"
    os.execv(words[0], [*words, "exec", "--stdin", terminal, pod, "--container", masters.CONTAINER, "--", *(command or ("bash",))])


@click.command(cls=Verb, example="--port 19999 --open")
@INVENTORY
@click.option("--address", default="127.0.0.1", show_default=True, help="Address of this machine that is listened on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of this machine; a free one by default.")
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
def dashboard(inventory: str | None, *, address: str, port: int, browse: bool) -> None:
    """Show the leading master's web page on this machine.

    The page has no login of its own: who reaches the address sees it.
    """
    deadline, local = time.monotonic(), port
    # A terminal that is closed ends it as ^C does; one that nohup protects goes on.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with said():
            knobs = Alnair(inventory).variables()
            words = kubectl.words(knobs)
            while True:
                try:
                    pod, web = master(knobs, leading=True)
                    with kubectl.forwarded(words, pod, web, address=address, local=local) as (host, local, process):
                        click.echo(f"{pod}: http://{host}:{local}/ until ^C")
                        if browse:
                            webbrowser.open(f"http://{host}:{local}/")
                        process.wait()
                    # The address stays the same when another pod is found.
                    browse, deadline = False, time.monotonic() + PATIENCE
                    click.echo(f"The connection to {pod} was lost; looking for the master that leads.", err=True)
                except ClusterError:
                    if time.monotonic() > deadline:
                        raise
                time.sleep(1)
    except KeyboardInterrupt:
        click.echo("Ended.")
