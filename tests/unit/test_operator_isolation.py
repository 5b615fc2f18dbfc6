"""What data sets a namespace may declare, what those of one mean for another, and what pods of a limited one may have without asking."""

from __future__ import annotations

from typing import Any

import pytest
from alnair_operator import webhook
from alnair_operator.alluxio import Mount
from alnair_operator.cluster import Store
from alnair_operator.datasets import Dataset
from alnair_operator.engine import SETTLED
from alnair_operator.isolation import Guarded, refusal
from alnair_operator.settings import Settings, SettingsError
from alnair_operator.webhook import Known
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings
from chart_tools import complaints
from role_tools import rendered

ROOT = "/mnt/fuse3/datasets"
SETTINGS = Settings("alluxio", roots=(ROOT,), prefixes={"team-b": ("/datasets/team-b",)}, credentials={"team-b": ("team-b-s3",), "team-c": ("c",)})


def declared(namespace: str = "team-b", name: str = "team-b", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "generation": 1, "creationTimestamp": created, "uid": f"{namespace}-{name}"}
    return {"metadata": meta, "spec": {"source": "s3://public/x", **spec}}


@pytest.mark.parametrize("item", [
    declared(),
    declared(credentials="team-b-s3"),
    declared(source=f"{ROOT}/team-b"), declared(source=f"{ROOT}/team-b/x", path="/datasets/team-b/y"),
    declared(source="nfs://server/export", options={"alnair.localPath": f"{ROOT}/team-b"}),
    declared("team-c", "anything", source=f"{ROOT}/team-a", credentials="c"),
    declared("alluxio", "any", source="/opt/alluxio/conf", credentials="keys"),
])  # fmt: skip
def test_a_namespace_has_what_it_may_have(item: dict[str, Any]) -> None:
    assert refusal(Dataset.of(item), SETTINGS) == ""


@pytest.mark.parametrize(("item", "why"), [
    (declared(credentials="team-a-s3"), "may not name Secret team-a-s3"),
    (declared("team-d", credentials="team-b-s3"), "may not name Secret team-b-s3"),
    (declared(path="/datasets/team-a"), "limited to /datasets/team-b in Alluxio and may not have /datasets/team-a"),
    (declared(name="team-b-2"), "may not have /datasets/team-b-2"),
    (declared("team-c", "x", source="/opt/alluxio/conf"), "must lie below a data set root"),
    (declared("team-c", "x", source=ROOT), "must lie below a data set root"),
    (declared("team-c", "x", source=f"{ROOT}/a/../../../../etc"), "must lie below a data set root"),
    (declared("team-c", "x", source="nfs://server/export", options={"alnair.localPath": "/etc"}), "must lie below a data set root"),
    (declared(source=f"{ROOT}/team-a"), "may not have /datasets/team-a"),
])  # fmt: skip
def test_a_namespace_may_not_have_what_is_the_operator_s_or_another_one_s(item: dict[str, Any], why: str) -> None:
    assert why in refusal(Dataset.of(item), SETTINGS)


class Alluxio:
    """Mounts whatever it is told to."""

    def __init__(self) -> None:
        self.table: dict[str, Mount] = {}

    def mounts(self) -> dict[str, Mount]:
        return self.table

    def mount(self, path: str, ufs: str, read_only: bool, options: dict[str, str]) -> None:
        self.table[path] = Mount(ufs, read_only, options)


