"""Going back to a revision keeps the journal, though its chart would format it at every start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils import helm


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
