"""Training that asks for the cache by an annotation: the seed's pod unchanged, whatever makes pods, who may use what, and what happens without the operator."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
import s3
import yaml
from caching import (
    IMAGE,
    NAMESPACE,
    ROOT,
    Objects,
    Pods,
    folder,
    fuse_sums,
    gates,
    kill_operator,
    numbered,
    on_node,
    operator_pods,
    pod,
    put,
    read_by_workers,
    until,
)  # fmt: skip
from conftest import HOME
from reading import MOUNT, nodes

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
TEAM = "e2e-team"
SEED = "/mnt/fuse3/alluxio-journal/datasets"
# Prints the checksums of all files that it finds.
SUMS = "cd /data && find . -type f -exec md5sum {} +"


@pytest.fixture
def team(core: Any, served: Alnair) -> Iterator[Pods]:
    """A namespace for pods, with nothing in it."""
    yield from namespace(core, TEAM)


def namespace(core: Any, name: str) -> Iterator[Pods]:
    """A namespace for the time of a test."""
    core.create_namespace({"metadata": {"name": name}})
    yield Pods(core, name)
    core.delete_namespace(name)
    until(f"namespace {name} is gone", lambda: name not in [item.metadata.name for item in core.list_namespace().items], 120)


@pytest.fixture
def forget(objects: Objects) -> Iterator[None]:
    """Removes the data sets that the operator declares for folders by itself."""
    before = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in everywhere(objects)}
    yield
    objects.made += [key for item in everywhere(objects) if (key := (item["metadata"]["namespace"], item["metadata"]["name"])) not in before]


def everywhere(objects: Objects) -> list[Any]:
    """Return the data sets of all namespaces."""
    return objects.api.list_cluster_custom_object("centaurusinfra.com", "v1", "alnairdatacaches")["items"]


def sums_in(text: str) -> dict[str, str]:
    """Return the checksums that a pod printed, by name."""
    return {line[34:].removeprefix("./"): line[:32] for line in text.splitlines() if re.match(r"[0-9a-f]{32}  ", line)}


def served_from(found: Any) -> list[str]:
    """Return the host paths of a pod's volumes."""
    return [volume.host_path.path for volume in found.spec.volumes if volume.host_path]


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
            command: ["bash", "-c", "{SUMS.replace('/data', '/alluxio-cifar10/data')}"]
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
    assert [item.metadata.name for item in core.list_namespaced_pod(TEAM).items] == ["alluxio-cifar10"]
    assert sums_in(team.log("alluxio-cifar10")) == sums
    # Workers' and clients' metrics come each ten seconds or so.
    until("Alluxio's metrics tell of the reading", lambda: read_by_workers(core) - before >= sum(1 for _ in sums) * 100_000, 60, 2)


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
    name = f"from-{kind.lower()}"
    folder(name, numbered(3))
    objects.make(name, f"{ROOT}/{name}")
    objects.reach(name, "Complete")
    apps, batch = kubernetes.client.AppsV1Api(core.api_client), kubernetes.client.BatchV1Api(core.api_client)
    create = {"Deployment": apps.create_namespaced_deployment, "StatefulSet": apps.create_namespaced_stateful_set, "Job": batch.create_namespaced_job,
              "CronJob": batch.create_namespaced_cron_job}[kind]  # fmt: skip
    create(TEAM, workload(kind, name, f"{ROOT}/{name}", on_itself=on_itself))
    found = until("it has a pod that runs", lambda: [item for item in core.list_namespaced_pod(TEAM).items if item.status.phase == "Running"], 150)
    assert [path for item in found for path in served_from(item)] == [f"{MOUNT}/datasets/{name}"] * len(found)


def test_pods_without_the_annotation_are_left_alone(objects: Objects, team: Pods) -> None:
    folder("plain", numbered(2))
    made = team.start(pod("plain", {"/data": f"{ROOT}/plain"}, SUMS, cached=False))
    assert (served_from(made), gates(made), made.spec.init_containers) == ([f"{ROOT}/plain"], [], None)
    assert not [key for key in made.metadata.annotations or {} if key.startswith("alnair.io/")]


def test_an_annotated_pod_without_data_sets_starts_at_once(team: Pods) -> None:
    made = team.start(pod("bare", {}, "true"))
    assert gates(made) == []
    team.ended("bare", 60)


def failing(objects: Objects, store: s3.Endpoint, name: str) -> None:
    """Make a data set that cannot be loaded, although its pods' folder is there."""
    folder(name, numbered(3))
    objects.stored(name, store, credentials="no-such-secret")


def test_a_training_whose_data_cannot_be_loaded_starts_on_the_source_with_a_warning(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "unloadable")
    objects.reach("unloadable", "Failed", seconds=240)
    made = team.start(pod("trainer", {"/data": f"{ROOT}/unloadable"}, "ls /data"))
    assert served_from(made) == [f"{ROOT}/unloadable"]
    team.ended("trainer", 60)
    warnings = until("a warning says why", lambda: [line for line in team.events("trainer") if line.startswith("Warning") and "unloadable" in line], 60)
    assert warnings


