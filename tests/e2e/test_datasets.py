"""Data sets as state: mounted, loaded, really cached, checked and repaired; what a load does to others, and what nobody may read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import kubernetes
import pytest
import s3
from caching import BUCKET, ENDED, NAMESPACE, SECRET, Objects, folder, fuse_sums, numbered, on_node, operator_pods, printed, put, runner, shares, until
from reading import HOME, MOUNT, nodes, pod_log

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
KNOBS = {"datasets_timeout": 300}


def listed(store: s3.Endpoint, name: str, **more: Any) -> dict[str, Any]:
    """An item of the list in group_vars."""
    return {"name": name, "source": f"s3://{BUCKET}/{name}", "credentials": SECRET, "options": store.options, **more}


@pytest.fixture
def listing(served: Alnair, objects: Objects) -> Callable[..., Any]:
    """Run the playbook for a list of data sets, which are gone after the test."""

    def run(*items: dict[str, Any], **options: Any) -> Any:
        objects.made += [(NAMESPACE, item["name"]) for item in items if (NAMESPACE, item["name"]) not in objects.made]
        return served.run("datasets", extra_vars={"alluxio_datasets": list(items), **KNOBS}, **options)

    return run


def test_the_list_is_mounted_loaded_and_really_cached_and_a_rerun_changes_nothing(
    listing: Callable[..., Any], objects: Objects, store: s3.Endpoint, execute: Callable[..., str]
) -> None:
    sums = put(store, "photos", numbered(40))
    result = listing(listed(store, "photos"))
    assert result.status == "successful", result.failures
    status = objects.status("photos")
    assert (status["phase"], status["files"], status["bytes"], status["cachedPercent"], status["cachedBytes"]) == ("Complete", 40, 4_000_000, 100, 4_000_000)
    # Not the operator's word: Alluxio's own listing, and reading with no source there.
    assert shares(execute, "/datasets/photos") == dict.fromkeys(sums, 100)
    store.reads(forget=True)
    with store.gone():
        for node in nodes():
            assert fuse_sums("/datasets/photos", node) == sums
    assert store.reads() == {}
    again = listing(listed(store, "photos"))
    assert (again.status, again.changed) == ("successful", 0), again.failures
    assert store.order()["failed"] == 0 and not [path for path in store.reads() if "photos/class" in path]


def test_new_files_at_the_source_are_picked_up_by_a_rerun(listing: Callable[..., Any], objects: Objects, store: s3.Endpoint) -> None:
    sums = put(store, "growing", numbered(5))
    assert listing(listed(store, "growing")).status == "successful"
    more = put(store, "growing", ["new/0.jpg", "new/1.jpg"])
    store.reads(forget=True)
    result = runner("dataset", "load", "growing")
    assert result.returncode == 0, result.stdout + result.stderr
    assert objects.status("growing")["files"] == 7
    assert fuse_sums("/datasets/growing") == {**sums, **more}
    # What was there is not read again.
    assert not [path for path in store.reads() if "/class" in path]


def test_what_a_node_read_before_it_changed_is_read_anew(objects: Objects, store: s3.Endpoint) -> None:
    name = "fresh"
    put(store, name, numbered(3))
    objects.stored(name, store)
    objects.reach(name, "Complete")
    before = {node: fuse_sums(f"/datasets/{name}", node, cold=False) for node in nodes()}
    after = put(store, name, [*numbered(3), "added"])
    assert all(after[key] != sums[key] for sums in before.values() for key in sums)
    result = runner("dataset", "load", name)
    assert result.returncode == 0, result.stdout + result.stderr
    began = time.monotonic()
    # A minute that FUSE keeps what it knows, and another that the kernel does (docs/explanation/tuning.md).
    until("the new content on all nodes", lambda: all(fuse_sums(f"/datasets/{name}", node, cold=False) == after for node in nodes()), 120)
    print(f"changed files were seen on all nodes {time.monotonic() - began:.0f} s after the load at most")


@pytest.mark.parametrize("preload", ["none", "metadata"])
def test_what_shall_not_be_loaded_is_not(objects: Objects, store: s3.Endpoint, execute: Callable[..., str], preload: str) -> None:
    sums, name = put(store, f"lazy-{preload}", numbered(5)), f"lazy-{preload}"
    objects.stored(name, store, preload=preload)
    objects.reach(name, "Complete")
    found = shares(execute, f"/datasets/{name}")
    assert set(found.values()) <= {0}
    assert fuse_sums(f"/datasets/{name}") == sums


def test_only_the_named_parts_are_loaded(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    put(store, "parted", ["train/1", "train/deep/2", "validate/3"])
    objects.stored("parted", store, subPaths=["train"])
    objects.reach("parted", "Complete")
    execute("alluxio-master-0", "alluxio fs loadMetadata /datasets/parted", "alluxio-master")
    assert shares(execute, "/datasets/parted") == {"train/1": 100, "train/deep/2": 100, "validate/3": 0}


def test_a_folder_of_the_nodes_with_spaces_and_unicode(objects: Objects, execute: Callable[..., str]) -> None:
    sums = folder("größe eins", ["ä b/c 1.jpg", "ä b/数据.bin", "plain"])
    objects.make("odd-names", "/mnt/fuse3/datasets/größe eins", path="/datasets/größe eins")
    objects.reach("odd-names", "Complete")
    assert shares(execute, "/datasets/größe eins") == dict.fromkeys(sums, 100)
    assert fuse_sums("/datasets/größe eins") == sums


def test_a_bucket_with_spaces_and_unicode(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "größe zwei", ["ä b/c 1.jpg", "ä b/数据.bin", "plus+and&more"])
    objects.stored("odd-keys", store, prefix="größe zwei")
    objects.reach("odd-keys", "Complete")
    assert shares(execute, "/datasets/odd-keys") == dict.fromkeys(sums, 100)
    assert fuse_sums("/datasets/odd-keys") == sums


def test_credentials_stand_nowhere_but_in_their_secret(objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    put(store, "guarded", numbered(3))
    seen: list[str] = []
    objects.stored("guarded", store)
    # While it is mounted, too: what runs on the nodes.
    while objects.status("guarded").get("phase") not in ENDED:
        seen += [on_node("cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' ' '", node) for node in nodes()]
        time.sleep(0.5)
    objects.reach("guarded", "Complete")
    seen += [str(core.list_namespaced_config_map(NAMESPACE).items), str(objects.list()), str(core.list_namespaced_event(NAMESPACE).items)]
    seen.append(execute("alluxio-master-0", "alluxio fs mount; alluxio getConf --master --source 2>/dev/null || true", "alluxio-master"))
    seen += [*(str(pod.spec) for pod in core.list_namespaced_pod(NAMESPACE).items), *printed(core)]
    for text in seen:
        assert store.keys[1] not in text, text[max(0, text.index(store.keys[1]) - 300) :][:400]


def test_options_that_look_like_credentials_are_refused(objects: Objects, store: s3.Endpoint) -> None:
    with pytest.raises(kubernetes.client.ApiException) as refused:
        objects.make("leaky", f"s3://{BUCKET}/leaky", options={"s3a.secretKey": "x"})
    assert refused.value.status == 422
    assert "Secret" in refused.value.body


def test_read_only_is_read_only_and_what_may_be_written_reaches_the_source(objects: Objects, store: s3.Endpoint) -> None:
    put(store, "locked", ["a"])
    put(store, "open", ["a"])
    objects.stored("locked", store)
    objects.stored("open", store, readOnly=False)
    objects.reach("locked", "Complete")
    objects.reach("open", "Complete")
    assert "refused" in on_node(f"echo x > {MOUNT}/datasets/locked/b || echo refused")
    on_node(f"echo hello > {MOUNT}/datasets/open/b")
    until("the file is at the source", lambda: f"{'open'}/b" in store.door.list(BUCKET, "open/"), 60)
    assert "locked/b" not in store.door.list(BUCKET, "locked/")


def test_an_unmounted_data_set_leaves_its_source_as_it_was(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    put(store, "leaving", numbered(5))
    objects.stored("leaving", store, readOnly=False)
    objects.reach("leaving", "Complete")
    before = store.door.list(BUCKET, "leaving/")
    result = runner("dataset", "unmount", "leaving")
    assert result.returncode == 0, result.stdout + result.stderr
    until("it is gone", lambda: "leaving" not in [item["metadata"]["name"] for item in objects.list()])
    assert "/datasets/leaving" not in execute("alluxio-master-0", "alluxio fs mount", "alluxio-master")
    assert store.door.list(BUCKET, "leaving/") == before


def test_a_data_set_whose_time_is_over_is_freed_and_never_deleted(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "passing", numbered(5))
    objects.stored("passing", store, ttl="20s")
    objects.reach("passing", "Complete")
    # The master looks for what is over once an hour or so by default; the operator's own clock must not wait for that.
    until("it is freed", lambda: set(shares(execute, "/datasets/passing").values()) == {0}, 300, 5)
    assert len(store.door.list(BUCKET, "passing/")) == 5
    assert fuse_sums("/datasets/passing") == sums


def capacity(execute: Callable[..., str]) -> int:
    """Bytes that all workers can hold."""
    return int(re.findall(r"\d+", execute("alluxio-master-0", "alluxio fs getCapacityBytes", "alluxio-master"))[-1])


def test_what_does_not_fit_is_not_begun_and_evicts_nobody(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    put(store, "resident", numbered(20))
    objects.stored("resident", store)
    objects.reach("resident", "Complete")
    total = capacity(execute)
    # Sparse, so that it costs no disk: only its size is asked for.
    on_node(f"mkdir -p /mnt/fuse3/datasets/giant && truncate -s {total + 2**20} /mnt/fuse3/datasets/giant/big && chown -R 1000:1000 /mnt/fuse3/datasets/giant")
    objects.make("giant", "/mnt/fuse3/datasets/giant")
    try:
        status = objects.reach("giant", "TooLarge")
        # Both figures, and a way out.
        assert len(re.findall(r"\d[\d.]* [KMGT]?i?B", status["message"])) >= 2, status
        assert re.search(r"worker|quota|sub-?path", status["message"], re.IGNORECASE), status
        assert set(shares(execute, "/datasets/giant").values()) == {0}
        assert set(shares(execute, "/datasets/resident").values()) == {100}
        result = runner("dataset", "load", "giant")
        assert result.returncode == 1
    finally:
        on_node("rm -r /mnt/fuse3/datasets/giant")


def test_another_data_set_makes_room_where_it_is_named(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    half = int(capacity(execute) * 0.55)
    count = half // 16_000_000
    for name in ("elder", "younger"):
        put(store, name, [str(number) for number in range(count)], size=16_000_000)
    objects.stored("elder", store)
    objects.reach("elder", "Complete", seconds=400)
    objects.stored("younger", store)
    objects.reach("younger", "TooLarge")
    assert set(shares(execute, "/datasets/elder").values()) == {100}
    result = runner("dataset", "load", "younger", "--evict", "elder")
    assert result.returncode == 0, result.stdout + result.stderr
    assert objects.status("younger")["phase"] == "Complete"
    assert set(shares(execute, "/datasets/younger").values()) == {100}
    assert set(shares(execute, "/datasets/elder").values()) == {0}
    assert len(store.door.list(BUCKET, "elder/")) == count
    for name in ("elder", "younger"):
        for key in store.door.list(BUCKET, f"{name}/"):
            store.door.delete(BUCKET, key)


def start_load(name: str, *words: str) -> subprocess.Popen[str]:
    """Start a load as a user's shell does."""
    command = [sys.executable, str(HOME / "alnair_runner.py"), "dataset", "load", name, *words]
    return subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def begun(objects: Objects, name: str) -> bool:
    """Tell whether a part of a data set is loaded, and not all."""
    status = objects.status(name)
    return status.get("phase") == "Loading" and status.get("cachedBytes", 0) > 0


