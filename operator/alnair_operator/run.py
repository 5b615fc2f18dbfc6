"""The operator's process: servers in each replica, the handlers in the one that leads."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import threading
import time

import kopf

from alnair_operator import handlers, metrics
from alnair_operator.admission import Admission, plain_routes
from alnair_operator.alluxio import Alluxio
from alnair_operator.cluster import ERRORS, Cluster, Store, mistyped
from alnair_operator.datasets import Dataset
from alnair_operator.isolation import Guarded
from alnair_operator.jvm import HOME
from alnair_operator.leading import RENEW_SECONDS, Leader
from alnair_operator.server import TLS, Certificate, Server
from alnair_operator.settings import Settings
from alnair_operator.unmounted import Unmounted

LOG = logging.getLogger(__name__)
TIDY_SECONDS = 60


def run(settings: Settings) -> int:
    """Serve, wait until this replica leads, and act; returns the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    cluster = Cluster(settings)
    store, leader = Store(cluster), Leader(cluster, f"{socket.gethostname()}_{os.getpid()}_{int(time.time())}")
    stop = threading.Event()
    for word in (signal.SIGTERM, signal.SIGINT):
        signal.signal(word, lambda *_: stop.set())
    store.start()
    Server(settings.metrics_port, plain_routes(store, settings, lambda: "" if store.ready else "the data sets have not been listed yet")).start()
    while not store.ready and not stop.wait(0.2):
        pass
    certificate = Certificate(os.environ.get("ALNAIR_TLS") or TLS)
    certificate.keep()
    admission = Admission(cluster, store, settings)
    Server(settings.webhook_port, {"/mutate": admission.review}, certificate.context).start()
    LOG.info("The webhook is served on port %d", settings.webhook_port)
    # Before it leads: a JVM that starts may keep all other threads of this process waiting, and a Lease that nobody renews goes to another replica.
    alluxio = Alluxio(settings.masters, settings.job_masters, settings.user, os.environ.get("ALLUXIO_HOME") or HOME)
    if wait_to_lead(leader, stop):
        act(settings, cluster, store, alluxio, leader, stop)
    leader.give_up()
    return 0


def wait_to_lead(leader: Leader, stop: threading.Event) -> bool:
    """Wait until this replica leads; tells False when it is told to end before."""
    metrics.LEADER.set(0)
    while not stop.is_set():
        try:
            if leader.acquire():
                metrics.LEADER.set(1)
                LOG.info("This replica leads")
                return True
        except ERRORS as error:
            LOG.warning("The Lease cannot be read: %s", error)
        stop.wait(RENEW_SECONDS / 2)
    return False


def act(settings: Settings, cluster: Cluster, store: Store, alluxio: Alluxio, leader: Leader, stop: threading.Event) -> None:
    """Run the handlers while this replica leads; a process that loses the Lease ends, and its container begins anew."""
    registry = kopf.OperatorRegistry()
    claims, unmounted = functools.partial(claims_of, cluster), Unmounted(cluster, settings.remount_seconds)
    engine = Guarded(settings, alluxio, cluster.mount_job, cluster.end_mounts, claims, unmounted)
    handlers.register(registry, handlers.Work(cluster, store, engine, settings))

    def renew() -> None:
        while not stop.wait(RENEW_SECONDS):
            try:
                leader.acquire()
            except ERRORS as error:
                LOG.warning("The Lease could not be renewed: %s", error)
            end_unless_leading(leader)

    def tidy() -> None:
        while not stop.wait(TIDY_SECONDS):
            for item in store.all().values():
                if mistyped(item, time.time()):
                    cluster.forget(item)

    # It may have stood still since it took the Lease, on a node that has no time for it.
    end_unless_leading(leader)
    threading.Thread(target=renew, name="lease", daemon=True).start()
    threading.Thread(target=tidy, name="tidy", daemon=True).start()

    async def main() -> None:
        flag = asyncio.Event()

        def watch() -> None:
            stop.wait()
            loop.call_soon_threadsafe(flag.set)

        loop = asyncio.get_running_loop()
        threading.Thread(target=watch, name="stop", daemon=True).start()
        await kopf.operator(registry=registry, standalone=True, clusterwide=not settings.watch, namespaces=settings.watch, stop_flag=flag)

    code = 1
    try:
        asyncio.run(main())
        code = 0
    except Exception:
        LOG.exception("The handlers ended")
    finally:
        leader.give_up()
        # Threads that wait for Alluxio would hold the process; what they do is taken up by the next one.
        os._exit(code)


def end_unless_leading(leader: Leader) -> None:
    """End this process where another replica may act by now: nothing of this one may go on then, not even what waits for Alluxio."""
    if not leader.leads:
        LOG.error("The Lease is lost; this process ends")
        os._exit(3)


def claims_of(cluster: Cluster, dataset: Dataset) -> dict[str, str]:
    """Return the host path of the claim that a data set's source names."""
    return cluster.claims(dataset.namespace, {dataset.source.removeprefix("pvc://")}) if dataset.source.startswith("pvc://") else {}
