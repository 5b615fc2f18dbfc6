"""What the handlers do with data sets and pods, on a cluster that is made of dictionaries."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import kopf
import kubernetes
import pytest
from alnair_operator import handlers, metrics
from alnair_operator.alluxio import Mount
from alnair_operator.cluster import Cluster, Store
from alnair_operator.datasets import Dataset
from alnair_operator.engine import SETTLED
from alnair_operator.handlers import Work
from alnair_operator.planning import Worker
from alnair_operator.settings import Settings
from alnair_operator.steps import text_of

from tests.unit.operator_tools import Clock, Fake, engine

Item = dict[str, Any]


def item(name: str, **spec: Any) -> Item:
    meta = {"name": name, "namespace": "n", "generation": 1, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {}}
    return {"metadata": meta, "spec": {"source": f"/srv/{name}", **spec}}


class Small:
    """A cluster of data sets and pods, and the store of them."""

    def __init__(self, *items: Item) -> None:
        self.items = {f"n/{found['metadata']['name']}": found for found in items}
        self.held: list[Item] = []
        self.told: list[tuple[str, str]] = []
        self.said: dict[str, str] = {}
        self.let_go: list[str] = []
        self.gone: set[str] = set()
        self.claims: Any = lambda namespace, names: {}

    def all(self) -> dict[str, Item]:
        return dict(self.items)

    def get(self, key: str) -> Item | None:
        return self.items.get(key)

    def known(self) -> list[Any]:
        return []

    def put(self, item: Item) -> None:
        self.items[f"n/{item['metadata']['name']}"] = item

    def write_status(self, dataset: Dataset, before: Item, after: Item) -> Item:
        return {**self.items[dataset.key], "status": dict(after)}

    def annotate(self, key: str, annotation: str, text: str) -> None:
        if key in self.gone:
            raise OSError("not found")
        self.items[key]["metadata"]["annotations"][annotation] = text

    def ask_again(self, key: str, text: str) -> None:
        self.annotate(key, "alnair.io/reload", text)

    def tell(self, found: Item, kind: str, reason: str, message: str) -> None:
        self.told.append((found["metadata"]["name"], reason))
        self.said[found["metadata"]["name"]] = message

    def pods(self, label: str = "") -> list[Item]:
        return self.held

    def patch_pod(self, pod: Item, patch: list[Item]) -> bool:
        self.let_go.append(pod["metadata"]["name"])
        return True


def work(cluster: Any, fake: Fake, clock: Clock) -> Work:
    return Work(cluster, cluster, engine(fake, clock), Settings("n"))


def settled(one: Work, name: str) -> Item:
    """Take steps with all data sets, as their threads do, until one stays as it is."""
    for _ in range(300):
        for key in one.store.all():
            one.engine.pause(min(one.step("n", key[2:]), 5))
        found: Item = one.store.all()[f"n/{name}"]["status"]
        if found["phase"] in SETTLED:
            return found
    raise AssertionError(found)


def test_what_is_evicted_is_freed_by_its_own_step_and_says_so() -> None:
    fake, clock = Fake({f"f{index}": 10 for index in range(200)}), Clock()
    fake.size = [Worker("w0", 5000, 0)]
    cluster = Small(item("old"))
    one = work(cluster, fake, clock)
    assert settled(one, "old")["phase"] == "Complete"
    fake.size = [Worker("w0", 3000, 2000)]
    cluster.items["n/x"] = item("x", evict=["old"])
    assert settled(one, "x")["phase"] == "Complete"
    old = cluster.items["n/old"]["status"]
    assert old["phase"] == "Incomplete" and "freed to make room for x" in old["message"] and ("old", "Incomplete") in cluster.told


def crowded() -> tuple[Small, Fake, Clock]:
    """Return a cache that the data set old fills, and x, for which that may be freed."""
    fake, clock = Fake({f"f{index}": 10 for index in range(200)}), Clock()
    fake.size = [Worker("w0", 5000, 0)]
    cluster = Small(item("old"))
    assert settled(work(cluster, fake, clock), "old")["phase"] == "Complete"
    fake.size = [Worker("w0", 3000, 2000)]
    cluster.items["n/x"] = item("x", evict=["old"])
    return cluster, fake, clock


def test_an_eviction_is_asked_for_before_the_status_says_that_it_was() -> None:
    cluster, fake, clock = crowded()
    write, killed = cluster.write_status, list[str]()

    def kill(dataset: Dataset, before: Item, after: Item) -> Item:
        if "evicted" in after and not killed:
            killed.append(dataset.key)
            raise SystemExit
        return write(dataset, before, after)

    cluster.write_status = kill  # type: ignore[method-assign]
    one = work(cluster, fake, clock)
    with pytest.raises(SystemExit):
        settled(one, "x")
    assert killed == ["n/x"] and " free to make room for x" in cluster.items["n/old"]["metadata"]["annotations"]["alnair.io/cancel"]
    assert settled(work(cluster, fake, clock), "x")["phase"] == "Complete" and cluster.items["n/old"]["status"]["phase"] == "Incomplete"
    assert fake.calls.count("free /datasets/old") == 1


def test_a_data_set_that_goes_before_it_can_be_evicted_does_not_stop_the_load() -> None:
    fake, clock = Fake({f"f{index}": 10 for index in range(200)}), Clock()
    cluster = Small(item("old"))
    one = work(cluster, fake, clock)
    assert settled(one, "old")["phase"] == "Complete"
    fake.size, cluster.gone = [Worker("w0", 3000, 2000)], {"n/old"}
    cluster.items["n/x"] = item("x", evict=["old"])
    while cluster.items["n/x"].get("status", {}).get("phase") != "Syncing" or "evicted" not in cluster.items["n/x"]["status"]:
        one.step("n", "x")
    fake.free("/datasets/old")
    assert settled(one, "x")["phase"] == "Complete"


def test_an_eviction_goes_on_in_whatever_process_takes_its_next_step() -> None:
    cluster, fake, clock = crowded()
    while (cluster.items["n/x"].get("status") or {}).get("phase") not in SETTLED:
        for key in cluster.all():
            one = work(cluster, fake, clock)
            one.resume()
            clock.pause(min(one.step("n", key[2:]), 5))
    assert cluster.items["n/x"]["status"]["phase"] == "Complete" and cluster.items["n/old"]["status"]["phase"] == "Incomplete"
    assert fake.calls.count("free /datasets/old") == 1 and fake.cached == {f"/datasets/x/f{index}" for index in range(200)}


def test_what_takes_the_place_of_one_that_is_removed_waits_until_that_is_unmounted() -> None:
    fake, clock = Fake(), Clock()
    cluster = Small(item("x"))
    one = work(cluster, fake, clock)
    assert settled(one, "x")["phase"] == "Complete"
    # The same source at the same path, by another name: what is there is the mount of the old one, and goes with it.
    old = cluster.items["n/x"]
    old["metadata"]["deletionTimestamp"] = text_of(clock.at)
    cluster.items["n/heir"] = {**item("heir", path="/datasets/x"), "spec": {"source": "/srv/x", "path": "/datasets/x"}}
    for _ in range(5):
        clock.pause(one.step("n", "heir"))
    status = cluster.items["n/heir"]["status"]
    assert status["phase"] == "Pending" and "/datasets/x of data set n/x, which is removed, is unmounted first" in status["message"]
    one.remove(old)
    del cluster.items["n/x"]
    assert settled(one, "heir")["phase"] == "Complete" and fake.calls.count("mount /datasets/x False") == 2


def test_a_mount_that_another_data_set_has_by_now_stays_when_the_one_of_before_goes() -> None:
    fake, clock = Fake(), Clock()
    cluster = Small(item("x", syncInterval="10m"))
    one = work(cluster, fake, clock)
    assert settled(one, "x")["phase"] == "Complete"
    # It leaves its path for one that is refused, and so has not let go of it.
    cluster.items["n/x"]["spec"]["path"] = "/datasets/wrong/"
    cluster.items["n/x"]["metadata"]["generation"] = 2
    assert settled(one, "x")["phase"] == "Failed"
    # One that is declared there and not mounted has nothing to lose.
    cluster.items["n/waits"] = item("waits", source="/srv/x", path="/datasets/x")
    cluster.items["n/heir"] = {**item("heir"), "spec": {"source": "/srv/x", "path": "/datasets/x", "syncInterval": "10m"}}
    assert settled(one, "heir")["phase"] == "Complete"
    old = cluster.items.pop("n/x")
    one.remove(old)
    assert list(fake.table) == ["/datasets/x"] and fake.intervals["/datasets/x"] == "10m"
    one.remove(cluster.items.pop("n/heir"))
    assert fake.table == {} and fake.intervals["/datasets/x"] == "-1"


def test_the_first_pod_waits_for_a_fresh_look() -> None:
    fake, clock = Fake(), Clock()
    cluster = Small(item("x"))
    one = work(cluster, fake, clock)
    assert settled(one, "x")["phase"] == "Complete"
    clock.pause(40)
    fake.cached.discard("/datasets/x/f7")
    annotations = {"alnair.io/datasets": "n/x"}
    cluster.held = [{"metadata": {"name": "p", "namespace": "n", "uid": "p", "creationTimestamp": text_of(clock.at), "annotations": annotations}, "spec": {}}]
    one.pods()
    assert cluster.let_go == [] and one.engine.wanted == {"n/x"}
    one.step("n", "x")
    assert cluster.items["n/x"]["status"]["phase"] == "Syncing"
    one.pods()
    assert cluster.let_go == []
    assert settled(one, "x")["phase"] == "Complete"
    one.pods()
    assert cluster.let_go == ["p"] and "/datasets/x/f7" in fake.cached


def waiting(created: float, name: str = "p", namespace: str = "n") -> Item:
    """Return a pod that waits for data set x."""
    meta = {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": text_of(created), "annotations": {"alnair.io/datasets": "n/x"}}
    return {"metadata": meta, "spec": {}}


def failed(clock: Clock, **spec: Any) -> Item:
    """Return data set x, which failed a minute ago."""
    status = {"phase": "Failed", "message": "refused.", "observedGeneration": 1, "settledAt": text_of(clock.at - 60)}
    return {**item("x", **spec), "status": status}


def test_a_try_that_could_not_be_asked_for_is_asked_for_again() -> None:
    clock = Clock()
    cluster = Small(failed(clock))
    one = work(cluster, Fake(), clock)
    # Of two pods of the same pass one asks.
    cluster.held, cluster.gone = [waiting(clock.at), waiting(clock.at, "q")], {"n/x"}
    one.pods()
    assert cluster.let_go == [] and not cluster.items["n/x"]["metadata"]["annotations"]
    cluster.gone = set()
    one.pods()
    assert cluster.items["n/x"]["metadata"]["annotations"]["alnair.io/reload"].startswith("pod-p")
    assert settled(one, "x")["phase"] == "Complete"
    one.pods()
    assert cluster.let_go == ["p", "q"]


def test_a_clock_that_is_behind_that_of_the_api_server_keeps_no_pod_for_ever() -> None:
    fake, clock = Fake({}), Clock()
    cluster = Small(failed(clock))
    one = work(cluster, fake, clock)
    cluster.held = [waiting(clock.at + 8)]
    for _ in range(10):
        one.pods()
        assert settled(one, "x")["phase"] == "Failed"
        clock.pause(2)
    # It is mounted, and without a file.
    assert cluster.let_go[:1] == ["p"]


def test_what_a_namespace_may_not_use_is_neither_tried_again_for_its_pods_nor_told_to_them() -> None:
    clock = Clock()
    for spec, limited in (({"namespaces": ["friends"]}, {}), ({}, {"other": ("/datasets/other",)})):
        cluster = Small(failed(clock, **spec))
        any_cluster: Any = cluster
        one = Work(any_cluster, any_cluster, engine(Fake(), clock), Settings("n", prefixes=limited))
        cluster.held = [waiting(clock.at - 40, namespace="other")]
        one.pods()
        assert not cluster.items["n/x"]["metadata"]["annotations"] and "refused" not in cluster.said["p"] and cluster.let_go == []
    # Of a data set that holds more than a namespace may have, its pods may have a part.
    cluster = Small(failed(clock))
    any_cluster = cluster
    one = Work(any_cluster, any_cluster, engine(Fake(), clock), Settings("n", prefixes={"other": ("/datasets/x/theirs",)}))
    cluster.held = [waiting(clock.at, namespace="other")]
    one.pods()
    assert cluster.items["n/x"]["metadata"]["annotations"]


def test_a_gate_is_lifted_for_the_source_only_where_the_data_set_has_its_mount() -> None:
    fake, clock = Fake({}), Clock()
    cluster = Small(item("x"))
    one = work(cluster, fake, clock)
    settled_at = text_of(clock.at)
    cluster.items["n/x"]["status"] = {"phase": "Failed", "message": "refused.", "observedGeneration": 1, "settledAt": settled_at}
    meta = {"name": "p", "namespace": "n", "uid": "p", "creationTimestamp": text_of(clock.at - 60), "annotations": {"alnair.io/datasets": "n/x"}}
    cluster.held = [{"metadata": meta, "spec": {}}]
    one.pods()
    assert cluster.let_go == [] and cluster.told == [("p", "DatasetNotCached")]
    fake.away = True
    one.pods()
    fake.away, fake.table["/datasets/x"] = False, Mount("/srv/other", True, {})
    one.pods()
    assert cluster.let_go == []
    fake.table["/datasets/x"] = Mount("/srv/x", True, {})
    one.pods()
    assert cluster.let_go == ["p"]


def test_a_new_process_keeps_the_space_of_loads_that_have_begun() -> None:
    cluster = Small({**item("x"), "status": {"phase": "Loading", "neededBytes": 7}}, {**item("y"), "status": {"phase": "Complete", "neededBytes": 7}})
    one = work(cluster, Fake(), Clock())
    one.resume()
    assert one.engine.room.promised == {"n/x": 7}


@pytest.mark.timeout(60)
def test_pods_are_looked_at_while_all_data_sets_wait_for_their_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of the data sets are taken, all of them, by a source that does not answer."""
    found: dict[str, Any] = {}

    def kept(word: str) -> Any:
        return lambda *_words, **_more: lambda call: found.setdefault(word, call)

    monkeypatch.setattr(kopf.on, "startup", kept("startup"))
    monkeypatch.setattr(kopf, "daemon", kept("daemon"))
    monkeypatch.setattr(handlers, "THREADS", 2)
    answers, asked, looked = threading.Event(), threading.Barrier(3), threading.Event()

    class Waiting(Work):
        def step(self, namespace: str, name: str) -> float:
            asked.wait(20)
            answers.wait(40)
            return 1000.0

        def pods(self) -> None:
            looked.set()

    cluster: Any = Small(item("a"), item("b"))
    handlers.register(kopf.OperatorRegistry(), Waiting(cluster, cluster, engine(Fake()), Settings("n")))

    async def both() -> bool:
        memo = kopf.Memo()
        daemons = [asyncio.create_task(found["daemon"](stopped=Flag(), name=name, namespace="n")) for name in "ab"]
        await asyncio.to_thread(asked.wait, 20)
        await found["startup"](settings=kopf.OperatorSettings(), memo=memo)
        seen = await asyncio.to_thread(looked.wait, 10)
        answers.set()
        for task in (*daemons, *memo.loops):
            task.cancel()
        return seen

    assert asyncio.run(both()), "the pods are not looked at"


