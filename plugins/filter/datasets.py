"""Filters: data sets as objects of the cluster, what is wrong with a list of them, and the operator that serves them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import datasets

DOCUMENTATION = r"""
name: datasets
short_description: Data sets as objects of the cluster, and what is wrong with a list of them
description:
  - Makes AlnairDatacache objects of a list, says in a sentence each what is wrong with it, and finds pods that are held and operators that watch the same.
options:
  _input:
    description: Data sets as the role datasets takes them, or objects as the API returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
objects: "{{ datasets_list | alnair.alluxio.dataset_objects('alluxio') }}"
"""

RETURN = r"""
_value:
  description: A list.
  type: list
"""

Object = Mapping[str, Any]
VERSION = "centaurusinfra.com/v1"
KIND = "AlnairDatacache"
GATE = "alnair.io/dataset"
# The container by which the operator's webhook holds a pod that passes no scheduler.
HOLD = "alnair-hold"
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
SOURCE = re.compile(r"s3://[^/]+(/.*)?|hdfs://[^/]+(/.*)?|nfs://[^/]+/.+|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?|/.+", re.DOTALL)
EMPTY = re.compile(r"(s3|hdfs)://.*//", re.DOTALL)
# The same words as in the kind's own rule.
SECRET = re.compile(r"secret|passw|token|credential|access.?key|account.?key|private.?key", re.IGNORECASE)
DURATION = re.compile(r"0|[0-9]+(ms|s|m|h|d)")
DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")


def path_of(item: Object) -> str:
    """Return where a data set of the list appears in Alluxio."""
    return str(item.get("path") or f"/datasets/{item.get('name')}")


def dataset_names(items: Iterable[Object], namespace: str) -> list[str]:
    """Return how each of some data sets is named: by its name where it is of a namespace, and else by NAMESPACE/NAME."""
    return [dataset_title(item).removeprefix(f"{namespace}/") for item in items]


def datasets_meant(items: Iterable[Object], namespace: str, names: Iterable[str]) -> list[Object]:
    """Return the data sets that are meant.

    Args:
        items: Objects as the API returns them.
        namespace: Namespace of those that are named without one.
        names: Names of those that are meant; all of the namespace where there is none.
    """
    there, wanted = list(items), {name.removeprefix(f"{namespace}/") for name in names}
    return [item for item, name in zip(there, dataset_names(there, namespace), strict=True) if (name in wanted if wanted else "/" not in name)]


def datasets_going(items: Iterable[Object], namespace: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return what names those of the data sets that are meant which are under way, or at which no operator has looked since it was asked to."""
    ended, there = datasets.DONE + datasets.FAILED, datasets_meant(items, namespace, names)

    def over(item: Object) -> bool:
        status, asked = item.get("status") or {}, (item["metadata"].get("annotations") or {}).get(datasets.CANCEL, "")
        return status.get("phase") in ended and (status.get("observedCancel") or "") == asked

    return references(item for item in there if not over(item))


