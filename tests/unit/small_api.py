"""A Kubernetes API that lives in memory: enough of one for roles to run against it, with a word of Alluxio's operator about its data sets."""

from __future__ import annotations

import copy
import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Item = dict[str, Any]
KINDS = {
    "v1": ["Namespace", "Pod", "Secret", "ConfigMap", "Service", "ServiceAccount", "Node", "PersistentVolume", "PersistentVolumeClaim"],
    "apps/v1": ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"],
    "batch/v1": ["Job"],
    "storage.k8s.io/v1": ["StorageClass"],
    "policy/v1": ["PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    "admissionregistration.k8s.io/v1": ["MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
    "apiextensions.k8s.io/v1": ["CustomResourceDefinition"],
}
CLUSTER = (
    "Namespace",
    "Node",
    "PersistentVolume",
    "StorageClass",
    "ClusterRole",
    "ClusterRoleBinding",
    *KINDS["admissionregistration.k8s.io/v1"],
    "CustomResourceDefinition",
)
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<space>[^/]+)(?=/))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$"
)

# A kubeconfig whose certificate was not copied to its end.
CUT_OFF = """current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: QUJDR}}]
users: [{name: u, user: {token: t}}]
"""


def plural(kind: str) -> str:
    """Return a kind as paths name it."""
    name = kind.lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}es" if name.endswith("ss") else f"{name}s"


class Refused(Exception):
    """The API answers with an error."""


