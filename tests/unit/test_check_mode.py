"""What a run with --check tells is what the run would do, and nothing of it is done."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from role_tools import run_role
from small_api import Api, masters, serve


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    found = Api()
    server = serve(found, tmp_path / "kubeconfig")
    yield found
    server.shutdown()


def told(folder: Path, role: str, **given: Any) -> tuple[int, str]:
    """Run a role in check mode; return how many tasks would change something, and what was said in one line."""
    code, text = run_role(folder, role, "--check", **given)
    assert code == 0, text
    found = re.search(r"changed=(\d+)", text)
    assert found
    return int(found[1]), " ".join(text.split())


def test_a_restore_names_the_journal_that_would_be_replaced(api: Api, tmp_path: Path) -> None:
    api.add(masters())
    api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "c-1"}})
    backup = tmp_path / "alluxio-20260101T000000Z.gz"
    backup.write_bytes(b"journal")
    backup.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(b"journal").hexdigest()}), encoding="utf-8")
    given = {"alluxio_chart_restore_from": str(backup), "alluxio_chart_backup_directory": str(tmp_path)}
    changes, text = told(tmp_path, "alluxio_chart", tasks="restore", **given)
    assert changes == 1
    assert f"The masters of release alluxio would start from {backup}. No master answers, so their journal of now would only be put aside." in text


def test_a_change_of_key_pairs_names_each(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(mode=0o700, parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id_ed25519")], check=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    given: dict[str, Any] = {"passwordless_ssh_user": getpass.getuser(), "passwordless_ssh_home": str(tmp_path / "home"), "passwordless_ssh_targets": [],
                             "passwordless_ssh_sources": ["localhost"], "passwordless_ssh_controller_key": str(tmp_path / "controller")}  # fmt: skip
    unchanged, _text = told(tmp_path, "passwordless_ssh", **given)
    changes, text = told(tmp_path, "passwordless_ssh", passwordless_ssh_rotate=True, **given)
    assert changes >= unchanged + 2
    assert "would take the place of the one on localhost" in text
    assert f"would take the place of the controller's, {tmp_path / 'controller'}" in text
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # What would be refused is told, too.
    code, text = run_role(tmp_path, "passwordless_ssh", "--check", passwordless_ssh_rotate=True, **{**given, "passwordless_ssh_targets": ["away"]})
    assert (code, "away cannot be told of the next keys now" in text) == (2, True), text


@pytest.mark.timeout(120)
def test_the_end_of_a_bench_that_was_cut_off_waits_for_no_pod(api: Api, tmp_path: Path) -> None:
    labels = {"alnair.io/bench": "loading"}
    api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bench", "namespace": "alluxio", "labels": labels}, "data": {"node": "node-1"}})
    api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bench-cold", "namespace": "alluxio", "labels": labels}, "spec": {"containers": []}})
    before = {*api.items}
    changes, text = told(tmp_path, "loading_bench", loading_bench_state="absent", loading_bench_scratch="/mnt/scratch/bench")
    assert changes == 3
    assert "On node-1 a pod would remove the copies of the data set, /mnt/scratch/bench and /mnt/scratch/bench-single." in text
    assert {*api.items} == before
