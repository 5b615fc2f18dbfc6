"""The verb that writes an inventory to start from."""

from __future__ import annotations

from pathlib import Path

import click

from alnair import cluster, start
from alnair.cli.common import Verb, said


@click.command(cls=Verb, example="inventory/mine --from-nodes alnair.io/cache=true --masters 3")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--kubeconfig", default="", help="The cluster; $KUBECONFIG or ~/.kube/config by default.")
@click.option("--context", default="", help="Context of the kubeconfig; its current one by default.")
@click.option("--namespace", default="alluxio", show_default=True, help="Namespace of the release.")
@click.option("--from-nodes", "label", default="", metavar="LABEL", help="Take only nodes with this label: KEY, KEY=VALUE or a selector.")
@click.option("--masters", default=1, show_default=True, type=click.IntRange(1), help="How many of the nodes become masters.")
@click.pass_context
def init(caller: click.Context, folder: Path, *, kubeconfig: str, context: str, namespace: str, label: str, masters: int) -> None:
    """Write an inventory from the cluster's nodes."""
    knobs = {"alluxio_kubeconfig": kubeconfig, "alluxio_kube_context": context}
    with said():
        found = start.nodes(knobs, label)
        path = str(Path(cluster.kubeconfig(knobs)).resolve())
        written = start.write(folder, found, kubeconfig=path, context=context, namespace=namespace, masters=masters)
    for name in written:
        click.echo(f"Wrote {name}")
    for node in found:
        if node.away:
            click.echo(f"Left out {node.name}: it is {node.away}")
    click.echo(f"Look through them, then try: {caller.find_root().info_name} doctor --inventory {folder}, then plan and deploy")