def merged(old: Any, new: Any) -> Any:
    """Return a merge patch's result; a list of named items that are to be deleted loses these."""
    if isinstance(old, dict) and isinstance(new, dict):
        result = {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
        return {key: value for key, value in result.items() if value is not None}
    if isinstance(old, list) and isinstance(new, list) and any("$patch" in item for item in new if isinstance(item, dict)):
        return [item for item in old if item["name"] not in [gone["name"] for gone in new]]
    return new


class Api:
    """Objects by their paths.

    Attributes:
        played: Told of each object that was written, so that it may do what a controller would.
        removed: Told of each object that is gone.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.kinds = {version: [*kinds] for version, kinds in KINDS.items()}
        self.logs: dict[str, str] = {}
        self.played: Callable[[Api, str, Item], None] = lambda _api, _path, _item: None
        self.removed: Callable[[Item], None] = lambda _item: None
        self.lock = threading.RLock()
        self.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    def add(self, item: Item) -> None:
        """Put an object there as it is."""
        space = item["metadata"].get("namespace")
        base = "/api/v1" if item["apiVersion"] == "v1" else f"/apis/{item['apiVersion']}"
        self.items[f"{base}{f'/namespaces/{space}' if space else ''}/{plural(item['kind'])}/{item['metadata']['name']}"] = item

    def known(self, kind: str) -> list[Item]:
        """Return all objects of a kind."""
        return [item for item in self.items.values() if item["kind"] == kind]

    def discovered(self, path: str) -> Item | None:
        """Return what is said of versions and kinds."""
        if path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = sorted({version for version in self.kinds if "/" in version})
            listed = [
                {"name": text.split("/")[0], "versions": [entry := {"groupVersion": text, "version": text.split("/")[1]}], "preferredVersion": entry}
                for text in groups
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version not in self.kinds:
            return None
        resources = [
            {"name": plural(kind), "singularName": "", "namespaced": kind not in CLUSTER, "kind": kind, "verbs": VERBS} for kind in self.kinds[version]
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}

    def answer(self, method: str, path: str, query: dict[str, str], content: str, body: Any) -> Any:
        """Return what the API answers.

        Raises:
            Refused: 404 for most.
        """
        if method == "GET" and (found := self.discovered(path)):
            return found
        parts = PATH.match(path)
        version = (parts["core"] or parts["group"]) if parts else ""
        kind = next((kind for kind in self.kinds.get(version, []) if parts and plural(kind) == parts["plural"]), "")
        if not parts or not kind:
            raise Refused(404, f"{path}: the server could not find the requested resource")
        if parts["sub"] == "log":
            return self.logs.get(parts["name"], "")
        if method == "GET" and not parts["name"]:
            return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": self.selected(kind, parts["space"], query)}
        if method == "PATCH" and "apply" in content:
            return self.applied(path, parts["space"], body, dry="dryRun" in query)
        if path not in self.items:
            raise Refused(404, f'{kind} "{parts["name"]}" not found')
        if method == "PATCH":
            changed = merged(self.items[path], body) if isinstance(body, dict) else self.items[path]
            return changed if "dryRun" in query else self.written(path, changed)
        if method == "DELETE" and "dryRun" not in query:
            item = self.items.pop(path)
            self.removed(item)
            for other, owned in [*self.items.items()]:
                if owned["metadata"].get("owner") == item["metadata"]["name"]:
                    del self.items[other]
        return self.items.get(path, {})

    def selected(self, kind: str, space: str | None, query: dict[str, str]) -> list[Item]:
        """Return the objects that a list holds."""
        labels = [part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part]
        fields = [part.split("=", 1) for part in query.get("fieldSelector", "").split(",") if part and "status.phase" in part]
        return [
            item for item in self.known(kind)
            if (not space or item["metadata"].get("namespace") == space)
            and all((item["metadata"].get("labels") or {}).get(key) == value for key, value in labels)
            # A selector with != was split behind its mark.
            and all(((item.get("status") or {}).get("phase") == value) is not key.endswith("!") for key, value in fields)
        ]  # fmt: skip

    def applied(self, path: str, space: str | None, body: Item, *, dry: bool) -> Item:
        """Apply an object."""
        if space and f"/api/v1/namespaces/{space}" not in self.items:
            raise Refused(404, f'namespaces "{space}" not found')
        before = self.items.get(path) or {"metadata": {"generation": 0}}
        kept = {key: value for key, value in before.items() if key in ("status",)}
        metadata = {**before["metadata"], **body["metadata"]}
        metadata["generation"] = before["metadata"].get("generation", 0) + (before.get("spec") != body.get("spec"))
        after = {**kept, **copy.deepcopy(body), "metadata": metadata}
        return after if dry else self.written(path, after)

    def written(self, path: str, item: Item) -> Item:
        """Keep an object, and let controllers do their part."""
        self.items[path] = item
        if item["kind"] == "CustomResourceDefinition":
            self.kinds.setdefault(f"{item['spec']['group']}/v1", [item["spec"]["names"]["kind"]])
        if item["kind"] == "Deployment":
            count = item["spec"]["replicas"]
            item["status"] = {"observedGeneration": item["metadata"]["generation"], "readyReplicas": count, "updatedReplicas": count, "replicas": count}
        self.played(self, path, item)
        return item


def masters() -> Item:
    """Return the StatefulSet of a release's masters, of which none shall run, so that nobody waits for one."""
    template = {"metadata": {"labels": {"role": "alluxio-master"}}, "spec": {"containers": [{"name": "alluxio-master", "image": "alluxio/alluxio:2.9.4"}]}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "alluxio-master", "namespace": "alluxio", "labels": {"release": "alluxio"}},
            "spec": {"replicas": 0, "selector": {}, "serviceName": "", "template": template}}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for an Api."""

    api: Api

    def handle_any(self) -> None:
        """Answer a request."""
        where, length = urllib.parse.urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        try:
            with self.api.lock:
                found = self.api.answer(
                    self.command, where.path.rstrip("/"), dict(urllib.parse.parse_qsl(where.query)), self.headers.get("Content-Type") or "", body
                )
            status = 200
        except Refused as error:
            status, message = error.args
            found = {"kind": "Status", "status": "Failure", "message": message, "code": status}
        text = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(found, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


def serve(api: Api, kubeconfig: Path) -> ThreadingHTTPServer:
    """Serve an API on a port of its own, and write a kubeconfig for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"api": api}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = {"cluster": "c", "user": "u"}
    kubeconfig.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": entry}], "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
    }), encoding="utf-8")  # fmt: skip
    return server
