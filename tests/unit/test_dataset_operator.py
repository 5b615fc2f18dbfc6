"""The operator's objects: the rights that it has and no others, what the API server would say of them, and that they follow the role's variables."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from alnair_operator import jvm
from chart_tools import complaints, find
from role_tools import rendered, value

HOME = Path(__file__).parents[2]
IMAGE = {"dataset_operator_image": "registry.example/alnair-operator"}
CERTIFICATE = {"dataset_operator_certificate": {"ca_bundle": "LS0=", "ends": "2030-01-01"}}

# Each right by hand: one that is added here is one that somebody thought about.
EVERYWHERE = {
    ("centaurusinfra.com", "alnairdatacaches"): {"get", "list", "watch", "patch"},
    ("centaurusinfra.com", "alnairdatacaches/status"): {"patch"},
    ("", "pods"): {"list", "patch"},
    ("", "events"): {"create"},
    ("", "persistentvolumeclaims"): {"get"},
}
CLUSTER = {("", "persistentvolumes"): {"get"}}
OWN = {
    ("centaurusinfra.com", "alnairdatacaches"): {"create", "delete"},
    ("batch", "jobs"): {"create", "get", "list", "delete"},
    ("coordination.k8s.io", "leases"): {"get", "create", "update", "patch"},
    ("", "configmaps/alnair-operator-unmounted"): {"get", "patch"},
}
# Elsewhere Pod Security would refuse the pod that the webhook has made of one with a claim.
HOST_PATHS = {"key": "pod-security.kubernetes.io/enforce", "operator": "NotIn", "values": ["baseline", "restricted"]}


def rights(items: list[dict[str, Any]]) -> dict[tuple[str, str], dict[tuple[str, str], set[str]]]:
    """Return what each Role and ClusterRole grants, by kind and namespace; a right on one object alone has its name after the resource."""
    found: dict[tuple[str, str], dict[tuple[str, str], set[str]]] = {}
    for item in items:
        if item["kind"] in ("Role", "ClusterRole"):
            granted = found.setdefault((item["kind"], item["metadata"].get("namespace", "")), {})
            for rule in item["rules"]:
                for group, resource in itertools.product(rule["apiGroups"], rule["resources"]):
                    for name in rule.get("resourceNames", [""]):
                        granted.setdefault((group, f"{resource}/{name}" if name else resource), set()).update(rule["verbs"])
    return found


def everything(**given: Any) -> list[dict[str, Any]]:
    given = {**IMAGE, **CERTIFICATE, **given}
    return [item for name in ("access.yml.j2", "operator.yml.j2", "policy.yml.j2", "webhook.yml.j2") for item in rendered("dataset_operator", name, **given)]


def environment(**given: Any) -> dict[str, str]:
    container = find(rendered("dataset_operator", "operator.yml.j2", **IMAGE, **given), "Deployment", "alnair-operator")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert all(isinstance(entry["value"], str) for entry in container["env"])
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_in_the_cluster_it_may_do_just_this() -> None:
    assert rights(rendered("dataset_operator", "access.yml.j2")) == {("ClusterRole", ""): {**EVERYWHERE, **CLUSTER}, ("Role", "alluxio"): OWN}


def test_in_namespaces_it_may_do_just_this_and_nothing_in_the_cluster() -> None:
    items = rendered("dataset_operator", "access.yml.j2", dataset_operator_namespaces=["train"])
    kind = ("centaurusinfra.com", "alnairdatacaches")
    assert rights(items) == {("Role", "train"): EVERYWHERE, ("Role", "alluxio"): {**EVERYWHERE, **OWN, kind: EVERYWHERE[kind] | OWN[kind]}}
    assert not [item for item in items if item["kind"].startswith("Cluster")]


def test_no_right_is_for_everything_or_reaches_into_secrets_and_containers() -> None:
    text = json.dumps(rendered("dataset_operator", "access.yml.j2"))
    assert "*" not in text
    assert "secrets" not in text
    assert "exec" not in text


def test_each_binding_is_for_the_operator_alone_and_jobs_have_no_rights() -> None:
    for given in ({}, {"dataset_operator_namespaces": ["train"]}):
        items = rendered("dataset_operator", "access.yml.j2", **given)
        subjects = [subject for item in items if item["kind"].endswith("Binding") for subject in item["subjects"]]
        assert {json.dumps(subject, sort_keys=True) for subject in subjects} == {
            json.dumps({"kind": "ServiceAccount", "name": "alnair-operator", "namespace": "alluxio"}, sort_keys=True)
        }
        assert find(items, "ServiceAccount", "alnair-dataset-job")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("given", [
    {},
    {"dataset_operator_namespaces": ["train", "test"], "dataset_operator_namespace": "cache", "dataset_operator_pull_secrets": ["pull", "other"]},
    {"dataset_operator_node_selector": {"disk": "ssd"}, "dataset_operator_tolerations": [{"key": "gpu", "operator": "Exists"}], "dataset_operator_tag": ""},
])  # fmt: skip
def test_the_api_server_would_take_every_object(given: dict[str, Any]) -> None:
    items = everything(**given)
    assert [text for item in items for text in complaints(item)] == []
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in items]
    assert len(names) == len(set(names))


def test_the_api_server_would_take_the_kind_itself() -> None:
    assert complaints(yaml.safe_load((HOME / "roles/dataset_operator/files/alnairdatacache.yml").read_text(encoding="utf-8"))) == []


def test_pods_keep_to_the_restricted_standard() -> None:
    pod = find(everything(), "Deployment", "alnair-operator")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all("hostPath" not in volume for volume in pod["volumes"])
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_who_does_not_ask_for_the_cache_never_waits_for_the_webhook() -> None:
    (configuration,) = rendered("dataset_operator", "webhook.yml.j2", **CERTIFICATE)
    for hook in configuration["webhooks"]:
        assert (hook["failurePolicy"], hook["timeoutSeconds"], hook["clientConfig"]["service"]["path"]) == ("Ignore", 5, "/mutate")
        asks = "has({0}.metadata.annotations) && 'cacheDataset' in {0}.metadata.annotations && {0}.metadata.annotations['cacheDataset'] == 'yes'"
        # Whose annotation was taken away has copies of it.
        # Of every step it is asked first whether it is there.
        copies = "{0} && has({1}.metadata) && has({1}.metadata.annotations) && 'alnair.io/copied' in {1}.metadata.annotations"
        steps = (
            ["has(object.spec)", "has(object.spec.template)"],
            ["has(object.spec)", *(f"has(object.spec.jobTemplate{step})" for step in ("", ".spec", ".spec.template"))],
        )
        templates = [f"({copies.format(' && '.join(step), step[-1][4:-1])})" for step in steps] if hook["name"].startswith("workloads") else []
        asked = [f"({asks.format('object')})", f"(oldObject != null && {asks.format('oldObject')})", *templates]
        assert hook["matchConditions"][0]["expression"] == " || ".join(asked)
        assert hook["namespaceSelector"] == {"matchExpressions": [HOST_PATHS]}
    pods, _workloads = configuration["webhooks"]
    assert [(rule["resources"], rule["operations"]) for rule in pods["rules"]] == [(["pods"], ["CREATE"])]


def test_where_it_watches_namespaces_only_these_are_asked_about() -> None:
    (configuration,) = rendered("dataset_operator", "webhook.yml.j2", **CERTIFICATE, dataset_operator_namespaces=["train"])
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["alluxio", "train"]}
    assert all(hook["namespaceSelector"] == {"matchExpressions": [HOST_PATHS, expression]} for hook in configuration["webhooks"])


def test_two_operators_in_a_cluster_do_not_take_each_others_objects() -> None:
    names = [
        {(item["kind"], item["metadata"]["name"]) for item in everything(dataset_operator_namespace=namespace) if not item["metadata"].get("namespace")}
        for namespace in ("one", "two")
    ]
    assert not names[0] & names[1]


def test_the_environment_says_what_the_role_was_told() -> None:
    assert environment() == {
        "ALNAIR_NAMESPACE": "alluxio",
        "ALNAIR_WATCH": "",
        "ALNAIR_MASTERS": "alluxio-master-0.alluxio.svc:19998",
        "ALNAIR_JOB_MASTERS": "alluxio-master-0.alluxio.svc:20001",
        "ALNAIR_FUSE": "/mnt/alluxio-fuse",
        "ALNAIR_ROOTS": "/mnt/fuse3/datasets:/mnt/fuse/alluxio-journal/datasets:/mnt/fuse3/alluxio-journal/datasets",
        "ALNAIR_PREFIXES": "{}",
        "ALNAIR_CREDENTIALS": "{}",
        "ALNAIR_ON_FAILURE": "source",
        "ALNAIR_HOLD_SECONDS": "600",
        "ALNAIR_REMOUNT_SECONDS": "120",
        "ALNAIR_IMAGE": "registry.example/alnair-operator:0.1.0",
        "ALNAIR_PULL_SECRETS": "false",
        "ALNAIR_WEBHOOK_PORT": "9443",
        "ALNAIR_METRICS_PORT": "8002",
        "ALNAIR_USER": "alluxio",
        "ALNAIR_JVM_HEAP": jvm.HEAP,
    }


def test_the_heap_of_the_jvm_follows_the_memory_that_a_pod_may_have() -> None:
    def heap(resources: dict[str, Any]) -> str:
        return str(environment(dataset_operator_resources=resources)["ALNAIR_JVM_HEAP"])

    assert heap({"limits": {"cpu": "2", "memory": "4Gi"}}) == "1536m" and heap({"limits": {"memory": "512Mi"}}) == "192m"
    assert heap({"limits": {"memory": 2**31}}) == heap({"limits": {"memory": "2G"}}) == "768m"
    # Whose memory nobody limits has what it always had.
    assert heap({"requests": {"memory": "2Gi"}}) == heap({"limits": {"cpu": "2"}}) == heap({}) == jvm.HEAP


def test_masters_follow_the_inventory_and_prefixes_are_json() -> None:
    found = environment(
        groups={"alluxio_masters": ["a", "b", "c"]}, alluxio_release="r", alluxio_namespace="n", dataset_operator_prefixes={"team": ["/datasets/team"]}
    )
    assert found["ALNAIR_MASTERS"].split(",") == [f"r-master-{index}.n.svc:19998" for index in range(3)]
    assert json.loads(found["ALNAIR_PREFIXES"]) == {"team": ["/datasets/team"]}
    assert environment(dataset_operator_masters=["m:1", "n:1"])["ALNAIR_MASTERS"] == "m:1,n:1"
    assert environment(alluxio_chart_values={"master": {"count": 1}}, groups={})["ALNAIR_MASTERS"] == "alluxio-master-0.alluxio.svc:19998"
    values = {"fullnameOverride": "full", "master": {"count": 1, "ports": {"rpc": 19978}}, "jobMaster": {"ports": {"rpc": 20978}}}
    file = {"content": base64.b64encode(yaml.safe_dump({"master": {"count": 3}, "fullnameOverride": "r"}).encode()).decode()}
    found = environment(alluxio_chart_values=values, dataset_operator_values_read={"results": [file]})
    assert (found["ALNAIR_MASTERS"], found["ALNAIR_JOB_MASTERS"]) == ("full-master-0.alluxio.svc:19978", "full-master-0.alluxio.svc:20978")
    found = environment(dataset_operator_values_read={"results": [file]})
    assert found["ALNAIR_MASTERS"].split(",") == [f"r-master-{index}.alluxio.svc:19998" for index in range(3)]
    assert environment(dataset_operator_namespaces=["train"])["ALNAIR_WATCH"] == "alluxio,train"
    assert json.loads(environment(dataset_operator_namespace_credentials={"team": ["s3"]})["ALNAIR_CREDENTIALS"]) == {"team": ["s3"]}
    assert environment(dataset_operator_pull_secrets=["pull"])["ALNAIR_PULL_SECRETS"] == "true"


def test_the_certificate_holds_the_name_that_the_api_server_asks_for() -> None:
    service = rendered("dataset_operator", "webhook.yml.j2", **CERTIFICATE)[0]["webhooks"][0]["clientConfig"]["service"]
    assert f"{service['name']}.{service['namespace']}.svc" in value("dataset_operator", "{{ dataset_operator_tls_names }}")


def test_credentials_become_secrets_of_their_own() -> None:
    given = {"alnair-cache-operator-secret": {"s3a.accessKeyId": "key: 'a'", "s3a.secretKey": "8\n"}, "other": {"s3a.secretKey": 12}}
    items = rendered("dataset_operator", "credentials.yml.j2", dataset_operator_credentials=given)
    assert [text for item in items for text in complaints(item)] == []
    data = find(items, "Secret", "alnair-cache-operator-secret")["data"]
    assert data == {"s3a.accessKeyId": "a2V5OiAnYSc=", "s3a.secretKey": "OAo="}
    assert rendered("dataset_operator", "credentials.yml.j2") == []
