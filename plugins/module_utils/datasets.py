"""How far a data set is, from the status of its object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

DONE, FAILED = ("Complete",), ("Failed", "TooLarge", "Incomplete")
# What tells whether a load changed anything.
MEASURES = ("files", "bytes", "cachedBytes")
RELOAD, CANCEL = "alnair.io/reload", "alnair.io/cancel"


def size(count: float) -> str:
    """Return bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def span(seconds: float) -> str:
    """Return a time in words."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


def progress(name: str, status: Mapping[str, Any]) -> str:
    """Return how far a data set is, in a line."""
    # What a mount waits for, no figure tells.
    waits = status.get("message") if status.get("phase") == "Mounting" else ""
    return f"{stand(name, status)}: {waits}" if waits else stand(name, status)


def stand(name: str, status: Mapping[str, Any]) -> str:
    """Return phase and figures of a data set, in a line."""
    if not status.get("phase"):
        return f"{name}: waits for the operator"
    line = f"{name}: {status['phase']}"
    if status.get("bytes"):
        cached = status.get("cachedBytes") or 0
        files = status.get("files") or 0
        # An operator of before does not count those that are cached.
        share = f"{status['cachedFiles']} of " if status.get("cachedFiles", files) != files else ""
        line += f", {size(cached)} of {size(status['bytes'])} ({status.get('cachedPercent') or 0} %), {share}{files} files"
    if status["phase"] not in DONE + FAILED:
        line += f", {size(status['rate'])}/s" if status.get("rate") else ""
        line += f", {span(status['secondsLeft'])} left" if status.get("secondsLeft") else ""
    return line


def verdict(item: Mapping[str, Any] | None, begun: Mapping[str, Any]) -> str:
    """Return done, failed or going.

    Args:
        item: The object; None where it is gone.
        begun: Its status when the wait began; under ``asked`` the text by which another load was asked for, if it was, as an annotation.
    """
    if item is None:
        return "failed"
    status = item.get("status") or {}
    if (status.get("observedGeneration") or 0) < item["metadata"].get("generation", 0):
        return "going"
    # What it said before it saw that another load is asked for is no answer. Somebody else may have asked since; then what he asked for is the one to come.
    asked = (item["metadata"].get("annotations") or {}).get(RELOAD) or ""
    if begun.get("asked") and (status.get("observedReload") or "") != asked:
        return "going"
    return "failed" if status.get("phase") in FAILED else "done" if status.get("phase") in DONE else "going"


def explained(name: str, namespace: str, item: Mapping[str, Any] | None) -> str:
    """Return why a data set is not as it shall be."""
    if item is None:
        return f"{name}: it is gone; somebody removed it"
    status = item.get("status") or {}
    if not status.get("phase"):
        return (
            f"{name}: no operator has taken it up. Try: kubectl --namespace {namespace} get pods --selector app.kubernetes.io/name=alnair-operator, or "
            "deploy one with "
            "playbooks/deploy_operator.yml"
        )
    if (status.get("observedGeneration") or 0) < item["metadata"].get("generation", 0):
        return f"{name}: the operator has not seen what is declared now; it last said: {status.get('message') or status['phase']}"
    text = f"{stand(name, status)}: {status.get('message') or 'the operator gives no reason'}"
    files = [f"{entry.get('path')} ({entry.get('reason')})" for entry in status.get("failedFiles") or []]
    more = (status.get("failedCount") or 0) - len(files)
    return text + (f" Not loaded: {'; '.join(files)}{f' and {more} more' if more > 0 else ''}." if files else "")


def moved(begun: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Tell whether a load found or cached anything new."""
    return any((begun.get(key) or 0) != (status.get(key) or 0) for key in MEASURES)


def document(text: str) -> dict[str, Any] | None:
    """Return the last JSON object of what a program printed, which may hold other lines before it; None where there is none."""
    lines = text.splitlines()
    for index in reversed(range(len(lines))):
        if lines[index].startswith("{"):
            for part in ("\n".join(lines[index:]), lines[index]):
                try:
                    found = json.loads(part)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    return found
    return None


def rows(report: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return what a report tells file by file: differences, or checksums."""
    found = report or {}
    if isinstance(found.get("files"), dict):
        return [{"path": path, "checksum": text} for path, text in found["files"].items()]
    return list(found.get("differences") or [])


def summary(report: Mapping[str, Any]) -> str:
    """Return a report's figures in words."""
    if "checksum" in report:
        return f"{report['checksum']} of {report.get('path', '.')} ({report['count']} files)"
    text = f"{report.get('files')} files, {size(report.get('bytes') or 0)}, {report.get('cached')} of them cached"
    if report.get("content"):
        text += f", {report.get('compared')} compared byte by byte, {report.get('uncompared')} not cached and so not compared"
    text += f", {report['repaired']} put right" if "repaired" in report else ""
    return f"{text}, {report.get('differing') or 'none'} {'differs' if report.get('differing') == 1 else 'differ'}"


def outcome(name: str, found: Mapping[str, Any], shown: int = 20) -> str:
    """Return how a verb on a data set ended, in a line.

    Args:
        name: Its name.
        found: Exit code (rc), report and last lines (said).
        shown: How many files are named at most.
    """
    report = found.get("report")
    if not report:
        said = found.get("said") or f"it ended with exit code {found['rc']} and said nothing"
        return f"{name}: {said}"
    files = list(report.get("differences") or [])
    named = "; ".join(f"{entry.get('path')} ({entry.get('reason')})" for entry in files[:shown])
    # Of very many files the report itself lists only the first.
    left = (report.get("differing") or 0) - len(files[:shown])
    more = f"; and {left} more" if left > 0 else ""
    return f"{name}: {summary(report)}{f': {named}{more}' if files else ''}"
