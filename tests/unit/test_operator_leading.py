"""What a replica of the operator does before it leads, and when it does no more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

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
