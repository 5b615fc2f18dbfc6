"""What a chart's merged values ask of the nodes, and which nodes take its pods: the same for deploy and for doctor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.values import no_majority, quantity

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

    def host_folders(self) -> list[str]:
        """Return the folders of the hosts that tiers lie in."""
        found = [folder["path"] for level in self.levels for folder in folders(level) if folder["type"] == "hostPath"]
        return list(dict.fromkeys(found))

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


def mib(size: Decimal) -> str:
    """Return bytes in words."""
    return f"{size / 2**20:.0f} MiB"


def asked(pod: Mapping[str, Any], resource: str) -> Decimal:
    """Return what the scheduler counts for a pod."""

    def of(container: Mapping[str, Any]) -> Decimal:
        return quantity(((container.get("resources") or {}).get("requests") or {}).get(resource, 0))

    spec = pod["spec"]
    first = spec.get("initContainers") or []
    beside = sum((of(item) for item in first if item.get("restartPolicy") == "Always"), Decimal(0))
    together = beside + sum(of(item) for item in spec["containers"])
    return max([together, *[of(item) for item in first]]) + quantity((spec.get("overhead") or {}).get(resource, 0))


def others(pods: Iterable[Mapping[str, Any]], release: str, namespace: str) -> dict[str, list[Mapping[str, Any]]]:
    """Return the pods that are not a release's own, by the name of their node.

    Args:
        pods: Pods of all namespaces that have not ended.
        release: Name of the release.
        namespace: Its namespace.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        if metadata["namespace"] != namespace or (metadata.get("labels") or {}).get("release") != release:
            found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return found


def cannot_be(wanted: Wanted) -> list[tuple[str, str]]:
    """Return what fits no node at all, each reason with what to do: limits that break their own part, and a number of masters that makes no quorum."""
    reason = no_majority(int(wanted.part("master").get("count") or 1))
    return limits_too_small(wanted) + ([(reason, "name 1, 3 or 5 hosts in alluxio_masters")] if reason else [])


def limits_too_small(wanted: Wanted) -> list[tuple[str, str]]:
    """Return the limits that their own part breaks, each with what to do."""
    reasons = []
    for part in [*wanted.parts("master"), *wanted.parts("worker")]:
        tier = wanted.tier(memory=True) if part == "worker" else Decimal(0)
        need, limit = wanted.java(part) + tier, wanted.resource(part, "limits", "memory")
        # The memory tier is a volume in memory, which counts against the container's limit.
        if limit is not None and need and limit <= need:
            what = f"its heap and direct memory of {mib(need)}"
            if tier:
                what = f"its memory tier of {mib(tier)} and heap and direct memory of {mib(wanted.java(part))}"
            lower = "or lower alluxio_chart_quota" if tier else f"or lower {part}.jvmOptions"
            reasons.append((f"the limit of {mib(limit)} does not hold {part} with {what}", f"raise {part}.resources.limits.memory {lower}"))
        for resource in ("cpu", "memory"):
            request, most = wanted.resource(part, "requests", resource), wanted.resource(part, "limits", resource)
            if request is not None and most is not None and request > most:
                refused = f"{part}.resources asks for more {resource} than its limit, which Kubernetes refuses"
                reasons.append((refused, f"lower requests.{resource} or raise limits"))
    return reasons


def too_little(
    node: Mapping[str, Any], wanted: Wanted, kinds: list[str], beside: Iterable[Mapping[str, Any]], shm: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return what a node has too little of, each with what to do.

    Args:
        node: The node as the API returns it.
        wanted: What the release asks for.
        kinds: Which of "master" and "worker" shall run there.
        beside: The pods of others on it.
        shm: Bytes of /dev/shm by node, where the memory tier is there and nobody else looks at it.
    """
    name, has = node["metadata"]["name"], node["status"].get("allocatable") or {}
    parts = [part for kind in kinds for part in wanted.parts(kind)]
    remedies = {"memory": "alluxio_chart_quota or resources.requests.memory", "cpu": "resources.requests.cpu"}
    reasons: list[tuple[str, str]] = []
    for resource, lower in remedies.items():
        if resource not in has:
            continue
        need = sum((wanted.takes(part, resource) for part in parts), Decimal(0))
        more = sum((wanted.takes(part, resource) for part in parts if wanted.surges(part)), Decimal(0))
        used = sum((asked(pod, resource) for pod in beside), Decimal(0))
        free = quantity(has[resource]) - used
        words = mib if resource == "memory" else lambda cores: f"{cores.normalize():f} cores"
        if need + more > free:
            surge, without = "", ""
            if need <= free:
                surge, without = f", and {words(more)} more while the next FUSE begins beside the old one", "set fuse.maxSurge to 0, "
            there = f"{words(quantity(has[resource]))} allocatable, {words(used)} asked for by other pods"
            reasons.append(
                (
                    f"has {words(free)} of {resource} free ({there}), {', '.join(parts)} need {words(need)}{surge}",
                    f"lower {lower}, {without}or move other pods away",
                )
            )
    disk = wanted.tier(memory=False, kind="emptyDir")
    room = quantity(has["ephemeral-storage"]) if "ephemeral-storage" in has else None
    if "worker" in kinds and room is not None and disk > room:
        remedy = "lower their quota in tieredstore.levels, or put them on a disk of their own with type hostPath"
        reasons.append((f"has {mib(room)} of ephemeral storage, the tiers on disk need {mib(disk)}", remedy))
    memory = wanted.tier(memory=True, kind="hostPath")
    if "worker" in kinds and shm and name in shm and memory > quantity(shm[name]):
        remedy = f"lower its quota, use type emptyDir, or mount -o remount,size={memory / 2**20:.0f}m /dev/shm on the host"
        reasons.append((f"has a /dev/shm of {mib(quantity(shm[name]))}, the memory tier needs {mib(memory)}", remedy))
    return reasons
