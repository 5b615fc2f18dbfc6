"""Which master leads, by its own metrics; the runner reads this file, too, so it needs nothing but Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GAINED, LOST = "Master.LastGainPrimacyTime", "Master.LastLosePrimacyTime"


def leads(gauges: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether a master leads: it gained primacy after it lost it last; one of Alluxio 2.8, which does not measure that, by answering at all.

    Its pages do not tell: a standby master whose web page is switched on answers like the one that leads, and api/v1/master/info fails while an under
    storage is away.

    Args:
        gauges: What it answers on metrics/json/: each with its ``value``, a time in ms since 1970 and 0 for never.
    """
    if gauges and GAINED not in gauges:
        return True
    gained, lost = (gauges.get(name, {}).get("value") or 0 for name in (GAINED, LOST))
    return bool(gained > lost)