def dataset_objects(items: Iterable[Object], namespace: str) -> list[dict[str, Any]]:
    """Return the objects of a list of data sets.

    Args:
        items: The list.
        namespace: Namespace of the objects.
    """
    return [
        {
            "apiVersion": VERSION,
            "kind": KIND,
            "metadata": {"name": item["name"], "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "alnair"}},
            "spec": {**{key: value for key, value in item.items() if key != "name" and value is not None}, "path": path_of(item)},
        }
        for item in items
    ]


def dataset_title(item: Object) -> str:
    """Return namespace/name of an object."""
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def covers(watched: list[str], namespace: str) -> bool:
    """Tell whether an operator looks after a namespace; no name stands for the whole cluster."""
    return not watched or namespace in watched


def other_operators(deployments: Iterable[Object], namespace: str) -> list[tuple[str, list[str]]]:
    """Return the operators of other namespaces, each by its namespace and what it watches."""
    found = []
    for item in deployments:
        if item["metadata"]["namespace"] != namespace:
            environment = {entry["name"]: entry.get("value") or "" for entry in item["spec"]["template"]["spec"]["containers"][0].get("env") or []}
            found.append((item["metadata"]["namespace"], [name for name in environment.get("ALNAIR_WATCH", "").split(",") if name]))
    return found


def operator_objects(items: Iterable[Object], deployments: Iterable[Object], namespace: str, watched: list[str]) -> list[Object]:
    """Return the objects that only the own operator looks after: data sets of another release in the same cluster are not its to take away.

    Args:
        items: Pods or data sets.
        deployments: The cluster's Deployments of operators.
        namespace: Namespace of the own operator.
        watched: What it watches; nothing for the whole cluster.
    """
    others = other_operators(deployments, namespace)
    return [
        item for item in items if covers(watched, space := item["metadata"]["namespace"]) and not any(covers(theirs, space) for _namespace, theirs in others)
    ]


def overlap(one: str, other: str) -> bool:
    """Tell whether a path lies in another or is the same."""
    first, second = sorted((f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"), key=len)
    return second.startswith(first)


def item_faults(item: Object, namespaces: list[str] | None, known: set[str] | None) -> Iterator[str]:
    """Yield what is wrong with a data set taken by itself."""
    name, path = str(item.get("name")), path_of(item)
    if not NAME.fullmatch(name):
        yield (
            f'name "{name}" must be at most 63 small letters, digits, hyphens and dots, for it names an object of the cluster; its path and source may hold '
            "any other "
            f'character, such as path: "/datasets/{name}"'
        )
    source = str(item.get("source"))
    if not SOURCE.fullmatch(source):
        kinds = "s3://bucket/prefix, hdfs://host:port/path, nfs://server/export, pvc://claim"
        yield f'source "{source}" must be {kinds} or an absolute path that all pods of Alluxio see'
    if EMPTY.match(source):
        yield f'source "{source}" has an empty part (//), which no path of Alluxio has; name a prefix without one, or copy what lies there'
    if re.match(r"[a-z0-9]+://[^/]*@", source):
        yield "source holds a user or a password; put what is secret into a Secret (dataset_operator_credentials) and name it in credentials"
    if not re.match(r"/[^/]", path) or path.endswith("/") or "//" in path or DOTS.search(path):
        yield f'path "{path}" must be absolute, below /, without a slash at its end and without empty parts, . or .. in it, such as /datasets/{name}'
    for key in item.get("options") or {}:
        if SECRET.search(str(key)):
            seen = "looks like a credential and could be read by whoever sees the object"
            yield f"options hold {key}, which {seen}; put it into a Secret and name it in credentials"
    for part in item.get("subPaths") or []:
        if part.startswith("/") or DOTS.search(part):
            yield f'subPaths hold "{part}", which must be relative to the data set, without . or .. in it'
    for key, extra in (("ttl", "0 for never"), ("syncInterval", "-1 for never or 0 for always")):
        value = str(item.get(key, "0"))
        if not DURATION.fullmatch(value) and not (key == "syncInterval" and value == "-1"):
            yield f'{key} "{value}" must be a number with ms, s, m, h or d, such as 12h, or {extra}'
    if lacking := [space for space in item.get("namespaces") or [] if namespaces is not None and space not in namespaces]:
        yield f"namespaces hold {', '.join(lacking)}, which the cluster does not have; make them first (kubectl create namespace {lacking[0]}) or mend the name"
    for other in item.get("evict") or []:
        if other == name or known is not None and other not in known:
            yield f"evict holds {other}, which is {'the data set itself' if other == name else 'no data set that is listed or declared'}"


def dataset_faults(items: list[Object], declared: list[Object] | None = None, namespaces: list[str] | None = None, namespace: str = "") -> list[str]:
    """Return a sentence for each thing that is wrong with a list of data sets.

    Args:
        items: The list.
        declared: The AlnairDatacache objects of the cluster; None where the list is judged before the cluster is asked.
        namespaces: The cluster's namespaces, likewise.
        namespace: Namespace of the list's objects.
    """
    names = [str(item.get("name")) for item in items]
    # Objects of the list are judged as they will be.
    others = [item for item in declared or () if item["metadata"]["namespace"] != namespace or item["metadata"]["name"] not in names]
    known = None if declared is None else {*names, *(item["metadata"]["name"] for item in declared)}
    found = [f"{name}: is listed {names.count(name)} times; each data set needs a name of its own" for name in sorted({*names}) if names.count(name) > 1]
    found += [f"{item.get('name')}: {fault}" for item in items for fault in item_faults(item, namespaces, known)]
    there = [(dataset_title(item), str(item["spec"].get("path") or f"/datasets/{item['metadata']['name']}")) for item in others]
    for index, item in enumerate(items):
        rest = [(str(other.get("name")), path_of(other)) for other in items[index + 1 :] if other.get("name") != item.get("name")] + there
        for name, path in rest:
            if overlap(path_of(item), path):
                found.append(
                    f"{item.get('name')}: its path {path_of(item)} and that of {name}, {path}, lie in each other; give one of them another path, for a file "
                    "would belong to both"
                )
    return found


def gate_patches(pods: Iterable[Object]) -> list[dict[str, Any]]:
    """Return the changes that let go of pods that wait for a data set."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            # Without the label by which an operator that looks after the namespace one day finds those that it holds.
            "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"], "labels": {"alnair.io/held": None}},
            "spec": {"schedulingGates": [{"name": GATE, "$patch": "delete"}]},
        }
        for pod in pods
        if GATE in [gate["name"] for gate in pod["spec"].get("schedulingGates") or []]
    ]


def held_for_good(pods: Iterable[Object]) -> list[str]:
    """Return namespace/name of the pods whose first container waits for the operator's word without end: those that name their node and are to be held.

    Args:
        pods: Pods as the API returns them.
    """

    def ended(pod: Object) -> bool:
        found = [item for item in (pod.get("status") or {}).get("initContainerStatuses") or [] if item["name"] == HOLD]
        return any("terminated" in (item.get("state") or {}) for item in found)

    return [
        dataset_title(pod)
        for pod in pods
        # One that is deleted already needs nobody to do that first.
        if not pod["metadata"].get("deletionTimestamp") and not ended(pod)
        for container in pod["spec"].get("initContainers") or []
        if container["name"] == HOLD and {"name": "ALNAIR_ON_FAILURE", "value": "hold"} in (container.get("env") or [])
    ]


def operator_rivals(deployments: Iterable[Object], namespace: str, watched: list[str]) -> list[str]:
    """Return operators of other namespaces that watch what is to be watched, each in words.

    Args:
        deployments: The cluster's Deployments of operators.
        namespace: Namespace of the own operator.
        watched: What it is to watch; nothing for the whole cluster.
    """
    return [
        f"that of namespace {other} watches {', '.join(theirs) or 'the whole cluster'}"
        for other, theirs in other_operators(deployments, namespace)
        if not theirs or not watched or {*theirs} & {*watched}
    ]


def namespaces_left(
    deployments: Iterable[Object], roles: Iterable[Object], name: str, namespace: str, watched: list[str], everywhere: bool = False
) -> list[str]:
    """Return the namespaces that an operator watches until now and is to watch no more; a star stands for all others of the cluster.

    Args:
        deployments: The cluster's Deployments of operators.
        roles: The Roles of all operators, which tell it where a run was cut off between the Deployment and the rest.
        name: Name of this one's Roles.
        namespace: Its namespace.
        watched: What it is to watch; nothing for the whole cluster.
        everywhere: Whether it has rights in the whole cluster, which tell it likewise.
    """
    # Seen from nowhere, the own one is one of the others.
    own = [watch for space, watch in other_operators(deployments, "") if space == namespace]
    before = {role["metadata"]["namespace"] for role in roles if role["metadata"]["name"] == name}
    before |= {space for watch in own for space in watch} | ({"*"} if everywhere or [] in own else set())
    return sorted(space for space in before if not covers(watched, space))


def objects_left(items: Iterable[Object], left: list[str], deployments: Iterable[Object], namespace: str, watched: list[str]) -> list[Object]:
    """Return the objects of namespaces that an operator is to watch no more, and no other one does.

    Args:
        items: Pods or data sets.
        left: What ``namespaces_left`` returns.
        deployments: The cluster's Deployments of operators.
        namespace: Namespace of the own operator.
        watched: What it is to watch.
    """
    looked_after = [watched, *(theirs for _namespace, theirs in other_operators(deployments, namespace))]
    return [
        item
        for item in items
        if ((space := item["metadata"]["namespace"]) in left or "*" in left) and not any(covers(spaces, space) for spaces in looked_after)
    ]


def pods_without_data(pods: Iterable[Object], declared: Iterable[Object]) -> list[Object]:
    """Return the pods of which a data set is declared no more: nothing mounts its folder again, for which the kubelet would wait without end."""
    there = {"", *(dataset_title(item) for item in declared)}
    return [pod for pod in pods if set(((pod["metadata"].get("annotations") or {}).get("alnair.io/datasets") or "").split(",")) - there]


def dataset_line(entry: Object) -> str:
    """Return how far a data set is, of an entry with its name (key) and its status (value)."""
    return datasets.progress(entry["key"], entry["value"])


def dataset_outcomes(found: Mapping[str, Object]) -> list[str]:
    """Return how a verb on data sets ended, a line for each."""
    return [datasets.outcome(name, item) for name, item in found.items()]


def references(items: Iterable[Object]) -> list[dict[str, Any]]:
    """Return what names objects, without what they hold."""
    return [
        {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "metadata": {key: item["metadata"][key] for key in ("name", "namespace") if item["metadata"].get(key)},
        }
        for item in items
    ]


def rights_left(roles: Iterable[Object], name: str, namespaces: Iterable[str], everywhere: bool) -> list[dict[str, Any]]:
    """Return the rights that an operator has and needs no more, as objects.

    Args:
        roles: The Roles of all operators.
        name: Name of this one's Roles, bindings, ClusterRole and its binding.
        namespaces: Where it needs its Role.
        everywhere: Whether it needs its ClusterRole.
    """
    left = sorted({role["metadata"]["namespace"] for role in roles if role["metadata"]["name"] == name} - set(namespaces))
    kinds: list[tuple[str, dict[str, str]]] = [(kind, {"namespace": space}) for space in left for kind in ("RoleBinding", "Role")]
    kinds += [] if everywhere else [(kind, {}) for kind in ("ClusterRoleBinding", "ClusterRole")]
    return [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, **where}} for kind, where in kinds]


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "dataset_faults": dataset_faults,
            "dataset_line": dataset_line,
            "dataset_objects": dataset_objects,
            "dataset_outcomes": dataset_outcomes,
            "dataset_title": dataset_title,
            "datasets_going": datasets_going,
            "gate_patches": gate_patches,
            "held_for_good": held_for_good,
            "namespaces_left": namespaces_left,
            "objects_left": objects_left,
            "pods_without_data": pods_without_data,
            "operator_objects": operator_objects,
            "operator_rivals": operator_rivals,
            "references": references,
            "dataset_names": dataset_names,
            "datasets_meant": datasets_meant,
            "rights_left": rights_left,
        }
