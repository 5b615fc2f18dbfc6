"""Objects of any kind through the Kubernetes API: applied by the server, compared as their owner sees them, and removed in bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import kube

try:
    import kubernetes
    import kubernetes.dynamic
except ImportError:
    kubernetes = None

Object = dict[str, Any]
MANAGER = "alnair"
# What the API server itself writes beside what was applied.
SERVERS_OWN = ("metadata", "status")


def title(item: Mapping[str, Any]) -> str:
    """Return kind, namespace and name of an object in words."""
    namespace = item["metadata"].get("namespace")
    return f"{item['kind']} {namespace + '/' if namespace else ''}{item['metadata']['name']}"


def path(item: Mapping[str, Any], *, collection: bool = False) -> str:
    """Return where the API has an object, whose kind makes its plural as English does."""
    version, namespace = item["apiVersion"], item["metadata"].get("namespace")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    where = f"/namespaces/{namespace}" if namespace else ""
    kind = item["kind"].lower()
    plural = f"{base}{where}/{kind[:-1]}ies" if kind.endswith("y") else f"{base}{where}/{kind}s"
    return plural if collection else f"{plural}/{item['metadata']['name']}"


def owned(item: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> Object:
    """Return what of an object its owner says: all but the status, and of the metadata only the labels and annotations that are wanted."""
    if item is None:
        return {}
    body = {key: value for key, value in item.items() if key not in SERVERS_OWN}
    for part in ("labels", "annotations"):
        there, asked = item["metadata"].get(part) or {}, wanted["metadata"].get(part) or {}
        body[part] = {key: there[key] for key in asked if key in there}
    return body


class Objects:
    """The API's objects."""

    def __init__(self, api: Any) -> None:
        self.api = api
        # What is asked for is known by its path, so nothing has to be discovered.
        self.dynamic = kubernetes.dynamic.DynamicClient(api, discoverer=lambda *_: None)

    def ask(self, method: str, where: str, body: Any = None, **options: Any) -> Object:
        """Send a request, again while the server is away.

        Raises:
            kubernetes.client.ApiException: the server refused.
            ClusterAway: it did not answer in time.
        """

        def call() -> Object:
            answer = self.dynamic.request(method, where, body=body, serialize=False, _request_timeout=kube.ANSWER_SECONDS, **options)
            return json.loads(answer.data)

        return kube.patient(call, self.api)

    def get(self, item: Mapping[str, Any]) -> Object | None:
        """Return an object as it is, None where it, its namespace or its kind is not there."""
        try:
            return self.ask("get", path(item))
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise

    def listed(self, version: str, kind: str, namespace: str = "", selector: str = "") -> list[Object]:
        """Return the objects of a kind, none where the kind is not known."""
        return self.look(version, kind, namespace, selector) or []

    def look(self, version: str, kind: str, namespace: str = "", selector: str = "", fields: str = "") -> list[Object] | None:
        """Return the objects of a kind that a selector of labels and one of fields leave, None where the kind is not known."""
        metadata = {"namespace": namespace} if namespace else {}
        options = {key: value for key, value in (("label_selector", selector), ("field_selector", fields)) if value}
        try:
            found = self.ask("get", path({"apiVersion": version, "kind": kind, "metadata": metadata}, collection=True), **options)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise
        return [{"apiVersion": version, "kind": kind, **item} for item in found["items"]]

    def apply(self, item: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Have the server make an object so; fields that somebody else owns and that are named here become ours."""
        options = {"dry_run": "All"} if dry_run else {}
        return self.ask("patch", path(item), dict(item), content_type="application/apply-patch+yaml", field_manager=MANAGER, force_conflicts="true", **options)

    def patch(self, item: Mapping[str, Any], body: Any, kind: str = "merge") -> Object | None:
        """Change an object that is there by a merge or json patch; None where it is gone."""
        try:
            return self.ask("patch", path(item), body, content_type=f"application/{kind}-patch+json", field_manager=MANAGER)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise

    def delete(self, item: Mapping[str, Any], propagation: str = "Background") -> None:
        """Ask for the removal of an object; that it is gone already is fine."""
        try:
            self.ask("delete", path(item), {"propagationPolicy": propagation})
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise

    def established(self, item: Mapping[str, Any], timeout: float = 30) -> bool:
        """Wait until a CustomResourceDefinition's objects can be asked for."""
        version = next(entry["name"] for entry in item["spec"]["versions"] if entry["served"])
        where = f"/apis/{item['spec']['group']}/{version}/{item['spec']['names']['plural']}"

        def answers() -> bool:
            try:
                self.ask("get", where, limit=1)
            except kubernetes.client.ApiException as error:
                if error.status == 404:
                    return False
                raise
            return True

        return until(answers, timeout)


def until(done: Callable[[], bool], timeout: float, pause: float = 1) -> bool:
    """Wait until something is so; return whether it became so in time."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True
