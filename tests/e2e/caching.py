"""Data sets on the lab as objects of the cluster, pods that use them, and what of them is known without asking the operator."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import kubernetes
import s3
from reading import HOME, MOUNT, nodes, pod_log, ssh

NAMESPACE, BUCKET, SECRET = "alluxio", "e2e", "e2e-store"
IMAGE = "localhost/alnair-client:1"
# Where pods look for data sets, as the documentation's examples do; all nodes of the lab see the same there.
ROOT = "/mnt/fuse3/datasets"
ENDED = ("Complete", "Incomplete", "Failed", "TooLarge")
OPERATOR = "app.kubernetes.io/name=alnair-operator"
# Prints the checksums of all files that a pod finds.
SUMS = "cd /data && find . -type f -exec md5sum {} +"
# A line of `alluxio fs ls -R` of a file: mode, owner and group, which objects of a bucket lack, size, state, date, time, share in the cache, path.
LINE = re.compile(r"^-\S+\s+(?:\S+\s+){0,2}?(\d+)\s+[A-Z_]+\s+\S+\s+\S+\s+(\d+)%\s+(/.*)$")
Spec = dict[str, Any]


def until(what: str, found: Callable[[], Any], seconds: float = 120, pause: float = 0.5) -> Any:
    """Ask until the answer is true and return it; fail with what was waited for and the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}; the last answer was {answer!r}"
        time.sleep(pause)
    return answer


class Objects:
    """AlnairDatacaches of the lab.

    Args:
        kubeconfig: How the cluster is reached.
    """

    def __init__(self, kubeconfig: str) -> None:
        self.api = kubernetes.client.CustomObjectsApi(kubernetes.config.new_client_from_config(kubeconfig))
        self.made: list[tuple[str, str]] = []

    def where(self, namespace: str) -> tuple[str, str, str, str]:
        """Return the words that the API wants for data sets of a namespace."""
        return "centaurusinfra.com", "v1", namespace, "alnairdatacaches"

    def make(self, name: str, source: str, namespace: str = NAMESPACE, **spec: Any) -> None:
        """Declare a data set."""
        body = {"apiVersion": "centaurusinfra.com/v1", "kind": "AlnairDatacache", "metadata": {"name": name}, "spec": {"source": source, **spec}}
        self.api.create_namespaced_custom_object(*self.where(namespace), body)
        self.made.append((namespace, name))

    def stored(self, name: str, store: s3.Endpoint, prefix: str = "", **spec: Any) -> None:
        """Declare a data set of the store's bucket."""
        self.make(name, f"s3://{BUCKET}/{prefix or name}", **{"credentials": SECRET, "options": store.options, **spec})

    def read(self, name: str, namespace: str = NAMESPACE) -> Spec:
        """Return a data set."""
        return self.api.get_namespaced_custom_object(*self.where(namespace), name)

    def list(self, namespace: str = NAMESPACE) -> list[Spec]:
        """Return the data sets of a namespace."""
        return self.api.list_namespaced_custom_object(*self.where(namespace))["items"]

    def status(self, name: str, namespace: str = NAMESPACE) -> Spec:
        """Return the status of a data set."""
        return self.read(name, namespace).get("status") or {}

    def change(self, name: str, **spec: Any) -> None:
        """Change a data set's spec."""
        self.api.patch_namespaced_custom_object(*self.where(NAMESPACE), name, {"spec": spec})

    def reload(self, name: str) -> None:
        """Ask for another sync and load."""
        self.annotate(name, "alnair.io/reload", str(time.time()))

    def annotate(self, name: str, annotation: str, text: str) -> None:
        """Ask something of the operator by an annotation of a data set."""
        self.api.patch_namespaced_custom_object(*self.where(NAMESPACE), name, {"metadata": {"annotations": {annotation: text}}})

    def reach(self, name: str, *phases: str, seconds: float = 180, namespace: str = NAMESPACE) -> Spec:
        """Wait until a data set, as it is declared now, is in one of the phases; return its status."""

        def there() -> Spec | None:
            item = self.read(name, namespace)
            status = item.get("status") or {}
            current = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
            assert not (current and status.get("phase") in ENDED and status["phase"] not in phases), f"{name}: {status}"
            return status if current and status.get("phase") in phases else None

        return until(f"{name} is {' or '.join(phases)}", there, seconds)

    def remove(self, name: str, namespace: str = NAMESPACE, seconds: float = 120) -> None:
        """Remove a data set and wait until it is gone."""
        try:
            self.api.delete_namespaced_custom_object(*self.where(namespace), name)
        except kubernetes.client.ApiException as error:
            assert error.status == 404, error
        until(f"{name} is gone", lambda: name not in [item["metadata"]["name"] for item in self.list(namespace)], seconds)

    def end(self) -> None:
        """Remove what was made."""
        for namespace, name in self.made:
            self.remove(name, namespace)


