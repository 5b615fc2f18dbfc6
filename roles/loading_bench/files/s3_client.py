"""The little of S3 that a loader of data needs, with nothing but Python's own library: list, get and put, signed with version 4."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import urllib.parse
from typing import Any
from xml.etree import ElementTree

EMPTY = hashlib.sha256(b"").hexdigest()
TIMEOUT = 120.0


class S3Error(Exception):
    """The store answered with an error."""


def quoted(text: str, safe: str = "") -> str:
    """Return text as S3 wants it in a URL and in what is signed."""
    return urllib.parse.quote(text, safe=f"{safe}-_.~")


def signed(method: str, host: str, path: str, query: str, body: str, keys: tuple[str, str], region: str, moment: datetime.datetime) -> dict[str, str]:
    """Return the headers that sign a request.

    Args:
        method: Its method.
        host: Value of its header Host.
        path: Its path, quoted.
        query: Its query, quoted and sorted.
        body: SHA-256 of its body in hex.
        keys: Access key and secret key.
        region: Region of the store.
        moment: Now, in UTC.
    """
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": body, "x-amz-date": stamp}
    names = ";".join(headers)
    request = "\n".join((method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, body))
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{keys[1]}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 Credential={keys[0]}/{scope}, SignedHeaders={names}, Signature={signature}"}


class Store:
    """One kept connection to an S3 endpoint; not for several threads.

    Args:
        endpoint: Its URL, such as http://10.0.0.1:9000.
        keys: Access key and secret key.
        region: Its region.
    """

    def __init__(self, endpoint: str, keys: tuple[str, str], region: str = "us-east-1") -> None:
        self.endpoint, self.keys, self.region = urllib.parse.urlsplit(endpoint), keys, region
        self.connection = self.connect()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        kind = http.client.HTTPSConnection if self.endpoint.scheme == "https" else http.client.HTTPConnection
        return kind(self.endpoint.hostname or "", self.endpoint.port, timeout=TIMEOUT)

    def request(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"") -> http.client.HTTPResponse:
        """Send a request and return its answer, which must be read before the next one.

        Args:
            method: Its method.
            path: /bucket/key, not quoted.
            query: Its query, not quoted.
            body: What it sends.

        Raises:
            S3Error: the answer is no 2xx.
        """
        target, words = quoted(path, "/"), "&".join(f"{quoted(name)}={quoted(value)}" for name, value in sorted((query or {}).items()))
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY
        now = datetime.datetime.now(datetime.UTC)
        headers = signed(method, self.endpoint.netloc, target, words, digest, self.keys, self.region, now)
        url = f"{target}?{words}" if words else target
        try:
            self.connection.request(method, url, body=body or None, headers=headers)
            answer = self.connection.getresponse()
        except (http.client.NotConnected, http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A connection that was kept may have ended meanwhile.
            self.connection.close()
            self.connection.request(method, url, body=body or None, headers=headers)
            answer = self.connection.getresponse()
        if answer.status // 100 != 2:
            text = answer.read().decode(errors="replace")
            raise S3Error(f"{method} {path}: {answer.status} {answer.reason}: {' '.join(text.split())[:300]}")
        return answer

    def get(self, bucket: str, key: str, buffer: memoryview, sink: Any = None) -> int:
        """Read an object through a buffer, into a file where one is given; return its size.

        Raises:
            S3Error: the answer is no 2xx, or it ended too early.
        """
        total, answer = 0, self.request("GET", f"/{bucket}/{key}")
        expected = answer.length
        while count := answer.readinto(buffer):
            total += count
            if sink:
                sink.write(buffer[:count])
        if expected not in (None, total):
            raise S3Error(f"GET /{bucket}/{key}: {total} of {expected} bytes came")
        return total

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object."""
        self.request("PUT", f"/{bucket}/{key}", body=body).read()

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self.request("DELETE", f"/{bucket}/{key}").read()

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket."""
        self.request("PUT", f"/{bucket}").read()

    def list(self, bucket: str, prefix: str) -> dict[str, int]:
        """Return the sizes of the objects whose keys begin with a prefix."""
        found: dict[str, int] = {}
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        while True:
            root = ElementTree.fromstring(self.request("GET", f"/{bucket}", query).read())
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            coded = root.findtext(f"{space}EncodingType") == "url"
            for item in root.iter(f"{space}Contents"):
                key = item.findtext(f"{space}Key") or ""
                found[urllib.parse.unquote_plus(key) if coded else key] = int(item.findtext(f"{space}Size") or 0)
            following = root.findtext(f"{space}NextContinuationToken")
            if not following or root.findtext(f"{space}IsTruncated") != "true":
                return {key: size for key, size in found.items() if not key.endswith("/")}
            query["continuation-token"] = following
