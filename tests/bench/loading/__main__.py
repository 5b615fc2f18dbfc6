"""Measure what the cache brings a training: ``python -m tests.bench.loading run``, as root, from the checkout, with a lab."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import kubernetes
import reading
import rich.console
import s3
from ansible_collections.alnair.alluxio.plugins.filter import loading

from alnair_runner import HOME, Alnair
from tests.bench.convergence import commands
from tests.bench.convergence.__main__ import say
from tests.bench.loading import dataset, report

RESULTS = HOME / "tests" / "bench" / "results" / "loading.json"
PICTURE = HOME / "docs" / "pictures" / "loading.png"
INVENTORY = HOME / "inventory" / "lab"
SECRET, BUCKET = "loading-bench-source", "bench"
MIB = 2**20


class BenchError(Exception):
    """A run of a playbook failed."""


def done(result: Any, what: str) -> None:
    """Raise a BenchError where a run did not end well."""
    if result.status != "successful":
        raise BenchError(f"{what}: {result.status}: {'; '.join(failure.message for failure in result.failures)}")


class Bench:
    """The lab with a store far away, for the time of a series.

    Args:
        cluster: The lab.
        store: The store.
        options: Options of the role, beside the source.
    """

    def __init__(self, cluster: Alnair, store: s3.Endpoint, options: dict[str, Any]) -> None:
        self.cluster, self.store = cluster, store
        self.options = {"loading_bench_options": store.options, "loading_bench_credentials": SECRET, **options}
        known = cluster.variables()
        self.namespace = known["alluxio_namespace"]
        self.core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(known["alluxio_kubeconfig"]))

    def secret(self, *, there: bool) -> None:
        """Make or remove the Secret of the store's credentials."""
        try:
            self.core.delete_namespaced_secret(SECRET, self.namespace)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
        if there:
            self.core.create_namespaced_secret(self.namespace, {"metadata": {"name": SECRET}, "stringData": self.store.credentials})

    def measure(self, name: str, folder: Path, cases: list[str], **options: Any) -> list[report.Row]:
        """Run the playbook for a data set of the bucket and return its rows."""
        rows = folder / f"{name}.json"
        more = {"loading_bench_source": f"s3://{BUCKET}/{name}", "loading_bench_cases": cases, "loading_bench_results": str(rows)}
        started = time.monotonic()
        done(self.cluster.bench(extra_vars={**self.options, **more, **options}), f"bench of {report.SETS[name]}")
        say(f"{report.SETS[name]}: measured in {time.monotonic() - started:.0f} s")
        return [{"set": name, **row} for row in json.loads(rows.read_text(encoding="utf-8"))]


def cache(size: int) -> dict[str, Any]:
    """Return what the lab's release needs to hold so many bytes on each worker."""
    quota, values = size // MIB + 256, json.loads(json.dumps(reading.knob("alluxio_chart_values")))
    # As the chart has it for FUSE, and its own compiler for what reads: the lab lets all JVMs compile little, for the sake of their start.
    compiled = "-XX:TieredStopAtLevel=4"
    values["worker"].update(jvmOptions=["-Xmx1g", compiled])
    values["worker"]["resources"]["limits"]["memory"] = f"{quota + 2048}Mi"
    values["fuse"].update(jvmOptions=["-Xmx1g", "-XX:MaxDirectMemorySize=1g", compiled])
    # As docs/explanation/tuning.md has it for data that does not change.
    values["fuse"].update(mountOptions="allow_other,kernel_cache,entry_timeout=3600,attr_timeout=3600")
    values["fuse"].setdefault("properties", {})["alluxio.user.metadata.cache.expiration.time"] = "1h"
    values["fuse"]["resources"]["limits"]["memory"] = "4Gi"
    return {"alluxio_chart_quota": f"{quota}Mi", "alluxio_chart_values": values, "alluxio_chart_backup": False}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Measure how fast data is read from a store 10 ms away, through the cache and from the node's disk, on the lab."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command()
