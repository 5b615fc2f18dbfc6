"""What a chart's merged values ask of the nodes, and which nodes take its pods: the same for deploy and for doctor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.values import quantity

# Which parts run on which nodes, and those that do so only when they are turned on.
PARTS = {"master": ("master", "jobMaster"), "worker": ("worker", "jobWorker", "fuse", "proxy")}
OPTIONAL = ("fuse", "proxy")
HEAP = re.compile(r"-(?:Xmx|XX:MaxHeapSize=)(\d+[kmgtKMGT]?)")
DIRECT = re.compile(r"-XX:MaxDirectMemorySize=(\d+[kmgtKMGT]?)")


def folders(level: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return medium, type, path and quota of each folder of a tier: commas separate them, and where a list is too short its last word stands for the rest."""
    without = {"mediumtype": "", "type": "", "path": "", "quota": "0"}
    lists = {key: [word.strip() for word in str(level.get(key, text)).split(",")] for key, text in without.items()}
    return [{key: words[min(index, len(words) - 1)] for key, words in lists.items()} for index in range(len(lists["path"]))]


class Wanted:
    """What the merged values of a chart ask for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.levels: list[Mapping[str, Any]] = (values.get("tieredstore") or {}).get("levels") or []

    def part(self, name: str) -> Mapping[str, Any]:
        """Return the values of a part."""
        return self.values.get(name) or {}

    def parts(self, kind: str) -> list[str]:
        """Return the parts that run on the nodes of masters or of workers."""
        return [name for name in PARTS[kind] if name not in OPTIONAL or self.part(name).get("enabled")]

    def resource(self, part: str, which: str, resource: str) -> Decimal | None:
        """Return a part's request or limit, if it has one."""
        text = ((self.part(part).get("resources") or {}).get(which) or {}).get(resource)
        return None if text is None else quantity(text, f"{part}.resources.{which}.{resource}")

    def request(self, part: str, resource: str) -> Decimal:
        """Return what a part asks for; the limit stands for a request that is not there, as Kubernetes has it."""
        found = self.resource(part, "requests", resource)
        return (self.resource(part, "limits", resource) if found is None else found) or Decimal(0)

    def tier(self, memory: bool, kind: str = "") -> Decimal:
        """Return the bytes of the tiers in memory or on disk, of one type of volume or of all."""
        total = Decimal(0)
        for index, level in enumerate(self.levels):
            for folder in folders(level):
                if (folder["mediumtype"] == "MEM") == memory and kind in ("", folder["type"]):
                    total += quantity(folder["quota"], f"tieredstore.levels[{index}].quota")
        return total

    def in_host_memory(self) -> bool:
        """Tell whether a memory tier lies in the hosts' own /dev/shm; an emptyDir in memory has a size of its own."""
        return any(folder["mediumtype"] == "MEM" and folder["type"] == "hostPath" and folder["path"].startswith("/dev/shm")
                   for level in self.levels for folder in folders(level))  # fmt: skip

    def java(self, part: str) -> Decimal:
        """Return the bytes of heap and direct memory that a part's options of Java name."""
        options: list[str] = []
        for given in (self.values.get("jvmOptions"), self.part(part).get("jvmOptions")):
            # One item of a list may hold several options.
            options += [word for item in ([given] if isinstance(given, str) else given or []) for word in str(item).split()]
        total = Decimal(0)
        for pattern in (HEAP, DIRECT):
            found = [match[1] for option in options if (match := pattern.fullmatch(option))]
            # The JVM counts in powers of two; of several the last one holds.
            total += quantity(re.sub(r"[a-zA-Z]$", lambda letter: f"{letter[0].upper()}i", found[-1])) if found else 0
        return total

    def memory(self, part: str) -> Decimal:
        """Return the memory that a part takes: what it asks for, or more where its heap and its tier come to more."""
        return max(self.request(part, "memory"), self.java(part) + (self.tier(memory=True) if part == "worker" else 0))

    def surges(self, part: str) -> bool:
        """Tell whether a pod of a part serves on while the next one begins beside it."""
        return part == "fuse" and not self.part(part).get("hostNetwork") and bool(self.part(part).get("maxSurge"))

    def takes(self, part: str, resource: str) -> Decimal:
        """Return what a pod of a part takes of cpu or memory."""
        return self.memory(part) if resource == "memory" else self.request(part, resource)

    def tolerated(self, part: str, taint: Mapping[str, Any]) -> bool:
        """Tell whether a part's pods may be where a taint is."""
        tolerations = [*(self.values.get("tolerations") or []), *(self.part(part).get("tolerations") or [])]
        return any(
            item.get("effect") in (None, "", taint["effect"])
            and (not item.get("key") or item["key"] == taint["key"])
            and (item.get("operator") == "Exists" or item.get("value", "") == taint.get("value", ""))
            for item in tolerations
        )


def takes_no_pods(node: Mapping[str, Any], wanted: Wanted, kinds: list[str]) -> list[tuple[str, str]]:
    """Return why a node does not take the pods that shall run there, each reason with what to do."""
    name, spec, status = node["metadata"]["name"], node.get("spec") or {}, node.get("status") or {}
    see, reasons = f"see kubectl describe node {name}", list[tuple[str, str]]()
    if not status.get("allocatable"):
        reasons.append(("has not told yet what it has, as one whose kubelet has not started", see))
    conditions = {item["type"]: item for item in status.get("conditions") or []}
    ready = conditions.get("Ready", {"status": "True"})
    if ready["status"] != "True":
        reasons.append((f"is not Ready ({ready.get('message') or ready.get('reason') or 'no reason given'})", see))
    reasons += [
        (f"reports {kind} ({conditions[kind].get('message', '')})", "free some of it first")
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
        if conditions.get(kind, {}).get("status") == "True"
    ]
    # Workers and FUSE are DaemonSets, which Kubernetes puts on cordoned nodes too.
    if spec.get("unschedulable") and "master" in kinds:
        reasons.append(("is cordoned, so no master can start there", f"run kubectl uncordon {name}"))
    for taint in spec.get("taints") or []:
        own = taint["key"].startswith("node.kubernetes.io/")
        parts = [part for kind in kinds for part in wanted.parts(kind) if part in ("master", "worker", *OPTIONAL) and not wanted.tolerated(part, taint)]
        if parts and not own and taint["effect"] in ("NoSchedule", "NoExecute"):
            mark = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
            remedy = "add it to tolerations in alluxio_chart_values, or take it off"
            reasons.append((f"has the taint {mark}, which {' and '.join(parts)} do not tolerate", remedy))
    return reasons
