"""A data set as it is declared: its parts, its names and paths, and what is wrong with it."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUP, VERSION, PLURAL, KIND = "centaurusinfra.com", "v1", "alnairdatacaches", "AlnairDatacache"
RELOAD, CANCEL = "alnair.io/reload", "alnair.io/cancel"
# How the text of RELOAD begins where a failed data set is tried once more for a pod.
AGAIN = "pod-"
FINALIZER = "alnair.io/unmount"
# Option that says where the pods of Alluxio see an NFS export or a claim: Alluxio itself reads such a source by a path.
LOCAL_PATH = "alnair.localPath"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class DatasetError(Exception):
    """A data set cannot be as it is declared; the sentence says why, and what to change."""


@dataclass(frozen=True)
class Dataset:
    """A data set; the attributes without a sentence here are those of the AlnairDatacache's spec.

    Attributes:
        generation: Counts the changes of the spec.
        created: When the object was made, as ISO 8601 text in UTC; the elder of two that overlap is served, unless the other one is mounted.
        reload: Text of the annotation that asks for another load.
        cancel: Text of the annotation that asks to end the load that is under way.
        leaving: Whether the object is being deleted: it is about to be unmounted.
        mounted: The path at which it is mounted, or its mount has begun; that of an earlier declaration until there is another one. Empty for none.
    """

    namespace: str
    name: str
    source: str
    path: str
    read_only: bool = True
    credentials: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    preload: str = "all"
    sub_paths: tuple[str, ...] = ()
    replicas: int = 1
    pin: bool = False
    ttl: str = "0"
    sync_interval: str = "-1"
    evict: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    uid: str = ""
    generation: int = 0
    created: str = ""
    reload: str = ""
    cancel: str = ""
    leaving: bool = False
    mounted: str = ""

    @property
    def key(self) -> str:
        """Return what no other data set has: namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Return what is less than that of another data set whose path overlaps where this one is served: it is mounted there, or else the elder."""
        return self.mounted != self.path, self.created, self.key

    @property
    def loaded_paths(self) -> list[str]:
        """Return the paths in Alluxio that a load covers, none of them below another."""
        wanted = sorted({posixpath.normpath(posixpath.join(self.path, part)) for part in self.sub_paths}) or [self.path]
        return [path for path in wanted if not any(path != other and within(path, other) for other in wanted)]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Dataset:
        """Return the data set that an AlnairDatacache declares."""
        spec, meta = item.get("spec") or {}, item["metadata"]
        asked = meta.get("annotations") or {}
        return cls(
            namespace=meta.get("namespace") or "", name=meta["name"], source=str(spec.get("source") or ""),
            path=spec.get("path") or f"/datasets/{meta['name']}", read_only=spec.get("readOnly", True), credentials=spec.get("credentials") or "",
            options={key: str(value) for key, value in (spec.get("options") or {}).items()}, preload=spec.get("preload") or "all",
            sub_paths=tuple(spec.get("subPaths") or ()), replicas=int(spec.get("replicas") or 1), pin=bool(spec.get("pin")), ttl=str(spec.get("ttl") or "0"),
            sync_interval=str(spec.get("syncInterval") if spec.get("syncInterval") is not None else "-1"), evict=tuple(spec.get("evict") or ()),
            namespaces=tuple(spec.get("namespaces") or ()), uid=meta.get("uid") or "", generation=int(meta.get("generation") or 0),
            created=meta.get("creationTimestamp") or "", reload=asked.get(RELOAD, ""), cancel=asked.get(CANCEL, ""),
            leaving=bool(meta.get("deletionTimestamp")), mounted=((item.get("status") or {}).get("mounted") or {}).get("path") or "",
        )  # fmt: skip

    def answered(self, status: Mapping[str, Any]) -> bool:
        """Tell whether a status answers to this declaration and to what its annotations ask for."""
        asked = (status.get("observedReload") or "", status.get("observedCancel") or "")
        return status.get("observedGeneration") == self.generation and asked == (self.reload, self.cancel)

    def may_be_used_by(self, namespace: str) -> bool:
        """Tell whether the data set lets the pods of a namespace use it."""
        return not self.namespaces or namespace == self.namespace or namespace in self.namespaces


def within(path: str, parent: str) -> bool:
    """Tell whether a path is another or lies below it."""
    return path == parent or path.startswith(parent.rstrip("/") + "/")


def seconds(text: str) -> float:
    """Return the seconds of a text such as 30d, 12h or 500ms; 0 and -1 are themselves.

    Raises:
        DatasetError: it is none.
    """
    found = re.fullmatch(r"(-1|0)|(\d+)(ms|s|m|h|d)", text)
    if not found:
        raise DatasetError(f"{text!r} is no time; it must be a number with ms, s, m, h or d, such as 30d, or 0")
    return float(found[1]) if found[1] else int(found[2]) * UNITS[found[3]]


def size(count: float) -> str:
    """Return bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def problem(dataset: Dataset, others: Iterable[Dataset] = ()) -> str:
    """Return what is wrong with a data set as a sentence, or nothing.

    Args:
        dataset: The data set.
        others: All others; of two that overlap one is served, by their ranks.
    """
    path = dataset.path
    if not path.startswith("/") or posixpath.normpath(path) != path or path == "/" or path.startswith("//"):
        return f"Path {path!r} cannot be used: it must be absolute and below /, without a slash at its end and without . or .. in it, such as /datasets/images."
    for part in dataset.sub_paths:
        if not part or part.startswith("/") or ".." in part.split("/"):
            return f"Sub-path {part!r} leads out of the data set; it must be relative to it, such as train."
    for name, text in (("ttl", dataset.ttl), ("syncInterval", dataset.sync_interval)):
        try:
            seconds(text)
        except DatasetError as error:
            return f"{name}: {error}."
    try:
        ufs(dataset, {})
    except DatasetError as error:
        if not dataset.source.startswith("pvc://"):
            return str(error)
    for other in others:
        if overlap(dataset, other) and not other.leaving and other.rank < dataset.rank:
            why = "mounted there" if dataset.rank[0] and not other.rank[0] else "older"
            return f"Path {path} overlaps with {other.path} of data set {other.key}, which is {why}. Give one of them another path."
    return ""