@pytest.mark.parametrize("how", ["fails", "away", "asked"])
def test_what_cannot_be_done_is_not_tried_again_at_once(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(kopf, "daemon", lambda *_words, **_more: lambda call: found.setdefault("daemon", call))
    fake, clock, cluster = Fake(), Clock(), Small(item("x"))
    assert settled(work(cluster, fake, clock), "x")["phase"] == "Complete"
    steps: list[float] = []

    class Counting(Work):
        def step(self, namespace: str, name: str) -> float:
            steps.append(0)
            if len(steps) == 1 and how == "asked":
                # Somebody asks while the step is taken.
                done = super().step(namespace, name)
                cluster.annotate("n/x", "alnair.io/reload", "1")
                return done
            return super().step(namespace, name)

    def refused(*_words: Any) -> Item:
        raise OSError("the API server refuses")

    if how != "asked":
        cluster.annotate("n/x", "alnair.io/cancel", "now free")
    if how == "fails":
        monkeypatch.setattr(cluster, "write_status", refused)
    fake.away = how == "away"
    any_cluster: Any = cluster
    handlers.register(kopf.OperatorRegistry(), Counting(any_cluster, any_cluster, engine(fake, clock), Settings("n")))

    async def run() -> None:
        task = asyncio.create_task(found["daemon"](stopped=Flag(), name="x", namespace="n"))
        await asyncio.sleep(1)
        task.cancel()

    asyncio.run(run())
    assert (len(steps) == 1) is (how != "asked"), len(steps)


@pytest.mark.parametrize("phase", ["Loading", "Complete"])
def test_a_pod_whose_time_to_wait_was_over_is_held_no_more_and_is_told_why(phase: str) -> None:
    cluster = Small({**item("x"), "status": {"phase": phase, "observedGeneration": 1}})
    one = work(cluster, Fake(), Clock())
    late = "After 600 s the data sets are not cached: the data set operator does not answer."

    def bound(name: str, **state: Any) -> Item:
        meta = {"name": name, "namespace": "n", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"alnair.io/datasets": "n/x"},
                "labels": {"alnair.io/held": "true"}}  # fmt: skip
        status = {"phase": "Running", "initContainerStatuses": [{"name": "alnair-hold", "state": state}]}
        return {"metadata": meta, "spec": {"nodeName": "n1"}, "status": status}

    cluster.held = [bound("late", terminated={"exitCode": 0, "message": late})]
    if phase == "Loading":
        cluster.held += [bound("waits", running={}), bound("runs", terminated={"exitCode": 0}), bound("killed", terminated={"exitCode": 137})]
    one.pods()
    assert late in cluster.said["late"], "whatever the data set is by now"
    if phase == "Loading":
        assert cluster.let_go == ["late", "runs"] and "has let it go: data set n/x is Loading" in cluster.said["runs"]
        assert cluster.told == [("late", "DatasetNotCached"), ("waits", "WaitsForDataset"), ("runs", "DatasetNotCached"), ("killed", "WaitsForDataset")]
        assert metrics.HELD._value.get() == 2


