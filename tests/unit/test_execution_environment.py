"""The definition of the execution environment makes a build context that holds this version of the collection."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

HOME = Path(__file__).parents[2]


def test_ansible_builder_makes_a_context_with_this_collection_and_a_supported_python(tmp_path: Path) -> None:
    archive = f"alnair-alluxio-{yaml.safe_load((HOME / 'galaxy.yml').read_text(encoding='utf-8'))['version']}.tar.gz"
    shutil.copy(HOME / "execution-environment.yml", tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / archive).write_bytes(b"collection")
    builder = Path(sys.executable).parent / "ansible-builder"
    done = subprocess.run([builder, "create"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "context" / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert 'ARG PYCMD="/usr/bin/python3.13"' in lines
    assert f"COPY _build/configs/{archive} /tmp/" in lines
    assert (tmp_path / "context" / "_build" / "configs" / archive).read_bytes() == b"collection"
    collections = yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert collections == [{"name": f"/tmp/{archive}", "type": "file"}]
