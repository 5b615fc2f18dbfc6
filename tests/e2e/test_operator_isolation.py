"""Who may use and declare which data set, and what the operator itself may do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
import yaml
from caching import (
    BUCKET,
    NAMESPACE,
    ROOT,
    SECRET,
    SUMS,
    Objects,
    Pods,
    folder,
    gates,
    namespace,
    numbered,
    on_node,
    operator_pods,
    pod,
    runner,
    served_from,
    sums_in,
    until,
)  # fmt: skip
from conftest import HOME
from reading import MOUNT, nodes

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def rights(rules: list[Any]) -> list[Any]:
    """Return rules in an order that does not matter: groups, resource, names of the only objects that are meant, and verbs."""
    return sorted((sorted(rule.api_groups), [resource], sorted(rule.resource_names or []), sorted(rule.verbs)) for rule in rules for resource in rule.resources)


def granted(core: Any) -> dict[str, list[Any]]:
    """Return what the operator may do, by namespace; in the cluster as a whole under an empty name."""
    api = kubernetes.client.RbacAuthorizationV1Api(core.api_client)
    account = {item.spec.service_account_name for item in operator_pods(core)}
    assert len(account) == 1

    def mine(binding: Any) -> bool:
        return any(item.kind == "ServiceAccount" and item.name in account and item.namespace == NAMESPACE for item in binding.subjects or [])

    found: dict[str, list[Any]] = {}
    for binding in [*api.list_cluster_role_binding().items, *api.list_role_binding_for_all_namespaces().items]:
        if mine(binding):
            space, name = binding.metadata.namespace or "", binding.role_ref.name
            read = api.read_cluster_role(name) if binding.role_ref.kind == "ClusterRole" else api.read_namespaced_role(name, space)
            found[space] = sorted(found.get(space, []) + rights(read.rules))
    return found


def written_down() -> dict[str, list[Any]]:
    """Return what the operator is to be granted in cluster mode: in the cluster, and in its own namespace."""
    golden = yaml.safe_load((HOME / "tests/e2e/files/operator_rights.yml").read_text(encoding="utf-8"))
    return {scope: sorted((rule["groups"], [name], rule.get("names", []), rule["verbs"]) for rule in rules for name in rule["resources"])
            for scope, rules in golden.items()}  # fmt: skip


def test_the_operator_may_do_what_is_written_down_and_nothing_else(served: Alnair, core: Any) -> None:
    wanted = written_down()
    assert granted(core) == {"": wanted["cluster"], NAMESPACE: wanted["own"]}
    assert "*" not in str(granted(core))


@pytest.fixture
def watching(core: Any, served: Alnair, request: pytest.FixtureRequest) -> Iterator[tuple[Pods, Pods]]:
    """Two namespaces, of which the operator watches the first and, unless told otherwise, not the second."""
    spaces = [namespace(core, "e2e-watched"), namespace(core, "e2e-unwatched")]
    found = next(spaces[0]), next(spaces[1])
    watched = getattr(request, "param", ["e2e-watched"])
    assert served.run("deploy_operator", extra_vars={"dataset_operator_namespaces": watched}).status == "successful"
    yield found
    # It watches all again, and so lets go what the namespaces hold.
    assert served.run("deploy_operator").status == "successful"
    assert set(granted(core)) == {"", NAMESPACE}
    for space in spaces:
        next(space, None)


def test_one_that_watches_namespaces_has_rights_there_alone_and_serves_no_other(objects: Objects, watching: tuple[Pods, Pods], core: Any) -> None:
    watched, unwatched = watching
    golden = written_down()
    there = [right for right in golden["cluster"] if right[1] != ["persistentvolumes"]]
    assert granted(core) == {"e2e-watched": there, NAMESPACE: sorted(there + golden["own"])}
    review = kubernetes.client.AuthorizationV1Api(core.api_client).create_subject_access_review
    for space, may in ((NAMESPACE, True), (watched.namespace, True), (unwatched.namespace, False)):
        asked = {"namespace": space, "resource": "pods", "verb": "list"}
        answer = review({"spec": {"user": f"system:serviceaccount:{NAMESPACE}:alnair-operator", "resourceAttributes": asked}})
        assert bool(answer.status.allowed) is may, space

    sums = folder("of-watched", numbered(3))
    folder("of-unwatched", numbered(3))
    objects.make("of-watched", f"{ROOT}/of-watched", namespace=watched.namespace)
    objects.make("of-unwatched", f"{ROOT}/of-unwatched", namespace=unwatched.namespace)
    objects.reach("of-watched", "Complete", namespace=watched.namespace)
    made = watched.start(pod("trainer", {"/data": f"{ROOT}/of-watched"}, SUMS))
    assert (served_from(made), gates(made)) == ([f"{MOUNT}/datasets/of-watched"], ["alnair.io/dataset"])
    watched.ended("trainer")
    assert sums_in(watched.log("trainer")) == sums
    made = unwatched.start(pod("trainer", {"/data": f"{ROOT}/of-unwatched"}, SUMS))
    assert (served_from(made), gates(made)) == ([f"{ROOT}/of-unwatched"], [])
    assert not [key for key in {**(made.metadata.annotations or {}), **(made.metadata.labels or {})} if key.startswith("alnair.io/")]
    unwatched.ended("trainer")
    # Not even looked at, long after the other one is Complete.
    left = objects.read("of-unwatched", unwatched.namespace)
    assert "status" not in left and not left["metadata"].get("finalizers")


@pytest.fixture
def vast() -> Iterator[list[str]]:
    """Names of two folders that fit into no cache; sparse, so that they cost no disk."""
    names = ["vast-kept", "vast-left"]
    for name in names:
        on_node(f"mkdir -p {ROOT}/{name} && truncate -s 8G {ROOT}/{name}/all && chown -R 1000:1000 {ROOT}/{name}")
    yield names
    for name in names:
        on_node(f"rm -r {ROOT}/{name}")


@pytest.mark.parametrize("watching", [["e2e-watched", "e2e-unwatched"]], indirect=True, ids=["both"])
def test_a_namespace_that_is_watched_no_more_keeps_no_gate_and_no_finalizer(
    served: Alnair, vast: list[str], objects: Objects, watching: tuple[Pods, Pods], core: Any
) -> None:
    (kept, left), (common, own) = watching, vast
    space = left.namespace
    objects.make(common, f"{ROOT}/{common}")
    objects.make(own, f"{ROOT}/{own}", namespace=space)
    objects.reach(common, "TooLarge")
    objects.reach(own, "TooLarge", namespace=space)

    def start(pods: Pods, name: str, part: str) -> None:
        made = pods.start(pod(name, {"/data": f"{ROOT}/{part}"}, "stat --format %s /data/all", annotations={"alnair.io/onFailure": "hold"}))
        assert gates(made) == ["alnair.io/dataset"]

    for pods in watching:
        start(pods, "trainer", common)
    start(left, "orphan", own)
    narrow = {"dataset_operator_namespaces": [kept.namespace]}
    refused = served.run("deploy_operator", extra_vars=narrow)
    assert refused.status == "failed"
    wanted = ("Nothing was changed: dataset_operator_namespaces leaves out namespaces in which data sets are declared, and nobody would unmount them: "
              f"{space}/{own}. Remove them first (kubectl --namespace {space} delete adc NAME), or name their namespaces in "
              "dataset_operator_namespaces.")  # fmt: skip
    assert wanted in refused.failures[0].message
    assert objects.read(own, space)["metadata"]["finalizers"] and set(granted(core)) == {kept.namespace, space, NAMESPACE}
    # The operator still looks after it: unmounted, and without its finalizer.
    objects.remove(own, space)
    done = served.run("deploy_operator", extra_vars=narrow)
    assert done.status == "successful", done.failures
    assert set(granted(core)) == {kept.namespace, NAMESPACE}
    assert "Let go without waiting for their data sets: trainer." in done.messages, done.messages
    assert f"These wait for a data set that is declared no more, so make them anew: {space}/orphan." in done.messages, done.messages
    assert "alnair.io/held" not in (left.read("trainer").metadata.labels or {})
    left.ended("trainer")
    assert left.log("trainer").strip() == str(8 * 2**30)
    # For its folder is there no more; and who is watched still waits.
    assert gates(left.read("orphan")) == gates(kept.read("trainer")) == ["alnair.io/dataset"]


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
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The names of the data set that the limited namespace may have, and of another one: each test its own, for a path of before is mounted later."""
    mark = hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    return f"narrow-{mark}", f"other-{mark}"


