"""What the admission webhook makes of a pod that asks for the cache: pure functions from objects to JSON patches."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from alnair_operator import datasets
from alnair_operator.datasets import Dataset, within
from alnair_operator.placement import Fuse, out_of_reach
from alnair_operator.settings import Settings
from alnair_operator.templates import CACHE, ON_FAILURE, escaped, patch_template

GATE = "alnair.io/dataset"
NAMES, ORIGINAL, ON_SOURCE = "alnair.io/datasets", "alnair.io/original", "alnair.io/onSource"
HELD = "alnair.io/held"
HOLD = "alnair-hold"
LISTS = ("containers", "initContainers", "ephemeralContainers")
# Types of a volume that are no data, and those that make what is not there.
DEVICES, MADE = ("Socket", "CharDevice", "BlockDevice"), ("DirectoryOrCreate", "FileOrCreate")
Object = Mapping[str, Any]
Patch = list[dict[str, Any]]


class Known(NamedTuple):
    """A data set that is declared, and the phase it is in; empty where the operator has not looked at it yet."""

    dataset: Dataset
    phase: str = ""
    message: str = ""


@dataclass(frozen=True)
class Use:
    """A volume of a pod that is a data set.

    Attributes:
        index: Place of the volume in the pod.
        key: The data set, as namespace/name.
        source: Host path of the data set; empty where it has none.
        path: The volume's path in Alluxio.
        read_only: Whether the pod may only read.
        known: Whether the data set is declared.
        why_not: Why it cannot be served from the cache now; nothing where it can.
        through_fuse: Whether the pod names the path below the FUSE mount itself.
    """

    index: int
    key: str
    source: str
    path: str
    read_only: bool
    known: bool
    why_not: str = ""
    through_fuse: bool = False


@dataclass
class Answer:
    """What the API server is told.

    Attributes:
        patch: The JSON patch.
        allowed: Whether the object may be made.
        message: Why not.
        warnings: Sentences for whoever makes the object.
        missing: Data sets that are not declared yet, by their keys, with their host paths.
        unsettled: Data sets of which it is not known whether they can be mounted.
        failed: Data sets for whose failure a volume stays on its source.
    """

    patch: Patch = field(default_factory=list)
    allowed: bool = True
    message: str = ""
    warnings: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Refusal(Exception):
    """A pod asks for what its namespace may not have."""


def mutate(item: Object, namespace: str, known: Iterable[Known], settings: Settings, claims: Mapping[str, str] | None = None,
           fuse: Fuse | None = None, now: float = 0, late: Collection[str] = ()) -> Answer:  # fmt: skip
    """Return what becomes of an object that asks for the cache.

    Args:
        item: A Pod, Deployment, StatefulSet, Job or CronJob.
        namespace: Its namespace.
        known: The data sets that are declared.
        settings: What the operator is told.
        claims: Host paths of the claims in the namespace, by their names.
        fuse: Where the FUSE mount is; None where that is not known.
        now: Seconds since 1970.
        late: Data sets that were waited for in vain.
    """
    if item.get("kind") != "Pod":
        return Answer(patch_template(item))
    if ((item["metadata"].get("annotations")) or {}).get(CACHE) != "yes":
        return Answer()
    declared = sorted(known, key=lambda entry: entry.dataset.key)
    try:
        uses = uses_of(item, namespace, declared, settings, claims or {})
    except Refusal as error:
        return Answer(allowed=False, message=str(error))
    if not uses:
        roots = ", ".join(settings.roots) or "none"
        return Answer(warnings=[f"cacheDataset is yes, but no volume of this pod is a data set (data set roots: {roots}): it runs as it is."])
    return patch_pod(item, uses, declared, settings, fuse, now, late)


def uses_of(pod: Object, namespace: str, declared: Sequence[Known], settings: Settings, claims: Mapping[str, str]) -> list[Use]:
    """Return the volumes of a pod that are data sets.

    Raises:
        Refusal: the namespace may not have one of them.
    """
    found: list[Use] = []
    for index, volume in enumerate(pod["spec"].get("volumes") or []):
        use = use_of(index, volume, namespace, declared, settings, claims)
        if use:
            allow(use, namespace, declared, settings)
            found.append(use)
    return found


def claims_of(pod: Object) -> set[str]:
    """Return the names of the claims that a pod mounts."""
    return {claim["claimName"] for volume in pod["spec"].get("volumes") or [] if (claim := volume.get("persistentVolumeClaim"))}


def host_path(volume: Object, claims: Mapping[str, str]) -> str:
    """Return the host path that a volume means, without . and .. in it; nothing where it means none, or no data."""
    if type_of(volume) in DEVICES:
        return ""
    path = (volume.get("hostPath") or {}).get("path") or claims.get((volume.get("persistentVolumeClaim") or {}).get("claimName") or "") or ""
    return datasets.plain_path(path) if path.startswith("/") else ""


def type_of(volume: Object) -> str:
    """Return what a volume's host path is said to be; nothing where that is not said."""
    return (volume.get("hostPath") or {}).get("type") or ""


