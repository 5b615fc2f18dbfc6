"""Measure how fast the release is beside shell and helm: ``python -m tests.bench.release run``, as root, from the checkout, with a lab."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from pathlib import Path

import click
import rich.console

from tests.bench.convergence import cgroups, commands
from tests.bench.convergence.__main__ import prepare, say
from tests.bench.convergence.hosts import HOME
from tests.bench.release import measure, report

RESULTS = HOME / "tests" / "bench" / "results" / "release.json"
PICTURE = HOME / "docs" / "pictures" / "release.png"
INVENTORY = HOME / "inventory" / "lab"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Measure the playbooks beside the seed's steps in shell and beside bare helm, on the lab."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 100), help="Runs of each case; the figures are their medians.")
def run(runs: int) -> None:
    """Measure all cases, interleaved, and write rows, table and picture. The lab's release, journal, accounts and directories are removed and made anew."""
    if not (INVENTORY / "hosts.yml").exists():
        raise click.ClickException("There is no lab in inventory/lab. Raise it first: make lab")
    if missing := [name for name in ("helm", "kubectl") if not shutil.which(name)]:
        raise click.ClickException(f"Not in PATH: {', '.join(missing)}. `make bench` has the lab's own.")
    prepare()
    with tempfile.TemporaryDirectory(prefix="alnair-bench-") as folder:
        say("Bring the lab to its state")
        lab = measure.Lab(INVENTORY.resolve(), Path(folder), say)
        try:
            rows = lab.series(runs)
        finally:
            say("Leave the lab as it was")
            lab.playbook("site.yml", alluxio_chart_backup=False)
            cgroups.Group("controller").remove()
    RESULTS.write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n", encoding="utf-8")
    rich.console.Console(width=150).print(report.table(rows))
    commands.draw(Path(__file__).with_name("draw.py"), RESULTS, PICTURE)
    say(f"Picture: {PICTURE}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from error
    except (cgroups.GroupError, measure.RunError) as error:
        raise SystemExit(f"Error: {error}") from error
    except (KeyboardInterrupt, click.Abort) as error:
        raise SystemExit(130) from error
