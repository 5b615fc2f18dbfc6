"""What goes into the collection when it is built from a checkout that is in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.shown_commands import blocks

HOME = Path(__file__).parents[2]
# What following docs/ leaves in the checkout.
OWN = [
    "inventory/mine/hosts.yml", "inventory/mine/group_vars/all.yml", "inventory/example-2/hosts.yml", "inventory/exact/hosts.yml", "inventory/hosts.yml",
    "inventory/lab/hosts.yml", "alluxio-site.properties", "known_hosts.new", "report.html", "wheels/click-8.whl", "click-8.whl", ".vault_pass", "vault.yml",
    ".env/bin/python", "venv/bin/python", "kubeconfig", "loading.json", "loading.png", "ansible-navigator.log",
    "alnair.alluxio-artifact-2026-01-01T00:00:00+00:00.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout of a test's own."""
    folder = tmp_path_factory.mktemp("collection")
    return shutil.copytree(HOME, folder / "checkout", symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "build"))


@pytest.fixture(scope="module")
def packed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Return what a build packs, and which of it is a link."""
    folder = tmp_path_factory.mktemp("packed")
    for name in OWN:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("mine", encoding="utf-8")
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run([galaxy, "collection", "build", "--output-path", str(folder)], cwd=checkout, check=True, capture_output=True)
    (path,) = folder.glob("alnair-alluxio-*.tar.gz")
    with tarfile.open(path) as archive:
        return {member.name: member.issym() for member in archive.getmembers()}


def test_it_holds_what_users_need_and_nothing_of_the_lab(packed: dict[str, bool]) -> None:
    assert {Path(name).parts[0] for name in packed} == {
        ".ansible-lint", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "alnair", "changelogs",
        "alnair_runner.py", "ansible.cfg", "bindep.txt", "charts", "docs", "group_vars", "inventory", "meta", "operator", "playbooks", "plugins", "requirements.txt",
        "requirements.yml", "roles", "site.yml",
    }  # fmt: skip
    assert packed["playbooks/group_vars/all.yml"] and {"operator/alnair_operator/log4j.properties", "docs/pictures/loading.png"} <= packed.keys()


def test_it_holds_nothing_of_its_users_own(packed: dict[str, bool]) -> None:
    assert {name for name in packed if name.startswith("inventory/")} == {
        "inventory/example", "inventory/example/hosts.yml", "inventory/example/group_vars", "inventory/example/group_vars/all.yml",
    }  # fmt: skip
    assert not set(OWN) & set(packed)


def test_git_keeps_nothing_of_its_users_own_either() -> None:
    ignored = (HOME / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {
        "/inventory/*", "!/inventory/example/", "/alluxio-site.properties", "/known_hosts*", "/report.html", "/wheels/", "/loading.*",
        "/ansible-navigator.log", "/*-artifact-*.json",
    } <= set(ignored)  # fmt: skip


@pytest.mark.parametrize("page", ["README.md", "docs/howto/air-gapped.md"])
def test_the_commands_of_a_page_install_it_for_all_folders_but_the_checkout_again_and_again(checkout: Path, tmp_path: Path, page: str) -> None:
    (block,) = [item.text for item in blocks("shell", [HOME / page]) if "collection install" in item.text]
    # Of the environment only that of the tests is here, and nothing is fetched.
    script = "set -e\nmake() { mkdir -p .venv/bin; touch .venv/bin/activate; }\npip() { :; }\n" + block
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}, "HOME": str(tmp_path), "PATH": path}
    for _time in range(2):
        done = subprocess.run(["bash", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "installed successfully" in done.stdout, done.stdout + done.stderr
    installed = tmp_path / ".ansible" / "collections" / "ansible_collections" / "alnair" / "alluxio"
    assert (installed / "MANIFEST.json").is_file() and not installed.is_symlink()
    words = ["ansible-playbook", "alnair.alluxio.site", "--list-tasks", "--inventory", str(checkout / "inventory" / "example")]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"playbook: {installed}" in done.stdout, done.stdout + done.stderr
