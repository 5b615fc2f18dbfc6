"""What a master is taken for by what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.masters import Leader, Masters

INFO: dict[str, Any] = {"workers": [{"host": "w"}]}


@pytest.mark.parametrize(
    ("info", "metrics", "found"),
    [
        (INFO, {"gauges": {"Master.TotalPaths": {"value": 3}}}, Leader("m", 3, INFO["workers"])),
        # It serves, but has not read its journal.
        (INFO, {"gauges": {"Master.TotalPaths": {"value": 0}}}, None),
        (INFO, {"gauges": {}}, None),
        (None, {"gauges": {"Master.TotalPaths": {"value": 3}}}, None),
        (INFO, None, None),
    ],
)
def test_a_master_leads_when_it_knows_its_files(monkeypatch: pytest.MonkeyPatch, info: Any, metrics: Any, found: Leader | None) -> None:
    masters = Masters.__new__(Masters)
    monkeypatch.setattr(masters, "ask", lambda _name, _port, path: metrics if "metrics" in path else info)
    assert masters.look("m", 19999) == found
