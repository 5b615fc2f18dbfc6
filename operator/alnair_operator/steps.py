"""What a step with a data set brings: its status from now on, and what is to be told and done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Status = dict[str, Any]
# What a status keeps when the declaration changes or another load is asked for.
KEPT = (
    *("files", "cachedFiles", "bytes", "cachedBytes", "cachedPercent", "size", "conditions", "mounted", "pinned", "interval"),
    *("loadedAt", "freedAt", "waitingSince", "observedCancel"),
)
# What a status holds only while something is under way.
FLEETING = ("rate", "secondsLeft", "jobs", "verifications", "evicted", "victims", "mountingSince", "waitingSince")


def text_of(moment: float) -> str:
    """Return a time as Kubernetes writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> float:
    """Return the seconds since 1970 of a time as Kubernetes writes it; 0 for none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def kept(status: Mapping[str, Any]) -> Status:
    """Return what of a status outlives its declaration."""
    return {key: status[key] for key in KEPT if key in status}


def lasting(status: Mapping[str, Any]) -> Status:
    """Return what of a status lasts when nothing is under way any more."""
    return {key: value for key, value in status.items() if key not in FLEETING}


@dataclass
class Step:
    """What came of a step.

    Attributes:
        status: The status from now on.
        delay: Seconds until the next step.
        events: Events to tell: kind (Normal or Warning), reason, sentence.
        victims: Names of data sets that are to be freed to make room, in the same namespace.
        firm: Whether the delay holds whatever is asked for meanwhile, for the next step would end as this one did.
    """

    status: Status
    delay: float = 0.0
    events: list[tuple[str, str, str]] = field(default_factory=list)
    victims: list[str] = field(default_factory=list)
    firm: bool = False


def conditions(status: Mapping[str, Any], generation: int, before: Sequence[Mapping[str, Any]], now: str) -> list[Status]:
    """Return the conditions of a status: Ready is True when it is Complete.

    Args:
        status: The status.
        generation: Of the declaration that it answers to.
        before: Its conditions until now.
        now: The time as Kubernetes writes it.
    """
    value = "True" if status["phase"] == "Complete" else "False"
    old = next((item for item in before if item.get("type") == "Ready"), {})
    since = old.get("lastTransitionTime") if old.get("status") == value else None
    return [{"type": "Ready", "status": value, "reason": status["phase"], "message": status.get("message") or "", "observedGeneration": generation,
             "lastTransitionTime": since or now}]  # fmt: skip