@pytest.fixture
def isolated(core: Any, served: Alnair, names: tuple[str, str]) -> Iterator[tuple[Pods, Pods]]:
    """Two namespaces, of which the first may only use what lies under a prefix."""
    prefixes = {"e2e-narrow": [f"/datasets/{names[0]}"]}
    assert served.run("deploy_operator", extra_vars={"dataset_operator_prefixes": prefixes}).status == "successful"
    spaces = [namespace(core, "e2e-narrow"), namespace(core, "e2e-wide")]
    yield next(spaces[0]), next(spaces[1])
    for space in spaces:
        next(space, None)
    assert served.run("deploy_operator").status == "successful"
    policies = kubernetes.client.AdmissionregistrationV1Api(core.api_client).list_validating_admission_policy().items
    assert not [item.metadata.name for item in policies if item.metadata.name.startswith("alnair-operator.")]


def test_a_namespace_that_is_limited_gets_what_is_its_own_and_is_told_why_not_more(
    objects: Objects, isolated: tuple[Pods, Pods], names: tuple[str, str]
) -> None:
    (narrow, wide), (mine, other) = isolated, names
    for name in names:
        folder(name, numbered(2))
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    narrow.start(pod("fine", {"/data": f"{ROOT}/{mine}"}, SUMS))
    narrow.ended("fine")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        narrow.start(pod("refused", {"/data": f"{ROOT}/{other}"}, SUMS))
    why = f"Namespace e2e-narrow is limited to /datasets/{mine} in Alluxio and may not use /datasets/{other}. Ask whoever runs the data set operator."
    assert why in refused.value.body, refused.value.body
    # Nor by a way around.
    with pytest.raises(kubernetes.client.ApiException) as refused:
        narrow.start(pod("sly", {"/data": f"{ROOT}/{mine}/../{other}"}, SUMS))
    assert why in refused.value.body, refused.value.body
    wide.start(pod("fine", {"/data": f"{ROOT}/{other}"}, SUMS))
    wide.ended("fine")


