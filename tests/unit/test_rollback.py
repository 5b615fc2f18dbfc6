"""Going back to a revision keeps the journal, though its chart would format it at every start, and masters without a quorum do not wait for each other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.module_utils import helm, kube
from ansible_collections.alnair.alluxio.plugins.modules import helm_release


class Formats(helm.Helm):
    """A release whose revisions format the journal, or not."""

    def __init__(self, folder: Path, status: str, **journals: dict[str, Any]) -> None:
        self.params = {"name": "a", "timeout": 300}
        self.module, self.status, self.steps = SimpleNamespace(tmpdir=str(folder), fail_json=self.fail), status, list[tuple[str, ...]]()
        self.kept = {int(name[1:]): journal for name, journal in journals.items()}

    def fail(self, msg: str) -> None:
        raise RuntimeError(msg)

    def secrets(self) -> dict[int, Any]:
        return self.kept

    def history(self) -> list[dict[str, object]]:
        return [{"revision": max(self.kept), "status": self.status}]

    def release(self, revision: int) -> dict[str, Any]:
        return {"chart": {"metadata": {}, "values": {"journal": {"volumeType": "persistentVolumeClaim"}}}, "config": {"x": 1, "journal": self.kept[revision]}}

    def unlisted(self, revision: int) -> list[dict[str, Any]]:
        return []

    def make_way(self, live: list[dict[str, Any]]) -> None:
        assert not live

    def __call__(self, *words: str, **_options: Any) -> str:
        if "--values" in words:
            self.steps.append((words[0], Path(words[words.index("--values") + 1]).read_text(encoding="utf-8")))
        else:
            self.steps.append(words[:3])
        return ""


FORMAT: dict[str, Any] = {"format": {"runFormat": True}}
KEPT = ("upgrade", "journal:\n  format:\n    runFormat: false\nx: 1\n")


@pytest.mark.parametrize(("status", "journals", "steps"), [
    ("failed", {"r1": FORMAT, "r2": {}}, [KEPT]),
    ("pending-upgrade", {"r1": FORMAT, "r2": {}}, [("rollback", "a", "2"), KEPT]),
    ("pending-upgrade", {"r1": {}, "r2": {}}, [("rollback", "a", "1")]),
    ("failed", {"r1": {**FORMAT, "volumeType": "emptyDir"}, "r2": {}}, [("rollback", "a", "1")]),
])  # fmt: skip
def test_no_rollback_formats_the_journal(tmp_path: Path, status: str, journals: dict[str, Any], steps: list[tuple[str, ...]]) -> None:
    release = Formats(tmp_path, status, **journals)
    release.roll_back(1)
    assert release.steps == steps


def test_where_each_way_back_would_format_it_nobody_goes(tmp_path: Path) -> None:
    release = Formats(tmp_path, "pending-upgrade", r1=FORMAT, r2=FORMAT)
    with pytest.raises(RuntimeError, match="Revisions 1 and 2 of release a format the journal"):
        release.roll_back(1)
    assert release.steps == []


def masters(image: str) -> str:
    """Return the manifest of three masters."""
    return yaml.safe_dump({"kind": "StatefulSet", "metadata": {"name": "m"}, "spec": {"template": {"spec": {"image": image}}}})


@pytest.mark.parametrize(
    ("before", "ready", "replicas", "stopped"),
    [("old", 0, 3, True), ("old", 1, 3, True), ("old", 2, 3, False), ("old", 3, 3, False), ("new", 0, 3, False), ("old", 0, 1, False), ("old", 0, 0, False)],
    ids=["none is ready", "one of three", "a quorum", "all", "they do not change", "the only one", "they are stopped"],
)
def test_masters_without_a_quorum_change_together(monkeypatch: pytest.MonkeyPatch, before: str, ready: int, replicas: int, stopped: bool) -> None:
    """One after another, as Kubernetes changes them, the first would wait for ever for others that cannot start."""
    live: dict[str, Any] = {"metadata": {"generation": 4}, "spec": {"replicas": replicas}, "status": {"observedGeneration": 4, "readyReplicas": ready}}
    asked: list[Any] = []

    def patch(body: dict[str, Any], **_words: Any) -> Any:
        asked.append(body)
        live["metadata"]["generation"], live["spec"], live["status"]["replicas"] = 5, body["spec"], replicas
        return SimpleNamespace(to_dict=lambda: live)

    def get(**_words: Any) -> Any:
        asked.append(live["status"].get("replicas"))
        # The controller sees it, and then one pod after another goes.
        if live["status"]["observedGeneration"] == 5:
            live["status"]["replicas"] -= 1
        live["status"]["observedGeneration"] = 5
        return SimpleNamespace(to_dict=lambda: live)

    class Three(helm.Helm):
        def __init__(self) -> None:
            self.client, self.params = None, {"timeout": 60}

        def dynamic(self) -> Any:
            return None

        def living(self, wanted: Any) -> Any:
            return [(item, live) for item in wanted]

        def place(self, _dynamic: Any, _item: dict[str, Any]) -> Any:
            return SimpleNamespace(patch=patch, get=get), {"name": "m", "namespace": "n"}

    monkeypatch.setattr(kube, "patient", lambda call, _client: call())
    monkeypatch.setattr(helm.time, "sleep", lambda _seconds: None)
    Three().stop_lost(masters(before), masters("new"))
    assert asked == ([{"spec": {"replicas": 0}}, 3, 3, 2, 1] if stopped else [])


@pytest.mark.parametrize("work", [helm_release.present, helm_release.rolled_back])
def test_masters_are_looked_at_before_anything_changes(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    steps: list[Any] = []
    stored = {"manifest": masters("old"), "chart": {}, "config": {}}

    class Called(SimpleNamespace):
        def __call__(self, *_words: str) -> str:
            return masters("new") if "--revision" in _words else masters("old")

    stub = Called(
        history=lambda: [{"revision": 1, "status": "superseded"}, {"revision": 2, "status": "deployed"}], repair=lambda _history: "", release=lambda _number: stored,
        there=lambda text: text, unchangeable=lambda _before, _after: [], good_revision=lambda _history: 1,
        upgrade=lambda *words: {"manifest": masters("new")} if "--dry-run=server" in words else steps.append("upgrade"),
        stop_lost=lambda before, after: steps.append((before, after)), make_way=lambda _live: steps.append("make way"),
        roll_back=lambda revision: steps.append(revision),
    )  # fmt: skip
    monkeypatch.setattr(helm_release, "refuse_foreign", lambda *_words: None)
    params: dict[str, Any] = {"name": "a", "chart": "c", "defaults": {}, "values_files": [], "revision": 1 if work is helm_release.rolled_back else 0}
    told: dict[str, Any] = {}
    work(SimpleNamespace(params=params, check_mode=False, _diff=True, exit_json=told.update), stub)
    # Rendered against deployed, without the plugin helm-diff.
    assert {"- image: old", "+ image: new"} <= {" ".join(line.split()) for line in told["diff"]["prepared"].splitlines()}
    assert told["restarts"] == ["StatefulSet/m"]
    assert steps == [(masters("old"), masters("new")), "make way", 1 if work is helm_release.rolled_back else "upgrade"]