def use_of(index: int, volume: Object, namespace: str, declared: Sequence[Known], settings: Settings, claims: Mapping[str, str]) -> Use | None:
    """Return a volume as the data set that it is; None where it is none.

    Raises:
        Refusal: it holds the folders of all data sets, and the namespace is limited.
    """
    path = host_path(volume, claims)
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if claim:
        for entry in declared:
            if entry.dataset.namespace == namespace and entry.dataset.source == f"pvc://{claim}":
                return of_known(index, entry, entry.dataset.path, path)
    if not path:
        return None
    if within(path, settings.fuse):
        return of_fuse(index, path, namespace, declared, settings)
    if namespace in settings.prefixes and any(within(root, path) for root in (*settings.roots, settings.fuse)):
        allowed = ", ".join(settings.prefixes[namespace]) or "nothing"
        raise Refusal(f"Volume {volume['name']} ({path}) holds the data sets of others; namespace {namespace} is limited to {allowed} in Alluxio.")
    near = (namespace, settings.namespace)
    # What a third namespace declares must not get in the way of its neighbours.
    counting = [entry for entry in declared if entry.dataset.namespace in near or entry.dataset.may_be_used_by(namespace)]
    fitting = [(source, entry) for entry in counting if (source := datasets.folder_of(entry.dataset)) and within(path, source)]
    if fitting:
        # The longest source is meant: a data set may be a folder of a larger one's.
        source, entry = max(fitting, key=lambda pair: (pair[1].dataset.namespace in near, len(pair[0]), pair[1].dataset.may_be_used_by(namespace),
                                                       pair[1].phase == "Complete"))  # fmt: skip
        return of_known(index, entry, entry.dataset.path + path[len(source) :], source)
    for root in sorted(settings.roots, key=len, reverse=True):
        if within(path, root) and path != root:
            return of_name(index, path, root, declared, settings) or undeclared(index, path, root, declared, settings)
    return None


def of_known(index: int, entry: Known, path: str, source: str) -> Use:
    """Return a volume that is a declared data set, or a folder of it."""
    why_not = f"data set {entry.dataset.key} failed: {entry.message}" if entry.phase == "Failed" else ""
    return Use(index, entry.dataset.key, source, path, entry.dataset.read_only, True, why_not)


def of_name(index: int, path: str, root: str, declared: Sequence[Known], settings: Settings) -> Use | None:
    """Return a volume below a data set root whose folder has the name of a data set that lies in no folder of the hosts, such as a bucket."""
    part, _slash, rest = path[len(root) + 1 :].partition("/")
    for entry in declared:
        if entry.dataset.key == f"{settings.namespace}/{part}" and not entry.dataset.source.startswith("/"):
            return of_known(index, entry, f"{entry.dataset.path}{'/' + rest if rest else ''}", f"{root}/{part}")
    return None


def of_fuse(index: int, path: str, namespace: str, declared: Sequence[Known], settings: Settings) -> Use | None:
    """Return a volume that names a path below the FUSE mount."""
    inside = path[len(settings.fuse) :] or "/"
    fitting = [entry for entry in declared if within(inside, entry.dataset.path)]
    if fitting:
        entry = min(fitting, key=lambda entry: entry.dataset.rank)
        return Use(index, entry.dataset.key, "", inside, entry.dataset.read_only, True, through_fuse=True)
    return Use(index, "", "", inside, True, True, through_fuse=True) if namespace in settings.prefixes else None


