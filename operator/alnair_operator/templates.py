"""The annotations of what makes pods, as they are copied to its template. Pure functions from objects to JSON patches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CACHE, ON_FAILURE = "cacheDataset", "alnair.io/onFailure"
# What of a template's annotations are copies, with their values.
COPIED = "alnair.io/copied"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
Object = Mapping[str, Any]
Patch = list[dict[str, Any]]


def patch_template(item: Object) -> Patch:
    """Copy the annotations of what makes pods to its template, and take copies away of what it says no more. What the template says itself stays."""
    path, template = template_of(item)
    annotations = (template.get("metadata") or {}).get("annotations")
    there, own = annotations or {}, (item["metadata"].get("annotations")) or {}
    # Somebody who has changed a copy since means what he wrote, and so does who writes one of the same words.
    copies = [name for name, value in copied(there).items() if name in (CACHE, ON_FAILURE) and there.get(name) == value and name not in written(own, item)]
    names = [name for name in (CACHE, ON_FAILURE) if name in own and (name in copies or name not in there)] if own.get(CACHE) == "yes" else []
    wanted = {name: own[name] for name in names}
    if wanted:
        wanted[COPIED] = json.dumps(wanted, sort_keys=True)
    # A Job has them from its CronJob, and is not where the annotation was.
    owned = any(reference.get("controller") for reference in item["metadata"].get("ownerReferences") or [])
    gone = [name for name in (*copies, COPIED) if name in there and name not in wanted and not owned]
    changed = {name: value for name, value in wanted.items() if there.get(name) != value}
    if not template or not (changed or gone):
        return []
    if template.get("metadata") is None:
        return [{"op": "add", "path": f"{path}/metadata", "value": {"annotations": changed}}]
    if annotations is None:
        return [{"op": "add", "path": f"{path}/metadata/annotations", "value": changed}]
    where = f"{path}/metadata/annotations"
    added: Patch = [{"op": "add", "path": f"{where}/{escaped(name)}", "value": value} for name, value in changed.items()]
    return added + [{"op": "remove", "path": f"{where}/{escaped(name)}"} for name in gone]


def copied(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the annotations of a template that were copied to it, as they were then."""
    try:
        found = json.loads(annotations.get(COPIED) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def written(own: Mapping[str, str], item: Object) -> dict[str, Any]:
    """Return the annotations that a template has in what was given to kubectl apply; of who uses helm or server-side apply nothing tells what he wrote."""
    try:
        found = template_of({"kind": item.get("kind"), **json.loads(own.get(APPLIED) or "{}")})[1]
        return dict((found.get("metadata") or {}).get("annotations") or {})
    except (ValueError, TypeError, AttributeError):
        return {}


def template_of(item: Object) -> tuple[str, Object]:
    """Return where the template of what makes pods is, and the template."""
    body = item.get("spec") or {}
    if item.get("kind") == "CronJob":
        return "/spec/jobTemplate/spec/template", (((body.get("jobTemplate") or {}).get("spec")) or {}).get("template") or {}
    return "/spec/template", body.get("template") or {}


def escaped(name: str) -> str:
    """Return a key as a JSON pointer writes it."""
    return name.replace("~", "~0").replace("/", "~1")