def test_a_training_that_shall_be_held_is_held(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "holding")
    made = team.start(pod("trainer", {"/data": f"{ROOT}/holding"}, "ls /data", annotations={"alnair.io/onFailure": "hold"}))
    assert gates(made) == ["alnair.io/dataset"]
    objects.reach("holding", "Failed", seconds=240)
    time.sleep(20)
    assert gates(team.read("trainer")) == ["alnair.io/dataset"]
    assert [line for line in team.events("trainer") if line.startswith("Warning")]


def scale_operator(core: Any, replicas: int) -> None:
    """Run so many replicas of the operator, and wait until that is so."""
    apps = kubernetes.client.AppsV1Api(core.api_client)
    apps.patch_namespaced_deployment_scale("alnair-operator", NAMESPACE, {"spec": {"replicas": replicas}})

    def there() -> bool:
        found = operator_pods(core)
        return len(found) == replicas and all(item.status.container_statuses and item.status.container_statuses[0].ready for item in found)

    until(f"{replicas} replicas run", there, 180)


@pytest.fixture
def away(core: Any, served: Alnair) -> Iterator[Any]:
    """Takes the operator away where it is called; it is back after the test."""
    yield lambda: scale_operator(core, 0)
    scale_operator(core, 2)


def metrics(core: Any) -> str:
    """Return the metrics of all replicas of the operator."""
    answers = [core.connect_get_namespaced_pod_proxy_with_path(f"{item.metadata.name}:8002", NAMESPACE, "metrics", _preload_content=False)
               for item in operator_pods(core)]  # fmt: skip
    return "\n".join(answer.data.decode() for answer in answers)


def test_without_the_webhook_pods_start_on_the_source_and_are_counted_later(objects: Objects, team: Pods, core: Any, away: Any) -> None:
    folder("uncared", numbered(2))
    away()
    started = time.monotonic()
    made = team.start(pod("trainer", {"/data": f"{ROOT}/uncared"}, "ls /data; sleep 200"))
    assert time.monotonic() - started < 15
    assert (served_from(made), gates(made)) == ([f"{ROOT}/uncared"], [])
    until("it runs", lambda: team.read("trainer").status.phase == "Running", 60)
    scale_operator(core, 2)

    def counted() -> bool:
        found = re.findall(r"^alnair_pods_on_source (\d+)", metrics(core), re.MULTILINE)
        return any(float(count) >= 1 for count in found)

    until("it is counted", counted, 90, 2)


def test_a_gated_pod_waits_for_the_operators_return(objects: Objects, store: s3.Endpoint, team: Pods, core: Any, away: Any) -> None:
    put(store, "patient", numbered(30), size=200_000)
    with store.narrow("8mbit"):
        objects.stored("patient", store)
        made = team.start(pod("trainer", {"/data": f"{ROOT}/patient"}, "ls /data"))
        assert gates(made)
        away()
        time.sleep(30)
        assert gates(team.read("trainer")), "nobody was there to lift it"
    scale_operator(core, 2)
    back = time.monotonic()
    until("the gate is lifted", lambda: not gates(team.read("trainer")), 60)
    assert time.monotonic() - back < 60
    team.ended("trainer")


def test_a_pod_held_by_an_init_container_starts_after_a_bounded_wait(served: Alnair, objects: Objects, store: s3.Endpoint, team: Pods, core: Any) -> None:
    put(store, "bounded", numbered(40), size=200_000)
    assert served.run("deploy_operator", extra_vars={"dataset_operator_hold_seconds": 30}).status == "successful"
    try:
        with store.narrow("2mbit"):
            objects.stored("bounded", store)
            # Mounted: until then the kubelet would wait for the folder, and not the container.
            until("it is loading", lambda: objects.status("bounded").get("phase") == "Loading", 90)
            team.start(pod("trainer", {"/data": f"{ROOT}/bounded"}, "ls /data", node=next(iter(nodes()))))
            scale_operator(core, 0)
            team.ended("trainer", 120)
    finally:
        assert served.run("deploy_operator").status == "successful"
        scale_operator(core, 2)


def rights(rules: list[Any]) -> list[tuple[list[str], list[str], list[str]]]:
    """Return rules in an order that does not matter."""
    return sorted((sorted(rule.api_groups), [resource], sorted(rule.verbs)) for rule in rules for resource in rule.resources)


def test_the_operator_may_do_what_is_written_down_and_nothing_else(served: Alnair, core: Any) -> None:
    api = kubernetes.client.RbacAuthorizationV1Api(core.api_client)
    account = {item.spec.service_account_name for item in operator_pods(core)}
    assert len(account) == 1

    def mine(binding: Any) -> bool:
        return any(item.kind == "ServiceAccount" and item.name in account and item.namespace == NAMESPACE for item in binding.subjects or [])

    cluster: list[Any] = []
    own: list[Any] = []
    for binding in api.list_cluster_role_binding().items:
        cluster += api.read_cluster_role(binding.role_ref.name).rules if mine(binding) else []
    for binding in api.list_role_binding_for_all_namespaces().items:
        if mine(binding):
            read = api.read_cluster_role if binding.role_ref.kind == "ClusterRole" else None
            own += (read(binding.role_ref.name) if read else api.read_namespaced_role(binding.role_ref.name, binding.metadata.namespace)).rules
    golden = yaml.safe_load((HOME / "tests/e2e/files/operator_rights.yml").read_text(encoding="utf-8"))
    wanted = {scope: sorted((rule["groups"], rule["resources"], rule["verbs"]) for rule in rules) for scope, rules in golden.items()}
    assert {"cluster": rights(cluster), "own": rights(own)} == wanted
    assert "*" not in str(rights(cluster + own))


