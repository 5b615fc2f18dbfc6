"""The runner as pip installs it."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.unit import public_api

HOME = Path(__file__).parents[2]
GOLDEN = HOME / "tests" / "unit" / "files" / "public_api.txt"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, for pip leaves files in the folder that it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = shutil.copytree(HOME / "alnair", folder / "checkout" / "alnair", ignore=shutil.ignore_patterns("__pycache__")).parent
    for name in ("alnair_runner.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOME / name, checkout)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(checkout)]
    subprocess.run(words, check=True, timeout=300)
    (found,) = folder.glob("alnair_runner-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into an environment of its own, which sees the packages of this one, and return the folder of its programs."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    words = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(words, check=True, timeout=300)
    return folder / "bin"


def ran(installed: Path, program: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in a folder of nobody's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    return subprocess.run([installed / program, *words], cwd=installed, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=120)


def test_the_wheel_holds_the_package_with_its_types_and_templates_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {str(path.relative_to(HOME)) for path in (HOME / "alnair").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert names == there | {"alnair_runner.py"}


def test_the_installed_program_tells_itself_and_takes_the_playbooks_of_the_collection(installed: Path) -> None:
    done = ran(installed, "alnair-runner", "--version", ANSIBLE_COLLECTIONS_PATH=str(HOME / "collections"))
    version = yaml.safe_load((HOME / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert done.returncode == 0 and f"collection {version}" in done.stdout, done.stdout + done.stderr
    done = ran(installed, "alnair-runner", "--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: alnair-runner "), done.stdout + done.stderr
    done = ran(installed, "alnair-runner", "init", "--help")
    assert done.returncode == 0 and "Example: alnair-runner init " in done.stdout, done.stdout + done.stderr


def test_all_that_it_offers_is_imported_with_annotations_that_can_be_resolved(installed: Path) -> None:
    code = "import json, runpy, alnair; print(json.dumps([alnair.__file__, runpy.run_path({!r})['lines']()]))"
    done = ran(installed, "python", "-c", code.format(public_api.__file__))
    assert done.returncode == 0, done.stdout + done.stderr
    where, lines = json.loads(done.stdout)
    assert Path(where).is_relative_to(installed.parent)
    assert lines == GOLDEN.read_text(encoding="utf-8").splitlines()