def settled(engine: Guarded, item: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Take steps until a data set is where it stays."""
    status: dict[str, Any] = {}
    while status.get("phase") not in SETTLED:
        status = engine.step(Dataset.of(item), status, [Dataset.of(other) for other in others]).status
    return status


def test_the_operator_mounts_nothing_that_a_namespace_may_not_have() -> None:
    alluxio = Alluxio()
    status = settled(Guarded(SETTINGS, alluxio), declared(source=f"{ROOT}/team-a", preload="none"))
    assert status["phase"] == "Failed" and "may not have /datasets/team-a" in status["message"]
    assert alluxio.table == {}
    assert settled(Guarded(SETTINGS, alluxio), declared(source=f"{ROOT}/team-b", preload="none"))["phase"] == "Complete"
    assert [*alluxio.table] == ["/datasets/team-b"]


@pytest.mark.parametrize("source", ["nfs://server/export", "pvc://claim"])
@pytest.mark.parametrize("local", ["/", "//", "/srv/..", "file:///etc", "file:/etc", "etc", "../etc", "s3://bucket/of/others", " /etc"])
def test_where_a_source_is_said_to_be_seen_leads_nowhere_else(source: str, local: str) -> None:
    alluxio = Alluxio()
    status = settled(Guarded(SETTINGS, alluxio), declared("team-c", "x", source=source, options={"alnair.localPath": local}, preload="none"))
    assert (status["phase"], "alnair.localPath" in status["message"]) == ("Failed", True), status
    assert alluxio.table == {}


def test_what_was_allowed_once_is_not_any_more() -> None:
    alluxio, item = Alluxio(), declared(source=f"{ROOT}/team-b", preload="none")
    before = settled(Guarded(SETTINGS, alluxio), item)
    assert before["phase"] == "Complete"
    without = Guarded(Settings("alluxio"), alluxio)
    after = without.step(Dataset.of(item), before)
    assert after.status["phase"] == "Failed" and after.events[0][:2] == ("Warning", "Failed")
    assert without.step(Dataset.of(item), after.status).events == []


def test_a_path_that_a_namespace_may_not_have_is_free_for_who_may() -> None:
    owner = declared("alluxio", "images", "2026-06-01T00:00:00Z", source=f"{ROOT}/images", preload="none")
    assert settled(Guarded(SETTINGS, Alluxio()), owner, declared(path="/datasets/images"))["phase"] == "Complete"
    assert settled(Guarded(SETTINGS, Alluxio()), owner, declared("team-c", path="/datasets/images"))["phase"] == "Failed"


def known(*items: dict[str, Any]) -> list[Known]:
    """Return what the webhook knows of data sets that are declared."""
    store = Store(type("Cluster", (), {"settings": SETTINGS})())
    store.items = {f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in items}
    return store.known()


def served(path: str, namespace: str, *items: dict[str, Any]) -> list[str]:
    """Return the data set and the path that a pod's volume becomes."""
    item = {"kind": "Pod", "metadata": {"name": "p", "annotations": {"cacheDataset": "yes"}}, "spec": {"volumes": [{"name": "v", "hostPath": {"path": path}}]}}
    answer = webhook.mutate(item, namespace, known(*items), SETTINGS)
    assert answer.allowed, answer.message
    found = {step["path"]: step["value"] for step in answer.patch}
    return [found["/metadata/annotations/alnair.io~1datasets"], found["/spec/volumes/0"]["hostPath"]["path"]]


IMAGES = declared("alluxio", "images", source=f"{ROOT}/images")


@pytest.mark.parametrize("spec", [
    {"namespaces": ["team-c"]}, {"namespaces": ["team-a"]}, {}, {"source": "s3://poison/x", "options": {"alnair.localPath": f"{ROOT}/images/train"}},
])  # fmt: skip
def test_what_a_namespace_declares_does_not_get_in_the_way_of_others(spec: dict[str, Any]) -> None:
    other = declared("team-c", "own", **{"source": f"{ROOT}/images/train", **spec})
    assert served(f"{ROOT}/images/train", "team-a", IMAGES, other) == ["alluxio/images", "/mnt/alluxio-fuse/datasets/images/train"]
    # Nor where nobody else has declared the folder.
    if spec.get("namespaces") == ["team-c"] or "options" in spec:
        assert served(f"{ROOT}/images/train", "team-a", other)[0] == "alluxio/images"


def test_a_namespace_has_its_own_and_what_others_let_it_have() -> None:
    own = declared("team-c", "own", source=f"{ROOT}/images/train")
    assert served(f"{ROOT}/images/train", "team-c", IMAGES, own) == ["team-c/own", "/mnt/alluxio-fuse/datasets/own"]
    assert served(f"{ROOT}/images/train", "team-a", {**own, "spec": {**own["spec"], "namespaces": ["team-a"]}})[0] == "team-c/own"


def test_a_path_below_the_mount_is_the_elder_s_whose_it_is() -> None:
    sly = declared("team-c", "sly", "2026-06-01T00:00:00Z", path="/datasets/images/train", namespaces=["team-c"])
    assert served("/mnt/alluxio-fuse/datasets/images/train", "team-a", sly, IMAGES)[0] == "alluxio/images"


def test_the_environment_says_which_secrets_a_namespace_may_name() -> None:
    found = Settings.of({"ALNAIR_NAMESPACE": "a", "ALNAIR_CREDENTIALS": '{"team": ["s3"]}', "ALNAIR_PULL_SECRETS": "true"})
    assert (found.credentials, found.pull_secrets) == ({"team": ("s3",)}, True)
    assert not Settings.of({"ALNAIR_NAMESPACE": "a", "ALNAIR_PULL_SECRETS": "false"}).pull_secrets
    with pytest.raises(SettingsError, match="ALNAIR_CREDENTIALS is no JSON"):
        Settings.of({"ALNAIR_NAMESPACE": "a", "ALNAIR_CREDENTIALS": "[1]"})


PREFIXES = {"team-a": ["/datasets/team-a", "/größe/"], "all": ["/"], "none": [], "alluxio": ["/x"]}


def judged(namespace: str, *paths: str, bare: bool = False) -> tuple[bool, str]:
    """Return whether the API server lets a pod with host paths be made, and what it says if not."""
    policy = rendered("dataset_operator", "policy.yml.j2", dataset_operator_prefixes=PREFIXES)[0]["spec"]
    volumes: list[dict[str, Any]] = [{"name": "scratch", "emptyDir": {}}, *({"name": "v", "hostPath": {"path": path}} for path in paths)]
    data: dict[str, Any] = {"object": {"spec": {} if bare else {"volumes": volumes}}, "request": {"namespace": namespace}}
    types = {"object": cel.Type.DYN, "request": cel.Type.DYN, "variables": cel.Type.DYN}
    environment = cel.NewEnv(variables=types, extensions=[ext_strings.ExtStrings()])
    data["variables"] = {}

    def evaluated(expression: str) -> Any:
        return environment.compile(expression).eval(data=data).plain_value()

    for variable in policy["variables"]:
        data["variables"][variable["name"]] = evaluated(variable["expression"])
    (rule,) = policy["validations"]
    fine = evaluated(rule["expression"])
    return fine, "" if fine else evaluated(rule["messageExpression"])


@pytest.mark.parametrize(("namespace", "paths"), [
    ("team-a", ["/mnt/alluxio-fuse/datasets/team-a"]), ("team-a", ["/mnt//alluxio-fuse/./datasets/team-a/x/"]), ("team-a", ["/mnt/alluxio-fuse/größe"]),
    ("team-a", ["/srv", "/mnt/fuse3/datasets/other", "/mnt/alluxio-fuse-2", "/mnt/other"]), ("team-a", []), ("none", ["/srv"]),
    ("all", ["/mnt/alluxio-fuse", "/mnt/alluxio-fuse/x"]),
])  # fmt: skip
def test_a_limited_namespace_has_host_paths_of_its_own(namespace: str, paths: list[str]) -> None:
    assert judged(namespace, *paths) == (True, "")


@pytest.mark.parametrize(("namespace", "path"), [
    ("team-a", "/mnt/alluxio-fuse/datasets/other"), ("team-a", "/mnt/alluxio-fuse/datasets/team-a-2"), ("team-a", "/mnt/alluxio-fuse/datasets"),
    ("team-a", "/mnt/alluxio-fuse"), ("team-a", "/mnt//alluxio-fuse//"), ("team-a", "/mnt/./alluxio-fuse/datasets/other"), ("team-a", "/mnt"), ("team-a", "/"),
    ("none", "/mnt/alluxio-fuse/datasets/team-a"), ("all", "/mnt"),
])  # fmt: skip
def test_a_limited_namespace_is_kept_from_what_lies_elsewhere_in_the_cache_whatever_its_pods_say(namespace: str, path: str) -> None:
    fine, said = judged(namespace, "/srv", path)
    assert not fine
    assert namespace in said and " is limited to " in said


def test_a_pod_without_volumes_is_none_of_the_policy_s_business() -> None:
    assert judged("team-a", bare=True) == (True, "")


def test_the_policy_is_for_limited_namespaces_and_never_for_that_of_the_release() -> None:
    items = rendered("dataset_operator", "policy.yml.j2", dataset_operator_prefixes=PREFIXES)
    assert [text for item in items for text in complaints(item)] == []
    policy, binding = items
    (expression,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert (expression["operator"], expression["values"]) == ("In", ["all", "none", "team-a"])
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