def test_pods_are_read_page_by_page() -> None:
    cluster, asked = Cluster.__new__(Cluster), list[Any]()

    def listed(**options: Any) -> Any:
        asked.append((options["label_selector"], options["_continue"]))
        assert not options["_preload_content"]
        number = len(asked)
        page = {"metadata": {"continue": "more"} if number == 1 else {}, "items": [{"metadata": {"name": f"p{number}"}}]}
        return SimpleNamespace(data=json.dumps(page).encode())

    cluster.settings, cluster.core = Settings("n"), SimpleNamespace(list_pod_for_all_namespaces=listed)
    assert [pod["metadata"]["name"] for pod in cluster.pods("a=b")] == ["p1", "p2"] and asked == [("a=b", None), ("a=b", "more")]


def test_an_unmount_that_the_api_server_keeps_from_being_noted_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(kopf.on, "delete", lambda *_words, **_more: lambda call: found.setdefault("delete", call))
    cluster: Any = Small(item("x"))

    class Away(Work):
        def remove(self, item: Item) -> None:
            raise kubernetes.client.ApiException(status=503, reason="Service Unavailable")

    handlers.register(kopf.OperatorRegistry(), Away(cluster, cluster, engine(Fake()), Settings("n")))
    with pytest.raises(kopf.TemporaryError, match="Service Unavailable"):
        asyncio.run(found["delete"](body=cluster.items["n/x"]))
    assert cluster.told == [("x", "NotUnmounted")]


