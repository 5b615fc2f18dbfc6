"""When a pod that waits for its data sets may start. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from alnair_operator import webhook
from alnair_operator.engine import UNDER_WAY
from alnair_operator.settings import Settings
from alnair_operator.steps import moment_of
from alnair_operator.templates import ON_FAILURE, escaped

# How long a data set may be missing that a pod names, before that counts as a failure: it is made by another thread.
MISSING_SECONDS = 30


class Verdict(NamedTuple):
    """What becomes of a pod.

    Attributes:
        word: wait, go, source (it goes, though not all is cached), or hold (it waits for somebody to act).
        message: Why, as a sentence.
        reload: Data sets that are tried once more before the pod is judged.
    """

    word: str
    message: str = ""
    reload: tuple[str, ...] = ()


def decide(names: Sequence[str], statuses: Mapping[str, Mapping[str, Any] | None], on_failure: str, created: float, now: float,
           mounted: Callable[[str], bool] = lambda name: True) -> Verdict:  # fmt: skip
    """Judge a pod.

    Args:
        names: Its data sets, as namespace/name.
        statuses: Statuses of data sets, by the same names; empty for one that the operator has not looked at, absent for one that is not declared, or
            not for the pod's namespace.
        on_failure: source or hold.
        created: When the pod was made, in seconds since 1970.
        now: Seconds since 1970.
        mounted: Tells of a data set that failed whether it has a mount. Without one the pod would wait for its volumes for ever: by now they are the
            cache's.
    """
    bad: dict[str, str] = {}
    waiting: list[str] = []
    again: list[str] = []
    for name in names:
        status = statuses.get(name)
        if status is None:
            said = f"data set {name} is not declared, or not for pods of this namespace"
            if now - created < MISSING_SECONDS:
                waiting.append(said)
            else:
                bad[name] = said
            continue
        phase = status.get("phase") or "Pending"
        said = f"data set {name} is {phase}: {status.get('message') or ''}".rstrip(": ")
        if phase == "Complete":
            continue
        if phase in UNDER_WAY:
            waiting.append(said)
        elif moment_of(status.get("settledAt") or "") < created:
            # It failed before there was this pod: the reason may be gone.
            again.append(name)
            waiting.append(f"data set {name} is tried again")
        else:
            bad[name] = said
    if waiting:
        return Verdict("wait", "; ".join(waiting), tuple(again))
    why = "; ".join(bad.values())
    if bad and on_failure == "hold":
        return Verdict("hold", f"{why} (onFailure: hold)")
    if lacking := [name for name in bad if not mounted(name)]:
        lost = f"Alluxio has no mount of {', '.join(lacking)}, so there is no folder for this pod's volume."
        return Verdict("hold", f"{why.rstrip('.')}. {lost} Mend the data set, or make the pod anew: it then starts on its source.")
    if bad:
        return Verdict("source", why)
    return Verdict("go", "all data sets are cached")


def status_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of a data set; nothing where it tells of an earlier declaration."""
    status: Mapping[str, Any] = item.get("status") or {}
    return status if status.get("observedGeneration") == item["metadata"].get("generation") else {}


def names_of(pod: Mapping[str, Any]) -> list[str]:
    """Return the data sets that a pod waits for."""
    text = (pod["metadata"].get("annotations") or {}).get(webhook.NAMES) or ""
    return [name for name in text.split(",") if name]


def on_failure_of(pod: Mapping[str, Any], settings: Settings) -> str:
    """Return what becomes of a pod whose data set fails."""
    said = (pod["metadata"].get("annotations") or {}).get(ON_FAILURE)
    return said if said in ("source", "hold") else settings.on_failure


def over(pod: Mapping[str, Any]) -> tuple[bool, str]:
    """Tell whether the container that held a pod has let it go, and why, where its time was over; one that was killed begins anew."""
    found = (pod.get("status") or {}).get("initContainerStatuses") or []
    ends = [(item.get("state") or {}).get("terminated") or {} for item in found if item["name"] == webhook.HOLD]
    return next(((True, str(end.get("message") or "")) for end in ends if end.get("exitCode") == 0), (False, ""))


def release(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch that lifts a pod's gate; it fails where somebody else has changed the gates meanwhile."""
    patch: list[dict[str, Any]] = []
    gates = pod["spec"].get("schedulingGates") or []
    left = [item for item in gates if item["name"] != webhook.GATE]
    if left != gates:
        patch.append({"op": "test", "path": "/spec/schedulingGates", "value": gates})
        patch.append({"op": "replace", "path": "/spec/schedulingGates", "value": left} if left else {"op": "remove", "path": "/spec/schedulingGates"})
    if webhook.HELD in (pod["metadata"].get("labels") or {}):
        patch.append({"op": "remove", "path": f"/metadata/labels/{escaped(webhook.HELD)}"})
    return patch


def undeclared(pod: Mapping[str, Any], known: Sequence[webhook.Known], settings: Settings, claims: Mapping[str, str]) -> dict[str, str]:
    """Return the data sets that a held pod asks for and nobody has declared, by their keys, with their host paths.

    They are found from the volumes that the pod had, by the rules of the webhook, isolation included: what an annotation says alone is not believed.
    """
    meta = pod["metadata"]
    try:
        volumes = json.loads((meta.get("annotations") or {}).get(webhook.ORIGINAL) or "[]")
        uses = webhook.uses_of({"metadata": meta, "spec": {"volumes": volumes}}, meta["namespace"], known, settings, claims)
    except (ValueError, TypeError, KeyError, AttributeError, webhook.Refusal):
        return {}
    names = names_of(pod)
    return {use.key: use.source for use in uses if not use.known and use.key in names}
