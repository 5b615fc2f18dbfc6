"""A chart comes from a folder, a tarball, a repository or a real OCI registry, by version and by digest; what is not there is said with what is."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import registries
from ansible.module_utils.testing import patch_module_args
from ansible_collections.alnair.alluxio.plugins.modules import helm_chart

HOME = Path(__file__).parents[2]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and notes what was asked for."""

    asked: ClassVar[list[str]] = []
    failing = 0

    def do_GET(self) -> None:
        Quiet.asked.append(self.path)
        if Quiet.failing:
            Quiet.failing -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def helm() -> str:
    return str(HOME / "inventory" / "lab" / ".access" / "bin" / "helm")


@pytest.fixture(scope="module")
def site(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repositories that hold a chart of the same name: one in versions 0.1.0 and 0.2.0, the other in 0.3.0."""
    root = tmp_path_factory.mktemp("site")
    chart = root / "source" / "alluxio"
    shutil.copytree(HOME / "charts" / "alluxio", chart)
    for folder, version in (("old", "0.1.0"), ("old", "0.2.0"), ("new", "0.3.0")):
        subprocess.run([helm, "package", str(chart), "--version", version, "--destination", str(root / folder)], check=True, capture_output=True)
    for folder in ("old", "new"):
        subprocess.run([helm, "repo", "index", str(root / folder)], check=True, capture_output=True)
    return root


@pytest.fixture(scope="module")
def web(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def registry(site: Path, helm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that holds the chart in versions 0.1.0 and 0.2.0."""
    with registries.registry(tmp_path_factory.mktemp("registry")) as port:
        address = f"oci://localhost:{port}/charts"
        for version in ("0.1.0", "0.2.0"):
            subprocess.run([helm, "push", "--plain-http", str(site / "old" / f"alluxio-{version}.tgz"), address], check=True, capture_output=True)
        yield f"{address}/alluxio"


@pytest.fixture
def fetch(helm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the module and return what it returns; the cache is the test's own."""

    def run(**options: Any) -> dict[str, Any]:
        capsys.readouterr()
        with patch_module_args({"helm": helm, "cache": str(tmp_path / "cache"), **options}), pytest.raises(SystemExit):
            helm_chart.main()
        return json.loads(capsys.readouterr().out)

    return run


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_and_a_tarball_are_taken_where_they_are(fetch: Any, site: Path) -> None:
    folder = fetch(chart=str(site / "source" / "alluxio"))
    assert (folder["name"], folder["digest"], folder["changed"]) == ("alluxio", "", False)
    assert folder["defaults"]["worker"]["resources"]["requests"]["memory"]
    path = site / "old" / "alluxio-0.1.0.tgz"
    tarball = fetch(chart=str(path), digest=digest(path))
    assert (tarball["path"], tarball["version"], tarball["defaults"]) == (str(path), "0.1.0", folder["defaults"])


def test_a_tarball_of_another_digest_or_version_is_refused(fetch: Any, site: Path) -> None:
    path = site / "old" / "alluxio-0.1.0.tgz"
    message = fetch(chart=str(path), digest="sha256:" + "0" * 64)["msg"]
    assert digest(path) in message
    assert "0" * 64 in message
    assert "has version 0.1.0" in fetch(chart=str(path), version="0.2.0")["msg"]


def test_a_repository_is_asked_once_for_a_chart_of_a_known_digest(fetch: Any, site: Path, web: str) -> None:
    path = site / "old" / "alluxio-0.1.0.tgz"
    wanted = {"chart": "alluxio", "repository": f"{web}/old", "version": "0.1.0", "digest": digest(path)}
    first = fetch(**wanted)
    assert (first["version"], first["digest"]) == ("0.1.0", digest(path))
    Quiet.asked.clear()
    assert fetch(**wanted)["path"] == first["path"]
    assert Quiet.asked == []
    Path(first["path"]).write_bytes(b"damaged")
    assert digest(Path(fetch(**wanted)["path"])) == digest(path)


def test_a_repository_of_another_url_has_nothing_stale(fetch: Any, web: str, tmp_path: Path) -> None:
    assert fetch(chart="alluxio", repository=f"{web}/old")["version"] == "0.2.0"
    assert fetch(chart="alluxio", repository=f"{web}/new")["version"] == "0.3.0"
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name.endswith((".yaml", ".txt"))]


def test_what_a_repository_does_not_have_is_said_with_what_it_has(fetch: Any, web: str) -> None:
    message = fetch(chart="alluxio", repository=f"{web}/old", version="0.1.7")["msg"]
    assert f"The chart alluxio in version 0.1.7 of the repository {web}/old" in message
    assert "Versions there: 0.1.0, 0.2.0." in message
    assert "Charts there: alluxio." in fetch(chart="aluxio", repository=f"{web}/old")["msg"]
    assert f"{web}/none" in fetch(chart="alluxio", repository=f"{web}/none")["msg"]


def test_a_tarball_that_the_repository_lists_and_does_not_give_is_no_missing_version(fetch: Any, site: Path, web: str) -> None:
    (site / "lost").mkdir()
    shutil.copy(site / "old" / "index.yaml", site / "lost")
    message = fetch(chart="alluxio", repository=f"{web}/lost", version="0.1.0")["msg"]
    assert "it could not be had" in message and "404" in message


def test_a_repository_that_is_away_for_a_moment_is_asked_again(fetch: Any, web: str) -> None:
    Quiet.failing = 2
    assert fetch(chart="alluxio", repository=f"{web}/old", version="0.1.0")["version"] == "0.1.0"


def test_an_oci_registry(fetch: Any, registry: str, site: Path) -> None:
    found = fetch(chart=registry, version="0.1.0", digest=digest(site / "old" / "alluxio-0.1.0.tgz"))
    assert (found["name"], found["version"]) == ("alluxio", "0.1.0")
    assert fetch(chart=registry)["version"] == "0.2.0"
    assert "Versions there: 0.1.0, 0.2.0." in fetch(chart=registry, version="0.1.9")["msg"]
    assert "asks for " + "0" * 64 in fetch(chart=registry, version="0.1.0", digest="0" * 64)["msg"]