def undeclared(index: int, path: str, root: str, declared: Sequence[Known], settings: Settings) -> Use:
    """Return a volume below a data set root for which a data set is made: one for each folder of the root."""
    part, _slash, rest = path[len(root) + 1 :].partition("/")
    source = f"{root}/{part}"
    name = datasets.name_of(part)
    taken = {entry.dataset.key: entry.dataset for entry in declared}
    other = taken.get(f"{settings.namespace}/{name}")
    # Two roots may hold folders of the same name.
    if (other and other.source.rstrip("/") != source) or any(entry.dataset.path == f"/datasets/{name}" for entry in declared):
        name = f"{name}-{datasets.mark(source)}"
    return Use(index, f"{settings.namespace}/{name}", source, f"/datasets/{name}{'/' + rest if rest else ''}", True, False)


def allow(use: Use, namespace: str, declared: Sequence[Known], settings: Settings) -> None:
    """Let a namespace have a data set.

    Raises:
        Refusal: it may not.
    """
    prefixes = settings.prefixes.get(namespace)
    if prefixes is not None and not any(within(use.path, prefix.rstrip("/") or "/") for prefix in prefixes):
        raise Refusal(
            f"Namespace {namespace} is limited to {', '.join(prefixes) or 'nothing'} in Alluxio and may not use {use.path}. Ask whoever runs the data set "
            "operator."
        )
    owner = next((entry.dataset for entry in declared if entry.dataset.key == use.key), None)
    if owner and not owner.may_be_used_by(namespace):
        raise Refusal(f"Data set {owner.key} is for pods of {', '.join(owner.namespaces)} (namespaces) and may not be used from namespace {namespace}.")


def may_be_used(dataset: Dataset, namespace: str, settings: Settings) -> bool:
    """Tell whether a namespace may have a data set, or a part of it."""
    prefixes = settings.prefixes.get(namespace)
    path, limits = dataset.path, [prefix.rstrip("/") or "/" for prefix in prefixes or ()]
    return dataset.may_be_used_by(namespace) and (prefixes is None or any(within(path, limit) or within(limit, path) for limit in limits))


def patch_pod(pod: Object, uses: Sequence[Use], declared: Sequence[Known], settings: Settings, fuse: Fuse | None, now: float,
              late: Collection[str]) -> Answer:  # fmt: skip
    """Return how a pod reads its data sets from the cache, or why it stays on the source."""
    annotations, spec = pod["metadata"].get("annotations") or {}, pod["spec"]
    on_failure = annotations.get(ON_FAILURE) if annotations.get(ON_FAILURE) in ("source", "hold") else settings.on_failure
    node = spec.get("nodeName")
    answer = Answer()
    unready = (out_of_reach(spec, fuse) if fuse else "") or cannot_pull(spec, settings)
    served, left = list[Use](), list[str]()
    for use in uses:
        why = unready or use.why_not or (f"data set {use.key} is not mounted yet" if use.key in late else "")
        made = may_be_made(spec["volumes"][use.index], use)
        if (made or (why and on_failure == "source")) and not use.through_fuse:
            left.append(f"Volume {spec['volumes'][use.index]['name']} stays on its source: {(made or why).rstrip('.')}.")
        elif use.key:
            served.append(use)
    phases = {entry.dataset.key: entry.phase for entry in declared}
    answer.missing = {use.key: use.source for use in served if not use.known}
    answer.unsettled = sorted({use.key for use in served if phases.get(use.key, "") in ("", "Pending", "Mounting")})
    answer.failed = sorted({use.key for use in uses if use.why_not and use not in served})
    answer.warnings = left
    patch = answer.patch
    if left:
        patch.append({"op": "add", "path": f"/metadata/annotations/{escaped(ON_SOURCE)}", "value": " ".join(left)[:1000]})
    if not served:
        return answer
    for use in served:
        volume = spec["volumes"][use.index]
        # With a type: where the FUSE mount is gone the pod must not get an empty folder in its place.
        kind = "File" if type_of(volume) == "File" else "Directory"
        patch.append({"op": "replace", "path": f"/spec/volumes/{use.index}",
                      "value": {"name": volume["name"], "hostPath": {"path": settings.fuse + use.path, "type": kind}}})  # fmt: skip
        claimed = (volume.get("persistentVolumeClaim") or {}).get("readOnly") is True
        patch.extend(patch_mounts(spec, volume["name"], use.read_only or claimed))
    originals = [spec["volumes"][use.index] for use in served]
    names = ",".join(sorted({use.key for use in served}))
    patch.append({"op": "add", "path": f"/metadata/annotations/{escaped(NAMES)}", "value": names})
    patch.append({"op": "add", "path": f"/metadata/annotations/{escaped(ORIGINAL)}", "value": json.dumps(originals, ensure_ascii=False, sort_keys=True)})
    if pod["metadata"].get("labels") is None:
        patch.append({"op": "add", "path": "/metadata/labels", "value": {HELD: "true"}})
    else:
        patch.append({"op": "add", "path": f"/metadata/labels/{escaped(HELD)}", "value": "true"})
    patch.extend(hold(spec, names, str(on_failure), settings, now) if node else [*gate(spec), *select(spec, fuse.selector if fuse else {})])
    return answer


