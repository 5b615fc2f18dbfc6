"""Who may use and declare which data set, and what the operator itself may do."""

from __future__ import annotations

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
    served_from,
    sums_in,
    until,
)  # fmt: skip
from conftest import HOME
from reading import MOUNT, nodes

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


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
    policies = kubernetes.client.AdmissionregistrationV1Api(core.api_client).list_validating_admission_policy().items
    assert not [item.metadata.name for item in policies if item.metadata.name.startswith("alnair-operator.")]


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
    assert "exclusive" in refused.value.body and team.namespace in refused.value.body, refused.value.body


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


def test_a_namespace_that_is_limited_reaches_no_more_without_annotation_or_webhook(objects: Objects, isolated: tuple[Pods, Pods], away: Any) -> None:
    narrow, wide = isolated
    node = next(iter(nodes()))
    for name in ("narrow-one", "other-one"):
        folder(name, numbered(2))
        objects.make(name, f"{ROOT}/{name}")
        objects.reach(name, "Complete")
    other = f"{MOUNT}/datasets/other-one"
    for path in (other, f"{MOUNT}/./datasets//other-one", MOUNT, "/mnt", "/"):
        with pytest.raises(kubernetes.client.ApiException) as refused:
            narrow.start(pod("sly", {"/data": path}, SUMS, cached=False, node=node))
        assert "Namespace e2e-narrow is limited to /datasets/narrow-one" in refused.value.body, refused.value.body
    for pods, path in ((narrow, f"{MOUNT}/datasets/narrow-one"), (wide, other)):
        pods.start(pod("fine", {"/data": path}, SUMS, cached=False, node=node))
        pods.ended("fine")
        assert len(sums_in(pods.log("fine"))) == 2
    away()
    with pytest.raises(kubernetes.client.ApiException):
        narrow.start(pod("sly", {"/data": other}, SUMS))
    # On the source, as ever while nobody answers.
    assert served_from(narrow.start(pod("plain", {"/data": f"{ROOT}/narrow-one"}, SUMS))) == [f"{ROOT}/narrow-one"]


def test_who_declares_elsewhere_has_no_more_than_its_namespace_and_is_in_nobodys_way(objects: Objects, isolated: tuple[Pods, Pods], team: Pods) -> None:
    narrow, _wide = isolated
    sums = folder("narrow-one", numbered(2))
    folder("other-one", numbered(2))
    refused: dict[str, dict[str, Any]] = {
        "keys": {"source": f"s3://{BUCKET}/x", "credentials": SECRET, "path": "/datasets/narrow-one/keys"},
        "path": {"source": f"{ROOT}/narrow-one", "path": "/datasets/other-one"},
        "folder": {"source": f"{ROOT}/other-one", "path": "/datasets/narrow-one/folder"},
        "inside": {"source": "/opt/alluxio/conf", "path": "/datasets/narrow-one/inside"},
    }
    for name, spec in refused.items():
        objects.make(name, namespace="e2e-narrow", **spec)
        status = objects.reach(name, "Failed", namespace="e2e-narrow")
        assert "amespace e2e-narrow " in status["message"], status
    objects.make("own", f"{ROOT}/narrow-one", namespace="e2e-narrow", path="/datasets/narrow-one")
    objects.reach("own", "Complete", namespace="e2e-narrow")
    narrow.start(pod("fine", {"/data": f"{ROOT}/narrow-one"}, SUMS))
    narrow.ended("fine")
    assert sums_in(narrow.log("fine")) == sums
    # The path that was refused is free, and a longer folder of a third namespace does not keep others from theirs.
    objects.make("other-one", f"{ROOT}/other-one")
    objects.reach("other-one", "Complete")
    objects.make("greedy", f"{ROOT}/other-one/class 0", namespace="e2e-wide", namespaces=["e2e-wide"])
    until("it is looked at", lambda: objects.status("greedy", "e2e-wide").get("phase"), 30)
    made = team.start(pod("fine", {"/data": f"{ROOT}/other-one/class 0"}, SUMS))
    assert served_from(made) == [f"{MOUNT}/datasets/other-one/class 0"]
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
