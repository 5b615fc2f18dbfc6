"""What the operator reads from Kubernetes and writes to it."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import kubernetes
import urllib3

from alnair_operator import datasets, gates, isolation, webhook
from alnair_operator.datasets import GROUP, PLURAL, VERSION, Dataset
from alnair_operator.mounting import MountJob
from alnair_operator.placement import Fuse
from alnair_operator.settings import Settings
from alnair_operator.steps import moment_of

LOG = logging.getLogger(__name__)
TIMEOUT = (3, 20)
PAGE = 500
# A pod whose Secret is missing waits for it until its Job's time is over.
MOUNT_JOB_SECONDS = 180
MOUNT_ACCOUNT = "alnair-dataset-job"
CREDENTIALS = "/credentials"
FUSE_DEVICE = "alluxio-fuse-device"
# Whoever declares a data set that the operator has made for a pod takes it over by another value of this label, or by another spec.
MADE_BY, OWN = "app.kubernetes.io/managed-by", "alnair-operator"
# How long what was made for a pod in vain can be looked at.
FORGET_SECONDS = 3600
Object = dict[str, Any]
# What a call of the API ends in while its server is away, or refuses.
ERRORS = (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError)


class Cluster:
    """The objects of a cluster, or of the namespaces that are watched."""

    def __init__(self, settings: Settings) -> None:
        """Take the rights of the pod, or of a kubeconfig where there is no pod."""
        self.settings = settings
        try:
            kubernetes.config.load_incluster_config()
        except kubernetes.config.ConfigException:
            kubernetes.config.load_kube_config()
        self.client = kubernetes.client.ApiClient()
        self.core, self.batch = kubernetes.client.CoreV1Api(self.client), kubernetes.client.BatchV1Api(self.client)
        self.custom, self.leases = kubernetes.client.CustomObjectsApi(self.client), kubernetes.client.CoordinationV1Api(self.client)
        self.told: dict[tuple[str, str, str], float] = {}
        self.lock = threading.Lock()

    def plain(self, item: Any) -> Object:
        """Return an object as the API's JSON says it."""
        found: Object = self.client.sanitize_for_serialization(item)
        return found

    def pods(self, label: str = "", namespace: str = "") -> Iterator[Object]:
        """Return pods, page by page.

        Args:
            label: A selector.
            namespace: Where; empty for all namespaces that are watched.
        """
        for where in [namespace] if namespace else list(self.settings.watch) or [""]:
            token = ""
            while True:
                # Read as JSON: the client's own objects of all pods, every few seconds, would be most of what this process does.
                options = {"label_selector": label, "limit": PAGE, "_continue": token or None, "_request_timeout": TIMEOUT, "_preload_content": False}
                answer = self.core.list_namespaced_pod(where, **options) if where else self.core.list_pod_for_all_namespaces(**options)
                page = json.loads(answer.data)
                yield from page["items"]
                token = page["metadata"].get("continue") or ""
                if not token:
                    break

    def patch_pod(self, pod: Mapping[str, Any], patch: list[Object]) -> bool:
        """Patch a pod; tells False where it is gone or was changed meanwhile."""
        try:
            self.core.patch_namespaced_pod(pod["metadata"]["name"], pod["metadata"]["namespace"], patch, _request_timeout=TIMEOUT)
        except kubernetes.client.ApiException as error:
            if error.status in (404, 409, 422):
                return False
            raise
        return True

    def write_status(self, dataset: Dataset, before: Mapping[str, Any], after: Mapping[str, Any]) -> Object | None:
        """Write what of a status has changed; returns the object as it is then, or None where nothing has changed or it is gone."""
        change = change_of(before, after)
        if not change:
            return None
        words = GROUP, VERSION, dataset.namespace, PLURAL, dataset.name, {"status": change}
        try:
            found: Object = self.custom.patch_namespaced_custom_object_status(*words, _request_timeout=TIMEOUT)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
            return None
        return found

    def read_dataset(self, namespace: str, name: str) -> Object | None:
        """Return an AlnairDatacache, or None."""
        try:
            found: Object = self.custom.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, _request_timeout=TIMEOUT)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    def declare(self, key: str, source: str) -> None:
        """Make the AlnairDatacache of a folder that a pod asks for, unless it is there."""
        namespace, name = key.split("/", 1)
        meta = {"name": name, "namespace": namespace, "labels": {MADE_BY: OWN}}
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": datasets.KIND, "metadata": meta, "spec": {"source": source}}
        try:
            self.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body, _request_timeout=TIMEOUT)
        except kubernetes.client.ApiException as error:
            if error.status != 409:
                raise

    def forget(self, item: Mapping[str, Any]) -> None:
        """Remove an AlnairDatacache that was made for a pod, unless it has been changed meanwhile."""
        meta = item["metadata"]
        body = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
        try:
            self.custom.delete_namespaced_custom_object(GROUP, VERSION, meta["namespace"], PLURAL, meta["name"], body=body, _request_timeout=TIMEOUT)
        except ERRORS as error:
            LOG.warning("Data set %s could not be removed: %s", meta["name"], error)

    def ask_again(self, key: str, text: str) -> None:
        """Ask for another load of a data set."""
        self.annotate(key, datasets.RELOAD, text)

    def annotate(self, key: str, annotation: str, text: str) -> None:
        """Ask something of a data set by an annotation."""
        namespace, name = key.split("/", 1)
        body = {"metadata": {"annotations": {annotation: text}}}
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, body, _request_timeout=TIMEOUT)

    def tell(self, item: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Make an event of an object; the same is not told again within ten minutes."""
        meta, now = item["metadata"], time.time()
        known = (meta.get("uid") or meta["name"], reason, message)
        with self.lock:
            if now - self.told.get(known, 0) < 600:
                return
            self.told = {key: moment for key, moment in self.told.items() if now - moment < 600}
            self.told[known] = now
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        body = {
            "metadata": {"generateName": f"{meta['name'][:200]}.", "namespace": meta["namespace"]},
            "involvedObject": {"apiVersion": item.get("apiVersion") or "v1", "kind": item.get("kind") or "Pod", "name": meta["name"],
                               "namespace": meta["namespace"], "uid": meta.get("uid")},
            "type": kind, "reason": reason, "message": message[:1000], "source": {"component": "alnair-operator"}, "reportingComponent": "alnair-operator",
            "count": 1, "firstTimestamp": stamp, "lastTimestamp": stamp,
        }  # fmt: skip
        try:
            self.core.create_namespaced_event(meta["namespace"], body, _request_timeout=TIMEOUT)
        except ERRORS as error:
            LOG.warning("The event %s of %s could not be told: %s", reason, meta["name"], error)

    def claims(self, namespace: str, names: set[str]) -> dict[str, str]:
        """Return the host paths of claims, of those that have one."""
        found = {}
        for name in names:
            try:
                claim = self.core.read_namespaced_persistent_volume_claim(name, namespace, _request_timeout=(1, 2))
                if not claim.spec.volume_name:
                    continue
                spec = self.core.read_persistent_volume(claim.spec.volume_name, _request_timeout=(1, 2)).spec
            except kubernetes.client.ApiException as error:
                LOG.info("Claim %s/%s cannot be looked at: %s", namespace, name, error.reason)
                continue
            path = (spec.host_path and spec.host_path.path) or (spec.local and spec.local.path)
            if path:
                found[name] = str(path)
        return found

    def fuse(self) -> Fuse:
        """Return where Alluxio's FUSE mount is: by its own pods, or within the workers."""
        found: dict[str, list[Object]] = {"alluxio-fuse": [], "alluxio-worker": []}
        for pod in self.pods("role in (alluxio-fuse,alluxio-worker)", self.settings.namespace):
            found[pod["metadata"]["labels"]["role"]].append(pod)
        # Of the workers those that mount it themselves: without the device none of them does.
        own = [pod for pod in found["alluxio-worker"] if any(volume["name"] == FUSE_DEVICE for volume in pod["spec"].get("volumes") or [])]
        pods = found["alluxio-fuse"] or own
        ready = {
            pod["spec"].get("nodeName")
            for pod in pods
            if any(item["type"] == "Ready" and item["status"] == "True" for item in (pod.get("status") or {}).get("conditions") or [])
        }
        return Fuse(frozenset(ready - {None}), (pods[0]["spec"].get("nodeSelector") or {}) if pods else {})

    def mount_job(self, dataset: Dataset, ufs: str) -> MountJob:
        """Make the Job that mounts with credentials, or say how far it is."""
        declared = json.dumps([dataset.uid, dataset.generation, dataset.reload, ufs, dataset.path])
        name = f"mount-{dataset.name[:40].strip('-.').replace('.', '-')}-{datasets.mark(dataset.key + declared)}"
        own = self.settings.namespace
        try:
            job = self.plain(self.batch.read_namespaced_job(name, own, _request_timeout=TIMEOUT))
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
            # Two that mount at once would be in each other's way, and the older one has what is declared no more.
            if not self.end_mounts(dataset):
                return MountJob("active", "A Job that mounts what was declared before ends first.")
            try:
                self.batch.create_namespaced_job(own, mount_manifest(name, dataset, ufs, self.settings), _request_timeout=TIMEOUT)
            except kubernetes.client.ApiException as clash:
                if clash.status != 409:
                    raise
            return MountJob("active")
        for condition in (job.get("status") or {}).get("conditions") or []:
            if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
                if condition["type"] == "Complete":
                    return MountJob("done")
                late = f"its Job did not end in {MOUNT_JOB_SECONDS} s; is there a Secret of that name?" if condition.get("reason") == "DeadlineExceeded" else ""
                return MountJob("failed", self.last_words(name) or late or condition.get("message") or "its Job failed")
        return MountJob("active", self.last_words(name))

    def end_mounts(self, dataset: Dataset) -> bool:
        """End the Jobs that mount a data set; tell whether none is left."""
        chosen = f"alnair.io/verb=mount,alnair.io/dataset={dataset.name[:63]},alnair.io/namespace={dataset.namespace}"
        found = self.plain(self.batch.list_namespaced_job(self.settings.namespace, label_selector=chosen, _request_timeout=TIMEOUT))["items"]
        active = [job["metadata"]["name"] for job in found if not (job.get("status") or {}).get("conditions")]
        for name in active:
            with contextlib.suppress(kubernetes.client.ApiException):
                # The Job stays in the list until its pod is gone.
                self.batch.delete_namespaced_job(name, self.settings.namespace, propagation_policy="Foreground", _request_timeout=TIMEOUT)
        return not active

    def last_words(self, job: str) -> str:
        """Return what the pod of a Job said at its end, or what it waits for."""
        said = ""
        for pod in self.pods(f"job-name={job}", self.settings.namespace):
            for status in (pod.get("status") or {}).get("containerStatuses") or []:
                state = status.get("state") or {}
                waiting = state.get("waiting") or {}
                said = (state.get("terminated") or {}).get("message") or waiting.get("message") or said
        return " ".join(said.split())[:500]


def change_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> Object:
    """Return the merge patch that makes one of the other, what lies in its parts included."""
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    inner = {key: change_of(before[key], value) for key, value in changed.items() if isinstance(value, dict) and isinstance(before.get(key), dict)}
    return changed | inner | {key: None for key in before if key not in after}


def mistyped(item: Mapping[str, Any], now: float) -> bool:
    """Tell whether a data set was made for a pod whose folder could not be mounted for a while, and nobody has taken it over."""
    meta, status = item["metadata"], gates.status_of(item)
    made = (meta.get("labels") or {}).get(MADE_BY) == OWN and meta.get("generation") == 1 and not meta.get("deletionTimestamp")
    failed = status.get("phase") == "Failed" and not status.get("mounted") and now - moment_of(status.get("settledAt") or "") > FORGET_SECONDS
    return made and failed


def mount_manifest(name: str, dataset: Dataset, ufs: str, settings: Settings) -> Object:
    """Return the Job that mounts a data set with the credentials of its Secret, which nobody else reads."""
    labels = {
        "app.kubernetes.io/name": "alnair-dataset-job",
        "app.kubernetes.io/managed-by": "alnair",
        "alnair.io/verb": "mount",
        "alnair.io/dataset": dataset.name[:63],
        "alnair.io/namespace": dataset.namespace,
    }
    spec = {"source": dataset.source, "path": dataset.path, "readOnly": dataset.read_only, "options": dict(dataset.options)}
    declared = {"apiVersion": f"{GROUP}/{VERSION}", "kind": datasets.KIND, "metadata": {"name": dataset.name, "namespace": dataset.namespace}, "spec": spec}
    told = {"ALNAIR_NAMESPACE": settings.namespace, "ALNAIR_MASTERS": ",".join(settings.masters), "ALNAIR_JOB_MASTERS": ",".join(settings.job_masters),
            "ALNAIR_USER": settings.user, "ALNAIR_DATASET": json.dumps(declared), "ALNAIR_UFS": ufs}  # fmt: skip
    container = {
        "name": "mount",
        "image": settings.image,
        "args": ["mount", dataset.name],
        "env": [{"name": key, "value": value} for key, value in told.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "768Mi"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "serviceAccountName": MOUNT_ACCOUNT,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "credentials", "secret": {"secretName": dataset.credentials, "defaultMode": 0o440}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": MOUNT_JOB_SECONDS,
            "ttlSecondsAfterFinished": 600,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def version_of(item: Mapping[str, Any] | None) -> int:
    """Return what grows with each change of an object; 0 where there is none."""
    text = ((item or {}).get("metadata") or {}).get("resourceVersion") or ""
    return int(text) if text.isdigit() else 0


class Store:
    """All data sets as they are now, kept by a list and a watch; each replica has one, since each answers the webhook."""

    def __init__(self, cluster: Cluster) -> None:
        """Begin with nothing."""
        self.cluster, self.items, self.lock = cluster, dict[str, Object](), threading.Lock()
        self.filled: set[str] = set()

    @property
    def ready(self) -> bool:
        """Tell whether all namespaces have been listed."""
        return len(self.filled) == max(1, len(self.cluster.settings.watch))

    def start(self) -> None:
        """Keep it in threads of its own."""
        for where in list(self.cluster.settings.watch) or [""]:
            threading.Thread(target=self.keep, args=(where,), name=f"watch-{where or 'all'}", daemon=True).start()

    def keep(self, where: str) -> None:
        """List and watch, again and again."""
        while True:
            try:
                version = self.fill(where)
                self.follow(where, version)
            except Exception:
                LOG.exception("The data sets cannot be watched")
                time.sleep(3)

    def fill(self, where: str) -> str:
        """List a namespace, or all; returns the version from which to watch."""
        api = self.cluster.custom
        if where:
            found = api.list_namespaced_custom_object(GROUP, VERSION, where, PLURAL, _request_timeout=TIMEOUT)
        else:
            found = api.list_cluster_custom_object(GROUP, VERSION, PLURAL, _request_timeout=TIMEOUT)
        items = {f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in found["items"]}
        with self.lock:
            others = {key: item for key, item in self.items.items() if where and not key.startswith(f"{where}/")}
            self.items = others | items
            self.filled.add(where)
        return str(found["metadata"]["resourceVersion"])

    def follow(self, where: str, version: str) -> None:
        """Watch until the server ends it."""
        api = self.cluster.custom
        # A watch of its own for each connection: it keeps state.
        watch = kubernetes.watch.Watch()
        options = {"resource_version": version, "timeout_seconds": 240, "_request_timeout": (3, 300)}
        if where:
            events = watch.stream(api.list_namespaced_custom_object, GROUP, VERSION, where, PLURAL, **options)
        else:
            events = watch.stream(api.list_cluster_custom_object, GROUP, VERSION, PLURAL, **options)
        for event in events:
            item = event["object"]
            if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
                return
            key = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            with self.lock:
                if event["type"] == "DELETED":
                    self.items.pop(key, None)
                # What was written here meanwhile is newer than what the watch tells of before.
                elif version_of(item) >= version_of(self.items.get(key)):
                    self.items[key] = item

    def put(self, item: Object) -> None:
        """Take an object over that was just written, before the watch tells of it."""
        key = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        with self.lock:
            if key in self.items and version_of(item) >= version_of(self.items[key]):
                self.items[key] = item

    def all(self) -> dict[str, Object]:
        """Return all objects, by namespace/name."""
        with self.lock:
            return dict(self.items)

    def get(self, key: str) -> Object | None:
        """Return an object."""
        with self.lock:
            return self.items.get(key)

    def known(self) -> list[webhook.Known]:
        """Return the data sets as the webhook takes them, without those that are being deleted or that their namespaces may not have."""
        live = [item for item in self.all().values() if not item["metadata"].get("deletionTimestamp")]
        said = [(Dataset.of(item), gates.status_of(item)) for item in live]
        had = [(dataset, status) for dataset, status in said if not isolation.refusal(dataset, self.cluster.settings)]
        return [webhook.Known(dataset, status.get("phase") or "", status.get("message") or "") for dataset, status in had]
