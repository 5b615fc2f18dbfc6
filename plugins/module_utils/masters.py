"""The masters of a release: which of them leads, what they say of themselves, and pods made in their likeness."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.alnair.alluxio.plugins.module_utils import kube, primacy

try:
    import kubernetes
except ImportError:
    kubernetes = None

# An annotation of the first master's journal claim while the journal is moved: what the next run must know to undo a move that was cut off.
MOVE = "alnair.io/journal-move"
CONTAINER = "alluxio-master"
JOURNAL = "alluxio-journal"
# How a scratch master is told where it is; all else it is told as the release's masters are.
PLACE = ("alluxio.master.journal.type", "alluxio.master.journal.folder", "alluxio.master.embedded.journal.addresses", "alluxio.master.hostname",
         "alluxio.master.rpc.port", "alluxio.master.web.port", "alluxio.master.journal.init.from.backup", "alluxio.master.rpc.addresses")  # fmt: skip


class MastersError(Exception):
    """The masters are not as they must be for what was asked."""


class Leader(NamedTuple):
    """A master that leads.

    Attributes:
        name: Its pod.
        paths: Number of files and directories that it knows.
        workers: Addresses of each worker that it counts as live: its host's, and its container's where that has one of its own.
    """

    name: str
    paths: int
    workers: list[list[str]]


def claim_name(stateful_set: dict[str, Any], index: int) -> str:
    """Return the name of the journal's claim of a master."""
    return f"{JOURNAL}-{stateful_set['metadata']['name']}-{index}"


class Masters:
    """The masters of a release in a cluster."""

    def __init__(self, client: Any, namespace: str, release: str) -> None:
        self.client, self.namespace, self.release = client, namespace, release
        self.core, self.apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
        self.selector = f"release={release},role=alluxio-master"

    def stateful_set(self) -> dict[str, Any]:
        """Return the masters' StatefulSet as the API writes it.

        Raises:
            MastersError: there is none.
        """
        for item in kube.retried(self.apps.list_namespaced_stateful_set, self.namespace, label_selector=f"release={self.release}").items:
            if item.spec.template.metadata.labels.get("role") == "alluxio-master":
                found: dict[str, Any] = self.client.sanitize_for_serialization(item)
                return found
        raise MastersError(f"release {self.release} has no masters in namespace {self.namespace}: deploy it first")

    def move(self) -> dict[str, Any] | None:
        """Return what was remembered of a move of the journal that has not ended; None when there is none.

        The claim is found by its labels: a run may have been cut off while the StatefulSet was being made anew.
        """
        claims = kube.retried(self.core.list_namespaced_persistent_volume_claim, self.namespace, label_selector=self.selector).items
        texts = [(claim.metadata.annotations or {}).get(MOVE) for claim in claims]
        found: dict[str, Any] | None = next((json.loads(text) for text in texts if text), None)
        return found

    def remember_move(self, facts: Mapping[str, Any] | None) -> None:
        """Remember a move of the journal, or forget it."""
        body = {"metadata": {"annotations": {MOVE: json.dumps(facts) if facts else None}}}
        kube.retried(self.core.patch_namespaced_persistent_volume_claim, claim_name(self.stateful_set(), 0), self.namespace, body, missing=None)

    def stop(self, timeout: float) -> None:
        """End all masters and wait until they are gone.

        Raises:
            MastersError: they are not in time.
        """
        name = self.stateful_set()["metadata"]["name"]
        kube.retried(self.apps.patch_namespaced_stateful_set_scale, name, self.namespace, {"spec": {"replicas": 0}})
        deadline = time.monotonic() + timeout
        while left := kube.retried(self.core.list_namespaced_pod, self.namespace, label_selector=self.selector).items:
            if time.monotonic() > deadline:
                where = ", ".join(f"{item.metadata.name} on {item.spec.node_name}" for item in left)
                raise MastersError(f"still there {timeout:.0f} s after they were told to end: {where}. Is the node up?")
            time.sleep(1)

    def pod(self, name: str) -> dict[str, str]:
        """Return how the commands of pods.py name a master's container."""
        return {"name": name, "namespace": self.namespace, "container": CONTAINER}

    def ask(self, name: str, port: int, path: str) -> dict[str, Any] | None:
        """Return what a master answers over its web port, or None when it does not, as standby masters do not."""
        try:
            answer = kube.retried(self.core.connect_get_namespaced_pod_proxy_with_path, f"{name}:{port}", self.namespace, path, seconds=0,
                                  _preload_content=False)  # fmt: skip
            found = json.loads(answer.data)
        except (kubernetes.client.ApiException, kube.ClusterAway, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def leader(self) -> Leader | None:
        """Return the master that leads, with what it says of itself; None when none answers as that."""
        pods = kube.retried(self.core.list_namespaced_pod, self.namespace, label_selector=self.selector).items
        for item in pods:
            ports = {port.name: port.container_port for container in item.spec.containers if container.name == CONTAINER for port in container.ports or []}
            found = self.look(item.metadata.name, ports.get("web", 19999))
            if found:
                return found
        return None

    def look(self, name: str, port: int) -> Leader | None:
        """Return what a master says of itself, or None when it does not lead or does not answer."""
        page, metrics = self.ask(name, port, "api/v1/master/webui_workers"), self.ask(name, port, "metrics/json/")
        try:
            if not page or not metrics or not primacy.leads(metrics["gauges"]):
                return None
            paths = int(metrics["gauges"]["Master.TotalPaths"]["value"])
            # Who does not even count the root has not read its journal yet.
            return Leader(name, paths, [re.findall(r"[^\s()]+", item["host"]) for item in page["normalNodeInfos"]]) if paths else None
        except (KeyError, TypeError):
            return None


def image_of(stateful_set: Mapping[str, Any]) -> str:
    """Return the image of the masters."""
    return str(next(item["image"] for item in stateful_set["spec"]["template"]["spec"]["containers"] if item["name"] == CONTAINER))


def without(options: str, names: tuple[str, ...]) -> str:
    """Return Java options without those that set one of the properties."""
    return " ".join(word for word in options.split() if not word.startswith(tuple(f"-D{name}=" for name in names)))


def likeness(stateful_set: Mapping[str, Any], name: str, image: str, journal: Mapping[str, Any], command: str, environment: Mapping[str, str],
             deadline: int) -> dict[str, Any]:  # fmt: skip
    """Return a pod that has all that a master has, but runs a command of ours with a journal volume of ours.

    Args:
        stateful_set: The masters' StatefulSet.
        name: Name of the pod.
        image: Image, or nothing for that of the masters.
        journal: Source of the journal's volume.
        command: What bash runs in the place of the master.
        environment: Variables that win over those of the masters.
        deadline: Seconds after which Kubernetes ends the pod, whoever has forgotten it.
    """
    template = copy.deepcopy(stateful_set["spec"]["template"]["spec"])
    master = next(item for item in template["containers"] if item["name"] == CONTAINER)
    claims = [item["metadata"]["name"] for item in stateful_set["spec"].get("volumeClaimTemplates") or []]
    for word in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "args"):
        master.pop(word, None)
    master["command"] = ["bash", "-c", command]
    master["image"] = image or master["image"]
    master["env"] = [item for item in master.get("env") or [] if item["name"] not in environment]
    master["env"] += [{"name": key, "value": value} for key, value in environment.items()]
    # It shall find room beside the masters.
    master.setdefault("resources", {})["requests"] = {"cpu": "10m", "memory": "128Mi"}
    volumes = [item for item in template.get("volumes") or [] if item["name"] not in (JOURNAL, *claims)]
    volumes += [{"name": JOURNAL, **journal}, *({"name": claim, "emptyDir": {}} for claim in claims if claim != JOURNAL)]
    first = [item for item in template.get("initContainers") or [] if JOURNAL not in [mount["name"] for mount in item.get("volumeMounts") or []]]
    for word in ("affinity", "topologySpreadConstraints", "hostNetwork", "dnsPolicy", "shareProcessNamespace", "priorityClassName"):
        template.pop(word, None)
    template.update(containers=[master], initContainers=first, volumes=volumes, restartPolicy="Never", activeDeadlineSeconds=deadline,
                    terminationGracePeriodSeconds=1)  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "alnair"}}, "spec": template}


