"""The cases on the lab: the playbooks, the seed's steps in shell, and bare helm with the same chart and values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from alnair_runner import Alnair
from tests.bench.convergence import cgroups
from tests.bench.convergence.hosts import HOME
from tests.bench.release import report

STEPS = Path(__file__).with_name("steps.sh")
CHART = HOME / "charts" / "alluxio"
OLD = "2.9.3"
LIMIT = 1800
FIELDS = ("seconds", "ready_seconds", "cpu_controller", "proof_seconds", "load")


class RunError(Exception):
    """A command failed, or did what it should not."""


class Lab:
    """The lab's release, deployed, and what another one needs to make the same.

    Args:
        inventory: Folder that the lab wrote.
        folder: Folder for files of the bench that nobody else can read.
        say: Who is told of progress.
    """

    def __init__(self, inventory: Path, folder: Path, say: Callable[[str], None]) -> None:
        self.inventory, self.folder, self.say = inventory, folder, say
        known = Alnair(inventory).variables()
        self.namespace, self.release = known["alluxio_namespace"], known["alluxio_release"]
        settings = {"ANSIBLE_CONFIG": str(HOME / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"}
        self.environment = {**os.environ, **settings, "KUBECONFIG": known["alluxio_kubeconfig"]}
        self.playbook("site.yml")
        self.values = self.read("helm", "get", "values", self.release, "--namespace", self.namespace)
        self.new = self.values["imageTag"]
        self.labels = report.labels(self.read("kubectl", "get", "nodes")["items"], f"alnair.io/{self.release}-")
        self.write("volumes.json", json.dumps(report.volumes(self.read("kubectl", "get", "persistentvolumes")["items"], self.namespace)))
        children = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]
        groups = (children[group]["hosts"] for group in ("alluxio_masters", "alluxio_workers"))
        self.hosts = {name: host["ansible_host"] for group in groups for name, host in group.items()}
        self.write("ssh_config", report.ssh_config(self.hosts, inventory / ".access"))

    def write(self, name: str, text: str) -> Path:
        """Write a file of the bench and return its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, *words: str) -> Any:
        """Return what kubectl or helm says as JSON."""
        return json.loads(self.timed(*words, "--output", "json")[1])

    def timed(self, *words: str) -> tuple[report.Row, str]:
        """Run a command with cold connections; return its figures and what it printed, or raise a RunError."""
        controller = cgroups.Group("controller")
        load, before, started = os.getloadavg()[0], controller.cpu(), time.monotonic()
        try:
            done = subprocess.run(controller.command(list(words)), cwd=HOME, env=self.environment, capture_output=True, text=True, check=False, timeout=LIMIT)
        finally:
            seconds = time.monotonic() - started
            self.wait_for_lease()
            # Connections that ssh keeps open would make the next run cheaper.
            controller.end()
        if done.returncode:
            # Said at once, for bringing the lab back may fail too and hide it.
            self.say(f"Failed: {' '.join(words)}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
            raise RunError(f"{' '.join(words)} ended with {done.returncode}")
        cpu, wall = round(controller.cpu() - before, 2), round(seconds, 2)
        return {"seconds": wall, "ready_seconds": wall, "cpu_controller": cpu, "proof_seconds": 0.0, "load": load}, done.stdout

    def wait_for_lease(self) -> None:
        """Wait until what a playbook left running has given the cluster's Lease back, ten seconds at most: killed before, it would keep the next run out."""
        words = ("kubectl", "--namespace", "default", "get", "lease", "alnair-run", "--ignore-not-found", "--output", "jsonpath={.spec.holderIdentity}")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and subprocess.run(words, env=self.environment, capture_output=True, check=False).stdout:
            time.sleep(0.2)

    def playbook(self, name: str, **extra: Any) -> tuple[report.Row, int]:
        """Run a playbook; return its figures without the proof of a backup, and the number of changes."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        # Neither the steps in shell nor bare helm deploy an operator.
        extra["dataset_operator_image"] = ""
        figures, text = self.timed(program, "-i", str(self.inventory), name, "-e", json.dumps(extra))
        changes, proof = report.events(text)
        seconds = round(figures["seconds"] - proof, 2)
        return {**figures, "seconds": seconds, "ready_seconds": seconds, "proof_seconds": round(proof, 2)}, changes

    def helm(self, *words: str, tag: str) -> report.Row:
        """Run helm with the release's own chart and values, and wait as a user would until all pods are new and Ready, which helm does not; return the figures."""
        values = self.write("values.json", json.dumps({**self.values, "imageTag": tag}))
        place = ("--namespace", self.namespace, "--timeout", "10m")
        figures, _text = self.timed("helm", *words, self.release, str(CHART), *place, "--values", str(values), "--wait")
        more, _text = self.timed("kubectl", "rollout", "status", "statefulset,daemonset", "--selector", f"release={self.release}", *place)
        return {**figures, "ready_seconds": round(figures["seconds"] + more["seconds"], 2)}

    def noop_alnair(self) -> report.Row:
        """Measure site.yml with nothing to do; raise a RunError where it changes something."""
        self.playbook("site.yml")
        figures, changes = self.playbook("site.yml")
        if changes:
            raise RunError(f"site.yml changed {changes} times what it had just brought to its state.")
        return figures

    def noop_bare(self) -> report.Row:
        """Measure the seed's steps with nothing to do."""
        values = self.write("values.json", json.dumps(self.values))
        files = [str(path) for path in (STEPS, self.folder / "ssh_config", self.folder / "volumes.json", values, CHART)]
        words = ["sh", *files, self.release, self.namespace, *(f"{name},{address}" for name, address in self.hosts.items())]
        self.timed(*words)
        return self.timed(*words)[0]

    def first_alnair(self) -> report.Row:
        """Measure site.yml where nothing is there."""
        self.playbook("playbooks/teardown.yml", alluxio_purge=True)
        return self.playbook("site.yml")[0]

    def first_bare(self) -> report.Row:
        """Measure helm install where namespace, volumes, directories and labels are there."""
        self.playbook("playbooks/teardown.yml", alluxio_purge=True)
        self.playbook("playbooks/prepare_hosts.yml")
        self.playbook("playbooks/deploy_volumes.yml")
        for node, labels in self.labels.items():
            self.timed("kubectl", "label", "node", node, "--overwrite", *labels)
        return self.helm("install", tag=self.new)

    def upgrade_alnair(self) -> report.Row:
        """Measure the playbook upgrade."""
        self.playbook("playbooks/deploy_alluxio.yml", alluxio_chart_image_tag=OLD, alluxio_chart_backup=False)
        backups = str(self.folder / "backups")
        return self.playbook("playbooks/upgrade.yml", alluxio_chart_image_tag=self.new, alluxio_chart_backup_directory=backups)[0]

    def upgrade_bare(self) -> report.Row:
        """Measure helm upgrade."""
        self.playbook("playbooks/deploy_alluxio.yml", alluxio_chart_image_tag=OLD, alluxio_chart_backup=False)
        return self.helm("upgrade", tag=self.new)

    def series(self, runs: int) -> list[report.Row]:
        """Measure all cases in turn, whichever is first changing with each round; return the rows."""
        rows: list[report.Row] = []
        for what in report.KINDS:
            pair: list[report.Row] = [{"case": case, "what": what, **{field: [] for field in FIELDS}} for case in ("alnair", "bare")]
            for turn in range(runs):
                for row in pair[:: -1 if turn % 2 else 1]:
                    figures = getattr(self, f"{what}_{row['case']}")()
                    for field, figure in figures.items():
                        row[field].append(figure)
                    self.say(f"{report.KINDS[what][0]}, {row['case']}, {turn + 1} of {runs}: {figures['seconds']:.1f} s, "
                             f"all Ready {figures['ready_seconds']:.1f} s, CPU {figures['cpu_controller']:.1f} s, proof {figures['proof_seconds']:.1f} s, load {figures['load']:.1f}")  # fmt: skip
            rows += pair
        return rows