def test_only_named_namespaces_use_a_data_set_that_names_some(objects: Objects, team: Pods) -> None:
    folder("exclusive", numbered(2))
    objects.make("exclusive", f"{ROOT}/exclusive", namespaces=["somebody-else"])
    objects.reach("exclusive", "Complete")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        team.start(pod("refused", {"/data": f"{ROOT}/exclusive"}, SUMS))
    why = f"Data set {NAMESPACE}/exclusive is for pods of somebody-else (namespaces) and may not be used from namespace {team.namespace}."
    assert why in refused.value.body, refused.value.body


def test_a_pod_sees_only_its_data_sets_and_read_only(objects: Objects, team: Pods) -> None:
    sums = {name: folder(name, numbered(2)) for name in ("mine", "theirs")}
    for name in sums:
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    # All files that it can reach in any way, and what of the cache its mount is of.
    line = ("find / /proc/1/root/ /data/../data/.. -path '/proc/[0-9]*' -prune -o -name '*.jpg' -exec md5sum {} +; "
            "find /proc/1/root/ -name '*.jpg' -exec md5sum {} +; "
            "touch /data/new || echo refused; grep -c ' /datasets/mine /data ro,.*fuse' /proc/self/mountinfo; grep -c fuse /proc/self/mountinfo")  # fmt: skip
    team.start(pod("looker", {"/data": f"{ROOT}/mine"}, line))
    team.ended("looker")
    said = team.log("looker")
    assert set(sums_in(said).values()) == set(sums["mine"].values()), said
    assert said.split()[-3:] == ["refused", "1", "1"], said
    assert "new" not in on_node(f"ls {ROOT}/mine")


def test_a_pod_writes_where_its_data_set_lets_it(objects: Objects, team: Pods) -> None:
    folder("drafts", numbered(2))
    objects.make("drafts", f"{ROOT}/drafts", readOnly=False)
    objects.reach("drafts", "Complete")
    team.start(pod("writer", {"/data": f"{ROOT}/drafts"}, "echo written > /data/new"))
    team.ended("writer")
    until("the file is at the source", lambda: on_node(f"cat {ROOT}/drafts/new 2>/dev/null || true") == "written\n", 60)


def test_a_namespace_that_is_limited_reaches_no_more_without_annotation_or_webhook(
    objects: Objects, isolated: tuple[Pods, Pods], names: tuple[str, str], away: Any
) -> None:
    (narrow, wide), (mine, others) = isolated, names
    node = next(iter(nodes()))
    for name in names:
        folder(name, numbered(2))
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    other = f"{MOUNT}/datasets/{others}"
    for path in (other, f"{MOUNT}/./datasets//{others}", MOUNT, "/mnt", "/"):
        with pytest.raises(kubernetes.client.ApiException) as refused:
            narrow.start(pod("sly", {"/data": path}, SUMS, cached=False, node=node))
        folder_of_it = re.sub(r"/(\./|/)*", "/", f"{path}/")
        why = f"Namespace e2e-narrow is limited to /datasets/{mine} in Alluxio, and its pods may not have {folder_of_it} of a node."
        assert why in refused.value.body, refused.value.body
    for pods, path in ((narrow, f"{MOUNT}/datasets/{mine}"), (wide, other)):
        pods.start(pod("fine", {"/data": path}, SUMS, cached=False, node=node))
        pods.ended("fine")
        assert len(sums_in(pods.log("fine"))) == 2
    away()
    with pytest.raises(kubernetes.client.ApiException) as refused:
        narrow.start(pod("sly", {"/data": other}, SUMS))
    assert f"in Alluxio, and its pods may not have {other}/ of a node." in refused.value.body, refused.value.body
    # On the source, as ever while nobody answers.
    assert served_from(narrow.start(pod("plain", {"/data": f"{ROOT}/{mine}"}, SUMS))) == [f"{ROOT}/{mine}"]


