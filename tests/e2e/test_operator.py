"""Training that asks for the cache by an annotation: the seed's pod unchanged, whatever makes pods, and many at once."""

from __future__ import annotations

import re
import time
from typing import Any

import kubernetes
import pytest
import s3
import yaml
from caching import (
    IMAGE,
    NAMESPACE,
    ROOT,
    SUMS,
    Objects,
    Pods,
    everywhere,
    folder,
    from_cache,
    gates,
    metrics,
    numbered,
    pod,
    put,
    read_by_workers,
    served_from,
    sums_in,
    until,
)  # fmt: skip
from reading import MOUNT, nodes

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
SEED = "/mnt/fuse3/alluxio-journal/datasets"


def test_the_pod_of_the_seed_runs_unchanged_and_reads_from_the_cache(objects: Objects, team: Pods, core: Any, forget: None) -> None:
    sums = folder("cifar10", numbered(12), root=SEED)
    # As it stands there, but for the node's name and the image.
    wanted = yaml.safe_load(f"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: alluxio-cifar10
          annotations:
            cacheDataset: "yes"
        spec:
          nodeName: {next(iter(nodes()))}
          containers:
          - name: main
            image: {IMAGE}
            command: ["bash", "-c", "{SUMS.replace("/data", "/alluxio-cifar10/data")}"]
            securityContext:
              privileged: true
            volumeMounts:
            - mountPath: /alluxio-cifar10/data
              name: dataset-mount
          volumes:
          - name: dataset-mount
            hostPath:
                path: {SEED}/cifar10
                type: Directory
          restartPolicy: OnFailure
    """)
    before = read_by_workers(core)
    made = team.start(wanted)
    assert (made.metadata.name, [path.startswith(MOUNT) for path in served_from(made)]) == ("alluxio-cifar10", [True])
    assert [mount.mount_propagation for mount in made.spec.containers[0].volume_mounts if mount.name == "dataset-mount"] == ["HostToContainer"]
    assert made.spec.init_containers, "a pod with a node's name is held by an init container"
    ended = team.ended("alluxio-cifar10")
    # Neither deleted nor made anew nor renamed.
    assert ended.metadata.uid == made.metadata.uid
    assert [item.metadata.name for item in core.list_namespaced_pod(team.namespace).items] == ["alluxio-cifar10"]
    assert sums_in(team.log("alluxio-cifar10")) == sums
    # Workers' and clients' metrics come each ten seconds or so.
    size = len(sums) * 100_000
    until("Alluxio's metrics tell of the reading", lambda: read_by_workers(core)[0] - before[0] >= size, 60, 2)
    # The same once more, after the load: nothing comes from under the storage.
    wanted["metadata"]["name"] = "alluxio-cifar10-again"
    with from_cache(core, size):
        team.start(wanted)
        team.ended("alluxio-cifar10-again")
    assert sums_in(team.log("alluxio-cifar10-again")) == sums


def test_a_pod_waits_at_its_gate_until_all_is_loaded(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    sums = put(store, "gated", numbered(60), size=200_000)
    objects.stored("gated", store, preload="metadata")
    objects.reach("gated", "Complete")
    with store.narrow("16mbit"):
        objects.change("gated", preload="all")
        made = team.start(pod("trainer", {"/data": f"{ROOT}/gated"}, SUMS))
        assert gates(made) == ["alnair.io/dataset"]
        assert made.metadata.annotations["alnair.io/datasets"].split(",") in (["gated"], [f"{NAMESPACE}/gated"])
        assert f"{ROOT}/gated" in made.metadata.annotations["alnair.io/original"]
        until("it is loading", lambda: objects.status("gated").get("phase") == "Loading", 60)
        assert gates(team.read("trainer"))
        objects.reach("gated", "Complete")
    loaded = time.monotonic()
    until("the gate is lifted", lambda: not gates(team.read("trainer")), 30)
    assert time.monotonic() - loaded < 30
    store.reads(forget=True)
    ended = team.ended("trainer")
    assert sums_in(team.log("trainer")) == sums
    # Not one byte came from the source.
    assert not [path for path in store.reads() if "/gated/class" in path]
    assert ended.metadata.uid == made.metadata.uid
    assert team.events("trainer"), "its events tell how far it is"


def workload(kind: str, name: str, path: str, *, on_itself: bool) -> dict[str, Any]:
    """Return an object that makes a pod with a data set, with the annotation on itself or on its template."""
    note = {"annotations": {"cacheDataset": "yes"}}
    inner = pod(name, {"/data": path}, "sleep 300", cached=False)["spec"]
    batch = kind in ("Job", "CronJob")
    inner["restartPolicy"] = "Never" if batch else "Always"
    template: dict[str, Any] = {"metadata": {"labels": {"app": name}, **({} if on_itself else note)}, "spec": inner}
    spec: dict[str, Any] = {"template": template}
    if not batch:
        spec["selector"] = {"matchLabels": {"app": name}}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    if kind == "CronJob":
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
    return {"apiVersion": "batch/v1" if batch else "apps/v1", "kind": kind, "metadata": {"name": name, **(note if on_itself else {})}, "spec": spec}


@pytest.mark.parametrize("on_itself", [True, False], ids=["on itself", "on its template"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "CronJob"])
def test_whatever_makes_pods_may_carry_the_annotation(objects: Objects, team: Pods, core: Any, kind: str, on_itself: bool) -> None:
    # What is mounted anew at a path of before waits for two minutes.
    name = f"from-{kind.lower()}-{'itself' if on_itself else 'template'}"
    folder(name, numbered(3))
    objects.make(name, f"{ROOT}/{name}")
    objects.reach(name, "Complete")
    apps, batch = kubernetes.client.AppsV1Api(core.api_client), kubernetes.client.BatchV1Api(core.api_client)
    create = {"Deployment": apps.create_namespaced_deployment, "StatefulSet": apps.create_namespaced_stateful_set, "Job": batch.create_namespaced_job,
              "CronJob": batch.create_namespaced_cron_job}[kind]  # fmt: skip
    create(team.namespace, workload(kind, name, f"{ROOT}/{name}", on_itself=on_itself))
    found = until("it has a pod that runs", lambda: [item for item in core.list_namespaced_pod(team.namespace).items if item.status.phase == "Running"], 150)
    assert [path for item in found for path in served_from(item)] == [f"{MOUNT}/datasets/{name}"] * len(found)


def test_pods_without_the_annotation_are_left_alone(objects: Objects, team: Pods) -> None:
    folder("plain", numbered(2))
    made = team.start(pod("plain", {"/data": f"{ROOT}/plain"}, SUMS, cached=False))
    assert (served_from(made), gates(made), made.spec.init_containers) == ([f"{ROOT}/plain"], [], None)
    assert not [key for key in made.metadata.annotations or {} if key.startswith("alnair.io/")]


def test_an_annotated_pod_without_data_sets_starts_at_once(team: Pods) -> None:
    made = team.start(pod("bare", {}, "true"))
    # Nothing holds it, so its end is not bounded by more than what a pod takes here.
    assert (gates(made), made.spec.init_containers) == ([], None)
    team.ended("bare", 60)


def test_two_hundred_pods_on_twenty_data_sets_load_each_once(objects: Objects, store: s3.Endpoint, team: Pods, core: Any) -> None:
    names = [f"crowd-{number}" for number in range(20)]
    sums = {name: put(store, name, numbered(6), size=20_000) for name in names}
    store.reads(forget=True)
    for number in range(200):
        if number < 20:
            # While others ask already.
            objects.stored(names[number], store)
        team.start(pod(f"trainer-{number}", {"/data": f"{ROOT}/{names[number % 20]}"}, "sleep 0"))
    for name in names:
        objects.reach(name, "Complete", seconds=400)
    until("all gates are lifted", lambda: not [item for item in core.list_namespaced_pod(team.namespace).items if gates(item)], 120, 2)
    paths = {path: count for path, count in store.reads().items() if re.search(r"/crowd-\d+/class", path)}
    assert len(paths) == sum(map(len, sums.values()))
    assert set(paths.values()) == {1}, {path: count for path, count in paths.items() if count > 1}
    assert sum(item["metadata"]["name"].startswith("crowd-") for item in everywhere(objects)) == 20


def test_progress_is_told_by_status_columns_and_metrics(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    put(store, "telling", numbered(10))
    objects.stored("telling", store)
    status = objects.reach("telling", "Complete")
    assert status["size"] and status["loadedAt"]
    ready = [condition for condition in status["conditions"] if condition["type"] == "Ready"]
    assert [condition["status"] for condition in ready] == ["True"]
    extensions = kubernetes.client.ApiextensionsV1Api(core.api_client)
    kind = extensions.read_custom_resource_definition("alnairdatacaches.centaurusinfra.com")
    names = [column.name for column in kind.spec.versions[0].additional_printer_columns if not column.priority]
    assert names == ["Phase", "Cached", "Size", "Age"]
    assert kind.spec.names.short_names == ["adc"]
    assert re.search(r"^alnair_\w+\{[^}]*telling[^}]*\} ", metrics(core), re.MULTILINE)
    assert [item for item in core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=telling").items]
