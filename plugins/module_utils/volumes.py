"""What keeps a volume and a claim from fitting, and what of a volume is to be changed. Objects are as the API's JSON says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged, quantity

Object = Mapping[str, Any]
CLAIM = "persistentVolumeClaim"
# For argument_spec: the volumes, and the layers of the chart's values, which say what of them the chart uses.
ARGUMENTS = {
    "volumes": {"type": "list", "elements": "dict", "required": True},
    "defaults": {"type": "dict", "default": {}},
    "values_files": {"type": "list", "elements": "path", "default": []},
    "values": {"type": "dict", "default": {}},
}
# What the API lets change in a volume that exists.
CHANGEABLE = ("accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName")


def directory(volume: Object) -> str:
    """Return kind and path of what a volume lies on."""
    for kind in ("local", "hostPath"):
        if source := volume["spec"].get(kind):
            return f"{kind} {source['path']}"
    return "storage of another kind"


def nodes(volume: Object) -> str:
    """Return the names of the nodes that a volume is bound to."""
    terms = ((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    return ", ".join(sorted(value for term in terms for rule in term.get("matchExpressions") or [] for value in rule.get("values") or [])) or "any node"


def sharers(wanted: Object, found: Mapping[str, Object]) -> list[str]:
    """Return a sentence for each volume of others that a journal's new volume would share a directory with."""
    name, labels = wanted["metadata"]["name"], wanted["metadata"]["labels"]
    sentences = []
    for other, volume in found.items() if labels["role"] == "alluxio-master" else ():
        whose = (volume["metadata"].get("labels") or {}).get("release")
        paths = {directory(item).split(" ", 1)[1].rstrip("/") for item in (wanted, volume)}
        places = [{*nodes(item).split(", ")} for item in (wanted, volume)]
        if whose != labels["release"] and len(paths) == 1 and (places[0] & places[1] or {"any node"} in places):
            sentences.append(
                f"volume {name} would be {directory(wanted)} on {nodes(wanted)}, as is volume {other} of {f'release {whose}' if whose else 'somebody else'}: "
                "two masters would write one journal. Give this release a directory of its own: journal_directories_journal, which "
                "persistent_volumes_journal_path follows"
            )
    return sentences


def claim_of(volume: Object) -> str:
    """Return namespace/name of the claim that a volume is for."""
    reference = volume["spec"].get("claimRef") or {}
    return f"{reference.get('namespace', '')}/{reference['name']}" if reference.get("name") else ""


def misfits(volume: Object, claim: Object) -> list[str]:
    """Return why a volume cannot be bound to a claim, with both figures.

    Args:
        volume: A PersistentVolume.
        claim: A PersistentVolumeClaim, or what a chart will ask for.
    """
    name, spec = volume["metadata"]["name"], claim["spec"]
    who = f"claim {claim['metadata']['name']}"
    found = []
    size, asked = volume["spec"]["capacity"]["storage"], ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked and quantity(size) < quantity(asked):
        found.append(f"{who} asks for {asked}, volume {name} has {size}")
    wanted, has = spec.get("storageClassName"), volume["spec"].get("storageClassName", "")
    if wanted is not None and wanted != has:
        found.append(f'{who} asks for storage class "{wanted}", volume {name} has "{has}"')
    modes, there = spec.get("accessModes") or [], volume["spec"]["accessModes"]
    if not set(modes) <= set(there):
        found.append(f"{who} asks for access mode {', '.join(modes)}, volume {name} has {', '.join(there)}")
    if (bound := spec.get("volumeName")) and bound != name:
        found.append(f"{who} is bound to volume {bound}, not to {name}")
    return found


def conflicts(wanted: Object, found: Object) -> list[str]:
    """Return what of a volume that exists is other than wanted and cannot be changed, with the remedy."""
    name, sentences = wanted["metadata"]["name"], []
    if found["metadata"].get("deletionTimestamp"):
        held = ", ".join(found["metadata"].get("finalizers") or []) or "none"
        return [f"volume {name} is being removed (finalizers: {held}). Wait until it is gone; if it stays, see what holds it: kubectl describe pv {name}"]
    if (found["metadata"].get("labels") or {}).get("release") != wanted["metadata"]["labels"]["release"]:
        return [f"volume {name} exists and belongs to somebody else. Choose another name of the release, or remove it: kubectl delete pv {name}"]
    if claim_of(found) and claim_of(found) != claim_of(wanted):
        why = "a release of this name is in another namespace. Choose another name"
        if claim_of(found).partition("/")[0] == claim_of(wanted).partition("/")[0]:
            why = f"the chart's values named the claim so before. Set them back, or remove the volume, which keeps what lies in it: kubectl delete pv {name}"
        return [f"volume {name} is for claim {claim_of(found)}, not for {claim_of(wanted)}: {why}"]
    if directory(found) != directory(wanted):
        sentences.append(f"volume {name} is {directory(found)}, wanted is {directory(wanted)}")
    if nodes(found) != nodes(wanted):
        sentences.append(f"volume {name} lies on {nodes(found)}, wanted is {nodes(wanted)}")
    if sentences:
        sentences[-1] += (
            ". Kubernetes cannot change that. Set the variables back, or tear the release down (what lies in the directory is kept), copy the directory to "
            "where"
            " it shall be, and deploy again"
        )
    return sentences