@click.option("--files", default=5000, show_default=True, type=click.IntRange(1), help="Small files.")
@click.option("--size", default=100_000, show_default=True, type=click.IntRange(1, MIB // 2), help="Their mean size in bytes.")
@click.option("--large-files", default=20, show_default=True, type=click.IntRange(1), help="Large files.")
@click.option("--large-size", default=100_000_000, show_default=True, type=click.IntRange(MIB), help="Their size in bytes.")
@click.option("--tiny-files", default=2000, show_default=True, type=click.IntRange(1), help="Files of 20 kB whose load is held against a copy.")
@click.option("--readers", default=8, show_default=True, type=click.IntRange(1), help="Processes that read at the same time.")
@click.option("--epochs", default=3, show_default=True, type=click.IntRange(2), help="Times that all files are read in each case and round.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds of all cases.")
@click.option("--delay", default=10.0, show_default=True, type=click.FloatRange(0), help="Milliseconds from a question to its answer on the way to the store.")
@click.option("--rate", default=200, show_default=True, type=click.IntRange(1), help="Mbit/s that the way to the store carries.")
@click.option("--set", "chosen", default=tuple(report.SETS), multiple=True, type=click.Choice(list(report.SETS)), help="Data sets to measure; all by default.")
@click.option("--results", default=str(RESULTS), type=click.Path(dir_okay=False, path_type=Path), help="File of the rows.")
def run(files: int, size: int, large_files: int, large_size: int, tiny_files: int, readers: int, epochs: int, rounds: int, delay: float, rate: int,
        chosen: tuple[str, ...], results: Path) -> None:  # fmt: skip
    """Measure all cases, interleaved, and write rows, tables and picture. The lab's release gets a larger cache for that time."""
    if not (INVENTORY / "hosts.yml").exists():
        raise click.ClickException("There is no lab in inventory/lab. Raise it first: make lab")
    if os.geteuid():
        raise click.ClickException("The store has namespaces of its own: run the bench as root.")
    total = int(1.1 * (files * size + large_files * large_size)) + 64 * MIB
    cluster, options = Alnair(INVENTORY), {"loading_bench_readers": readers, "loading_bench_epochs": epochs, "loading_bench_rounds": rounds}
    rows: list[report.Row] = []
    with s3.endpoint(next(iter(reading.nodes().values())), delay=delay / 1000, rate=f"{rate}mbit", size=str(2 * total + 512 * MIB)) as store:
        say(f"A store at {store.url}, {delay:g} ms and {rate} Mbit/s away")
        store.door.make_bucket(BUCKET)
        kinds = {"images": ((files, size), (large_files, large_size)), "shards": ((0, size), (large_files, large_size)), "tiny": ((tiny_files, 20_000), (0, 0))}
        for name in chosen:
            say(f"{report.SETS[name]}: {dataset.fill(store.door, BUCKET, name, *kinds[name]) / 1e6:.0f} MB are there")
        bench = Bench(cluster, store, options)
        try:
            say("Give the release a cache that holds them")
            done(cluster.run("deploy_alluxio", extra_vars=cache(total)), "deploy_alluxio")
            done(cluster.run("deploy_operator"), "deploy_operator")
            bench.secret(there=True)
            cases = {"images": ["remote", "cold", "loaded", "disk"], "shards": ["loaded"], "tiny": ["copy", "loaded"]}
            with tempfile.TemporaryDirectory(prefix="alnair-bench-") as folder:
                say("Warm up, for JVMs that started a moment ago compile what they run; nothing of that counts")
                smallest = min(chosen, key=lambda name: sum(count * bytes_each for count, bytes_each in kinds[name]))
                bench.measure(smallest, Path(folder), ["cold", "loaded"], loading_bench_epochs=1, loading_bench_rounds=1)
                for name in chosen:
                    rows += bench.measure(name, Path(folder), cases[name], **({} if name == "images" else {"loading_bench_epochs": 1}))
        finally:
            say("Leave the lab as it was")
            bench.secret(there=False)
            cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_backup": False})
    known = {"rate": rate, "delay": delay, "readers": readers}
    lines = ",\n".join(f"  {json.dumps({**row, **known})}" for row in rows)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    show(results, PICTURE if results == RESULTS else results.with_suffix(".png"))


def show(results: Path, picture: Path) -> None:
    """Print tables and goals and draw the picture."""
    if not results.exists():
        raise click.ClickException(f"There is no {results}. Measure first: python -m tests.bench.loading run")
    rows = json.loads(results.read_text(encoding="utf-8"))
    console = rich.console.Console(width=150)
    for name, title in report.SETS.items():
        if members := report.of(rows, name):
            console.print(f"\n{title}, {members[0]['readers']} readers\n{loading.loading_table(members)}", markup=False, highlight=False, soft_wrap=True)
    console.print(report.table(rows))
    if members := report.of(rows, "images"):
        drawn = results.with_suffix(".images.json")
        drawn.write_text(json.dumps(members), encoding="utf-8")
        try:
            commands.draw(HOME / "roles" / "loading_bench" / "files" / "draw.py", drawn, picture)
        finally:
            drawn.unlink()
        console.print(f"Picture: {picture}", highlight=False)


@main.command("report")
@click.option("--results", default=str(RESULTS), type=click.Path(dir_okay=False, path_type=Path), help="File of the rows.")
def report_(results: Path) -> None:
    """Print tables and goals of the last series and draw its picture again."""
    show(results, PICTURE if results == RESULTS else results.with_suffix(".png"))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from error
    except (BenchError, OSError) as error:
        raise SystemExit(f"Error: {error}") from error
    except (KeyboardInterrupt, click.Abort) as error:
        raise SystemExit(130) from error