def test_a_load_outlives_its_runner_and_is_joined_by_the_next_one(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "long-load", numbered(150), size=400_000)
    objects.stored("long-load", store, preload="metadata")
    objects.reach("long-load", "Complete")
    store.reads(forget=True)
    with store.narrow("16mbit"):
        objects.change("long-load", preload="all")
        run = start_load("long-load")
        until("it is loading", lambda: begun(objects, "long-load"), 180)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        before = objects.status("long-load")
        # Size, rate and time left are told on the way.
        assert before["rate"] > 0 and before["secondsLeft"] > 0, before
        until("it goes on", lambda: objects.status("long-load").get("cachedBytes", 0) > before["cachedBytes"], 60)
        # The lock of the killed run frees itself within a minute.
        result = runner("dataset", "load", "long-load")
    assert result.returncode == 0, result.stdout + result.stderr
    assert shares(execute, "/datasets/long-load") == dict.fromkeys(sums, 100)
    # Joined, not begun anew.
    twice = [path for path, count in store.reads().items() if "long-load/class" in path and count > 1]
    assert len(twice) <= len(sums) // 10, twice


def test_an_interrupt_ends_the_runner_and_not_the_load(objects: Objects, store: s3.Endpoint) -> None:
    put(store, "going-on", numbered(100), size=400_000)
    objects.stored("going-on", store, preload="metadata")
    objects.reach("going-on", "Complete")
    with store.narrow("16mbit"):
        objects.change("going-on", preload="all")
        run = start_load("going-on")
        until("it is loading", lambda: begun(objects, "going-on"), 180)
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=60)
        assert run.returncode == 130, out
        assert "go on" in out or "goes on" in out, out
        objects.reach("going-on", "Complete", seconds=180)


