"""An S3 server that checks credentials, as far away from the lab's nodes as a store in another house, and with faults on demand."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import s3_client

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alnair" / "lab"
PORT = 9000
# The last ones of the lab's network, whose nodes have the first ones.
NUMBERS = range(200, 250)


class Door(s3_client.Store):
    """The server without the way to it: for those who put something there or look after it.

    Args:
        path: Path of its Unix socket.
        keys: Access key and secret key.
    """

    def __init__(self, path: Path, keys: tuple[str, str]) -> None:
        self.path = path
        super().__init__("http://door", keys)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        path = str(self.path)

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(s3_client.TIMEOUT)
                self.sock.connect(path)

        return Connection("door")


class Endpoint:
    """A running server.

    Attributes:
        url: Its URL for nodes and pods.
        keys: Access key and secret key.
        door: A client that does not take the slow way.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, keys: tuple[str, str], door: Door, link: str, rate: str) -> None:
        self.process, self.url, self.keys, self.door, self.link, self.rate = process, url, keys, door, link, rate

    def order(self, **order: Any) -> dict[str, Any]:
        """Tell the front what to do and return its answer."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the S3 server ended"
        return json.loads(line)

    @contextlib.contextmanager
    def errors(self, share: float, *of: str) -> Iterator[None]:
        """Answer a share of the requests with 503; where ends of paths are given, of those for these paths."""
        self.order(errors=share, of=of)
        try:
            yield
        finally:
            self.order(errors=0)

    @contextlib.contextmanager
    def gone(self, *, silent: bool = False) -> Iterator[None]:
        """Refuse all connections; or, silent, answer nothing at all."""
        if silent:
            tool("ip", "link", "set", self.link, "down")
        else:
            self.order(gone=True)
        try:
            yield
        finally:
            if silent:
                tool("ip", "link", "set", self.link, "up")
            else:
                self.order(gone=False)

    @contextlib.contextmanager
    def holding(self, word: str) -> Iterator[None]:
        """Hold the requests that have a word in their path or after its question mark; within another one, those and no others."""
        self.order(hold=[word])
        try:
            yield
        finally:
            self.order(hold=[])

    @contextlib.contextmanager
    def narrow(self, rate: str) -> Iterator[None]:
        """Let no more through to the nodes than said."""
        before = self.rate
        shape(self.process.pid, rate)
        try:
            yield
        finally:
            shape(self.process.pid, before)

    def reads(self, *, forget: bool = False) -> dict[str, int]:
        """Return how often each path was asked for with GET, since it was forgotten last."""
        return dict(self.order(reads=True, forget=forget)["reads"])

    @property
    def options(self) -> dict[str, str]:
        """The options by which Alluxio mounts a bucket of it, without credentials."""
        return {
            "alluxio.underfs.s3.endpoint": self.url,
            "alluxio.underfs.s3.endpoint.region": "us-east-1",
            "alluxio.underfs.s3.disable.dns.buckets": "true",
            "alluxio.underfs.s3.inherit.acl": "false",
        }

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials as a Secret of a data set holds them."""
        return {"s3a.accessKeyId": self.keys[0], "s3a.secretKey": self.keys[1]}


def tool(*words: str, inside: int = 0) -> str:
    """Run a program of iproute2, here or in the network of a process, and return what it prints.

    Raises:
        OSError: it failed.
    """
    command = ["nsenter", "--target", str(inside), "--net", *words] if inside else [*words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def network(near: str) -> tuple[str, ipaddress.IPv4Interface]:
    """Return the bridge by which this machine reaches an address, and this machine's own address on it."""
    bridge = json.loads(tool("ip", "-json", "route", "get", near))[0]["dev"]
    mine = next(item for item in json.loads(tool("ip", "-json", "-4", "address", "show", "dev", bridge))[0]["addr_info"])
    return bridge, ipaddress.IPv4Interface(f"{mine['local']}/{mine['prefixlen']}")


def tbf(rate: str) -> tuple[str, ...]:
    """Return tc's words for a queue that lets no more through than said."""
    return "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"


def shape(pid: int, rate: str) -> None:
    """Let the network of a process send no faster than said; as fast as it can where nothing is said."""
    tool("tc", "qdisc", "replace", "dev", "eth0", "root", *(tbf(rate) if rate else ("pfifo",)), inside=pid)


def plug(pid: int, near: str, rate: str) -> tuple[str, str]:
    """Give the network of a process a place on the bridge, no faster than said; return address and name of the link, which goes with that network."""
    bridge, mine = network(near)
    for number in NUMBERS:
        link, address = f"alnair-s3-{number}", mine.network[number]
        try:
            # The same hardware address for the same place: nodes that remember it would ask the last server's for ten seconds.
            mac = ("address", f"02:53:33:00:00:{number:02x}")
            tool("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", *mac, "netns", str(pid))
        except OSError as error:
            if "exists" in str(error):
                continue
            raise
        tool("ip", "link", "set", link, "master", bridge, "up")
        tool("ip", "address", "add", f"{address}/{mine.network.prefixlen}", "dev", "eth0", inside=pid)
        tool("ip", "link", "set", "eth0", "up", inside=pid)
        # What pods send comes from their node's address or, where it is not translated, from one behind it.
        tool("ip", "route", "add", "default", "via", str(mine.ip), inside=pid)
        if rate:
            shape(pid, rate)
            tool("tc", "qdisc", "add", "dev", link, "root", *tbf(rate))
        return str(address), link
    raise OSError("All addresses for S3 servers are taken.")


def program() -> Path:
    """Return the S3 server that the lab's build made.

    Raises:
        OSError: it made none.
    """
    found = CACHE / "s3" / "versitygw"
    if not found.exists():
        raise OSError("The lab's build made no S3 server: raise it with LAB_DATASETS=1 make lab.")
    return found


@contextlib.contextmanager
def endpoint(near: str, *, delay: float = 0.01, rate: str = "200mbit", size: str = "4g", server: Path | None = None) -> Iterator[Endpoint]:
    """Run an S3 server for the time of a ``with``; it has a network, processes and a storage of its own, which go with it.

    Args:
        near: Address of a node that shall reach it.
        delay: Seconds that a question and its answer take together on their way, beside what the rate makes of them.
        rate: What its link carries, both ways, as tc says it; empty for all that it can.
        size: Most that its storage in memory can hold.
        server: The program; the one that the lab's build made.
    """
    keys = secrets.token_hex(10).upper(), secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="alnair-s3-") as folder, tempfile.TemporaryFile("w+") as log:
        door = Path(folder) / "door"
        inside = [sys.executable, str(Path(__file__).with_name("s3_server.py")), str(server or program()), str(door), str(PORT), str(delay), size]
        # By the environment, which other users cannot read, unlike arguments.
        environment = {**os.environ, "ROOT_ACCESS_KEY": keys[0], "ROOT_SECRET_KEY": keys[1]}
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        link = ""
        process = subprocess.Popen([*own, *inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdin and process.stdout
            if not process.stdout.readline():
                log.seek(0)
                raise OSError(f"The S3 server did not start: {log.read()[-2000:]}")
            address, link = plug(process.pid, near, rate)
            store = Door(door, keys)
            yield Endpoint(process, f"http://{address}:{PORT}", keys, store, link, rate)
            store.connection.close()
        finally:
            process.kill()
            process.wait()
            # The kernel takes it away with the network, but some seconds after the last process.
            if link:
                with contextlib.suppress(OSError):
                    tool("ip", "link", "delete", link)
