"""The lab itself: it changes nothing when it is up, outlives a reboot, recovers from what a killed run left, and goes away without a trace."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from alnair_runner import Alnair

HOME = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair" / "lab"
SECOND = "LAB_ARGS=-e lab_name=alnair-second -e lab_subnet=10.89.79.0/24 -e lab_workers=1"
pytestmark = pytest.mark.skipif(not (HOME / "inventory" / "lab" / ".access").is_dir(), reason="inventory/lab was not written by the lab")


def make(*words: str, folder: Path = HOME) -> str:
    done = subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


def podman(*words: str) -> list[str]:
    return subprocess.run(["podman", *words], capture_output=True, text=True, check=True).stdout.split()


def healthy(cluster: Alnair) -> bool:
    """Tell whether all of Alluxio is Ready within three minutes."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        state = cluster.status()
        parts = [item for key in ("masters", "workers", "fuse") for item in state[key]]
        if len(parts) == 5 and all(item["ready"] for item in parts) and state["capacity"]:
            return True
        time.sleep(2)
    return False


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second") / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(HOME), str(folder)], check=True)
    return folder


def test_make_lab_again_changes_nothing_and_takes_seconds() -> None:
    started = time.monotonic()
    assert "changed=0 " in make("lab")
    assert time.monotonic() - started < 45


@pytest.mark.long
def test_a_second_checkout_finds_the_lab_that_is_up(checkout: Path) -> None:
    pods = Alnair(HOME / "inventory" / "lab").status()["masters"]
    make("lab", folder=checkout)
    assert Alnair(checkout / "inventory" / "lab").status()["masters"] == pods


@pytest.mark.long
@pytest.mark.parametrize("node", ["alnair-lab-1", "alnair-lab-0"])
def test_a_node_that_is_rebooted_comes_back_with_all_that_ran_on_it(cluster: Alnair, node: str) -> None:
    assert cluster.deploy().status == "successful"
    podman("restart", "--time", "20", node)
    assert "changed=0 " in make("lab")
    assert healthy(cluster)


@pytest.mark.long
def test_make_lab_recovers_from_what_a_killed_run_left_behind(cluster: Alnair) -> None:
    podman("kill", "alnair-lab-2")
    half_built = CACHE / ".images-half-built"
    half_built.mkdir()
    (half_built / "images.tar").write_bytes(b"half")
    make("lab")
    assert not half_built.exists()
    assert cluster.deploy().status == "successful"
    assert healthy(cluster)


@pytest.mark.long
def test_lab_down_leaves_nothing_behind(checkout: Path) -> None:
    make("lab", SECOND, folder=checkout)
    # Nothing was ever deployed here, so this is the place for a first plan.
    plan = Alnair(checkout / "inventory" / "lab").deploy(check=True, diff=True)
    assert plan.status == "successful", plan.failures
    assert plan.changed > 5
    assert podman("ps", "--format", "{{.Names}}", "--filter", "name=alnair-second") != []
    make("lab-down", SECOND, folder=checkout)
    for words in (["ps", "-a", "--format", "{{.Names}}"], ["volume", "ls", "--format", "{{.Name}}"], ["network", "ls", "--format", "{{.Name}}"]):
        assert not [name for name in podman(*words) if "alnair-second" in name]
    assert not (CACHE / "state" / "alnair-second").exists()
    assert not (checkout / "inventory" / "lab").exists()
    assert "alnair-second" not in Path("/proc/mounts").read_text(encoding="utf-8")
    # The other lab is none of its business.
    assert len(podman("ps", "--format", "{{.Names}}", "--filter", "name=alnair-lab-")) == 3