def change(wanted: Object, found: Object) -> dict[str, Any]:
    """Return the merge patch that brings a volume to what is wanted, empty where it is as wanted.

    A claim that was deleted leaves its uid behind, and with it the volume is Released: no successor could be bound. What lies in the volume stays.
    """
    spec: dict[str, Any] = {}
    for key in CHANGEABLE:
        now, then = found["spec"].get(key), wanted["spec"][key]
        same = quantity(now["storage"]) == quantity(then["storage"]) if key == "capacity" and now else now == then
        if not same:
            spec[key] = then
    reference = found["spec"].get("claimRef")
    if not reference:
        spec["claimRef"] = wanted["spec"]["claimRef"]
    elif (found.get("status") or {}).get("phase") == "Released":
        spec["claimRef"] = {"uid": None, "resourceVersion": None}
    labels = {key: value for key, value in wanted["metadata"]["labels"].items() if (found["metadata"].get("labels") or {}).get(key) != value}
    return {**({"metadata": {"labels": labels}} if labels else {}), **({"spec": spec} if spec else {})}


def of_chart(volumes: list[Object], values: Object) -> list[Object]:
    """Return the volumes whose claims a chart with these values asks for, each for the claim of the name that the values make.

    Args:
        volumes: The volumes, those of journals for the claims of a chart whose objects begin with the release's name.
        values: Merged values with journal and shortCircuit.
    """
    journal, socket, found = values.get("journal") or {}, values.get("shortCircuit") or {}, list[Object]()
    for volume in volumes:
        labels, claim = volume["metadata"]["labels"], ""
        name = values.get("fullnameOverride") or labels["release"]
        if labels["role"] == "alluxio-master":
            if journal.get("volumeType", CLAIM) == CLAIM:
                claim = volume["spec"]["claimRef"]["name"].replace(f"-{labels['release']}-master-", f"-{name}-master-")
        # Policy local reads without a socket.
        elif socket.get("enabled", True) and socket.get("policy") != "local" and socket.get("volumeType") == CLAIM:
            claim = socket.get("pvcName") or f"{name}-worker-domain-socket"
        if claim:
            found.append(merged([volume, {"spec": {"claimRef": {"name": claim}}}]))
    return found


def claims_of_chart(volumes: list[Object], values: Object) -> list[dict[str, Any]]:
    """Return the claims that a chart with these values will ask for, of those that volumes are for.

    Args:
        volumes: The wanted volumes.
        values: Merged values with journal and shortCircuit.
    """
    parts = {"alluxio-master": values.get("journal") or {}, "alluxio-worker": values.get("shortCircuit") or {}}
    claims = []
    for volume in volumes:
        part = parts[volume["metadata"]["labels"]["role"]]
        if part.get("volumeType", CLAIM) == CLAIM:
            asked = {"requests": {"storage": part.get("size")}}
            spec = {"storageClassName": part.get("storageClass"), "accessModes": part.get("accessModes"), "resources": asked}
            claims.append({"metadata": {"name": volume["spec"]["claimRef"]["name"]}, "spec": spec})
    return claims


def obstacles(wanted: list[Object], found: Mapping[str, Object], claims: list[Object], asked: list[Object]) -> list[str]:
    """Return a sentence for each thing that keeps the wanted volumes from being made or bound.

    Args:
        wanted: The volumes.
        found: The cluster's volumes by name.
        claims: The claims that exist in the namespace.
        asked: What the chart will ask for.
    """
    sentences = []
    for volume in wanted:
        name, own = volume["metadata"]["name"], volume["spec"]["claimRef"]["name"]
        existing = found.get(name)
        other = conflicts(volume, existing) if existing else sharers(volume, found)
        sentences += other
        if not other:
            there = [claim for claim in claims if claim["metadata"]["name"] == own]
            sentences += [why for claim in there or [claim for claim in asked if claim["metadata"]["name"] == own] for why in misfits(volume, claim)]
    return sentences