def put(store: s3.Endpoint, prefix: str, names: Iterable[str], size: int = 100_000) -> dict[str, str]:
    """Put files of random content into the bucket; return their MD5 by name."""
    sums = {}
    for name in names:
        content = os.urandom(size)
        store.door.put(BUCKET, f"{prefix}/{name}", content)
        sums[name] = hashlib.md5(content).hexdigest()
    return sums


def numbered(count: int) -> list[str]:
    """Return names of so many files in some folders."""
    return [f"class {number % 3}/{number:04}.jpg" for number in range(count)]


def shares(execute: Callable[..., str], path: str) -> dict[str, int]:
    """Return what percentage of each file below a path the cache holds, as Alluxio's own shell tells it."""
    listing = execute("alluxio-master-0", f"alluxio fs ls -R {shlex.quote(path)}", "alluxio-master")
    return {found[3].removeprefix(path).lstrip("/"): int(found[2]) for line in listing.splitlines() if (found := LINE.match(line))}


def on_node(line: str, node: str = "") -> str:
    """Run a shell line on a worker's node as root; on the first one where none is named."""
    address = nodes()[node] if node else next(iter(nodes().values()))
    done = subprocess.run(ssh(address, line), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


def fuse_sums(path: str, node: str = "", *, cold: bool = True) -> dict[str, str]:
    """Return the MD5 of each file below a path as a node reads them through FUSE, with nothing in the kernel's caches unless told otherwise."""
    drop = "echo 3 > /proc/sys/vm/drop_caches; " if cold else ""
    lines = on_node(f"{drop}cd {shlex.quote(MOUNT + path)} && find . -type f -exec md5sum {{}} +", node).splitlines()
    return {line[34:].removeprefix("./"): line[:32] for line in lines}


def folder(name: str, names: Iterable[str], size: int = 100_000, root: str = ROOT) -> dict[str, str]:
    """Make a data set in a folder that all nodes see; return the MD5 of its files by name."""
    quoted, files = shlex.quote(f"{root}/{name}"), " ".join(shlex.quote(file) for file in names)
    line = (f"rm -rf {quoted}; mkdir -p {quoted} && cd {quoted} && "
            f"for f in {files}; do mkdir -p \"$(dirname \"$f\")\" && head -c {size} /dev/urandom > \"$f\"; done; "
            "chown -R 1000:1000 . && find . -type f -exec md5sum {} +")  # fmt: skip
    return {found[34:].removeprefix("./"): found[:32] for found in on_node(line).splitlines()}


def runner(*words: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the runner as a user's shell would."""
    command = [sys.executable, str(HOME / "alnair_runner.py"), *words]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False, timeout=seconds)


def read_by_workers(core: Any) -> tuple[float, float]:
    """Return the bytes that clients have read from workers until now, and those that workers have read from under the storage, as Alluxio counts them."""
    total = [0.0, 0.0]
    for role in ("worker", "fuse"):
        for pod in core.list_namespaced_pod(NAMESPACE, label_selector=f"app=alluxio,role=alluxio-{role}").items:
            ports = [port.container_port for item in pod.spec.containers for port in item.ports or [] if port.name == "web"]
            name = f"{pod.metadata.name}:{ports[0]}"
            answer = core.connect_get_namespaced_pod_proxy_with_path(name, NAMESPACE, "metrics/prometheus/", _preload_content=False)
            for line in answer.data.decode().splitlines():
                # Alluxio appends its process's name.
                if re.match(r"(Worker|Client)_BytesRead(Local|Domain|Direct|Remote)(_\w+)? ", line):
                    total[0] += float(line.rsplit(" ", 1)[1])
                elif line.startswith("Worker_BytesReadPerUfs"):
                    total[1] += float(line.rsplit(" ", 1)[1])
    return total[0], total[1]


@contextlib.contextmanager
def from_cache(core: Any, size: int) -> Iterator[None]:
    """See that at least so many bytes that are read meanwhile come from workers, which read none from under the storage; no kernel has any of them before."""
    for node in nodes():
        on_node("echo 3 > /proc/sys/vm/drop_caches", node)
    # Workers' and clients' metrics come each ten seconds or so: what was read before does not count.
    time.sleep(12)
    before = read_by_workers(core)
    yield
    until("Alluxio's metrics tell of the reading", lambda: read_by_workers(core)[0] - before[0] >= size, 60, 2)
    assert read_by_workers(core)[1] == before[1], "workers have read from under the storage"


def printed(core: Any) -> list[str]:
    """Return what all containers of the release's namespace have printed until now."""
    found = []
    for item in core.list_namespaced_pod(NAMESPACE).items:
        for container in item.spec.containers:
            # One that has not started yet has printed nothing.
            with contextlib.suppress(kubernetes.client.ApiException):
                found.append(pod_log(core, item.metadata.name, NAMESPACE, container=container.name))
    return found


def pod(name: str, paths: dict[str, str], line: str, *, cached: bool = True, node: str = "", annotations: dict[str, str] | None = None) -> Spec:
    """Return a pod as a user writes it.

    Args:
        name: Its name.
        paths: Host paths by where the container has them.
        line: What it runs.
        cached: Whether it has the annotation that asks for the cache.
        node: Its nodeName.
        annotations: More annotations.
    """
    notes = {**({"cacheDataset": "yes"} if cached else {}), **(annotations or {})}
    mounts = [{"name": f"data-{number}", "mountPath": path} for number, path in enumerate(paths)]
    volumes = [{"name": f"data-{number}", "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for number, path in enumerate(paths.values())]
    container = {"name": "main", "image": IMAGE, "command": ["bash", "-c", line], "volumeMounts": mounts}
    spec = {"containers": [container], "volumes": volumes, "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **({"nodeName": node} if node else {})}
    return {"metadata": {"name": name, "annotations": notes}, "spec": spec}


class Pods:
    """Pods of a namespace of their own, which goes after the test."""

    def __init__(self, core: Any, namespace: str) -> None:
        self.core, self.namespace = core, namespace

    def start(self, wanted: Spec) -> Any:
        """Create a pod and return it as the cluster has it."""
        return self.core.create_namespaced_pod(self.namespace, wanted)

    def read(self, name: str) -> Any:
        """Return a pod."""
        return self.core.read_namespaced_pod(name, self.namespace)

    def ended(self, name: str, seconds: float = 180) -> Any:
        """Wait until a pod has ended well and return it."""
        until(f"pod {name} has ended", lambda: self.read(name).status.phase in ("Succeeded", "Failed"), seconds)
        found = self.read(name)
        assert found.status.phase == "Succeeded", (found.status.to_dict(), self.log(name))
        return found

    def log(self, name: str) -> str:
        """Return what a pod has said."""
        return pod_log(self.core, name, self.namespace, container="main")

    def events(self, name: str) -> list[str]:
        """Return the events of a pod as type, reason and message."""
        found = self.core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}").items
        return [f"{item.type} {item.reason} {item.message}" for item in found]


def namespace(core: Any, name: str) -> Iterator[Pods]:
    """A namespace for the time of a test."""
    core.create_namespace({"metadata": {"name": name}})
    yield Pods(core, name)
    core.delete_namespace(name)
    until(f"namespace {name} is gone", lambda: name not in [item.metadata.name for item in core.list_namespace().items], 120)


def everywhere(objects: Objects) -> list[Any]:
    """Return the data sets of all namespaces."""
    return objects.api.list_cluster_custom_object("centaurusinfra.com", "v1", "alnairdatacaches")["items"]


def sums_in(text: str) -> dict[str, str]:
    """Return the checksums that a pod printed, by name."""
    return {line[34:].removeprefix("./"): line[:32] for line in text.splitlines() if re.match(r"[0-9a-f]{32}  ", line)}


def served_from(found: Any) -> list[str]:
    """Return the host paths of a pod's volumes."""
    return [volume.host_path.path for volume in found.spec.volumes if volume.host_path]


def gates(found: Any) -> list[str]:
    """Return the names of a pod's scheduling gates."""
    return [gate.name for gate in found.spec.scheduling_gates or []]


def operator_pods(core: Any) -> list[Any]:
    """Return the operator's replicas."""
    found = core.list_namespaced_pod(NAMESPACE, label_selector=OPERATOR).items
    return [item for item in found if item.metadata.owner_references and item.metadata.owner_references[0].kind == "ReplicaSet"]


def kill_operator(core: Any) -> None:
    """Kill all replicas of the operator at once, with no time to end in order."""
    for item in operator_pods(core):
        try:
            core.delete_namespaced_pod(item.metadata.name, NAMESPACE, grace_period_seconds=0)
        except kubernetes.client.ApiException as error:
            assert error.status == 404, error


def shoot_operator(core: Any) -> None:
    """Kill all replicas of the operator by a signal that no process can answer; new ones come at once, with no pause for a container that ended."""
    hosts = {**nodes("alluxio_masters"), **nodes()}
    shots = [subprocess.Popen(ssh(address, "pkill -KILL -f '[a]lnair_operator run'; true")) for address in hosts.values()]
    assert [shot.wait(60) for shot in shots] == [0] * len(hosts)
    kill_operator(core)


def leader(core: Any) -> str:
    """Return the name of the replica that holds the operator's Lease."""
    leases = kubernetes.client.CoordinationV1Api(core.api_client)
    return str(leases.read_namespaced_lease("alnair-operator", NAMESPACE).spec.holder_identity).partition("_")[0]


def shoot_replica(core: Any, name: str) -> None:
    """Kill one replica of the operator by a signal that no process can answer, so that it does not give its Lease back, and take its pod away."""
    hosts = {**nodes("alluxio_masters"), **nodes()}
    # The process whose host has the pod's name.
    line = ("for process in $(pgrep -f '[a]lnair_operator run'); do "
            f'if [ "$(nsenter --target $process --uts hostname)" = {name} ]; then kill -KILL $process && echo shot; fi; done')  # fmt: skip
    shot = subprocess.run(ssh(hosts[core.read_namespaced_pod(name, NAMESPACE).spec.node_name], line), capture_output=True, text=True, check=False)
    assert shot.stdout == "shot\n", shot
    core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)


def mounted(execute: Callable[..., str]) -> dict[str, str]:
    """Return what Alluxio's own shell tells of mounts: sources by their paths."""
    said = execute("alluxio-master-0", "alluxio fs mount", "alluxio-master")
    return {found[2]: found[1] for line in said.splitlines() if (found := re.match(r"(\S.*?)\s+on\s+(/.*?)\s+\(", line))}


def scale_operator(core: Any, replicas: int) -> None:
    """Run so many replicas of the operator, and wait until that is so."""
    apps = kubernetes.client.AppsV1Api(core.api_client)
    apps.patch_namespaced_deployment_scale("alnair-operator", NAMESPACE, {"spec": {"replicas": replicas}})

    def there() -> bool:
        found = operator_pods(core)
        return len(found) == replicas and all(item.status.container_statuses and item.status.container_statuses[0].ready for item in found)

    until(f"{replicas} replicas run", there, 180)


def metrics(core: Any) -> str:
    """Return the metrics of all replicas of the operator."""
    answers = [core.connect_get_namespaced_pod_proxy_with_path(f"{item.metadata.name}:8002", NAMESPACE, "metrics", _preload_content=False)
               for item in operator_pods(core)]  # fmt: skip
    return "\n".join(answer.data.decode() for answer in answers)
