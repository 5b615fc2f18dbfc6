"""verify tries the cache on each node that mounts it, leaves nothing behind, and does nothing at all in check mode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.filter.cluster import mounting_pods
from role_tools import run_role, stand_in
from small_api import Api, masters, serve

# Says what is in the file beside it for the first words that are in the command, and notes the command.
EXEC = """
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({word: {"type": "raw"} for word in ("kubeconfig", "context", "namespace", "pod", "container", "command")}, supports_check_mode=True)
asked = f"{module.params['pod']} {module.params['container']} {module.params['command']}"
with open("FOLDER/commands", "a") as file:
    file.write(asked + chr(10))
with open("FOLDER/answers") as file:
    answers = json.load(file)
answer = next((answer for words, answer in answers.items() if words in asked), {})
module.exit_json(**{"changed": True, "rc": 0, "stdout": "", "stderr": "", **answer})
"""
FINE: dict[str, Any] = {"runTests": {"stdout": "Passed the test! Passed the test!"}, "md5sum": {"stdout": "0cc1 -"}}


def pod(role: str, node: str = "node-1", *, mounts: bool = False, **more: Any) -> dict[str, Any]:
    volumes = [{"name": "alluxio-fuse-mount", "mountPath": "/mnt"}] if mounts else []
    metadata = {"name": f"{role}-{node}", "namespace": "alluxio", "labels": {"release": "alluxio", "role": role}, **more}
    containers = [{"name": "beside"}, {"name": role, "volumeMounts": volumes}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node, "containers": containers}, "status": {"phase": "Running"}}


class Cluster:
    """A release, and its pods' answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.api = folder, Api()
        self.server = serve(self.api, folder / "kubeconfig")
        stand_in(folder, "k8s_exec", EXEC.replace("FOLDER", str(folder)))
        self.api.add(masters())

    def verify(self, *words: str, answers: dict[str, Any], **variables: Any) -> tuple[int, str, list[str]]:
        """Return the exit code, what was said in one line, and which commands ran in pods."""
        (self.folder / "answers").write_text(json.dumps(answers), encoding="utf-8")
        (self.folder / "commands").write_text("", encoding="utf-8")
        code, text = run_role(self.folder, "alluxio_chart", *words, tasks="verify", **variables)
        return code, " ".join(text.split()), (self.folder / "commands").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.server.shutdown()


def test_a_file_is_read_on_each_node_and_removed_also_where_a_mount_is_broken(cluster: Cluster) -> None:
    for node in ("node-1", "node-2"):
        cluster.api.add(pod("alluxio-fuse", node, mounts=True))
    code, text, commands = cluster.verify(answers=FINE)
    assert (code, "passed: 2" in text, "read with the same checksum through FUSE on node-1, node-2" in text) == (0, True, True), text
    name = commands[-1].rpartition(" ")[2]
    assert commands[-1] == f"alluxio-master-0 alluxio-master alluxio fs rm -R {name}"
    assert commands[0] == f"alluxio-master-0 alluxio-master alluxio runTests --directory {name}"
    assert [command for command in commands if f"/mnt/alluxio-fuse{name}/file" in command and command.startswith("alluxio-fuse-node-")] == commands[-3:-1]
    broken = {"alluxio-fuse-node-1": {"rc": 1, "stderr": "Transport endpoint is not connected"}, **FINE}
    code, text, commands = cluster.verify(answers=broken)
    assert (code, len(commands), "alluxio fs rm -R /.alnair-verify-" in commands[-1]) == (2, 5, True), text


def test_what_could_not_be_written_is_not_missed(cluster: Cluster) -> None:
    cluster.api.add(pod("alluxio-fuse", mounts=True))
    unwritten = {"copyFromLocal": {"rc": 1, "stderr": "no space"}, "fs rm": {"rc": 255, "stdout": 'Path "/x" does not exist.'}, **FINE}
    code, text, commands = cluster.verify(answers=unwritten)
    assert (code, len(commands), "no space" in text, "Remove the folder] ***" in text and text.count("fatal:")) == (2, 3, True, 1), text


def test_workers_that_mount_are_asked_and_a_mount_that_nobody_has_is_told(cluster: Cluster) -> None:
    cluster.api.add(pod("alluxio-worker", mounts=True))
    code, text, commands = cluster.verify(answers=FINE)
    assert (code, [command for command in commands if command.startswith("alluxio-worker-node-1 alluxio-worker bash")]) == (0, [commands[-2]]), text
    cluster.api.add(pod("alluxio-worker"))
    code, text, commands = cluster.verify(answers=FINE)
    assert (code, commands, "No pod of release alluxio mounts the cache, although FUSE is on" in text) == (2, [], True), text
    code, text, commands = cluster.verify(answers=FINE, alluxio_chart_values={"fuse": {"enabled": False}})
    assert (code, len(commands), "read nowhere, for no node mounts the cache: FUSE is off" in text) == (0, 3, True), text


def test_in_check_mode_nothing_runs_in_a_pod(cluster: Cluster) -> None:
    cluster.api.add(pod("alluxio-fuse", mounts=True))
    code, text, commands = cluster.verify("--check", answers=FINE)
    assert (code, commands) == (0, []), text
    assert "a file would be written through the master, read through FUSE on node-1, and removed" in text


def test_only_pods_that_live_mount() -> None:
    ended = {**pod("alluxio-fuse", mounts=True), "status": {"phase": "Failed"}}
    going = pod("alluxio-fuse", "node-2", mounts=True, deletionTimestamp="2026-01-01T00:00:00Z")
    assert mounting_pods([pod("alluxio-fuse", mounts=True), pod("alluxio-worker"), ended, going]) == [
        {"pod": "alluxio-fuse-node-1", "container": "alluxio-fuse", "node": "node-1"}
    ]