def test_an_interrupt_cancels_the_load_on_demand(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "given-up", numbered(100), size=400_000)
    objects.stored("given-up", store, preload="metadata")
    objects.reach("given-up", "Complete")
    with store.narrow("5mbit"):
        objects.change("given-up", preload="all")
        run = start_load("given-up", "--cancel")
        until("it is loading", lambda: begun(objects, "given-up"), 180)
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=180)
        assert run.returncode == 130, out
        status = objects.status("given-up")
        assert status["phase"] == "Incomplete" and "was cancelled" in status["message"], out
        # What a job reads at that moment it reads to its end.
        time.sleep(10)
        store.reads(forget=True)
        time.sleep(10)
        assert not [path for path in store.reads() if "given-up/class" in path]
    result = runner("dataset", "load", "given-up")
    assert result.returncode == 0, result.stdout + result.stderr
    assert shares(execute, "/datasets/given-up") == dict.fromkeys(sums, 100)


def test_each_file_that_cannot_be_loaded_is_named_with_its_reason(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    sums = put(store, "holey", numbered(30))
    objects.stored("holey", store, preload="metadata")
    objects.reach("holey", "Complete")
    # More than the status has room for.
    lost = sorted(sums)[:25]
    with store.errors(1.0, *(name.rpartition("/")[2] for name in lost)):
        objects.change("holey", preload="all")
        status = objects.reach("holey", "Incomplete", "Complete", seconds=600)
    assert status["phase"] == "Incomplete"
    assert status["failedCount"] == len(lost)
    named = {item["path"].split("holey/")[1]: item["reason"] for item in status["failedFiles"]}
    assert len(named) == 20
    assert set(named) < set(lost)
    assert all(named.values())
    # All of them are in the log, and check names them too.
    said = "".join(pod_log(core, pod.metadata.name, NAMESPACE) for pod in operator_pods(core))
    differs = json.loads(runner("dataset", "check", "holey", "--json").stdout)["datasets"]["holey"]
    for name in lost:
        assert f"holey/{name}" in said
        assert name in json.dumps(differs, ensure_ascii=False)


def test_free_takes_it_from_the_cache_and_not_from_the_source(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "freed", numbered(5))
    objects.stored("freed", store)
    objects.reach("freed", "Complete")
    result = runner("dataset", "free", "freed")
    assert result.returncode == 0, result.stdout + result.stderr
    until("nothing of it is cached", lambda: set(shares(execute, "/datasets/freed").values()) == {0}, 60)
    assert len(store.door.list(BUCKET, "freed/")) == 5
    assert fuse_sums("/datasets/freed") == sums


def test_two_data_sets_that_overlap_are_not_both_served(objects: Objects, store: s3.Endpoint) -> None:
    put(store, "outer", ["inner/1", "2"])
    objects.stored("outer", store)
    objects.reach("outer", "Complete")
    objects.stored("inner", store, prefix="other", path="/datasets/outer/inner")
    status = objects.reach("inner", "Failed")
    wanted = "Path /datasets/outer/inner overlaps with /datasets/outer of data set alluxio/outer, which is older. Give one of them another path."
    assert status["message"] == wanted
    assert objects.status("outer")["phase"] == "Complete"


def test_wrong_input_is_told_before_anything_is_changed(listing: Callable[..., Any], store: s3.Endpoint, objects: Objects) -> None:
    before = [item["metadata"]["name"] for item in objects.list()]
    relative = ('wrong: path "relative" must be absolute, below /, without a slash at its end and without empty parts, . or .. in it, such as /datasets/wrong. '
                "Nothing was changed.")  # fmt: skip
    nested = ("fine: its path /datasets/fine and that of wrong, /datasets/fine/in, lie in each other; give one of them another path, for a file would belong "
              "to both. Nothing was changed.")  # fmt: skip
    for path, sentence in (("relative", relative), ("/datasets/fine/in", nested)):
        result = listing(listed(store, "fine"), listed(store, "wrong", path=path))
        assert result.status == "failed"
        assert sentence in result.failures[0].message
    assert [item["metadata"]["name"] for item in objects.list()] == before
