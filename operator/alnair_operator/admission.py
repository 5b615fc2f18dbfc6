"""What each replica answers: the webhook's reviews, health, metrics, and the question of init containers."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import prometheus_client

from alnair_operator import datasets, gates, metrics, webhook
from alnair_operator.cluster import ERRORS, Cluster, Store
from alnair_operator.datasets import Dataset
from alnair_operator.placement import Fuse
from alnair_operator.server import Reply, json_reply
from alnair_operator.settings import Settings
from alnair_operator.steps import moment_of

LOG = logging.getLogger(__name__)
# The API server waits five seconds; a mount that fails shows itself in less than this.
SETTLE_SECONDS = 3.0
FUSE_SECONDS = 10
# How long a failure stands before a new pod lets it be tried again.
AGAIN_SECONDS = 30


class Admission:
    """Answers the API server's reviews."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings) -> None:
        """Begin."""
        self.cluster, self.store, self.settings = cluster, store, settings
        self.known_fuse: Fuse | None = None
        self.lock = threading.Lock()
        self.looked = 0.0

    def fuse(self) -> Fuse | None:
        """Return where the FUSE mount is, as known for a few seconds; None where its pods cannot be listed."""
        with self.lock:
            if time.monotonic() - self.looked > FUSE_SECONDS:
                try:
                    self.known_fuse = self.cluster.fuse()
                except ERRORS as error:
                    LOG.warning("The pods of Alluxio cannot be listed: %s", error)
                    self.known_fuse = None
                self.looked = time.monotonic()
            return self.known_fuse

    def review(self, path: str, body: bytes) -> Reply:
        """Answer a review."""
        with metrics.REVIEW_SECONDS.time():
            request = json.loads(body)["request"]
            response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
            answer = self.answer(request)
            if not answer.allowed:
                response.update(allowed=False, status={"code": 403, "reason": "Forbidden", "message": answer.message})
            elif answer.patch:
                response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(answer.patch).encode()).decode())
            if answer.warnings:
                response["warnings"] = answer.warnings
        metrics.REVIEWS.labels("changed" if answer.patch else "unchanged" if answer.allowed else "refused").inc()
        return json_reply({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    def answer(self, request: dict[str, Any]) -> webhook.Answer:
        """Return what becomes of the object of a request."""
        item, namespace = request["object"], request.get("namespace") or ""
        if self.settings.watch and namespace not in self.settings.watch:
            # Asked by a configuration of before: nobody would let the pod go.
            return webhook.Answer()
        item.setdefault("kind", (request.get("kind") or {}).get("kind"))
        claims: dict[str, str] = {}
        if item["kind"] == "Pod":
            claims = self.cluster.claims(namespace, webhook.claims_of(item))
        now, fuse = time.time(), self.fuse()

        def mutate(late: Collection[str] = ()) -> webhook.Answer:
            return webhook.mutate(item, namespace, self.store.known(), self.settings, claims, fuse, now, late)

        answer = mutate()
        if not answer.allowed or request.get("dryRun"):
            return answer
        for key, source in answer.missing.items():
            self.cluster.declare(key, source)
        asked = {key: text for key in answer.failed if (text := self.ask_again(key, now))}
        if asked:
            answer = mutate()
        # A volume cannot be changed once the pod is there: whether the data set can be mounted should be known before.
        end = time.monotonic() + SETTLE_SECONDS
        while (answer.unsettled or self.unheard(asked)) and answer.allowed and time.monotonic() < end:
            time.sleep(0.2)
            answer = mutate()
        # The kubelet would wait without end for the folder of a mount that fails: what has failed before, and a pod that waits for its volumes before it
        # can wait for anything else, stay on the source until there is a mount.
        late = [key for key in answer.unsettled if item["spec"].get("nodeName") or self.tried_again(key)]
        return mutate(late) if late else answer

    def ask_again(self, key: str, now: float) -> str:
        """Let a data set be tried again that failed a while ago: its source may be there by now. Returns the text by which it was asked for, if it was."""
        status = (self.store.get(key) or {}).get("status") or {}
        if now - moment_of(status.get("settledAt") or "") < AGAIN_SECONDS:
            return ""
        # Pods that come together ask together.
        text = f"{datasets.AGAIN}{int(now // AGAIN_SECONDS)}"
        if text != (status.get("observedReload") or ""):
            self.cluster.ask_again(key, text)
        return text

    def tried_again(self, key: str) -> bool:
        """Tell whether a data set is on its way because it had failed and a pod asked for it."""
        item = self.store.get(key)
        return item is not None and Dataset.of(item).reload.startswith(datasets.AGAIN)

    def unheard(self, asked: Mapping[str, str]) -> bool:
        """Tell whether the operator has not yet looked at what was asked for."""
        return any(((self.store.get(key) or {}).get("status") or {}).get("observedReload") != text for key, text in asked.items())


def hold_route(store: Store, settings: Settings) -> Callable[[str, bytes], Reply]:
    """Return what answers an init container that asks whether its pod may go on."""

    def answer(path: str, body: bytes) -> Reply:
        query = parse_qs(urlsplit(path).query)
        names = [name for name in (query.get("datasets") or [""])[0].split(",") if name]
        on_failure = (query.get("onFailure") or [settings.on_failure])[0]
        since = float((query.get("since") or ["0"])[0])
        statuses = {key: gates.status_of(item) for key, item in store.all().items() if key in names}
        verdict = gates.decide(names, statuses, on_failure, since, time.time())
        return json_reply({"word": verdict.word, "message": verdict.message})

    return answer


def plain_routes(store: Store, settings: Settings, healthy: Callable[[], str]) -> dict[str, Callable[[str, bytes], Reply]]:
    """Return what is served over plain HTTP.

    Args:
        store: The data sets.
        settings: What the operator is told.
        healthy: Returns what is wrong with this process, or nothing.
    """

    def health(path: str, body: bytes) -> Reply:
        wrong = healthy()
        return (503, "text/plain", f"{wrong}\n".encode()) if wrong else (200, "text/plain", b"ok\n")

    def figures(path: str, body: bytes) -> Reply:
        return 200, prometheus_client.CONTENT_TYPE_LATEST, prometheus_client.generate_latest()

    return {"/healthz": health, "/metrics": figures, "/hold": hold_route(store, settings)}