class Flag:
    """Says that nobody has stopped yet, as kopf tells its daemons."""

    def __bool__(self) -> bool:
        return False

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def test_events_that_are_told_at_once_are_all_remembered() -> None:
    cluster, made, others = Cluster.__new__(Cluster), list[str](), list[threading.Thread]()

    class Core:
        def create_namespaced_event(self, _namespace: str, body: Item, **_: Any) -> None:
            made.append(body["involvedObject"]["name"])

    def tell(name: str) -> None:
        cluster.tell({"metadata": {"name": name, "namespace": "n", "uid": name}}, "Normal", "r", "m")

    class Told(dict[tuple[str, str, str], float]):
        """While one thread goes through it, another one tells something."""

        def items(self) -> Any:
            if not others:
                others.append(threading.Thread(target=tell, args=("second",)))
                others[0].start()
                others[0].join(0.5)
            return super().items()

    cluster.core, cluster.lock, cluster.told = Core(), threading.Lock(), Told()
    tell("first")
    others[0].join()
    tell("second")
    tell("first")
    assert sorted(made) == ["first", "second"]


def version(number: int, phase: str) -> Item:
    meta = {"name": "x", "namespace": "n", "resourceVersion": str(number)}
    return {"metadata": meta, "status": {"phase": phase}}


