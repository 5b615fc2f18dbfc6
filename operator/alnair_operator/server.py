"""What each replica serves: the webhook over TLS, and health, metrics and the question of init containers over plain HTTP."""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import prometheus_client

from alnair_operator import gates, metrics, webhook
from alnair_operator.cluster import Cluster, Store
from alnair_operator.settings import Settings

LOG = logging.getLogger(__name__)
TLS = "/tls"
LARGEST = 8 << 20
# The API server waits five seconds; a mount that fails shows itself in less than this.
SETTLE_SECONDS = 3.0
FUSE_SECONDS = 10
Reply = tuple[int, str, bytes]


def json_reply(body: Any) -> Reply:
    """Return an answer in JSON."""
    return 200, "application/json", json.dumps(body).encode()


class Server(ThreadingHTTPServer):
    """An HTTP server whose answers are functions of path and body, over TLS where it has a context."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, routes: dict[str, Callable[[str, bytes], Reply]], tls: ssl.SSLContext | None = None) -> None:
        """Bind the port, for IPv6 and IPv4 alike where the host has both."""
        self.routes, self.tls = routes, tls
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        super().__init__(("::" if self.address_family == socket.AF_INET6 else "0.0.0.0", port), Handler)  # noqa: S104

    def server_bind(self) -> None:
        """Take both families."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent client keeps nobody else waiting."""
        try:
            request.settimeout(30)
            if self.tls:
                request = self.tls.wrap_socket(request, server_side=True)
        except OSError as error:
            LOG.debug("A connection from %s failed: %s", client_address, error)
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""
        LOG.debug("A request of %s failed", client_address, exc_info=True)

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, name=f"port-{self.server_address[1]}", daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the server's routes."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer."""
        self.answer(b"")

    def do_POST(self) -> None:
        """Answer."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST:
            self.close_connection = True
            self.reply(413, "text/plain", b"too large\n")
            return
        self.answer(self.rfile.read(length))

    def answer(self, body: bytes) -> None:
        """Call the route."""
        route = self.server.routes.get(urlsplit(self.path).path)
        try:
            reply = route(self.path, body) if route else (404, "text/plain", b"not found\n")
        except Exception as error:
            LOG.exception("%s could not be answered", self.path)
            reply = 500, "text/plain", f"{error}\n".encode()
        self.reply(*reply)

    def reply(self, code: int, kind: str, body: bytes) -> None:
        """Send an answer."""
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of each request."""


class Certificate:
    """The webhook's certificate, read again when its files change."""

    def __init__(self, folder: str = TLS) -> None:
        """Read it.

        Raises:
            OSError: it is not there.
        """
        self.files = [os.path.join(folder, name) for name in ("tls.crt", "tls.key")]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(*self.files)
        self.seen = self.state()

    def state(self) -> list[bytes]:
        """Return what the files hold: the time of a file behind a Secret's links says little."""
        found = []
        for path in self.files:
            with open(path, "rb") as file:
                found.append(file.read())
        return found

    def refresh(self) -> bool:
        """Take over what has changed; connections that begin from now on get it. A pair that does not fit is waited for."""
        try:
            now = self.state()
            if now == self.seen:
                return False
            self.context.load_cert_chain(*self.files)
        except (OSError, ssl.SSLError) as error:
            LOG.warning("The webhook's certificate could not be read again: %s", error)
            return False
        self.seen = now
        LOG.info("The webhook's certificate was read again")
        return True

    def keep(self, pause: float = 10) -> None:
        """Look at the files again and again, in a thread of its own."""

        def run() -> None:
            while True:
                time.sleep(pause)
                self.refresh()

        threading.Thread(target=run, name="certificate", daemon=True).start()


class Admission:
    """Answers the API server's reviews."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings) -> None:
        """Begin."""
        self.cluster, self.store, self.settings = cluster, store, settings
        self.nodes: frozenset[str] | None = None
        self.lock = threading.Lock()
        self.looked = 0.0

    def fuse_nodes(self) -> frozenset[str] | None:
        """Return the nodes with a FUSE mount that is ready, as known for a few seconds; None where they cannot be listed."""
        with self.lock:
            if time.monotonic() - self.looked > FUSE_SECONDS:
                try:
                    self.nodes = self.cluster.fuse_nodes()
                except Exception as error:
                    LOG.warning("The pods of Alluxio cannot be listed: %s", error)
                    self.nodes = None
                self.looked = time.monotonic()
            return self.nodes

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
        # The operator's own pods and those of Alluxio are never delayed.
        item.setdefault("kind", (request.get("kind") or {}).get("kind"))
        claims: dict[str, str] = {}
        if item["kind"] == "Pod":
            names = {(volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in item["spec"].get("volumes") or []}
            claims = self.cluster.claims(namespace, {name for name in names if name})
        now, nodes = time.time(), self.fuse_nodes()

        def mutate() -> webhook.Answer:
            return webhook.mutate(item, namespace, self.store.known(), self.settings, claims, nodes, now)

        answer = mutate()
        if not answer.allowed or request.get("dryRun"):
            return answer
        for key, source in answer.missing.items():
            self.cluster.declare(key, source)
        # A volume cannot be changed once the pod is there: whether the data set can be mounted should be known before.
        end = time.monotonic() + SETTLE_SECONDS
        while answer.unsettled and answer.allowed and time.monotonic() < end:
            time.sleep(0.2)
            answer = mutate()
        return answer


def hold_route(store: Store, settings: Settings) -> Callable[[str, bytes], Reply]:
    """Return what answers an init container that asks whether its pod may go on."""

    def answer(path: str, body: bytes) -> Reply:
        query = parse_qs(urlsplit(path).query)
        names = [name for name in (query.get("datasets") or [""])[0].split(",") if name]
        on_failure = (query.get("onFailure") or [settings.on_failure])[0]
        since = float((query.get("since") or ["0"])[0])
        statuses = {key: item.get("status") or {} for key, item in store.all().items() if key in names}
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