def may_be_made(volume: Object, use: Use) -> str:
    """Return why what lies in a data set cannot be served, where the pod wants it made if it is not there: the kubelet would wait for it without end."""
    kind = type_of(volume)
    below = kind in MADE and use.source != datasets.plain_path(volume["hostPath"]["path"])
    return f"its type {kind} may have something made that the data set does not have" if below else ""


def cannot_pull(spec: Object, settings: Settings) -> str:
    """Return why the container that holds a pod would not get its image; nothing where it would, as far as can be told."""
    lacking = settings.pull_secrets and spec.get("nodeName") and not spec.get("imagePullSecrets")
    return "the pod names its node and no imagePullSecrets, by which that node would fetch the image of what holds it" if lacking else ""


def select(spec: Object, selector: Mapping[str, str]) -> Patch:
    """Return how a pod is scheduled only where Alluxio's file system is mounted: on another node its volumes would not be there."""
    own = spec.get("nodeSelector")
    if own is None:
        return [{"op": "add", "path": "/spec/nodeSelector", "value": dict(selector)}] if selector else []
    return [{"op": "add", "path": f"/spec/nodeSelector/{escaped(key)}", "value": value} for key, value in selector.items() if key not in own]


def patch_mounts(spec: Object, volume: str, read_only: bool) -> Patch:
    """Return how the containers mount a volume of the cache.

    What is mounted below the volume's path on the host later reaches them. The FUSE mount that is made anew at its own point does not, for the path lies in it.
    """
    patch: Patch = []
    for kind in LISTS:
        for index, container in enumerate(spec.get(kind) or []):
            for place, mount in enumerate(container.get("volumeMounts") or []):
                if mount["name"] != volume:
                    continue
                where = f"/spec/{kind}/{index}/volumeMounts/{place}"
                # Kubernetes takes no propagation beside it, and who asks for it means it.
                if mount.get("recursiveReadOnly") in (None, "Disabled"):
                    patch.append({"op": "add", "path": f"{where}/mountPropagation", "value": "HostToContainer"})
                if read_only and not mount.get("readOnly"):
                    patch.append({"op": "add", "path": f"{where}/readOnly", "value": True})
    return patch


def gate(spec: Object) -> Patch:
    """Return how a pod waits: it is not scheduled."""
    gates = spec.get("schedulingGates")
    if gates is None:
        return [{"op": "add", "path": "/spec/schedulingGates", "value": [{"name": GATE}]}]
    return [] if any(item["name"] == GATE for item in gates) else [{"op": "add", "path": "/spec/schedulingGates/-", "value": {"name": GATE}}]


def hold(spec: Object, names: str, on_failure: str, settings: Settings, now: float) -> Patch:
    """Return how a pod waits that is bound to a node and passes no scheduler: by a container that goes first."""
    if any(item["name"] == HOLD for item in spec.get("initContainers") or []):
        return []
    told = {"ALNAIR_HOLD_URL": f"http://{settings.service}/hold", "ALNAIR_DATASETS": names, "ALNAIR_ON_FAILURE": on_failure, "ALNAIR_SINCE": str(int(now)),
            "ALNAIR_HOLD_SECONDS": str(settings.hold_seconds)}  # fmt: skip
    container = {
        "name": HOLD,
        "image": settings.image,
        "args": ["hold"],
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    if spec.get("initContainers") is None:
        return [{"op": "add", "path": "/spec/initContainers", "value": [container]}]
    return [{"op": "add", "path": "/spec/initContainers/0", "value": container}]
