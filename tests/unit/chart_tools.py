"""The chart as Helm renders it, and what the API server's strict validation would say of it."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

CHART = Path(__file__).parents[2] / "charts" / "alluxio"
TOOLS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair" / "lab" / "tools"
# The lab's, or another that noxfile.py names.
HELM = os.environ.get("HELM", str(TOOLS / "helm"))
KUBERNETES = "v1.34.4"
QUANTITY = re.compile(r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|[eE][-+]?[0-9]+)?$")


def _strict(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


def _several(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


# What chart and docs use of kinds whose schema comes with Prometheus' operator, not with Kubernetes.
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_RULE = {
    "alert": {"type": "string"},
    "expr": {"type": "string"},
    "for": {"type": "string", "pattern": "^[0-9]+[smh]$"},
    "labels": _TEXTS,
    "annotations": _TEXTS,
}
FOREIGN: dict[str, dict[str, Any]] = {
    "ServiceMonitor": _strict(
        selector=_strict(matchLabels=_TEXTS),
        endpoints=_several(_strict(port={"type": "string"}, path={"type": "string", "pattern": "^/"}, interval={"type": "string", "pattern": "^[0-9]+[smh]$"})),
        podTargetLabels=_several({"type": "string"}),
    ),
    "PodMonitor": _strict(selector=_strict(matchLabels=_TEXTS), podMetricsEndpoints=_several(_strict(port={"type": "string"}, relabelings=_several(_TEXTS)))),
    "PrometheusRule": _strict(groups=_several(_strict(name={"type": "string"}, rules=_several({**_strict(**_RULE), "required": ["alert", "expr"]})))),
}

Manifest = dict[str, Any]


class Rejected(Exception):
    """Helm refused the values; the text is what the user reads."""


class _Strict(yaml.CSafeLoader):
    """A key that stands twice is an error, as it is for the API server."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    names = [loader.construct_object(key) for key, _ in node.value]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"line {node.start_mark.line}: twice: {twice}"
    return loader.construct_mapping(node, deep=True)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@functools.cache
def _render(text: str, release: str, namespace: str, chart: Path) -> str:
    command = [HELM, "template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, "--values", "-"]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Rejected(answer.stderr)
    return answer.stdout


def render(values: Mapping[str, Any] | None = None, release: str = "alluxio", namespace: str = "cache", chart: Path = CHART) -> list[Manifest]:
    """All objects of a release with these values, hooks too.

    Raises:
        Rejected: with Helm's text, where the chart refuses the values.
    """
    return [manifest for manifest in yaml.load_all(_render(yaml.safe_dump(dict(values or {})), release, namespace, chart), _Strict) if manifest]


def refused(values: Mapping[str, Any]) -> str:
    """What the user reads where the chart refuses these values; empty where it takes them."""
    try:
        render(values)
    except Rejected as error:
        return str(error)
    return ""


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind and manifest["metadata"]["name"] == name]
    return found


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """(Kind/name, pod spec) of each object that makes pods."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        pod = spec if manifest["kind"] == "Pod" else spec.get("template", {}).get("spec")
        if pod:
            yield f"{manifest['kind']}/{manifest['metadata']['name']}", pod


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def container(manifests: list[Manifest], kind: str, name: str, title: str) -> Manifest:
    (found,) = [item for item in containers(find(manifests, kind, name)["spec"]["template"]["spec"]) if item["name"] == title]
    return found


def options(manifests: list[Manifest], variable: str, name: str = "alluxio") -> dict[str, str]:
    """The properties (-Dname=value) of a part's Java options."""
    words = find(manifests, "ConfigMap", f"{name}-config")["data"][variable].split(" ")
    return dict(word[2:].split("=", 1) for word in words if word.startswith("-D"))


def default_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