def environment_of(core: Any, namespace: str, stateful_set: Mapping[str, Any]) -> dict[str, str]:
    """Return the Java options that the masters read from ConfigMaps, by the names of their variables."""
    master = next(item for item in stateful_set["spec"]["template"]["spec"]["containers"] if item["name"] == CONTAINER)
    found: dict[str, str] = {}
    for source in master.get("envFrom") or []:
        if source.get("configMapRef"):
            found.update(kube.retried(core.read_namespaced_config_map, source["configMapRef"]["name"], namespace).data or {})
    return {name: value for name, value in found.items() if name in ("ALLUXIO_JAVA_OPTS", "ALLUXIO_MASTER_JAVA_OPTS")}


def create(masters: Masters, body: Mapping[str, Any]) -> None:
    """Create a pod of ours; that it is there already is what an API server left that went away before it had answered."""
    try:
        kube.retried(masters.core.create_namespaced_pod, masters.namespace, body)
    except kubernetes.client.ApiException as error:
        if error.status != 409:
            raise


def running(core: Any, pod: Mapping[str, str], deadline: float) -> None:
    """Wait until a pod runs.

    Raises:
        MastersError: it does not in time, with the reason that Kubernetes gives.
    """
    while True:
        status = kube.retried(core.read_namespaced_pod_status, pod["name"], pod["namespace"]).status
        waiting = [item.state.waiting for item in status.container_statuses or [] if item.state.waiting]
        if status.phase == "Running" and not waiting:
            return
        if status.phase == "Failed" or time.monotonic() > deadline:
            reasons = [item.message for item in status.conditions or [] if item.status == "False" and item.message]
            reasons += [f"{item.reason}: {item.message or ''}" for item in waiting]
            raise MastersError(f"pod {pod['name']} did not start: {'; '.join(reasons) or status.message or status.phase}")
        time.sleep(1)


def gone(core: Any, pod: Mapping[str, str], deadline: float) -> None:
    """Delete a pod and wait until it is gone, or the time is over."""
    while time.monotonic() < deadline:
        if kube.retried(core.delete_namespaced_pod, pod["name"], pod["namespace"], grace_period_seconds=1, missing=None) is None:
            return
        time.sleep(1)
