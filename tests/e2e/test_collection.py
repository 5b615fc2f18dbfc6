"""The checkout is also the collection alnair.alluxio: built, installed elsewhere and run from there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HOME = Path(__file__).parents[2]


def test_the_installed_collection_runs_the_whole_chain(tmp_path: Path) -> None:
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", str(tmp_path)], cwd=HOME, check=True, capture_output=True)
    (artifact,) = tmp_path.glob("alnair-alluxio-*.tar.gz")
    # What it depends on lies in the virtual environment already.
    subprocess.run(
        ["ansible-galaxy", "collection", "install", "--no-deps", "--offline", "-p", str(tmp_path), str(artifact)], cwd=tmp_path, check=True, capture_output=True
    )
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    done = subprocess.run(
        ["ansible-playbook", "-i", str(HOME / "inventory" / "lab"), "alnair.alluxio.site", "--check"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deploy Alluxio" in done.stdout