@functools.cache
def _specification(group_version: str) -> dict[str, Any]:
    """Kubernetes' own OpenAPI document of a group; a field that it does not name is refused, as by the API server's strict validation."""
    answer = subprocess.run(["go", "mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES}"], capture_output=True, text=True, check=True, cwd="/")
    folder = Path(json.loads(answer.stdout)["Dir"]) / "api" / "openapi-spec" / "v3"
    path = "api__v1" if group_version == "v1" else "apis__" + group_version.replace("/", "__")
    document: dict[str, Any] = json.loads((folder / f"{path}_openapi.json").read_text())
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
    return {"components": {"schemas": schemas}}


@functools.cache
def _validator(group_version: str, kind: str) -> Any:
    group, _, version = group_version.rpartition("/")
    if kind in FOREIGN:
        whole = _strict(apiVersion={"const": "monitoring.coreos.com/v1"}, kind={}, metadata={"required": ["name"]}, spec=FOREIGN[kind])
        return jsonschema.Draft202012Validator(whole)
    document = _specification(group_version)
    wanted = {"group": group, "version": version, "kind": kind}
    (name,) = [name for name, schema in document["components"]["schemas"].items() if wanted in schema.get("x-kubernetes-group-version-kind", [])]
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document})


def _without_nulls(value: Any) -> Any:
    """A field that is null is one that is not there, to the API server."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def complaints(manifest: Manifest) -> list[str]:
    """What the API server would say: unknown fields, wrong types and, for pods, names and quantities that a schema cannot check."""
    title = f"{manifest['kind']}/{manifest['metadata']['name']}"
    manifest = _without_nulls(manifest)
    errors = _validator(manifest["apiVersion"], manifest["kind"]).iter_errors(manifest)
    found = [f"{title}: {error.json_path}: {error.message}" for error in errors]
    claims = [claim["metadata"]["name"] for claim in manifest.get("spec", {}).get("volumeClaimTemplates", [])]
    for _, pod in pod_specs([manifest]):
        found += [f"{title}: {text}" for text in _pod_complaints(pod, claims)]
    return found


def _pod_complaints(pod: Manifest, claims: list[str]) -> Iterator[str]:
    sources = pod.get("volumes", [])
    volumes = [volume["name"] for volume in sources] + claims
    yield from _twice("volume", volumes)
    yield from _twice("container", [item["name"] for item in containers(pod)])
    for volume in sources:
        if len(volume) != 2:
            yield f"volume {volume['name']} has no or several sources: {volume}"
    yield from _twice("container port", [(port["containerPort"], port.get("protocol", "TCP")) for item in pod["containers"] for port in item.get("ports", [])])
    for item in containers(pod):
        mounts = item.get("volumeMounts", [])
        yield from _twice(f"mount path of {item['name']}", [mount["mountPath"] for mount in mounts])
        yield from (f"{item['name']} mounts {mount['name']}, which is no volume" for mount in mounts if mount["name"] not in volumes)
        names = [port["name"] for port in item.get("ports", [])]
        yield from _twice(f"port name of {item['name']}", names)
        yield from (f"port name {name} is longer than 15" for name in names if len(name) > 15)
        yield from _resource_complaints(item)
        yield from _probe_complaints(item, names)


def _resource_complaints(item: Manifest) -> Iterator[str]:
    for amounts in item.get("resources", {}).values():
        yield from (f"{item['name']}: {value} is no quantity" for value in amounts.values() if not QUANTITY.match(str(value)))


def _probe_complaints(item: Manifest, ports: list[str]) -> Iterator[str]:
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = item.get(name, {})
        port = probe.get("tcpSocket", {}).get("port", 0)
        if isinstance(port, str) and port not in ports:
            yield f"{item['name']}.{name} asks port {port}, which the container does not name"
        if probe and not {"tcpSocket", "exec", "httpGet", "grpc"} & set(probe):
            yield f"{item['name']}.{name} asks nothing"


def _twice(what: str, names: list[Any]) -> Iterator[str]:
    yield from (f"{what} {name} stands twice" for name in sorted(set(names), key=str) if names.count(name) > 1)
