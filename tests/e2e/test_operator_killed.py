"""An operator that is killed at a chosen point of its work, by a signal that no process can answer: another one ends what it began, and mounts nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import s3
from caching import BUCKET, NAMESPACE, Objects, fuse_sums, mounted, numbered, put, scale_operator, shares, shoot_operator, until

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
# A point of the work lasts until the source answers what it is asked there: a listing, or a file.
Point = Callable[[Objects, s3.Endpoint, str], Iterator[None]]


def asked(store: s3.Endpoint) -> None:
    """Wait until the source is asked for what it holds back."""
    until("the source is asked", lambda: store.order()["held"], 90, 0.05)


def pending(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """It is declared, and not looked at yet."""
    objects.stored(name, store)
    yield


def mounting(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """A Job mounts it."""
    with store.holding(f"prefix={name}"):
        objects.stored(name, store)
        asked(store)
        assert objects.status(name)["phase"] == "Mounting"
        yield


def syncing(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """It is mounted, and listed for a load."""
    objects.stored(name, store, preload="metadata")
    objects.reach(name, "Complete")
    with store.holding(f"prefix={name}"):
        objects.change(name, preload="all")
        asked(store)
        assert objects.status(name)["phase"] == "Syncing"
        yield


def sending(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """The first jobs are sent, and may not be written down yet."""
    with store.holding(f"/{name}/class"):
        objects.stored(name, store)
        asked(store)
        yield


def loading(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """Jobs are on their way, and written down."""
    with store.holding(f"/{name}/class"):
        objects.stored(name, store)
        asked(store)
        until("the jobs are written down", lambda: objects.status(name).get("jobs"), 30)
        assert objects.status(name)["phase"] == "Loading"
        yield


def verifying(objects: Objects, store: s3.Endpoint, name: str) -> Iterator[None]:
    """All is loaded, and the source is listed once more before that is said."""
    with store.holding(f"/{name}/class"):
        objects.stored(name, store)
        asked(store)
        with store.holding(f"prefix={name}"):
            until("all files are read", lambda: sum(f"/{name}/class" in path for path in store.reads()) == FILES, 90)
            asked(store)
            assert objects.status(name)["phase"] == "Loading"
            yield


FILES = 40
POINTS: list[Point] = [pending, mounting, syncing, sending, loading, verifying]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_another_one_ends_what_it_began(point: Point, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    name, before = f"shot-{point.__name__}", mounted(execute)
    sums = put(store, name, numbered(FILES))
    store.reads(forget=True)
    with contextlib.contextmanager(point)(objects, store, name):
        shoot_operator(core)
    status = objects.reach(name, "Complete", seconds=240)
    assert (status["files"], status["cachedPercent"]) == (FILES, 100)
    assert shares(execute, f"/datasets/{name}") == dict.fromkeys(sums, 100)
    assert fuse_sums(f"/datasets/{name}") == sums
    assert mounted(execute).keys() == before.keys() | {f"/datasets/{name}"}
    # Jobs that were written down are joined: what is loaded once is not loaded again.
    twice = [path for path, count in store.reads().items() if f"/{name}/class" in path and count > 1]
    assert point is sending or len(twice) <= FILES // 5, twice
    objects.remove(name)
    assert mounted(execute) == before
    scale_operator(core, 2)


@pytest.mark.parametrize("late", [0.0, 0.3, 1.0])
def test_what_is_being_freed_is_freed_and_not_called_complete(
    late: float, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]
) -> None:
    name, before = f"shot-freeing-{int(late * 10)}", mounted(execute)
    sums = put(store, name, numbered(FILES))
    objects.stored(name, store, pin=True)
    objects.reach(name, "Complete")
    text = f"{time.time()} free"
    objects.annotate(name, "alnair.io/cancel", text)
    time.sleep(late)
    shoot_operator(core)
    until("it is freed", lambda: objects.status(name).get("observedCancel") == text, 180)
    assert objects.status(name)["phase"] == "Incomplete"
    until("nothing of it is cached", lambda: set(shares(execute, f"/datasets/{name}").values()) == {0}, 60)
    assert mounted(execute).keys() == before.keys() | {f"/datasets/{name}"}
    objects.reload(name)
    until("it is Complete", lambda: objects.status(name)["phase"] == "Complete", 180)
    assert shares(execute, f"/datasets/{name}") == dict.fromkeys(sums, 100)
    scale_operator(core, 2)


@pytest.mark.parametrize("late", [0.0, 0.3, 1.0])
def test_what_is_being_unmounted_is_gone(late: float, objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    name, before = f"shot-unmounting-{int(late * 10)}", mounted(execute)
    put(store, name, numbered(FILES))
    objects.stored(name, store, pin=True, syncInterval="10m", readOnly=False)
    objects.reach(name, "Complete")
    there = store.door.list(BUCKET, f"{name}/")
    objects.api.delete_namespaced_custom_object(*objects.where(NAMESPACE), name)
    time.sleep(late)
    shoot_operator(core)
    until("it is gone", lambda: name not in [item["metadata"]["name"] for item in objects.list()], 180)
    assert mounted(execute) == before
    assert f"/datasets/{name}" not in execute("alluxio-master-0", "alluxio fsadmin pathConf list", "alluxio-master").splitlines()
    assert store.door.list(BUCKET, f"{name}/") == there
    scale_operator(core, 2)
