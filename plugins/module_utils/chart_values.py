"""Values of a Helm chart: how layers of them merge, and which keys a chart does not know."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

# What Kubernetes or Alluxio defines, not the chart: any key may stand there.
FREE = {
    "affinity",
    "annotations",
    "env",
    "labels",
    "limits",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "properties",
    "requests",
    "secrets",
    "configmaps",
    "podSecurityContext",
    "securityContext",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
}

# Keys that guides for Alluxio on Kubernetes name although charts do not read them, and what does the job.
REMEDIES = [
    (
        r"alluxio\.worker\.(ramdisk\.size|tieredstore\.level0\.dirs\.quota)",
        "the size of the memory tier is alluxio_chart_quota, or the quota of a level in tieredstore.levels",
    ),
    (r"alluxio\.(job\.)?(master|worker)\.hostname", "the chart sets it itself: leave it out"),
    (r"alluxio\..*", "it is a property of Alluxio: put it in alluxio_chart_properties, or under properties in the values file"),
    (r"fuse\.clientEnabled", "FUSE is turned on by alluxio_chart_fuse, or fuse.enabled"),
    (r"fuse\.image(Tag|PullPolicy)?", "FUSE runs from the image of all parts: alluxio_chart_image and alluxio_chart_image_tag, or image and imageTag"),
    (r"fuse\.global", "nothing ever read it: leave it out"),
    (r"fuse\.args", "options of the mount are fuse.mountOptions"),
    (r"fuse\.mountPath", "the path of the mount is alluxio_chart_fuse_mount_point"),
    (r"master\.replicas", "there is a master per host of the inventory's group alluxio_masters; in the chart it is master.count"),
]
# How a schema begins to describe what a chart takes for the sake of others' values files, and never reads.
IDLE = "Accepted, and without effect"
MANIFEST = ("apiVersion", "kind", "metadata", "data")


def leaves(value: Any, path: str) -> Iterator[str]:
    """Yield the dotted paths of all that is no mapping."""
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}")
    else:
        yield path


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with a reference into its own file followed."""
    for _level in range(8):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        target: Any = root
        for word in reference[2:].split("/"):
            target = target.get(word, {})
        schema = target
    return schema


class Keys:
    """The keys that a chart knows: by its default values, its schema and what its templates read."""

    def __init__(self, defaults: Mapping[str, Any], schema: Mapping[str, Any] | None = None, templates: str = "") -> None:
        self.defaults = defaults
        self.schema = schema or {}
        self.read = {match[1:] for match in re.findall(r"\.Values((?:\.\w+)+)", templates)}

    def unknown(self, values: Mapping[str, Any]) -> list[str]:
        """Return the dotted paths of values that the chart does not know."""
        return [path for path, why in self._idle(values, self.defaults, self.schema, "") if why is None]

    def _idle(self, values: Mapping[str, Any], defaults: Any, schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str | None]]:
        """Yield the dotted paths of values that change nothing, each with the schema's word on it where the chart takes it all the same."""
        schema = resolved(schema, self.schema)
        properties = schema.get("properties") or {}
        known = defaults if isinstance(defaults, Mapping) else {}
        # A schema that says nothing of further keys is no word on them, so only a yes counts; an empty schema is one.
        more = schema.get("additionalProperties", False) is not False or bool(schema.get("patternProperties"))
        free = more or bool(prefix) and (not known and not properties or prefix.rpartition(".")[2] in FREE)
        for key, value in values.items():
            path = f"{prefix}.{key}" if prefix else str(key)
            said = str(resolved(properties.get(key) or {}, self.schema).get("description", ""))
            # What the chart's own values say is no mistake, and global is helm's.
            if said.startswith(IDLE) and (key not in known or not isinstance(value, Mapping) and value != known[key]):
                yield path, said.removeprefix(IDLE).lstrip(": ").rstrip(".")
            elif free:
                continue
            elif key in known or key in properties:
                if isinstance(value, Mapping):
                    yield from self._idle(value, known.get(key), properties.get(key) or {}, path)
            elif not any(f"{name}.".startswith(f"{path}.") for name in self.read):
                yield from ((leaf, None) for leaf in leaves(value, path))

    def nearest(self, path: str) -> str | None:
        """Return the known key that a mistyped one is most like."""
        names = list(dict.fromkeys([*self._paths(self.defaults, ""), *self.read]))
        return next(iter(difflib.get_close_matches(path, names, n=1, cutoff=0.8)), None)

    def _paths(self, value: Any, prefix: str) -> Iterator[str]:
        for key, below in value.items() if isinstance(value, Mapping) else ():
            path = f"{prefix}.{key}" if prefix else str(key)
            yield path
            yield from self._paths(below, path)

    def remarks(self, values: Mapping[str, Any]) -> list[str]:
        """Return a sentence for each key of values that changes nothing, with the key that does."""
        sentences = []
        if {"apiVersion", "kind"} <= set(values):
            sentences.append(
                f"a Kubernetes object of kind {values['kind']} was given as values, which changes nothing: what it sets for Alluxio belongs in "
                "alluxio_chart_properties, or under properties in a values file"
            )
            values = {key: value for key, value in values.items() if key not in MANIFEST}
        for path, why in self._idle(values, self.defaults, self.schema, ""):
            remedy = next((text for pattern, text in REMEDIES if re.fullmatch(pattern, path)), why and f"{why}; leave it out")
            if not remedy:
                near = self.nearest(path)
                remedy = f"did you mean {near}?" if near else "leave it out, or correct its name"
            sentences.append(f"the chart {'does not know' if why is None else 'takes'} {path}, which changes nothing: {remedy}")
        return sentences
