"""The checkout is also the collection alnair.alluxio: built, installed elsewhere and run from there."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", str(folder)], cwd=HOME, check=True, capture_output=True)
    return next(folder.glob("alnair-alluxio-*.tar.gz"))


def test_the_artifact_holds_what_users_need_and_nothing_of_the_lab(artifact: Path) -> None:
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    assert {Path(name).parts[0] for name in names} == {
        ".ansible-lint", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "alnair", "changelogs",
        "alnair_runner.py", "ansible.cfg", "bindep.txt", "charts", "docs", "group_vars", "inventory", "meta", "operator", "playbooks", "plugins", "requirements.txt",
        "requirements.yml", "roles", "site.yml",
    }  # fmt: skip
    assert not [name for name in names if name.startswith("inventory/") and not name.startswith("inventory/example")]


def test_the_installed_collection_runs_the_whole_chain(artifact: Path, tmp_path: Path) -> None:
    # What it depends on lies in the virtual environment already.
    subprocess.run(["ansible-galaxy", "collection", "install", "--no-deps", "--offline", "-p", str(tmp_path), str(artifact)], cwd=tmp_path, check=True, capture_output=True)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    done = subprocess.run(["ansible-playbook", "-i", str(HOME / "inventory" / "lab"), "alnair.alluxio.site", "--check"],
                          cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deploy Alluxio" in done.stdout
