"""After a release's removal its pods are waited for, and those that have ended are removed: nobody else would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.modules import pods_gone
from small_api import Api, serve


class Ended(Exception):
    """The module ended; the argument is its result."""


def pod(name: str, phase: str, release: str = "alluxio") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "alluxio", "labels": {"app": "alluxio", "release": release}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": phase}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(pods_gone.time, "sleep", lambda _seconds: None)
    found = Api()
    server = serve(found, tmp_path / "kubeconfig")
    yield found
    server.shutdown()


def gone(folder: Path, timeout: int = 30) -> dict[str, Any]:
    """Run the module; return its result."""

    def end(**result: Any) -> None:
        raise Ended(result)

    given = {"release": "alluxio", "namespace": "alluxio", "kubeconfig": str(folder / "kubeconfig"), "context": "", "timeout": timeout, "force": False}
    with pytest.raises(Ended) as ended:
        pods_gone.wait(SimpleNamespace(params=given, exit_json=end, fail_json=end))
    return dict(ended.value.args[0])


def test_pods_that_have_ended_are_removed_instead_of_waited_for(api: Api, tmp_path: Path) -> None:
    for name, phase, release in (("tests", "Failed", "alluxio"), ("evicted", "Succeeded", "alluxio"), ("other", "Failed", "second")):
        api.add(pod(name, phase, release))
    assert gone(tmp_path) == {"changed": True, "removed": ["tests", "evicted"], "forced": []}
    assert [item["metadata"]["name"] for item in api.known("Pod")] == ["other"]
    assert gone(tmp_path) == {"changed": False, "removed": [], "forced": []}


def test_pods_that_run_are_waited_for_and_named(api: Api, tmp_path: Path) -> None:
    api.add(pod("running", "Running"))
    assert gone(tmp_path, timeout=0)["msg"].startswith("Still there 0 s after the release was removed: pod running on node none")
    # One that is going already is its owner's matter.
    api.known("Pod")[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.known("Pod")[0]["status"]["phase"] = "Failed"
    assert "pod running" in gone(tmp_path, timeout=1)["msg"]
    assert api.known("Pod")
