"""What a master is taken for by what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.masters import Leader, Masters

PAGE: dict[str, Any] = {"normalNodeInfos": [{"host": "10.0.0.1 (10.244.0.2)"}, {"host": "w"}]}


def told(paths: int, gained: int = 2, lost: int = 1) -> dict[str, Any]:
    return {
        "gauges": {
            f"Master.{name}": {"value": value} for name, value in (("TotalPaths", paths), ("LastGainPrimacyTime", gained), ("LastLosePrimacyTime", lost))
        }
    }


@pytest.mark.parametrize(
    ("page", "metrics", "found"),
    [
        (PAGE, told(3), Leader("m", 3, [["10.0.0.1", "10.244.0.2"], ["w"]])),
        # It serves, but has not read its journal.
        (PAGE, told(0), None),
        # A standby, before and after it led.
        (PAGE, told(3, 0, 0), None),
        (PAGE, told(3, 2, 5), None),
        (PAGE, {"gauges": {}}, None),
        # Alluxio 2.8 does not measure who leads; only a master that leads answers there.
        (PAGE, {"gauges": {"Master.TotalPaths": {"value": 3}}}, Leader("m", 3, [["10.0.0.1", "10.244.0.2"], ["w"]])),
        (None, told(3), None),
        (PAGE, None, None),
    ],
)
def test_a_master_leads_when_it_knows_its_files(monkeypatch: pytest.MonkeyPatch, page: Any, metrics: Any, found: Leader | None) -> None:
    masters = Masters.__new__(Masters)
    monkeypatch.setattr(masters, "ask", lambda _name, _port, path: metrics if "metrics" in path else page)
    assert masters.look("m", 19999) == found