def test_the_pods_of_the_operator_are_plain_and_hold_no_secret(served: Alnair, core: Any) -> None:
    found = operator_pods(core)
    assert len(found) == 2
    for item in found:
        container = item.spec.containers[0]
        assert not any(variable.value_from and variable.value_from.secret_key_ref for variable in container.env or [])
        assert not container.env_from
        assert {volume.secret.secret_name for volume in item.spec.volumes if volume.secret} == {"alnair-operator-tls"}
        assert not [volume for volume in item.spec.volumes if volume.host_path]
        assert container.security_context.allow_privilege_escalation is False
        assert not re.search(r"pass(word)?=", f"{container.command} {container.args} {container.env}", re.IGNORECASE)


@pytest.fixture
def isolated(core: Any, served: Alnair) -> Iterator[tuple[Pods, Pods]]:
    """Two namespaces, of which the first may only use what lies under a prefix."""
    prefixes = {"e2e-narrow": ["/datasets/narrow-one"]}
    assert served.run("deploy_operator", extra_vars={"dataset_operator_prefixes": prefixes}).status == "successful"
    spaces = [namespace(core, "e2e-narrow"), namespace(core, "e2e-wide")]
    yield next(spaces[0]), next(spaces[1])
    for space in spaces:
        next(space, None)
    assert served.run("deploy_operator").status == "successful"


def test_a_namespace_that_is_limited_gets_what_is_its_own_and_is_told_why_not_more(objects: Objects, isolated: tuple[Pods, Pods]) -> None:
    narrow, wide = isolated
    for name in ("narrow-one", "other-one"):
        folder(name, numbered(2))
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    narrow.start(pod("fine", {"/data": f"{ROOT}/narrow-one"}, SUMS))
    narrow.ended("fine")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        narrow.start(pod("refused", {"/data": f"{ROOT}/other-one"}, SUMS))
    assert "other-one" in refused.value.body and "e2e-narrow" in refused.value.body, refused.value.body
    # Nor by a way around.
    with pytest.raises(kubernetes.client.ApiException):
        narrow.start(pod("sly", {"/data": f"{ROOT}/narrow-one/../other-one"}, SUMS))
    wide.start(pod("fine", {"/data": f"{ROOT}/other-one"}, SUMS))
    wide.ended("fine")


def test_only_named_namespaces_use_a_data_set_that_names_some(objects: Objects, team: Pods) -> None:
    folder("exclusive", numbered(2))
    objects.make("exclusive", f"{ROOT}/exclusive", namespaces=["somebody-else"])
    objects.reach("exclusive", "Complete")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        team.start(pod("refused", {"/data": f"{ROOT}/exclusive"}, SUMS))
    assert "exclusive" in refused.value.body and TEAM in refused.value.body, refused.value.body


def test_a_pod_sees_only_its_data_sets_and_read_only(objects: Objects, team: Pods) -> None:
    for name in ("mine", "theirs"):
        folder(name, numbered(2))
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    team.start(pod("looker", {"/data": f"{ROOT}/mine"}, "ls /data /data/..; touch /data/new || echo refused; grep fuse /proc/mounts"))
    team.ended("looker")
    said = team.log("looker")
    assert "theirs" not in said and "refused" in said, said
    assert "new" not in on_node(f"ls {ROOT}/mine")


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
    until("all gates are lifted", lambda: not [item for item in core.list_namespaced_pod(TEAM).items if gates(item)], 120, 2)
    paths = {path: count for path, count in store.reads().items() if re.search(r"/crowd-\d+/class", path)}
    assert len(paths) == sum(map(len, sums.values()))
    assert set(paths.values()) == {1}, {path: count for path, count in paths.items() if count > 1}
    assert sum(item["metadata"]["name"].startswith("crowd-") for item in everywhere(objects)) == 20


def test_a_replica_that_is_killed_is_followed_by_the_other(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    sums = put(store, "followed", numbered(80), size=200_000)
    with store.narrow("16mbit"):
        objects.stored("followed", store)
        until("it is loading", lambda: objects.status("followed").get("phase") == "Loading", 90)
        kill_operator(core)
    objects.reach("followed", "Complete", seconds=240)
    assert fuse_sums("/datasets/followed") == sums


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
    assert re.search(r'^alnair_\w+\{[^}]*telling[^}]*\} ', metrics(core), re.MULTILINE)
    assert [item for item in core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=telling").items]