def overlap(one: Dataset, other: Dataset) -> bool:
    """Tell whether the paths of two data sets lie in each other."""
    return one.key != other.key and (within(one.path, other.path) or within(other.path, one.path))


def folder_of(dataset: Dataset) -> str:
    """Return the folder of the hosts in which a data set lies; nothing where it lies in none, or in that of a claim."""
    local = dataset.options.get(LOCAL_PATH) or "" if dataset.source.startswith(("nfs://", "pvc://")) else dataset.source
    return plain_path(local).rstrip("/") if local.startswith("/") else ""


def ufs(dataset: Dataset, claims: Mapping[str, str]) -> str:
    """Return the URI by which Alluxio knows the source.

    Args:
        dataset: The data set.
        claims: Host paths of claims in the data set's namespace, by their names.

    Raises:
        DatasetError: Alluxio cannot know it.
    """
    source = dataset.source
    if source.startswith("/"):
        if posixpath.normpath(source) != source.rstrip("/") or source.startswith("//"):
            raise DatasetError(f"Source {source!r} cannot be used: it must be a path without empty parts and without . or .. in it.")
        return source.rstrip("/")
    if re.fullmatch(r"(s3|hdfs)://[^/@]+(/.*)?", source):
        if "//" in source.split("://", 1)[1]:
            raise DatasetError(f"Source {source!r} cannot be used: it has an empty part (//), which no path of Alluxio has. Name a prefix without one.")
        return source
    local = plain_path(dataset.options.get(LOCAL_PATH) or "")
    if local and (local == "/" or not local.startswith("/")):
        # Alluxio would take it for another source, or for all that its own pods have.
        raise DatasetError(f"Option {LOCAL_PATH} {local!r} cannot be used: it must be an absolute path below /, at which all pods of Alluxio see the source.")
    if re.fullmatch(r"nfs://[^/@]+/.+", source):
        if not local:
            raise DatasetError(
                f"Source {source} needs the option {LOCAL_PATH}: the path at which all pods of Alluxio see this export (mounts in the chart's values)."
            )
        return local
    if claim := re.fullmatch(r"pvc://([a-z0-9]([-a-z0-9.]*[a-z0-9])?)", source):
        if local or claims.get(claim[1]):
            return local or plain_path(claims[claim[1]])
        raise DatasetError(
            f"Claim {claim[1]} in namespace {dataset.namespace} is not bound to a volume with a path on the hosts. Name the path at which all pods of "
            "Alluxio see it "
            f"in the option {LOCAL_PATH}."
        )
    raise DatasetError(
        f"Source {source!r} cannot be used: it must be s3://bucket/prefix, hdfs://host:port/path, nfs://server/export, pvc://claim or an absolute path."
    )


def plain_path(path: str) -> str:
    """Return a path of the hosts as Alluxio writes it, without empty parts and without . and .. in it; an empty one is none."""
    return posixpath.normpath(re.sub("/+", "/", path)) if path else ""


def mount_options(dataset: Dataset) -> dict[str, str]:
    """Return the options that Alluxio is told: those that are not the operator's own.

    Objects of a bucket have no owner and a mode that lets nobody but Alluxio's own user look at them; all that pods do through FUSE is done by another one.
    """
    readable = {"alluxio.underfs.s3.inherit.acl": "false", "alluxio.underfs.s3.default.mode": "0755" if dataset.read_only else "0777"}
    given = {key: value for key, value in dataset.options.items() if not key.startswith("alnair.")}
    return {**(readable if dataset.source.startswith("s3://") else {}), **given}


def same_ufs(one: str, other: str) -> bool:
    """Tell whether two URIs of sources mean the same, though Alluxio writes slashes and schemes its own way."""

    def plain(text: str) -> str:
        return re.sub(r"^(file|local)://", "", text).replace("s3a://", "s3://").rstrip("/")

    return plain(one) == plain(other)


def name_of(part: str) -> str:
    """Return the name of the data set that is made for a folder: the folder's own where Kubernetes takes it, else one that no other folder gets."""
    plain = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:50].strip("-")
    return part if part == plain else f"{plain or 'dataset'}-{mark(part)}"


def mark(text: str) -> str:
    """Return six characters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]
