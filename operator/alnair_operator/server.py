"""HTTP servers with and without TLS, and a certificate that is read again when it changes."""

from __future__ import annotations

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
from urllib.parse import urlsplit

LOG = logging.getLogger(__name__)
TLS = "/tls"
LARGEST = 8 << 20
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
        super().__init__(("::" if self.address_family == socket.AF_INET6 else "0.0.0.0", port), Handler)

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
        LOG.debug("A request of %s failed", client_address)

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
