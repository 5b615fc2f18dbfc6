"""What a replica of the operator does before it leads, and when it does no more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
from alnair_operator import handlers, leading, run
from alnair_operator.leading import LEASE_SECONDS
from alnair_operator.settings import Settings


class Ended(BaseException):
    """The process has ended."""


class Part:
    """Stands for whatever a replica is made of: it does nothing, and is ready."""

    ready = True

    def __getattr__(self, name: str) -> Any:
        return lambda *_words, **_more: None


class Replica:
    """A replica of the operator and a Lease that nobody holds; what it makes is noted, and takes so many seconds."""

    def __init__(self, patch: pytest.MonkeyPatch, **takes: float) -> None:
        self.now, self.takes, self.done = 1000.0, takes, list[str]()
        lease = SimpleNamespace(spec=SimpleNamespace(holder_identity="", lease_transitions=0), metadata=SimpleNamespace(resource_version="1"))
        leases = SimpleNamespace(read_namespaced_lease=lambda *_, **__: lease, replace_namespaced_lease=lambda *_, **__: self.does("Lease"),
                                 patch_namespaced_lease=lambda *_, **__: self.does("give up"))  # fmt: skip
        cluster = SimpleNamespace(leases=leases, settings=Settings("alluxio"), mount_job=None, end_mounts=None)
        patch.setattr(run, "Cluster", lambda *_: cluster)
        for name in ("Store", "Server", "Admission", "Certificate", "Alluxio", "Unmounted", "Guarded"):
            patch.setattr(run, name, lambda *_, name=name: self.does(name))
        patch.setattr(handlers, "register", lambda *_: self.does("handlers"))
        patch.setattr(asyncio, "run", self.kopf)
        patch.setattr(signal, "signal", lambda *_: None)
        patch.setattr(threading, "Thread", lambda **_: Part())
        patch.setattr(os, "_exit", self.ends)
        patch.setattr(leading, "time", SimpleNamespace(monotonic=lambda: self.now))

    def does(self, name: str) -> Part:
        self.done.append(name)
        self.now += self.takes.get(name, 0)
        return Part()

    def kopf(self, main: Coroutine[Any, Any, None]) -> None:
        main.close()
        self.does("kopf")

    def ends(self, code: int) -> None:
        self.done.append(f"end {code}")
        raise Ended


def test_a_jvm_that_takes_its_time_to_start_costs_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(monkeypatch, Alluxio=LEASE_SECONDS + 1)
    with pytest.raises(Ended):
        run.run(Settings("alluxio"))
    assert replica.done[-7:] == ["Lease", "Unmounted", "Guarded", "handlers", "kopf", "give up", "end 0"] and "Alluxio" in replica.done


def test_a_process_that_stood_still_after_it_took_the_lease_does_not_act(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(monkeypatch, handlers=LEASE_SECONDS)
    with pytest.raises(Ended):
        run.run(Settings("alluxio"))
    assert "kopf" not in replica.done and replica.done[-1] == "end 3"


class Leases:
    """The API server's one Lease, which takes no write that was made of an older one."""

    def __init__(self) -> None:
        self.version, self.spec = 0, dict[str, Any]()

    def read_namespaced_lease(self, *_words: Any, **_more: Any) -> Any:
        if not self.version:
            raise kubernetes.client.ApiException(404)
        said = SimpleNamespace(holder_identity=self.spec["holderIdentity"], renew_time=self.spec.get("renewTime"), lease_transitions=1,
                               lease_duration_seconds=self.spec["leaseDurationSeconds"])  # fmt: skip
        return SimpleNamespace(spec=said, metadata=SimpleNamespace(resource_version=self.version))

    def create_namespaced_lease(self, _namespace: str, body: dict[str, Any], **_more: Any) -> None:
        self.take(0, body["spec"])

    def replace_namespaced_lease(self, _name: str, _namespace: str, body: dict[str, Any], **_more: Any) -> None:
        self.take(body["metadata"]["resourceVersion"], body["spec"])

    def patch_namespaced_lease(self, _name: str, _namespace: str, body: dict[str, Any], **_more: Any) -> None:
        self.take(self.version, {**self.spec, **body["spec"]})

    def take(self, version: int, spec: dict[str, Any]) -> None:
        if version != self.version:
            raise kubernetes.client.ApiException(409)
        self.version, self.spec = self.version + 1, spec


def test_of_two_replicas_one_leads_and_the_other_follows_when_that_has_renewed_nothing_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    leases, clock = Leases(), SimpleNamespace(now=1000.0)
    monkeypatch.setattr(leading, "time", SimpleNamespace(monotonic=lambda: clock.now))
    cluster: Any = SimpleNamespace(leases=leases, settings=Settings("alluxio"))
    one, two = leading.Leader(cluster, "one"), leading.Leader(cluster, "two")
    assert one.acquire() and not two.acquire() and one.leads and not two.leads
    for _ in range(10):
        clock.now += LEASE_SECONDS / 3
        assert one.acquire() and not two.acquire()
    # It stops to lead before another one may, however far their clocks are apart.
    clock.now += LEASE_SECONDS - 1
    assert not one.leads and not two.acquire()
    clock.now += 1
    # Of both that take it at once one is refused.
    read = leases.read_namespaced_lease()
    assert two.acquire()
    monkeypatch.setattr(leases, "read_namespaced_lease", lambda *_, **__: read)
    assert not one.acquire() and two.leads
    monkeypatch.undo()
    monkeypatch.setattr(leading, "time", SimpleNamespace(monotonic=lambda: clock.now))
    assert not one.acquire()
    # Who ends lets the other one lead at once.
    two.give_up()
    assert one.acquire()
