"""What the data set operator's webhook makes of pods."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from alnair_operator import webhook
from alnair_operator.datasets import Dataset, name_of
from alnair_operator.placement import Fuse
from alnair_operator.settings import Settings
from alnair_operator.templates import COPIED
from alnair_operator.webhook import Answer, Known

ROOTS = ("/mnt/fuse3/datasets", "/mnt/fuse/alluxio-journal/datasets", "/mnt/fuse3/alluxio-journal/datasets")
SETTINGS = Settings(
    "alluxio", roots=ROOTS, image="operator:1", service="alnair-operator.alluxio.svc:8002", prefixes={"team-a": ("/datasets/team-a", "/shared")}
)


def dataset(name: str, source: str = "s3://bucket/x", namespace: str = "alluxio", **spec: Any) -> Known:
    phase = spec.pop("phase", "Complete")
    return Known(Dataset.of({"metadata": {"name": name, "namespace": namespace}, "spec": {"source": source, **spec}}), phase, "the reason")


def pod(*volumes: dict[str, Any], node: str = "", **annotations: str) -> dict[str, Any]:
    mounts = [{"name": volume["name"], "mountPath": f"/data/{index}"} for index, volume in enumerate(volumes)]
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "x", "volumeMounts": mounts}], "volumes": list(volumes)}
    if node:
        spec["nodeName"] = node
    return {"kind": "Pod", "metadata": {"name": "p", "annotations": {"cacheDataset": "yes", **annotations}}, "spec": spec}


def host(path: str, name: str = "data") -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": "Directory"}}


def applied(item: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """Apply a JSON patch as the API server does."""
    made = copy.deepcopy(item)
    for step in answer.patch:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        where: Any = made
        for part in way:
            where = where[int(part)] if isinstance(where, list) else where[part]
        if isinstance(where, list):
            if step["op"] == "add":
                where.insert(len(where) if last == "-" else int(last), step["value"])
            else:
                where[int(last)] = step["value"]
        elif step["op"] == "remove":
            del where[last]
        else:
            assert step["op"] == "add" or last in where
            where[last] = step["value"]
    return made


def mutated(item: dict[str, Any], *known: Known, namespace: str = "default", **more: Any) -> tuple[dict[str, Any], Answer]:
    answer = webhook.mutate(item, namespace, known, SETTINGS, **more)
    return applied(item, answer), answer


def test_a_host_path_below_a_root_is_read_through_fuse_and_the_pod_is_gated() -> None:
    before = pod(host("/mnt/fuse3/datasets/cifar10/train"))
    after, answer = mutated(before)
    assert after["spec"]["volumes"] == [{"name": "data", "hostPath": {"path": "/mnt/alluxio-fuse/datasets/cifar10/train", "type": "Directory"}}]
    assert after["spec"]["containers"][0]["volumeMounts"] == [{"name": "data", "mountPath": "/data/0", "mountPropagation": "HostToContainer", "readOnly": True}]
    assert after["spec"]["schedulingGates"] == [{"name": "alnair.io/dataset"}]
    assert after["metadata"]["labels"] == {"alnair.io/held": "true"}
    assert after["metadata"]["annotations"]["alnair.io/datasets"] == "alluxio/cifar10"
    assert json.loads(after["metadata"]["annotations"]["alnair.io/original"]) == before["spec"]["volumes"]
    assert answer.missing == {"alluxio/cifar10": "/mnt/fuse3/datasets/cifar10"}
    assert answer.unsettled == ["alluxio/cifar10"]


def test_the_pod_of_the_old_example_waits_in_an_init_container_because_it_names_its_node() -> None:
    item = pod(host("/mnt/fuse3/alluxio-journal/datasets/cifar10"), node="fw0013603")
    item["spec"]["initContainers"] = [{"name": "own", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]
    item["metadata"]["labels"] = {"app": "x"}
    after, _ = mutated(item, fuse=Fuse(frozenset({"fw0013603"})), now=1700000000.5)
    first, own = after["spec"]["initContainers"]
    assert first["image"] == "operator:1" and first["args"] == ["hold"]
    assert {"name": "ALNAIR_SINCE", "value": "1700000000"} in first["env"]
    assert {"name": "ALNAIR_HOLD_URL", "value": "http://alnair-operator.alluxio.svc:8002/hold"} in first["env"]
    assert own["volumeMounts"][0]["mountPropagation"] == "HostToContainer"
    assert "schedulingGates" not in after["spec"]
    assert after["metadata"]["labels"] == {"app": "x", "alnair.io/held": "true"}


def test_a_declared_data_set_is_found_by_the_longest_source() -> None:
    whole, part = dataset("whole", "/srv/images", path="/a"), dataset("part", "/srv/images/train/", path="/b", readOnly=False)
    after, answer = mutated(pod(host("/srv/images/train/x")), whole, part)
    assert after["spec"]["volumes"][0]["hostPath"]["path"] == "/mnt/alluxio-fuse/b/x"
    assert "readOnly" not in after["spec"]["containers"][0]["volumeMounts"][0]
    assert not answer.missing and not answer.unsettled
    assert mutated(pod(host("/srv/images-2")), whole, part)[1].patch == []


def test_claims_are_data_sets_by_name_or_by_the_host_path_of_their_volume() -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "images", "readOnly": True}}
    declared = dataset("images", "pvc://images", namespace="default", path="/datasets/images")
    after, _ = mutated(pod(claim), declared)
    assert after["spec"]["volumes"][0] == {"name": "data", "hostPath": {"path": "/mnt/alluxio-fuse/datasets/images", "type": "Directory"}}
    assert mutated(pod(claim), declared, namespace="other")[1].patch == []
    after, _ = mutated(pod(claim), claims={"images": "/mnt/fuse3/datasets/images"})
    assert after["metadata"]["annotations"]["alnair.io/datasets"] == "alluxio/images"


@pytest.mark.parametrize(
    "path", ["/mnt/fuse3/datasets/../x", "/mnt/fuse3/datasets/a/../../../etc", "/mnt/fuse3/datasets", "/mnt/fuse3/datasets-2/x", "/etc", "relative"]
)
def test_paths_that_are_no_data_set_stay(path: str) -> None:
    item = pod(host(path))
    answer = webhook.mutate(item, "default", [], SETTINGS)
    assert answer.allowed and answer.patch == [] and "no volume" in answer.warnings[0]


def test_a_path_is_taken_for_what_it_means() -> None:
    # Two slashes at the start mean one, and Python leaves them.
    for path in ("/mnt/fuse3/datasets/a/../b//c/", "//mnt/fuse3/datasets/b/c"):
        after, _ = mutated(pod(host(path)))
        assert after["spec"]["volumes"][0]["hostPath"]["path"] == "/mnt/alluxio-fuse/datasets/b/c"


@pytest.mark.parametrize("part", ["my data", "größe", "UPPER", "数据", "a.b", "-x-"])
def test_folders_with_any_name_become_data_sets_with_names_of_their_own(part: str) -> None:
    after, answer = mutated(pod(host(f"/mnt/fuse3/datasets/{part}/sub dir ü")))
    name = name_of(part)
    assert answer.missing == {f"alluxio/{name}": f"/mnt/fuse3/datasets/{part}"}
    assert after["spec"]["volumes"][0]["hostPath"]["path"] == f"/mnt/alluxio-fuse/datasets/{name}/sub dir ü"
    assert all(letter.isascii() and (letter.isalnum() and not letter.isupper() or letter == "-") for letter in name) and name[0] != "-"


def test_names_stay_apart() -> None:
    assert len({name_of("my data"), name_of("my-data"), name_of("my_data"), name_of("数据"), name_of("数")}) == 5
    assert len(name_of("x" * 200)) <= 63
    first = dataset("x", "/mnt/fuse3/datasets/x")
    _, answer = mutated(pod(host("/mnt/fuse/alluxio-journal/datasets/x")), first)
    assert list(answer.missing) != ["alluxio/x"] and list(answer.missing.values()) == ["/mnt/fuse/alluxio-journal/datasets/x"]


def test_a_folder_of_a_root_with_the_name_of_a_bucket_s_data_set_is_that_data_set() -> None:
    known = dataset("images", path="/buckets/images")
    after, answer = mutated(pod(host("/mnt/fuse3/datasets/images/train")), known)
    assert after["spec"]["volumes"][0]["hostPath"]["path"] == "/mnt/alluxio-fuse/buckets/images/train"
    assert not answer.missing and after["metadata"]["annotations"]["alnair.io/datasets"] == "alluxio/images"
    after, _ = mutated(pod(host("/mnt/fuse3/datasets/images")), dataset("images", phase="Failed"))
    assert after["spec"]["volumes"][0] == host("/mnt/fuse3/datasets/images")


def test_two_volumes_and_one_that_is_none() -> None:
    item = pod(host("/mnt/fuse3/datasets/b", "one"), {"name": "scratch", "emptyDir": {}}, host("/mnt/fuse3/datasets/a", "two"))
    item["spec"]["schedulingGates"] = [{"name": "other"}]
    after, _ = mutated(item)
    assert after["metadata"]["annotations"]["alnair.io/datasets"] == "alluxio/a,alluxio/b"
    assert after["spec"]["volumes"][1] == {"name": "scratch", "emptyDir": {}}
    assert after["spec"]["schedulingGates"] == [{"name": "other"}, {"name": "alnair.io/dataset"}]
    assert "mountPropagation" not in after["spec"]["containers"][0]["volumeMounts"][1]


def test_a_pod_without_the_annotation_is_left_alone() -> None:
    item = pod(host("/mnt/fuse3/datasets/a"), cacheDataset="no")
    assert webhook.mutate(item, "default", [], SETTINGS) == Answer()


def test_a_pod_without_volumes_is_admitted_with_a_warning() -> None:
    item = pod()
    del item["spec"]["volumes"]
    answer = webhook.mutate(item, "default", [], SETTINGS)
    assert answer.allowed and not answer.patch and len(answer.warnings) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/mnt/fuse3/datasets/other",
        "/mnt/alluxio-fuse/datasets/other",
        "/mnt/fuse3/datasets/team-a/../other",
        "//mnt/fuse3/datasets/other",
        "//mnt/alluxio-fuse/datasets/other",
        "/mnt/fuse3",
        "/mnt",
        "/mnt/alluxio-fuse",
    ],
)
def test_a_limited_namespace_is_refused_what_lies_elsewhere(path: str) -> None:
    answer = webhook.mutate(pod(host(path)), "team-a", [], SETTINGS)
    assert not answer.allowed and not answer.patch
    assert "team-a" in answer.message and "limited" in answer.message


@pytest.mark.parametrize("path", ["/mnt/fuse3/datasets/team-a/x", "/mnt/alluxio-fuse/shared/y"])
def test_a_limited_namespace_has_its_own(path: str) -> None:
    assert webhook.mutate(pod(host(path)), "team-a", [], SETTINGS).allowed


def test_a_data_set_says_who_may_use_it() -> None:
    known = dataset("images", "/srv/images", namespaces=["team-b"])
    assert webhook.mutate(pod(host("/srv/images")), "team-b", [known], SETTINGS).patch
    answer = webhook.mutate(pod(host("/srv/images")), "team-c", [known], SETTINGS)
    assert not answer.allowed and "alluxio/images" in answer.message and "team-c" in answer.message


def test_a_path_below_the_fuse_mount_is_a_data_set_too() -> None:
    known = dataset("images", "/srv/images", path="/datasets/images")
    after, _ = mutated(pod(host("/mnt/alluxio-fuse/datasets/images/train")), known)
    assert after["spec"]["volumes"][0]["hostPath"]["path"] == "/mnt/alluxio-fuse/datasets/images/train"
    assert after["metadata"]["annotations"]["alnair.io/datasets"] == "alluxio/images"


@pytest.mark.parametrize(("fuse", "phase"), [(Fuse(frozenset()), "Complete"), (None, "Failed")])
def test_what_cannot_be_served_stays_on_the_source_or_is_held(fuse: Fuse | None, phase: str) -> None:
    known = dataset("images", "/srv/images", phase=phase)
    after, answer = mutated(pod(host("/srv/images")), known, fuse=fuse)
    assert after["spec"] == pod(host("/srv/images"))["spec"]
    assert "stays on its source" in after["metadata"]["annotations"]["alnair.io/onSource"] and answer.warnings
    after, _ = mutated(pod(host("/srv/images"), **{"alnair.io/onFailure": "hold"}), known, fuse=fuse)
    assert after["spec"]["schedulingGates"]


@pytest.mark.parametrize(("fuse", "phase"), [(Fuse(frozenset()), "Complete"), (None, "Failed")])
def test_a_claim_whose_volume_has_no_path_on_the_hosts_stays_on_it_alike(fuse: Fuse | None, phase: str) -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "images"}}
    after, _ = mutated(pod(claim), dataset("images", "pvc://images", namespace="default", phase=phase), fuse=fuse)
    assert after["spec"] == pod(claim)["spec"] and "stays on its source" in after["metadata"]["annotations"]["alnair.io/onSource"]
    # What names the mount itself has no other source.
    through = host("/mnt/alluxio-fuse/datasets/images")
    after, _ = mutated(pod(through), dataset("images", "/srv/images", phase=phase), fuse=fuse)
    assert after["spec"]["schedulingGates"]


def test_a_file_is_served_as_one_and_what_may_have_to_be_made_stays_on_its_source() -> None:
    def typed(kind: str, path: str) -> dict[str, Any]:
        return {"name": "data", "hostPath": {"path": path, "type": kind}}

    known = dataset("images", "/srv/images")
    for kind, path, wanted in (
        ("File", "/srv/images/labels.csv", "File"),
        ("", "/srv/images/train", "Directory"),
        ("DirectoryOrCreate", "/srv/images/", "Directory"),
    ):
        after, _ = mutated(pod(typed(kind, path)), known)
        assert after["spec"]["volumes"][0]["hostPath"]["type"] == wanted
    for kind in ("DirectoryOrCreate", "FileOrCreate"):
        before = pod(typed(kind, "/srv/images/new"))
        for on_failure in ("source", "hold"):
            before["metadata"]["annotations"]["alnair.io/onFailure"] = on_failure
            after, _ = mutated(before, known)
            assert after["spec"] == before["spec"] and f"its type {kind}" in after["metadata"]["annotations"]["alnair.io/onSource"]
    before = pod(typed("Socket", "/srv/images/socket"))
    assert mutated(before, known)[0] == before


def test_who_claims_to_read_only_reads_only() -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "images", "readOnly": True}}
    for given in (claim, {**claim, "persistentVolumeClaim": {"claimName": "images"}}):
        after, _ = mutated(pod(given), dataset("images", "pvc://images", namespace="default", readOnly=False))
        assert after["spec"]["containers"][0]["volumeMounts"][0].get("readOnly", False) == (given is claim)


def test_the_mount_on_another_node_helps_no_pod_that_is_bound_to_one() -> None:
    after, _ = mutated(pod(host("/mnt/fuse3/datasets/a"), node="n1"), fuse=Fuse(frozenset({"n2"})))
    assert "initContainers" not in after["spec"] and "node n1" in after["metadata"]["annotations"]["alnair.io/onSource"]


def test_a_pod_is_scheduled_only_where_the_file_system_is_mounted() -> None:
    fuse, volume = Fuse(frozenset({"n1"}), {"alnair.io/alluxio-worker": "true"}), host("/mnt/fuse3/datasets/a")
    after, _ = mutated(pod(volume), fuse=fuse)
    assert after["spec"]["nodeSelector"] == {"alnair.io/alluxio-worker": "true"}
    own = pod(volume)
    own["spec"]["nodeSelector"] = {"gpu": "a100"}
    after, _ = mutated(own, fuse=fuse)
    assert after["spec"]["nodeSelector"] == {"gpu": "a100", "alnair.io/alluxio-worker": "true"}
    own["spec"]["nodeSelector"] = {"alnair.io/alluxio-worker": "false"}
    after, _ = mutated(own, fuse=fuse)
    assert after["spec"] == own["spec"] and "alnair.io/alluxio-worker=false" in after["metadata"]["annotations"]["alnair.io/onSource"]
    # The chart may mount it everywhere, and what is bound to a node passes no scheduler.
    assert "nodeSelector" not in mutated(pod(volume), fuse=Fuse(frozenset({"n1"})))[0]["spec"]
    assert "nodeSelector" not in mutated(pod(volume, node="n1"), fuse=fuse)[0]["spec"]


def host_term(operator: str, *values: str, key: str = "kubernetes.io/hostname", part: str = "matchExpressions") -> dict[str, Any]:
    return {part: [{"key": key, "operator": operator, "values": [*values]}, {"key": "gpu", "operator": "Exists"}]}


@pytest.mark.parametrize(("selector", "terms", "reaches"), [
    ({"kubernetes.io/hostname": "n3"}, [], False),
    ({"kubernetes.io/hostname": "n1"}, [], True),
    ({"gpu": "a100"}, [], True),
    ({}, [host_term("In", "n3", "n4")], False),
    ({}, [host_term("In", "n3", "n2")], True),
    ({}, [host_term("In", "n3"), host_term("In", "n2")], True),
    ({}, [host_term("NotIn", "n1", "n2")], False),
    ({}, [host_term("NotIn", "n1")], True),
    ({}, [host_term("In", "n3", key="metadata.name", part="matchFields")], False),
    ({}, [host_term("In", "n3", key="zone")], True),
    ({}, [host_term("Exists")], True),
    ({"kubernetes.io/hostname": "n1"}, [host_term("In", "n2")], False),
    ({"kubernetes.io/hostname": "n1.example.com"}, [], True),
    ({}, [host_term("In", "n1.example.com")], True),
    ({}, [host_term("In", "n1.example.com", key="metadata.name", part="matchFields")], False),
    ({}, [host_term("DoesNotExist", key="alnair.io/alluxio-worker")], False),
    ({}, [host_term("NotIn", "true", key="alnair.io/alluxio-worker")], False),
    ({}, [host_term("In", "true", key="alnair.io/alluxio-worker")], True),
    ({}, [host_term("Exists", key="alnair.io/alluxio-worker")], True),
    ({}, [host_term("Gt", "1", key="alnair.io/alluxio-worker")], True),
])  # fmt: skip
def test_a_pod_that_names_nodes_without_the_cache_stays_on_its_source(selector: dict[str, str], terms: list[dict[str, Any]], reaches: bool) -> None:
    item = pod(host("/mnt/fuse3/datasets/a"))
    item["spec"]["nodeSelector"] = selector
    if terms:
        item["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    after, _ = mutated(item, fuse=Fuse(frozenset({"n1", "n2"}), {"alnair.io/alluxio-worker": "true"}))
    assert ("schedulingGates" in after["spec"]) is reaches
    if not reaches:
        assert after["spec"] == item["spec"] and "leaves it none of the nodes" in after["metadata"]["annotations"]["alnair.io/onSource"]


def test_a_mount_that_is_read_only_to_its_depth_stays_so() -> None:
    for value, wanted in (("Enabled", None), ("IfPossible", None), ("Disabled", "HostToContainer")):
        item = pod(host("/mnt/fuse3/datasets/a"))
        item["spec"]["containers"][0]["volumeMounts"][0] |= {"readOnly": True, "recursiveReadOnly": value}
        (mount,) = mutated(item)[0]["spec"]["containers"][0]["volumeMounts"]
        assert (mount["recursiveReadOnly"], mount.get("mountPropagation")) == (value, wanted)


def test_templates_get_the_annotation_of_what_they_belong_to() -> None:
    meta = {"annotations": {"cacheDataset": "yes", "alnair.io/onFailure": "hold"}}
    templates: tuple[dict[str, Any], ...] = (
        {"spec": {}},
        {"metadata": {"labels": {"a": "b"}}, "spec": {}},
        {"metadata": {"annotations": {"x": "y"}}, "spec": {}},
    )
    for template in templates:
        item = {"kind": "Deployment", "metadata": meta, "spec": {"template": template}}
        made = applied(item, webhook.mutate(item, "default", [], SETTINGS))["spec"]["template"]["metadata"]["annotations"]
        assert made["cacheDataset"] == "yes" and made["alnair.io/onFailure"] == "hold"
        again = applied(item, webhook.mutate(item, "default", [], SETTINGS))
        assert webhook.mutate(again, "default", [], SETTINGS).patch == []
    cron = {"kind": "CronJob", "metadata": meta, "spec": {"jobTemplate": {"spec": {"template": {"spec": {}}}}}}
    made = applied(cron, webhook.mutate(cron, "default", [], SETTINGS))
    assert made["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"]["cacheDataset"] == "yes"


def workload(own: dict[str, str] | None, template: dict[str, str] | None, kind: str = "Deployment") -> dict[str, Any]:
    made = {"template": {"metadata": {"annotations": template} if template is not None else {}, "spec": {}}}
    spec = {"jobTemplate": {"spec": made}} if kind == "CronJob" else made
    return {"kind": kind, "metadata": {"annotations": own} if own is not None else {}, "spec": spec}


def templated(item: dict[str, Any]) -> dict[str, str]:
    """Return the annotations of a template as the webhook leaves them, with what it notes."""
    made = applied(item, webhook.mutate(item, "default", [], SETTINGS))["spec"]
    template = made["jobTemplate"]["spec"]["template"] if item["kind"] == "CronJob" else made["template"]
    return dict(template["metadata"].get("annotations") or {})


def noted(**copies: str) -> dict[str, str]:
    """Return annotations that were copied, with the note of that."""
    found = {"cacheDataset" if name == "cache" else "alnair.io/onFailure": value for name, value in copies.items()}
    return {**found, COPIED: json.dumps(found, sort_keys=True)}


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_a_copy_follows_what_it_is_a_copy_of(kind: str) -> None:
    own = {"cacheDataset": "yes", "alnair.io/onFailure": "hold"}
    there = templated(workload(own, {"x": "y"}, kind))
    assert there == {**noted(cache="yes", on_failure="hold"), "x": "y"}
    # The template comes back with its copies, as kubectl edit and apply send it.
    assert webhook.mutate(workload(own, there, kind), "default", [], SETTINGS).patch == []
    assert templated(workload({**own, "alnair.io/onFailure": "source"}, there, kind)) == {**noted(cache="yes", on_failure="source"), "x": "y"}
    assert templated(workload({"cacheDataset": "yes"}, there, kind)) == {**noted(cache="yes"), "x": "y"}
    for taken in (None, {}, {"cacheDataset": "no"}, {"cacheDataset": "no", "alnair.io/onFailure": "hold"}):
        assert templated(workload(taken, there, kind)) == {"x": "y"}
    # What somebody has written in the place of a copy is his.
    assert templated(workload(own, {**there, "cacheDataset": "no"}, kind)) == {"cacheDataset": "no", **noted(on_failure="hold"), "x": "y"}
    assert templated(workload({}, {**there, "alnair.io/onFailure": "source"}, kind)) == {"alnair.io/onFailure": "source", "x": "y"}


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_what_was_written_in_the_place_of_a_copy_with_the_same_word_stays(kind: str) -> None:
    mine = workload({}, {"cacheDataset": "yes"}, kind)
    given = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": mine["spec"]})}
    assert templated(workload(given, noted(cache="yes"), kind)) == {"cacheDataset": "yes"}
    for nothing in ("", "[]", "{", '{"spec": 1}', '{"spec": {"template": null}}'):
        assert templated(workload({"kubectl.kubernetes.io/last-applied-configuration": nothing}, noted(cache="yes"), kind)) == {}


def test_a_job_keeps_what_its_cron_job_has_copied() -> None:
    job = workload(None, noted(cache="yes"), "Job")
    job["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "c", "controller": True}]
    assert templated(job) == noted(cache="yes")
    # What stands at the Job's own template in the CronJob.
    job = workload({"cacheDataset": "yes"}, {"x": "y"}, "Job")
    job["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "c", "controller": True}]
    assert templated(job) == {**noted(cache="yes"), "x": "y"}


def test_what_never_was_a_copy_is_left_alone() -> None:
    note = json.dumps({"mine": "1"})
    assert templated(workload({}, {"mine": "1", COPIED: note})) == {"mine": "1"}
    for note in ("{", "[]", '"cacheDataset"'):
        assert templated(workload({}, {"cacheDataset": "yes", COPIED: note})) == {"cacheDataset": "yes"}
    assert webhook.mutate(workload({"cacheDataset": "no"}, {"cacheDataset": "yes"}), "default", [], SETTINGS).patch == []


def test_what_a_template_says_itself_holds() -> None:
    item = {"kind": "Job", "metadata": {"annotations": {"cacheDataset": "yes"}}, "spec": {"template": {"metadata": {"annotations": {"cacheDataset": "no"}}}}}
    assert webhook.mutate(item, "default", [], SETTINGS).patch == []
