"""The logs of all parts of a release, merged by time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import heapq
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from alnair import cluster, secrets

PARTS = ("master", "worker", "fuse", "proxy", "operator")
# While it follows: how long lines are gathered before they are sorted, and how often pods that are new are looked for; seconds.
GATHER, LOOK = 0.5, 5.0
# To connect and to say something; a log that is silent for longer is asked for anew, for its connection may be dead. Seconds.
ANSWERS = (10, 600)


@dataclasses.dataclass(frozen=True)
class Source:
    """A container of a pod, since its last start."""

    pod: str
    container: str
    restarts: int = 0
    runs: bool = dataclasses.field(default=True, compare=False)

    def __str__(self) -> str:
        """Return pod and container."""
        return f"{self.pod}/{self.container}"


@dataclasses.dataclass(frozen=True, order=True)
class Line:
    """A line of a log; lines are in order of time."""

    time: datetime.datetime
    source: Source = dataclasses.field(compare=False)
    text: str = dataclasses.field(compare=False)

    def __str__(self) -> str:
        """Return time, source and text."""
        return f"{self.time:%Y-%m-%dT%H:%M:%S}.{self.time.microsecond // 1000:03}Z {self.source} {self.text}"


@dataclasses.dataclass(frozen=True)
class Release:
    """Where logs are read.

    Attributes:
        core: CoreV1Api.
        namespace: Namespace of the release.
        name: Name of the release.
        parts: Which of :data:`PARTS`; all where it is empty.
    """

    core: Any
    namespace: str
    name: str
    parts: Sequence[str] = ()

    def sources(self) -> list[Source]:
        """Return the containers that have started, those that run before the others among them."""
        pods = self.core.list_namespaced_pod(self.namespace, _request_timeout=10).items
        found = []
        for pod in pods:
            part = self.part(pod.metadata.labels or {})
            if part and (not self.parts or part in self.parts):
                for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
                    found.append(Source(pod.metadata.name, status.name, status.restart_count, runs=bool(status.state and status.state.running)))
        return found

    def part(self, labels: dict[str, str]) -> str:
        """Return which part of the release a pod is; empty for none."""
        if labels.get("app.kubernetes.io/name") == "alnair-operator":
            return "operator"
        return labels.get("role", "").removeprefix("alluxio-") if labels.get("release") == self.name else ""

    def read(self, source: Source, since: int | None, *, follow: bool = False) -> Iterator[Line]:
        """Yield the lines of a container.

        Args:
            source: The container.
            since: Seconds before now; None for all.
            follow: Whether to wait for more.
        """
        import kubernetes

        options: dict[str, Any] = {"since_seconds": max(1, since)} if since is not None else {}
        try:
            answer = self.core.read_namespaced_pod_log(source.pod, self.namespace, container=source.container, timestamps=True, follow=follow,
                                                       _preload_content=False, _request_timeout=ANSWERS, **options)  # fmt: skip
        except kubernetes.client.ApiException as error:
            # A container that has not started yet has no log, a pod that was just removed neither.
            yield Line(datetime.datetime.now(datetime.UTC), source, f"(no log: {cluster.reason(error)})")
            return
        with contextlib.closing(answer):
            for raw in lines(answer.stream(65536)):
                yield line(source, raw)

    def merged(self, since: int | None) -> Iterator[Line]:
        """Yield the lines of all containers in order of time; since as for :meth:`read`."""
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda source: list(self.read(source, since)), self.sources()))
        yield from heapq.merge(*found)


class Follower:
    """Follows the logs of a release: lines as they come, of containers too that start later.

    Args:
        release: Where they are read.
        since: Seconds before now from which the containers that are there are told; None for all.
    """

    def __init__(self, release: Release, since: int | None) -> None:
        self.release = release
        self.came: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self.busy: set[Source] = set()
        begin = None if since is None else datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=since)
        # Up to when each was told; one that starts later is told from its first line on.
        self.told: dict[Source, datetime.datetime | None] = dict.fromkeys(release.sources(), begin)
        self.new = list(self.told)

    def follow(self) -> Iterator[Line]:
        """Yield lines; ends only by an interrupt."""
        import kubernetes
        import urllib3

        looked = time.monotonic()
        while True:
            for source in self.new:
                self.busy.add(source)
                threading.Thread(target=self.listen, args=(source,), daemon=True).start()
            time.sleep(GATHER)
            yield from sorted(self.came.get() for _line in range(self.came.qsize()))
            self.new = []
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                # An API server that restarts is asked again.
                with contextlib.suppress(kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
                    self.new = [source for source in self.release.sources() if source not in self.busy and (source.runs or source not in self.told)]

    def listen(self, source: Source) -> None:
        """Take the lines of a container until it or the connection ends; what was told before is not told again."""
        import urllib3

        begin = self.told.setdefault(source, None)
        seconds = int((datetime.datetime.now(datetime.UTC) - begin).total_seconds()) + 1 if begin else None
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            for item in self.release.read(source, seconds, follow=True):
                if begin is None or item.time > begin:
                    self.told[source] = item.time
                    self.came.put(item)
        self.busy.discard(source)


def lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines from pieces that end anywhere."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (item.decode(errors="replace") for item in whole)
    if rest:
        yield rest.decode(errors="replace")


def line(source: Source, raw: str) -> Line:
    """Return a line from what the API gives: a time, a blank and the text, in which what looks like a credential is hidden."""
    stamp, _space, text = raw.partition(" ")
    try:
        moment = datetime.datetime.fromisoformat(stamp).astimezone(datetime.UTC)
    except ValueError:
        moment, text = datetime.datetime.now(datetime.UTC), raw
    return Line(moment, source, secrets.hide_in_log(text))