def test_what_the_watch_tells_late_does_not_undo_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(SimpleNamespace(settings=Settings("n"), custom=SimpleNamespace(list_cluster_custom_object=None)))  # type: ignore[arg-type]
    events: list[Item] = []

    class Watch:
        def stream(self, *_words: Any, **_options: Any) -> list[Item]:
            return events

    monkeypatch.setattr(kubernetes.watch, "Watch", Watch)

    def phase() -> str:
        return str((store.get("n/x") or {"status": {"phase": ""}})["status"]["phase"])

    events[:] = [{"type": "ADDED", "object": version(99, "Loading")}]
    store.follow("", "1")
    store.put(version(101, "Complete"))
    events[:] = [{"type": "MODIFIED", "object": version(100, "Loading")}]
    store.follow("", "1")
    assert phase() == "Complete"
    events[:] = [{"type": "MODIFIED", "object": version(102, "Incomplete")}]
    store.follow("", "1")
    assert phase() == "Incomplete"
    store.put(version(101, "Complete"))
    assert phase() == "Incomplete"
    events[:] = [{"type": "DELETED", "object": version(103, "Incomplete")}]
    store.follow("", "1")
    store.put(version(104, "Complete"))
    assert store.get("n/x") is None


def test_a_pod_with_a_claim_that_the_webhook_did_not_see_is_counted_too() -> None:
    cluster = Small()
    cluster.held = [
        {"metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"cacheDataset": "yes"}},
         "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}}
        for name in ("below-a-root", "elsewhere")
    ]  # fmt: skip
    cluster.claims = lambda _namespace, names: {name: f"/srv/data/{name}" for name in names if name == "below-a-root"}
    one = Work(cluster, cluster, engine(Fake(), Clock()), Settings("n", roots=("/srv/data",)))  # type: ignore[arg-type]
    one.count_unserved()
    one.count_unserved()
    assert cluster.told == [("below-a-root", "ReadsFromSource")], "each is told once"


def test_a_pod_that_ended_long_ago_is_counted_once_and_not_as_one_that_reads() -> None:
    cluster = Small()

    def pod(name: str, phase: str) -> Item:
        meta = {"name": name, "namespace": "n", "uid": f"u-{name}", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"cacheDataset": "yes"}}
        return {"metadata": meta, "spec": {"volumes": [{"name": "data", "hostPath": {"path": "/srv/data/x"}}]}, "status": {"phase": phase}}

    asked = list[str]()

    def claims(namespace: str, _names: set[str]) -> dict[str, str]:
        asked.append(namespace)
        return {}

    cluster.claims = claims
    cluster.held = [pod("runs", "Running"), pod("ended", "Succeeded")]
    one = Work(cluster, cluster, engine(Fake(), Clock()), Settings("n", roots=("/srv/data",)))  # type: ignore[arg-type]
    before = metrics.STARTED_UNSERVED._value.get()
    one.count_unserved()
    assert cluster.told == [("runs", "ReadsFromSource"), ("ended", "ReadsFromSource")]
    assert metrics.STARTED_UNSERVED._value.get() - before == 2 and metrics.UNSERVED._value.get() == 1
    cluster.held = [pod("runs", "Failed"), pod("ended", "Succeeded")]
    one.count_unserved()
    one.count_unserved()
    assert metrics.STARTED_UNSERVED._value.get() - before == 2 and metrics.UNSERVED._value.get() == 0 and len(cluster.told) == 2
    assert len(asked) == 3, "of what has ended nothing is asked twice"


