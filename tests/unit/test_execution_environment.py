"""The execution environment: its build's context holds this version of the collection, and ansible-navigator takes the command that runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from tests.shown_commands import blocks

HOME = Path(__file__).parents[2]
BUILDER = Path(sys.executable).parent / "ansible-builder"
PAGE = HOME / "docs" / "execution-environment.md"


def test_ansible_builder_makes_a_context_with_this_collection_and_a_supported_python(tmp_path: Path) -> None:
    archive = f"alnair-alluxio-{yaml.safe_load((HOME / 'galaxy.yml').read_text(encoding='utf-8'))['version']}.tar.gz"
    shutil.copy(HOME / "execution-environment.yml", tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / archive).write_bytes(b"collection")
    done = subprocess.run([BUILDER, "create"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "context" / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert 'ARG PYCMD="/usr/bin/python3.13"' in lines
    assert f"COPY _build/configs/{archive} /tmp/" in lines
    assert (tmp_path / "context" / "_build" / "configs" / archive).read_bytes() == b"collection"
    collections = yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert collections == [{"name": f"/tmp/{archive}", "type": "file"}]
    # A build argument of the page is one of the base image.
    assert "ARG EE_BASE_IMAGE" in "\n".join(lines) and "--build-arg EE_BASE_IMAGE=" in PAGE.read_text(encoding="utf-8")


def test_ansible_builder_finds_what_the_collection_needs_on_the_controller() -> None:
    # As the build does within the image, once the collection is installed there.
    done = subprocess.run([BUILDER, "introspect", HOME / "collections"], capture_output=True, text=True, check=True)
    found = yaml.safe_load(done.stdout)
    assert {re.split("[ =<>!]", line)[0] for line in found["system"]} == {"helm", "openssh-clients", "openssh-client", "sshpass"}
    needed = {re.split("[=<>!]", line)[0] for line in tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]}
    # Of Ansible and of PyYAML, which it needs itself, the image has one already.
    assert {re.split("[ =<>!]", line)[0] for line in found["python"]} == needed - {"ansible-core", "PyYAML"}


@pytest.mark.long
def test_ansible_navigator_takes_the_command_of_the_page_and_finds_its_playbook(tmp_path: Path) -> None:
    # The image alone is not there: Ansible of navigator's own environment stands in for it, and reads all playbooks without running them.
    venv.create(tmp_path / "venv", symlinks=True, with_pip=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", "ansible-navigator"], check=True)
    made, run = ([item.text for item in blocks("shell", [PAGE]) if word in item.text] for word in ("mkdir", "ansible-navigator run"))
    shutil.copytree(HOME / "inventory" / "example", tmp_path / "inventory" / "mine")
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
        "HOME": str(tmp_path / "home"),
        "PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(HOME / "collections"),
    }
    script = "\n".join(["set -e", *made, *run]).rstrip() + " --execution-environment false --syntax-check"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == f"playbook: {HOME}/collections/ansible_collections/alnair/alluxio/playbooks/site.yml"
    # What it leaves is what the page says, and what neither git nor the collection takes in.
    assert sorted(path.name.partition("-artifact-")[0] for path in tmp_path.iterdir() if path.is_file()) == ["alnair.alluxio", "ansible-navigator.log"]
