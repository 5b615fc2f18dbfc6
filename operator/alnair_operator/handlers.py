"""The operator as a kopf application: data sets, and the pods that wait for them. It runs in the replica that leads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from alnair_operator import gates, metrics, webhook
from alnair_operator.alluxio import Mount
from alnair_operator.cluster import ERRORS, Cluster, Store
from alnair_operator.datasets import AGAIN, CANCEL, FINALIZER, GROUP, PLURAL, VERSION, Dataset
from alnair_operator.engine import FREE, SETTLED, UNDER_WAY, Engine
from alnair_operator.jvm import AlluxioError
from alnair_operator.settings import Settings
from alnair_operator.steps import moment_of, text_of
from alnair_operator.templates import CACHE

LOG = logging.getLogger(__name__)
# A step waits for Alluxio in a thread; each data set that is under way has one. Those that look at pods have their own: they never wait for a source.
THREADS, POD_THREADS = 64, 2
PODS_SECONDS, UNSERVED_SECONDS = 2, 20
ERROR_SECONDS = 15


class Work:
    """What the handlers do."""

    def __init__(self, cluster: Cluster, store: Store, engine: Engine, settings: Settings) -> None:
        """Begin."""
        self.cluster, self.store, self.engine, self.settings = cluster, store, engine, settings
        self.locks: dict[str, threading.Lock] = {}
        self.removed: set[str] = set()
        # Data sets whose last step is not to be followed by another one before its delay is over.
        self.firm: set[str] = set()
        # What was last seen of a failed data set when another try of it was asked for.
        self.reloaded: dict[str, tuple[str, str]] = {}
        # Pods that read from the source, by their uids, and all that asked for the cache and had ended when they were judged.
        self.unserved: set[str] = set()
        self.ended: set[str] = set()

    def lock(self, key: str) -> threading.Lock:
        """Return the lock of a data set: of one there is one step at a time."""
        return self.locks.setdefault(key, threading.Lock())

    def resume(self) -> None:
        """Keep the space of loads that another process has begun, before any new one is let in."""
        for item in self.store.all().values():
            status = item.get("status") or {}
            if status.get("phase") == "Loading":
                self.engine.room.promise(Dataset.of(item).key, status.get("neededBytes") or 0)

    def step(self, namespace: str, name: str) -> float:
        """Take a step with a data set; returns the seconds until the next one."""
        key = f"{namespace}/{name}"
        with self.lock(key):
            item = self.store.get(key) or self.cluster.read_dataset(namespace, name)
            if item is None or item["metadata"].get("deletionTimestamp") or f"{key} {item['metadata']['uid']}" in self.removed:
                return ERROR_SECONDS
            dataset = Dataset.of(item)
            before = item.get("status") or {}
            others = [Dataset.of(other) for other_key, other in self.store.all().items() if other_key != key]
            step = self.engine.step(dataset, before, others)
            (self.firm.add if step.firm else self.firm.discard)(key)
            # Before the status says that it is done, for whoever comes after a crash goes by that. Of what is asked twice nothing is freed twice.
            self.evict(namespace, name, step.victims)
            if written := self.cluster.write_status(dataset, before, step.status):
                self.store.put(written)
            measure(dataset, step.status)
            for kind, reason, message in step.events:
                self.cluster.tell(item, kind, reason, message)
        return step.delay

    def evict(self, namespace: str, name: str, victims: Sequence[str]) -> None:
        """Ask for data sets to be freed that make room for another one."""
        for other in victims:
            try:
                self.cluster.annotate(f"{namespace}/{other}", CANCEL, f"{text_of(time.time())} {FREE} to make room for {name}")
            except ERRORS as error:
                # It may just have been removed, which makes room, too.
                LOG.warning("Data set %s/%s cannot be freed for %s: %s", namespace, other, name, error)

    def remove(self, item: dict[str, Any]) -> None:
        """Unmount a data set that is deleted."""
        dataset, before = Dataset.of(item), item.get("status") or {}
        others = [(Dataset.of(other), (other.get("status") or {}).get("mounted") or {}) for key, other in self.store.all().items() if key != dataset.key]
        with self.lock(dataset.key):
            try:
                self.engine.remove(dataset, before, [other for other, mounted in others if mounted.get("path") == other.path])
            except AlluxioError as error:
                # Whoever waits for its end looks there, and names it where the time is over.
                with contextlib.suppress(*ERRORS):
                    self.cluster.write_status(dataset, before, {**before, "message": f"It is not removed yet. {error}. It is tried again."})
                raise
            # Those before it that are gone by now are known to nobody any more.
            self.removed.intersection_update([f"{key} {other['metadata']['uid']}" for key, other in self.store.all().items()])
            self.removed.add(f"{dataset.key} {item['metadata']['uid']}")
        for metric in (metrics.BYTES, metrics.CACHED, metrics.FILES, metrics.FAILED, metrics.RATE, metrics.STEP_ERRORS):
            with contextlib.suppress(KeyError):
                metric.remove(dataset.namespace, dataset.name)
        for phase in (*UNDER_WAY, *SETTLED):
            with contextlib.suppress(KeyError):
                metrics.PHASE.remove(dataset.namespace, dataset.name, phase)

    def pods(self) -> None:
        """Look at all pods that wait."""
        held, oldest, now = 0, 0.0, time.time()
        # Once for all pods: a master that is away keeps each question waiting.
        mounts = functools.cache(self.mounts)
        for pod in self.cluster.pods(f"{webhook.HELD}=true"):
            if pod["metadata"].get("deletionTimestamp") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                continue
            try:
                waits = self.judge(pod, now, mounts)
            except Exception:
                LOG.exception("Pod %s could not be judged", pod["metadata"]["name"])
                waits = True
            if waits:
                held += 1
                oldest = max(oldest, now - moment_of(pod["metadata"]["creationTimestamp"]))
        metrics.HELD.set(held)
        metrics.OLDEST.set(oldest)

    def judge(self, pod: dict[str, Any], now: float, mounts: Callable[[], dict[str, Mount]]) -> bool:
        """Let a pod go, or let it wait; tells whether it waits."""
        names, on_failure = gates.names_of(pod), gates.on_failure_of(pod, self.settings)
        items = self.store.all()
        if any(name not in items for name in names):
            for key, source in gates.undeclared(pod, self.store.known(), self.settings, {}).items():
                self.cluster.declare(key, source)
        created = moment_of(pod["metadata"]["creationTimestamp"])
        # What an annotation says alone is not believed: of what its namespace may not use a pod learns nothing, and has nothing tried again.
        theirs = [name for name in names if name in items and webhook.may_be_used(Dataset.of(items[name]), pod["metadata"]["namespace"], self.settings)]
        statuses = {name: gates.status_of(items[name]) for name in theirs}

        def mounted(name: str) -> bool:
            return name in items and self.engine.mounts.holds(Dataset.of(items[name]), mounts())

        verdict = gates.decide(names, statuses, on_failure, created, now, mounted)
        for key in verdict.reload:
            # All pods that were made since the failure wait for the same one try. Where the API server's clock goes before this one's it takes several, each
            # by a text of its own.
            seen = (statuses[key].get("settledAt") or "", statuses[key].get("observedReload") or "")
            if seen != self.reloaded.get(key):
                self.cluster.ask_again(key, f"{AGAIN}{pod['metadata']['uid']}-{time.time_ns()}")
                self.reloaded[key] = seen
        gone, why = gates.over(pod)
        if why or (gone and verdict.word in ("wait", "hold")):
            # It was not to be held for ever (dataset_operator_hold_seconds), and runs, whatever its data sets are by now.
            if released := self.cluster.patch_pod(pod, gates.release(pod)):
                metrics.RELEASED.labels("source").inc()
                said = why or f"Its init container has let it go: {verdict.message}"
                self.cluster.tell(pod, "Warning", "DatasetNotCached", f"It has started, and what is not cached is read from the source. {said}")
            return not released
        if verdict.word == "wait":
            self.cluster.tell(pod, "Normal", "WaitsForDataset", verdict.message.split(":")[0])
            return True
        if verdict.word == "hold":
            self.cluster.tell(pod, "Warning", "DatasetNotCached", f"It is held: {verdict.message}")
            return True
        if verdict.word == "go" and [name for name in names if not self.engine.fresh(Dataset.of(items[name]), created)]:
            return True
        if not self.cluster.patch_pod(pod, gates.release(pod)):
            return True
        metrics.RELEASED.labels("cached" if verdict.word == "go" else "source").inc()
        if verdict.word == "source":
            self.cluster.tell(
                pod, "Warning", "DatasetNotCached", f"It starts, and what is not cached is read from the source (onFailure: source): {verdict.message}"
            )
        else:
            self.cluster.tell(pod, "Normal", "DatasetCached", f"It starts: {verdict.message}.")
        return False

    def mounts(self) -> dict[str, Mount]:
        """Return Alluxio's mounts by their paths; none where it does not answer."""
        try:
            found: dict[str, Mount] = self.engine.alluxio.mounts()
            return found
        except AlluxioError:
            return {}

    def count_unserved(self) -> None:
        """Count the pods that asked for the cache and did not get it, those that have ended, too, and tell each once."""
        found, ended, reading = set[str](), set[str](), 0
        for pod in self.cluster.pods():
            uid, over = pod["metadata"]["uid"], (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if (pod["metadata"].get("annotations") or {}).get(CACHE) != "yes":
                continue
            if over:
                ended.add(uid)
            # Nothing changes of what has ended, and there may be very many of it.
            why = "" if over and uid in self.ended else self.why_unserved(pod)
            if why or (over and uid in self.unserved):
                found.add(uid)
                reading += not over
                if uid not in self.unserved:
                    metrics.STARTED_UNSERVED.inc()
                    self.cluster.tell(pod, "Warning", "ReadsFromSource", f"It asked for the cache and reads from the source: {why}")
        self.unserved, self.ended = found, ended
        metrics.UNSERVED.set(reading)

    def why_unserved(self, pod: dict[str, Any]) -> str:
        """Return why a pod that asked for the cache reads from the source; nothing where it does not."""
        annotations, namespace = pod["metadata"].get("annotations") or {}, pod["metadata"]["namespace"]
        if webhook.NAMES in annotations or annotations.get(webhook.ON_SOURCE):
            return annotations.get(webhook.ON_SOURCE) or ""
        volumes = {"metadata": pod["metadata"], "spec": {"volumes": pod["spec"].get("volumes")}}
        try:
            claims = self.cluster.claims(namespace, webhook.claims_of(pod))
            uses = webhook.uses_of(volumes, namespace, self.store.known(), self.settings, claims)
        except webhook.Refusal as error:
            return f"{error} The webhook was away when it was made."
        return "the webhook did not answer when it was made, or is not asked there (Pod Security baseline or restricted)" if uses else ""


def measure(dataset: Dataset, status: dict[str, Any]) -> None:
    """Tell Prometheus of a status."""
    labels = (dataset.namespace, dataset.name)
    for metric, name in (
        (metrics.BYTES, "bytes"),
        (metrics.CACHED, "cachedBytes"),
        (metrics.FILES, "files"),
        (metrics.FAILED, "failedCount"),
        (metrics.RATE, "rate"),
    ):
        metric.labels(*labels).set(status.get(name) or 0)
    for phase in (*UNDER_WAY, *SETTLED):
        metrics.PHASE.labels(*labels, phase).set(phase == status.get("phase"))


def register(registry: kopf.OperatorRegistry, work: Work) -> None:
    """Put the handlers into a registry."""
    steps = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="step")
    pods = concurrent.futures.ThreadPoolExecutor(POD_THREADS, thread_name_prefix="pods")

    async def threaded(executor: concurrent.futures.Executor, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, call, *arguments)

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> Any:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, memo: Any, **_: Any) -> None:
        settings.persistence.finalizer = FINALIZER
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="alnair.io", v1=False)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="alnair.io", key="last-handled", v1=False)
        settings.posting.enabled = False
        # Nothing but data sets is handled by kopf, and their definition does not change: the operator may not look at definitions.
        settings.scanning.disabled = True
        settings.background.cancellation_polling = 5
        work.resume()
        memo.loops = [asyncio.create_task(again(work.pods, PODS_SECONDS)), asyncio.create_task(again(work.count_unserved, UNSERVED_SECONDS))]

    async def again(call: Any, pause: float) -> None:
        while True:
            try:
                await threaded(pods, call)
            except Exception:
                LOG.exception("The pods could not be looked at")
            await asyncio.sleep(pause)

    @kopf.daemon(GROUP, VERSION, PLURAL, registry=registry, cancellation_timeout=60)
    async def dataset(stopped: Any, name: str, namespace: str, **_: Any) -> None:
        while not stopped:
            try:
                delay = await threaded(steps, work.step, namespace, name)
                firm = f"{namespace}/{name}" in work.firm
            except Exception:
                LOG.exception("Data set %s/%s", namespace, name)
                metrics.STEP_ERRORS.labels(namespace, name).inc()
                delay, firm = ERROR_SECONDS, True
            await idle(stopped, f"{namespace}/{name}", delay, firm)

    async def idle(stopped: Any, key: str, delay: float, firm: bool) -> None:
        """Wait; where that is not firm, not when the declaration changes, another load is asked for, or pods wait for a look."""
        end = time.monotonic() + delay
        while not stopped and time.monotonic() < end:
            item = work.store.get(key)
            status = (item or {}).get("status") or {}
            if item and not firm and (key in work.engine.wanted or not Dataset.of(item).answered(status)):
                return
            await stopped.wait(min(0.5, max(0.0, end - time.monotonic())))

    @kopf.on.delete(GROUP, VERSION, PLURAL, registry=registry)
    async def removed(body: Any, **_: Any) -> None:
        try:
            await threaded(steps, work.remove, dict(body))
        except (AlluxioError, *ERRORS) as error:
            work.cluster.tell(dict(body), "Warning", "NotUnmounted", f"{error}. It is tried again.")
            raise kopf.TemporaryError(str(error), delay=10) from None
