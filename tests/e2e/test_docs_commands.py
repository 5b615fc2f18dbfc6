"""The commands that the documentation shows, run on the lab as they stand: page by page, in the order in which they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HOME
from s3 import CACHE

from alnair_runner import Alnair
from tests.shown_commands import PAGES, blocks

# They need the lab with LAB_DATASETS=1, as make test-all raises it; some wait for a data set, a backup or a release that starts.
pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
SCRIPTS = {
    str(page.relative_to(HOME)): script
    for page in PAGES
    if (script := "".join(f"# line {item.line}\n{item.text}" for item in blocks("shell", [page]) if not item.note))
}
MINE = HOME / "inventory" / "mine"
# `plan` ends with 10 where something would change, which is no failure; all else ends its page.
BEFORE = """set -eo pipefail
trap 'echo "This failed: $BASH_COMMAND" >&2' ERR
python() { local code=0; command python "$@" || code=$?; [[ $2 == plan && $code -eq 10 ]] || return "$code"; }
"""


@pytest.fixture
def mine(request: pytest.FixtureRequest) -> Iterator[None]:
    """The reader's own inventory, which is the lab's here; a page that makes it itself finds none."""
    assert not MINE.exists(), f"{MINE} is somebody's: these tests write it and remove it."
    if "init inventory/mine" not in SCRIPTS[request.node.callspec.params["page"]]:
        shutil.copytree(HOME / "inventory" / "lab", MINE)
    yield
    shutil.rmtree(MINE, ignore_errors=True)


@pytest.fixture
def environment(cluster: Alnair, tmp_path: Path) -> dict[str, str]:
    """What a reader's shell has: the cluster that kubectl speaks to, the programs, and an editor, which writes what the lab's inventory says."""
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\nrm -rf {MINE} && cp -r {HOME}/inventory/lab {MINE}\n", encoding="utf-8")
    editor.chmod(0o700)
    path = f"{Path(sys.executable).parent}:{CACHE / 'tools'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.variables()["alluxio_kubeconfig"]), "EDITOR": str(editor)}


@pytest.mark.usefixtures("mine", "served")
@pytest.mark.parametrize("page", SCRIPTS)
def test_the_commands_of_a_page_run_as_they_stand(page: str, cluster: Alnair, environment: dict[str, str]) -> None:
    state = cluster.status()
    if not state["release"] or not state["capacity"]:
        # A page before this one has removed it.
        result = cluster.deploy()
        assert result.status == "successful", result.failures
    done = subprocess.run(
        ["bash", "-c", BEFORE + SCRIPTS[page]],
        cwd=HOME,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=2700,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    if page == "docs/tutorial.md":
        # What its pod has read, twice, and from where.
        assert done.stdout.count("\n40000000\n") == 2
        assert re.search(r"^\S+ /data fuse\S* ", done.stdout, re.MULTILINE), done.stdout[-6000:]


def test_the_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((.+?)\)", (HOME / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert not [picture for picture in pictures if not (HOME / picture).is_file()], "Run `make pictures` and commit what it makes."
