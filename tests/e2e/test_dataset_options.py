"""What a data set may be told beside its source: copies, age of what is known, a path of before, and a claim in place of an address."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import s3
from caching import (
    BUCKET,
    NAMESPACE,
    ROOT,
    SUMS,
    Objects,
    Pods,
    folder,
    from_cache,
    fuse_sums,
    gates,
    kill_operator,
    numbered,
    pod,
    put,
    runner,
    served_from,
    shares,
    sums_in,
    until,
)  # fmt: skip
from reading import MOUNT, nodes

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def locations(execute: Callable[..., str], path: str) -> set[str]:
    """Return the workers that have blocks of a file, as Alluxio's own shell tells it."""
    said = execute("alluxio-master-0", f"alluxio fs location {shlex.quote(path)}", "alluxio-master")
    return set(said.splitlines()[1:])


def settings(execute: Callable[..., str], path: str) -> str:
    """Return what Alluxio's masters say of a path alone."""
    return execute("alluxio-master-0", f"alluxio fsadmin pathConf show {shlex.quote(path)}", "alluxio-master").strip()


def test_as_many_copies_are_made_as_are_said(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    names = put(store, "copied", numbered(4))
    objects.stored("copied", store, replicas=2)
    objects.reach("copied", "Complete")
    found = {name: locations(execute, f"/datasets/copied/{name}") for name in names}
    assert {len(hosts) for hosts in found.values()} == {2}, found


def test_what_is_known_of_the_source_is_as_old_as_is_said_and_what_was_said_goes_with_the_data_set(
    objects: Objects, store: s3.Endpoint, execute: Callable[..., str]
) -> None:
    put(store, "fresh-enough", numbered(2))
    objects.stored("fresh-enough", store, syncInterval="5s")
    objects.reach("fresh-enough", "Complete")
    assert "alluxio.user.file.metadata.sync.interval=5" in settings(execute, "/datasets/fresh-enough")
    put(store, "fresh-enough", ["added.jpg"])
    # Nobody asks for a load; whoever lists it sees the file.
    until("the new file is seen", lambda: "added.jpg" in shares(execute, "/datasets/fresh-enough"), 60, 2)
    objects.change("fresh-enough", syncInterval="-1")
    objects.reach("fresh-enough", "Complete")
    assert settings(execute, "/datasets/fresh-enough") == ""
    objects.change("fresh-enough", syncInterval="10m")
    objects.reach("fresh-enough", "Complete")
    assert settings(execute, "/datasets/fresh-enough")
    objects.remove("fresh-enough")
    assert "/datasets/fresh-enough" not in execute("alluxio-master-0", "alluxio fsadmin pathConf list", "alluxio-master").splitlines()


def test_what_is_mounted_at_a_path_of_before_is_read_as_it_is(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    name = "revenant"
    old = put(store, f"{name}-old", numbered(6))
    objects.stored(name, store, prefix=f"{name}-old")
    objects.reach(name, "Complete")
    for node in nodes():
        assert fuse_sums(f"/datasets/{name}", node) == old
    objects.remove(name)
    began = time.monotonic()
    # Of the same names, and longer: by what FUSE knows of the old ones it would find neither blocks nor ends.
    new = put(store, f"{name}-new", numbered(6), size=150_000)
    objects.stored(name, store, prefix=f"{name}-new")
    until("it says until when it waits", lambda: "until then FUSE knows files" in objects.status(name).get("message", ""), 30)
    # Nor does another process forget it.
    kill_operator(core)
    seen = []
    while (status := objects.status(name)).get("phase") == "Mounting":
        seen.append(time.monotonic() - began)
        time.sleep(1)
    assert 100 < max(seen) < 180, status
    objects.reach(name, "Complete")
    for node in nodes():
        assert fuse_sums(f"/datasets/{name}", node, cold=False) == new


def test_what_is_pinned_is_what_is_declared_to_be(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    put(store, "pinned", ["train/a", "val/a"])

    def pinned() -> set[str]:
        parts = ["", "train", "val"]
        return {part for part in parts if "pinned=true" in execute("alluxio-master-0", f"alluxio fs stat /datasets/pinned/{part}", "alluxio-master")}

    objects.stored("pinned", store, preload="none", pin=True, subPaths=["train", "val"])
    objects.reach("pinned", "Complete")
    assert pinned() == {"train", "val"}
    objects.change("pinned", subPaths=["train"])
    objects.reach("pinned", "Complete")
    assert pinned() == {"train"}
    objects.change("pinned", pin=False)
    objects.reach("pinned", "Complete")
    assert pinned() == set()


def test_what_only_workers_hold_outlives_a_repair_and_an_unmount(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    put(store, "scribbled", numbered(2))
    objects.stored("scribbled", store, readOnly=False)
    objects.reach("scribbled", "Complete")
    copy = "alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE copyFromLocal /tmp/scribble /datasets/scribbled/only"
    execute("alluxio-master-0", f"head -c 100000 /dev/urandom > /tmp/scribble && {copy} >&2", "alluxio-master")
    repaired = runner("dataset", "repair", "scribbled")
    assert repaired.returncode == 1 and "unsaved" in repaired.stdout, repaired.stdout + repaired.stderr
    assert set(shares(execute, "/datasets/scribbled")) == {*numbered(2), "only"} and len(store.door.list(BUCKET, "scribbled/")) == 2
    result = runner("dataset", "unmount", "scribbled")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "scribbled/only" in store.door.list(BUCKET, "scribbled/")


def test_more_keys_than_one_answer_of_the_store_has(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    names = put(store, "many-keys", [f"{number:05}" for number in range(1_100)], size=10)
    objects.stored("many-keys", store)
    status = objects.reach("many-keys", "Complete", seconds=400)
    assert (status["files"], status["cachedPercent"]) == (1_100, 100)
    assert shares(execute, "/datasets/many-keys") == dict.fromkeys(names, 100)


def test_a_load_of_what_is_complete_says_that_the_source_is_gone(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "orphaned", numbered(4))
    objects.stored("orphaned", store)
    objects.reach("orphaned", "Complete")
    with store.gone():
        result = runner("dataset", "load", "orphaned")
        assert result.returncode == 1, result.stdout + result.stderr
        assert re.search("orphaned.*(refused|connect)", " ".join(result.stdout.split()), re.IGNORECASE), result.stdout
        # What is cached is read all the same.
        assert fuse_sums("/datasets/orphaned") == sums
    assert runner("dataset", "load", "orphaned").returncode == 0
    assert shares(execute, "/datasets/orphaned") == dict.fromkeys(sums, 100)


@pytest.fixture
def claim(core: Any) -> Iterator[str]:
    """A claim in the release's namespace on a folder that all nodes see."""
    name, size = "e2e-source", {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {**size, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"{ROOT}/of-claim"}, "claimRef": {"namespace": NAMESPACE, "name": name}}
    core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    wanted = {**size, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": name}
    core.create_namespaced_persistent_volume_claim(NAMESPACE, {"metadata": {"name": name}, "spec": wanted})
    until("the claim is bound", lambda: core.read_namespaced_persistent_volume_claim(name, NAMESPACE).status.phase == "Bound")
    yield name
    core.delete_namespaced_persistent_volume_claim(name, NAMESPACE)
    core.delete_persistent_volume(name)


def test_a_claim_is_a_source_and_who_mounts_it_reads_from_the_cache(objects: Objects, claim: str, core: Any, execute: Callable[..., str]) -> None:
    sums = folder("of-claim", numbered(3))
    objects.make("of-claim", f"pvc://{claim}")
    objects.reach("of-claim", "Complete")
    assert shares(execute, "/datasets/of-claim") == dict.fromkeys(sums, 100)
    assert fuse_sums("/datasets/of-claim") == sums
    wanted = pod("of-claim", {"/data": "/"}, f"{SUMS}; grep -c ' /data .*fuse' /proc/self/mountinfo")
    wanted["spec"]["volumes"] = [{"name": "data-0", "persistentVolumeClaim": {"claimName": claim}}]
    pods = Pods(core, NAMESPACE)
    try:
        with from_cache(core, len(sums) * 100_000):
            made = pods.start(wanted)
            assert (served_from(made), gates(made)) == ([f"{MOUNT}/datasets/of-claim"], ["alnair.io/dataset"])
            pods.ended("of-claim")
        assert sums_in(pods.log("of-claim")) == sums and pods.log("of-claim").split()[-1] == "1"
    finally:
        core.delete_namespaced_pod("of-claim", NAMESPACE, grace_period_seconds=0)
    checked = runner("dataset", "check", "of-claim", "--content")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    objects.remove("of-claim")
