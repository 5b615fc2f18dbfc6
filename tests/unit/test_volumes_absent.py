"""The removal of a release's claims and volumes: who holds them is named, and finalizers go last, by force alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.modules import volumes_absent
from small_api import Api, serve

CLAIM, HELD = "alluxio-journal-alluxio-master-0", "example.com/held"


class Ended(Exception):
    """The module ended; the argument is its result."""


class Patient(Api):
    """An API that keeps what has finalizers until they are off."""

    def answer(self, method: str, path: str, query: dict[str, str], content: str, body: Any) -> Any:
        metadata = self.items.get(path, {}).get("metadata", {})
        if method == "DELETE" and metadata.get("finalizers"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return self.items[path]
        found = super().answer(method, path, query, content, body)
        if method == "PATCH" and "deletionTimestamp" in metadata and not self.items[path]["metadata"].get("finalizers"):
            del self.items[path]
        return found


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A release's volume, bound to its claim."""
    found = Patient()
    labels = {"app": "alluxio", "release": "alluxio"}
    found.add({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM, "namespace": "alluxio", "uid": "c", "labels": labels}})
    found.add({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "journal", "labels": labels},
               "spec": {"claimRef": {"namespace": "alluxio", "name": CLAIM}}})  # fmt: skip
    server = serve(found, tmp_path / "kubeconfig")
    yield found
    server.shutdown()


def removed(folder: Path, *, force: bool = False) -> dict[str, Any]:
    """Run the module; return its result."""

    def end(**result: Any) -> None:
        raise Ended(result)

    given = {"release": "alluxio", "namespace": "alluxio", "kubeconfig": str(folder / "kubeconfig"), "context": "", "timeout": 0, "force": force}
    with pytest.raises(Ended) as ended:
        volumes_absent.remove(SimpleNamespace(params=given, check_mode=False, exit_json=end, fail_json=end))
    return dict(ended.value.args[0])


def test_claims_go_before_volumes_and_a_second_run_has_nothing_to_do(api: Api, tmp_path: Path) -> None:
    gone: list[str] = []
    api.removed = lambda item: gone.append(item["kind"])
    assert removed(tmp_path)["removed"] == [f"claim {CLAIM}", "volume journal"]
    assert gone == ["PersistentVolumeClaim", "PersistentVolume"]
    assert not removed(tmp_path)["changed"]


@pytest.mark.parametrize(("kind", "title"), [("PersistentVolumeClaim", f"claim {CLAIM}"), ("PersistentVolume", "volume journal")])
def test_a_finalizer_that_nobody_takes_off_is_named_and_goes_by_force_alone(api: Api, tmp_path: Path, kind: str, title: str) -> None:
    api.known(kind)[0]["metadata"]["finalizers"] = [HELD]
    told = removed(tmp_path)["msg"]
    assert f"Still there after 0 s: {title} (finalizers {HELD})" in told
    assert "--force" in told
    assert api.known(kind)[0]["metadata"]["finalizers"] == [HELD]
    assert removed(tmp_path, force=True)["forced"] == [f"{title} ({HELD})"]
    assert not [*api.known("PersistentVolumeClaim"), *api.known("PersistentVolume")]


@pytest.mark.parametrize(
    ("phase", "labels", "stops"), [("Running", {}, True), ("Running", {"app": "alluxio", "release": "alluxio"}, True), ("Failed", {}, False)]
)
def test_a_pod_that_holds_a_claim_is_named_before_anything_goes(api: Api, tmp_path: Path, phase: str, labels: dict[str, str], stops: bool) -> None:
    api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "holder", "namespace": "alluxio", "labels": labels}, "status": {"phase": phase},
             "spec": {"containers": [{"name": "a"}], "volumes": [{"name": "j", "persistentVolumeClaim": {"claimName": CLAIM}}]}})  # fmt: skip
    result = removed(tmp_path)
    assert (f"pod alluxio/holder holds claim {CLAIM}" in result.get("msg", "")) is stops
    assert bool(api.known("PersistentVolumeClaim")) is stops