def merged(there: Item, change: Item) -> Item:
    """Return what the API server makes of an object and a merge patch."""
    left = {key: value for key, value in there.items() if change.get(key, 0) is not None}
    new = {key: value for key, value in change.items() if value is not None}
    return left | {key: merged(left.get(key) or {}, value) if isinstance(value, dict) else value for key, value in new.items()}


def test_what_a_status_holds_no_more_goes_from_its_inner_parts_too() -> None:
    before: Item = {"phase": "Complete", "rate": 7, "mounted": {"path": "/a", "source": "s3://old", "ufs": "s3://old", "mark": "1"}}
    after: Item = {"phase": "Mounting", "mounted": {"path": "/a", "source": "s3://new"}}
    there: Item = {"status": before}

    class Custom:
        def patch_namespaced_custom_object_status(self, *words: Any, **_more: Any) -> Item:
            return merged(there, words[5])

    cluster = Cluster.__new__(Cluster)
    any_cluster: Any = cluster
    any_cluster.custom = Custom()
    written = cluster.write_status(Dataset.of(item("x")), before, after)
    assert written == {"status": after} and cluster.write_status(Dataset.of(item("x")), after, after) is None


def test_of_a_data_set_that_is_gone_nothing_is_kept_or_counted() -> None:
    cluster = Small(item("x"))
    one = work(cluster, Fake(), Clock())
    settled(one, "x")
    metrics.STEP_ERRORS.labels("n", "x").inc()
    old = cluster.items["n/x"]
    one.remove(old)
    # It is still there, and no step of it is taken any more.
    assert one.step("n", "x") == handlers.ERROR_SECONDS and not [sample for metric in metrics.STEP_ERRORS.collect() for sample in metric.samples]
    cluster.items = {"n/y": item("y")}
    settled(one, "y")
    one.remove(cluster.items["n/y"])
    assert one.removed == {"n/y y"}