def test_who_declares_elsewhere_has_no_more_than_its_namespace_and_is_in_nobodys_way(
    objects: Objects, isolated: tuple[Pods, Pods], names: tuple[str, str], team: Pods
) -> None:
    (narrow, _wide), (mine, other) = isolated, names
    sums = folder(mine, numbered(2))
    folder(other, numbered(2))
    refused: dict[str, dict[str, Any]] = {
        "keys": {"source": f"s3://{BUCKET}/x", "credentials": SECRET, "path": f"/datasets/{mine}/keys"},
        "path": {"source": f"{ROOT}/{mine}", "path": f"/datasets/{other}"},
        "folder": {"source": f"{ROOT}/{other}", "path": f"/datasets/{mine}/folder"},
        "inside": {"source": "/opt/alluxio/conf", "path": f"/datasets/{mine}/inside"},
        "export": {"source": "nfs://server/export", "path": f"/datasets/{mine}/export", "options": {"alnair.localPath": "file:///opt/alluxio/conf"}},
    }
    limited = f"Namespace e2e-narrow is limited to /datasets/{mine} in Alluxio and may not have /datasets/{other} (dataset_operator_prefixes)."
    why = {
        "keys": f"Data sets of namespace e2e-narrow may not name Secret {SECRET}. "
        "Whoever runs the operator lists it in dataset_operator_namespace_credentials.",
        "path": limited,
        "folder": limited,
        "inside": "Data sets of namespace e2e-narrow may not have /opt/alluxio/conf as their source: it must lie below a data set root "
        f"(dataset_operator_roots: {ROOT}, ",
        "export": "Option alnair.localPath 'file:/opt/alluxio/conf' cannot be used",
    }
    for name, spec in refused.items():
        objects.make(name, namespace="e2e-narrow", **spec)
        status = objects.reach(name, "Failed", namespace="e2e-narrow")
        assert status["message"].startswith(why[name]), status
    objects.make("own", f"{ROOT}/{mine}", namespace="e2e-narrow", path=f"/datasets/{mine}")
    objects.reach("own", "Complete", namespace="e2e-narrow")
    # Whoever runs the operator frees and loads it by its title.
    for verb, phase in (("free", "Incomplete"), ("load", "Complete")):
        result = runner("dataset", verb, "e2e-narrow/own")
        assert (result.returncode, objects.status("own", "e2e-narrow")["phase"]) == (0, phase), result.stdout + result.stderr
    narrow.start(pod("fine", {"/data": f"{ROOT}/{mine}"}, SUMS))
    narrow.ended("fine")
    assert sums_in(narrow.log("fine")) == sums
    # The path that was refused is free, and a longer folder of a third namespace does not keep others from theirs.
    objects.make(other, f"{ROOT}/{other}")
    objects.reach(other, "Complete")
    objects.make("greedy", f"{ROOT}/{other}/class 0", namespace="e2e-wide", namespaces=["e2e-wide"])
    until("it is looked at", lambda: objects.status("greedy", "e2e-wide").get("phase"), 30)
    made = team.start(pod("fine", {"/data": f"{ROOT}/{other}/class 0"}, SUMS))
    assert served_from(made) == [f"{MOUNT}/datasets/{other}/class 0"]
    team.ended("fine")


def test_a_claim_stays_a_claim_where_pod_security_refuses_host_paths(objects: Objects, team: Pods, core: Any) -> None:
    core.patch_namespace(team.namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}})
    sums = folder("claimed", numbered(2))
    size: dict[str, Any] = {"storageClassName": "", "accessModes": ["ReadOnlyMany"]}
    volume = {**size, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"{ROOT}/claimed"}, "claimRef": {"namespace": team.namespace, "name": "claimed"}}
    core.create_persistent_volume({"metadata": {"name": "e2e-claimed"}, "spec": volume})
    try:
        claim = {**size, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "e2e-claimed"}
        core.create_namespaced_persistent_volume_claim(team.namespace, {"metadata": {"name": "claimed"}, "spec": claim})
        wanted = pod("trainer", {"/data": "/"}, SUMS)
        wanted["spec"]["volumes"] = [{"name": "data-0", "persistentVolumeClaim": {"claimName": "claimed"}}]
        made = team.start(wanted)
        assert (served_from(made), gates(made)) == ([], [])
        team.ended("trainer")
        assert sums_in(team.log("trainer")) == sums
    finally:
        core.delete_persistent_volume("e2e-claimed")
