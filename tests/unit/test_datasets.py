"""Data sets: what is wrong with a list is said before anything is changed, and Complete is believed only of the load that was asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from alnair_operator import webhook
from ansible_collections.alnair.alluxio.plugins.filter import datasets as filters
from ansible_collections.alnair.alluxio.plugins.module_utils import dataset_jobs, datasets
from ansible_collections.alnair.alluxio.plugins.modules import dataset_job
from chart_tools import complaints
from role_tools import rendered

HOME = Path(__file__).parents[2]
Item = dict[str, Any]
KIND = yaml.safe_load((HOME / "roles/dataset_operator/files/alnairdatacache.yml").read_text(encoding="utf-8"))
SPEC = KIND["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def entry(name: str = "images", **more: Any) -> Item:
    return {"name": name, "source": "s3://bucket/images", **more}


def declared(name: str, path: str = "", namespace: str = "alluxio") -> Item:
    return {"apiVersion": filters.VERSION, "kind": filters.KIND, "metadata": {"name": name, "namespace": namespace}, "spec": {"source": "/x", "path": path}}


def faults(*items: Item, there: tuple[Item, ...] = ()) -> list[str]:
    return filters.dataset_faults([*items], [*there], ["alluxio", "train"], "alluxio")


def test_what_is_right_is_silent() -> None:
    full = entry(path="/datasets/images", readOnly=False, credentials="s3", options={"alluxio.underfs.s3.endpoint": "http://s3"}, preload="all", subPaths=["train set"],
                 replicas=2, pin=True, ttl="30d", ttlAction="free", syncInterval="10m", evict=["other"], namespaces=["train"])  # fmt: skip
    assert faults(full, entry("other", source="/mnt/Größe und so")) == []
    for source in ("s3://bucket", "hdfs://host:9000/path", "nfs://server/export", "pvc://claim", "/host/path"):
        assert faults(entry(source=source)) == []


@pytest.mark.parametrize(("more", "sentence"), [
    ({"name": "Bilder für alle"}, 'name "Bilder für alle" must be at most 63 small letters.*path: "/datasets/Bilder für alle"'),
    ({"source": "bucket"}, 'source "bucket" must be s3://'),
    ({"source": "s3://bucket//images"}, r"has an empty part \(//\).*name a prefix without one"),
    ({"source": "hdfs://host:9000/a//"}, r"has an empty part \(//\)"),
    ({"source": "hdfs://me:word@host/x"}, "source holds a user or a password"),
    ({"path": "/"}, 'path "/" must be absolute, below /'),
    ({"path": "/a/../b"}, "without empty parts, . or .. in it"),
    ({"path": "/a/"}, "without a slash at its end"),
    ({"options": {"s3a.secretKey": "x"}}, "options hold s3a.secretKey, which looks like a credential"),
    ({"options": {"s3a.accessKeyId": "x"}}, "options hold s3a.accessKeyId, which looks like a credential"),
    ({"subPaths": ["/train"]}, "must be relative to the data set"),
    ({"subPaths": ["a/../../b"]}, "without . or .. in it"),
    ({"ttl": "soon"}, 'ttl "soon" must be a number with ms, s, m, h or d, such as 12h, or 0 for never'),
    ({"syncInterval": "1w"}, 'syncInterval "1w" must be'),
    ({"namespaces": ["train", "nowhere"]}, "namespaces hold nowhere, which the cluster does not have"),
    ({"evict": ["images"]}, "evict holds images, which is the data set itself"),
    ({"evict": ["unheard"]}, "evict holds unheard, which is no data set that is listed or declared"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(more: Item, sentence: str) -> None:
    (found,) = faults(entry(**{"path": "/datasets/x", **more}))
    assert re.search(sentence, found), found
    assert found.startswith(f"{more.get('name', 'images')}: ")


def test_a_name_that_stands_twice_is_named_once() -> None:
    assert faults(entry(), entry()) == ["images: is listed 2 times; each data set needs a name of its own"]


@pytest.mark.parametrize(("path", "fits"), [("/datasets/images/train", False), ("/datasets/images", False), ("/datasets", False), ("/datasets/images-2", True)])
def test_paths_that_overlap_are_named_whoever_declared_the_other(path: str, fits: bool) -> None:
    for found in (faults(entry(), entry("other", path=path)), faults(entry(), there=(declared("other", path, "train"),))):
        assert len(found) == (0 if fits else 1)
        assert fits or "/datasets/images and that of" in found[0]


def test_an_object_of_the_list_is_judged_as_it_will_be() -> None:
    assert faults(entry(path="/new"), there=(declared("images", "/datasets/old"), declared("other", "/datasets/old/x"))) == []


def test_an_object_holds_what_the_list_says_and_no_more() -> None:
    (found,) = filters.dataset_objects([entry(pin=True, ttl=None)], "alluxio")
    assert found["spec"] == {"source": "s3://bucket/images", "path": "/datasets/images", "pin": True}
    assert found["metadata"]["namespace"] == "alluxio"


def test_the_role_takes_what_the_kind_takes() -> None:
    contract = yaml.safe_load((HOME / "roles/datasets/meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"][
        "datasets_list"
    ]["options"]
    assert set(contract) == {"name", *SPEC}
    kinds = {"string": "str", "boolean": "bool", "integer": "int", "array": "list", "object": "dict"}
    for name, schema in SPEC.items():
        assert contract[name].get("type", "str") == kinds[schema["type"]], name
        assert contract[name].get("choices") == schema.get("enum"), name


def test_role_and_kind_refuse_the_same() -> None:
    rules = {name: [rule["rule"] for rule in schema.get("x-kubernetes-validations", [])] for name, schema in SPEC.items()}
    assert f"'^({filters.SOURCE.pattern})$'" in rules["source"][0]
    assert f"'^{filters.EMPTY.pattern}'" in rules["source"][2]
    assert f"'(?i)({filters.SECRET.pattern})'" in rules["options"][0]
    assert f"'^({filters.DURATION.pattern})$'" in rules["ttl"][0]


def test_what_an_operator_may_do_no_more() -> None:
    roles = [{"metadata": {"name": name, "namespace": space}} for name, space in (("own", "a"), ("own", "b"), ("own", "c"), ("other", "d"))]

    def left(*given: Any) -> list[str]:
        return [f"{item['kind']} {item['metadata'].get('namespace', '')}".strip() for item in filters.rights_left(roles, "own", *given)]

    assert left(["a", "b", "c"], True) == []
    assert left(["a", "c"], False) == ["RoleBinding b", "Role b", "ClusterRoleBinding", "ClusterRole"]


def test_every_rule_of_the_kind_is_explained_by_a_sentence() -> None:
    def walk(schema: Any) -> list[Item]:
        if isinstance(schema, dict):
            return [*schema.get("x-kubernetes-validations", []), *(rule for value in schema.values() for rule in walk(value))]
        return [rule for value in schema for rule in walk(value)] if isinstance(schema, list) else []

    found = walk(KIND["spec"])
    assert len(found) >= 9
    assert all(rule["message"].strip().endswith(".") for rule in found)


def pod(name: str, *gates: str, namespace: str = "train") -> Item:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"schedulingGates": [{"name": gate} for gate in gates]}}


def test_only_the_own_gate_is_taken_off_and_only_where_it_watches() -> None:
    pods = [
        pod("a", filters.GATE, "other"),
        pod("b", "other"),
        {"metadata": {"name": "c", "namespace": "x"}, "spec": {}},
        pod("d", filters.GATE, namespace="x"),
    ]
    assert [patch["metadata"]["name"] for patch in filters.gate_patches(pods)] == ["a", "d"]
    (patch,) = filters.gate_patches(filters.operator_objects(pods, [operator("own", "")], "own", ["train"]))
    assert patch["spec"]["schedulingGates"] == [{"name": filters.GATE, "$patch": "delete"}]


def test_pods_that_nothing_lets_go_are_those_that_wait_in_a_container_and_shall_be_held() -> None:
    def bound(name: str, on_failure: str, **state: Any) -> Item:
        hold = {"name": "alnair-hold", "env": [{"name": "ALNAIR_DATASETS", "value": "x"}, {"name": "ALNAIR_ON_FAILURE", "value": on_failure}]}
        return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"nodeName": "n", "initContainers": [hold]},
                "status": {"initContainerStatuses": [{"name": "alnair-hold", "state": state}]}}  # fmt: skip

    pods = [bound("a", "hold", running={}), bound("b", "source", running={}), bound("c", "hold", terminated={"exitCode": 0}), bound("d", "hold")]
    pods.append(pod("e", "other"))
    assert filters.held_for_good(pods) == ["ns/a", "ns/d"]


def test_the_container_that_holds_is_called_as_the_webhook_calls_it() -> None:
    assert filters.HOLD == webhook.HOLD


def operator(namespace: str, watch: str) -> Item:
    container = {"env": [{"name": "ALNAIR_WATCH", "value": watch}]}
    return {"metadata": {"namespace": namespace}, "spec": {"template": {"spec": {"containers": [container]}}}}


def test_what_another_operator_watches_is_not_the_own_ones_to_take_away() -> None:
    items = [pod(name, namespace=name) for name in ("own", "train", "x")]

    def kept(watched: list[str], *others: Item) -> list[str]:
        return [item["metadata"]["name"] for item in filters.operator_objects(items, [operator("own", ""), *others], "own", watched)]

    assert kept([]) == ["own", "train", "x"]
    assert kept(["own", "x"]) == ["own", "x"]
    assert kept([], operator("other", "other,x")) == ["own", "train"]
    assert kept([], operator("other", "")) == []


def test_operators_that_watch_the_same_are_rivals() -> None:
    assert filters.operator_rivals([operator("own", "")], "own", []) == []
    assert filters.operator_rivals([operator("other", "a,b")], "own", ["own", "c"]) == []
    assert filters.operator_rivals([operator("other", "a,b")], "own", ["own", "b"]) == ["that of namespace other watches a, b"]
    assert filters.operator_rivals([operator("other", "")], "own", ["own"]) == ["that of namespace other watches the whole cluster"]
    assert len(filters.operator_rivals([operator("other", "a")], "own", [])) == 1


def test_what_an_operator_watches_no_more_is_found_after_a_run_that_was_cut_off_too() -> None:
    roles = [{"metadata": {"name": name, "namespace": space}} for name, space in (("me", "own"), ("me", "a"), ("other", "c"))]

    def left(watch: str | None, *watched: str, roles: list[Item] = roles, everywhere: bool = False) -> list[str]:
        deployments = [operator("c", "c"), *([operator("own", watch)] if watch is not None else [])]
        return filters.namespaces_left(deployments, roles, "me", "own", [*watched], everywhere)

    assert left("a,b,own", "a", "own") == ["b"] and left("a,own", "a", "b", "own") == [] and left("a,own") == []
    assert left("", "a", "own") == ["*"] and left("") == [] and left(None, "own", roles=[]) == []
    assert left("b,own", "b", "own") == left(None, "b", "own") == ["a"], "the Role is still there"
    assert left("a,own", "a", "own", everywhere=True) == ["*"] and left("", everywhere=True) == [], "the ClusterRole is still there"
    items = [pod(name, namespace=name) for name in ("own", "a", "b", "x")]

    def theirs(spaces: list[str], *deployments: Item) -> list[str]:
        return [item["metadata"]["name"] for item in filters.objects_left(items, spaces, [operator("own", ""), *deployments], "own", ["a", "own"])]

    assert (theirs(["b"]), theirs(["*"])) == (["b"], ["b", "x"])
    assert (theirs(["*"], operator("other", "b")), theirs(["*"], operator("other", ""))) == (["x"], []), "another one looks after them by now"


def test_pods_whose_data_set_is_gone_are_told_from_those_that_can_start() -> None:
    pods = [pod(name) for name in ("both", "one", "gone", "none", "plain")]
    for item, names in zip(pods, ("a/x,a/y", "a/x", "a/z,a/x", ""), strict=False):
        item["metadata"]["annotations"] = {"alnair.io/datasets": names}
    declared = [{"metadata": {"name": name, "namespace": "a"}} for name in ("x", "y")]
    assert [item["metadata"]["name"] for item in filters.pods_without_data(pods, declared)] == ["gone"]


def stands(phase: str, generation: int = 1, seen: int = 1, reload: str = "t", **status: Any) -> Item:
    meta = {"generation": generation, "annotations": {"alnair.io/reload": reload}}
    return {"metadata": meta, "spec": {}, "status": {"phase": phase, "observedGeneration": seen, **status}}


@pytest.mark.parametrize(("item", "begun", "verdict"), [
    (None, {}, "failed"),
    ({"metadata": {"generation": 1}, "spec": {}}, {}, "going"),
    (stands("Loading"), {}, "going"),
    (stands("Complete"), {}, "done"),
    (stands("Failed"), {}, "failed"),
    (stands("TooLarge"), {}, "failed"),
    (stands("Incomplete"), {}, "failed"),
    # What it said of the spec before is no answer.
    (stands("Complete", generation=2), {}, "going"),
    # Nor is what it said before another load was asked for.
    (stands("Complete", observedReload="s"), {"asked": "t"}, "going"),
    (stands("Failed"), {"asked": "t"}, "going"),
    (stands("Loading", observedReload="t"), {"asked": "t"}, "going"),
    (stands("Complete", observedReload="t"), {"asked": "t"}, "done"),
    (stands("Failed", observedReload="t"), {"asked": "t"}, "failed"),
    # Somebody else asked meanwhile, or took the wish back: the answer to that is the one that comes.
    (stands("Complete", reload="u", observedReload="t"), {"asked": "t"}, "going"),
    (stands("Complete", reload="u", observedReload="u"), {"asked": "t"}, "done"),
    (stands("Complete", reload="", observedReload=""), {"asked": "t"}, "done"),
])  # fmt: skip
def test_an_answer_counts_only_for_what_was_asked(item: Item | None, begun: Item, verdict: str) -> None:
    assert datasets.verdict(item, begun) == verdict


def test_what_is_under_way_is_found_by_namespace_and_name() -> None:
    def item(name: str, namespace: str, phase: str) -> Item:
        return {"apiVersion": "v", "kind": "k", "metadata": {"name": name, "namespace": namespace, "uid": "u"}, "spec": {}, "status": {"phase": phase}}

    items = [item("a", "n", "Loading"), item("b", "n", ""), item("c", "n", "Complete"), item("d", "other", "Loading")]
    going = [found["metadata"]["name"] for found in filters.datasets_going(items, "n", [])]
    assert going == ["a", "b"]
    assert [found["metadata"]["name"] for found in filters.datasets_going(items, "n", ["n/a", "other/d", "other/a"])] == ["a", "d"]
    # What was asked of the operator and not answered is not over.
    items[2]["metadata"]["annotations"] = {"alnair.io/cancel": "now free"}
    assert [found["metadata"]["name"] for found in filters.datasets_going(items, "n", ["c"])] == ["c"]
    items[2]["status"]["observedCancel"] = "now free"
    assert filters.datasets_going(items, "n", ["a", "c"]) == [{"apiVersion": "v", "kind": "k", "metadata": {"name": "a", "namespace": "n"}}]


def test_progress_and_failure_are_told_with_figures() -> None:
    status = {"phase": "Loading", "files": 5000, "bytes": 100 * 2**30, "cachedBytes": 42 * 2**30, "cachedPercent": 42, "rate": 12 * 2**20, "secondsLeft": 200}
    assert datasets.progress("images", status) == "images: Loading, 42.0 GiB of 100.0 GiB (42 %), 5000 files, 12.0 MiB/s, 3 min left"
    line = "images: Loading, 42.0 GiB of 100.0 GiB (42 %), 2000 of 5000 files, 12.0 MiB/s, 3 min left"
    assert datasets.progress("images", {**status, "cachedFiles": 2000}) == line
    whole = {"phase": "Complete", "files": 5, "cachedFiles": 5, "bytes": 1024, "cachedBytes": 1024, "cachedPercent": 100}
    assert datasets.progress("images", whole) == "images: Complete, 1.0 KiB of 1.0 KiB (100 %), 5 files"
    assert datasets.progress("images", {}) == "images: waits for the operator"
    mounting = {"metadata": {}, "status": {"phase": "Mounting", "message": "It is mounted at noon."}}
    assert datasets.progress("images", mounting["status"]) == datasets.explained("images", "ns", mounting) == "images: Mounting: It is mounted at noon."
    failed = stands("Incomplete", message="2 files are not in the cache.", failedFiles=[{"path": "/a b", "reason": "gone"}], failedCount=2)
    assert datasets.explained("images", "ns", failed) == "images: Incomplete: 2 files are not in the cache. Not loaded: /a b (gone) and 1 more."
    assert "the operator has not seen what is declared now; it last said: fine" in datasets.explained("images", "ns", stands("Complete", 3, message="fine"))
    assert "no operator has taken it up" in datasets.explained("images", "ns", {"metadata": {}, "spec": {}})


@pytest.mark.parametrize(("printed", "found"), [
    ('{"a": 1}', {"a": 1}),
    ('WARN x\n{"no": 1}\n{\n "a": 1\n}\n', {"a": 1}),
    ('{"a": 1}\nJVM ends\n', {"a": 1}),
    ("no json\n{broken\n", None),
    ("", None),
])  # fmt: skip
def test_a_report_is_found_among_other_lines(printed: str, found: Item | None) -> None:
    assert datasets.document(printed) == found


REPORT = {"name": "images", "files": 9, "bytes": 2048, "cached": 8, "content": False, "differing": 3,
          "differences": [{"path": f"{index}", "kind": "length", "reason": "it has 1 B"} for index in range(3)]}  # fmt: skip


def test_an_outcome_names_files_and_how_many_more() -> None:
    line = "images: 9 files, 2.0 KiB, 8 of them cached, 3 differ: 0 (it has 1 B); 1 (it has 1 B); and 1 more"
    assert datasets.outcome("images", {"rc": 1, "report": REPORT}, shown=2) == line
    fine = {**REPORT, "differing": 0, "differences": [], "content": True, "compared": 5, "uncompared": 1, "repaired": 2}
    line = "images: 9 files, 2.0 KiB, 8 of them cached, 5 compared byte by byte, 1 not cached and so not compared, 2 put right, none differ"
    assert datasets.outcome("images", {"rc": 0, "report": fine}) == line
    assert datasets.outcome("images", {"rc": 1, "report": {**REPORT, "differing": 9000}}, shown=2).endswith("1 (it has 1 B); and 8998 more")
    sums = {"name": "images", "path": ".", "count": 9000, "files": {"a": "1", "b": "2"}, "checksum": "3"}
    assert datasets.outcome("images", {"rc": 0, "report": sums}) == "images: 3 of . (9000 files)"
    assert datasets.rows(sums) == [{"path": "a", "checksum": "1"}, {"path": "b", "checksum": "2"}]
    assert datasets.outcome("images", {"rc": 2, "report": None, "said": "boom"}) == "images: boom"
    assert "exit code 137 and said nothing" in datasets.outcome("images", {"rc": 137, "report": None, "said": ""})


def deployment() -> dict[str, Any]:
    """Return the operator's Deployment as the role makes it."""
    (found,) = [item for item in rendered("dataset_operator", "operator.yml.j2", dataset_operator_image="image") if item["kind"] == "Deployment"]
    return found


def test_a_job_has_the_operators_image_the_credentials_of_its_data_set_and_no_rights() -> None:
    item = declared("my.images", "/datasets/images")
    item["spec"] |= {"source": "s3://bucket/images", "credentials": "s3"}
    item["metadata"] |= {"uid": "u", "managedFields": [{}]}
    job = dataset_jobs.manifest(deployment(), item, "check", ["--content"], "abc123", 60)
    assert complaints(job) == []
    pod_spec = job["spec"]["template"]["spec"]
    (container,) = pod_spec["containers"]
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == ("check-my-images-abc123", "alluxio")
    assert (container["image"], container["args"]) == ("image:0.1.0", ["check", "my.images", "--content", "--json"])
    # Who waits for 60 s can still see its pod then, and what that waits for.
    assert job["spec"]["activeDeadlineSeconds"] > 60
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {volume["name"]: volume.get("secret", {}).get("secretName") for volume in pod_spec["volumes"]} == {"tmp": None, "credentials": "s3"}
    assert (pod_spec["serviceAccountName"], pod_spec["automountServiceAccountToken"]) == ("alnair-dataset-job", False)
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["ALNAIR_MASTERS"] == "alluxio-master-0.alluxio.svc:19998"
    assert json.loads(environment["ALNAIR_DATASET"])["spec"]["path"] == "/datasets/images"
    assert "managedFields" not in environment["ALNAIR_DATASET"]


def test_the_verbs_with_a_job_reach_data_sets_of_other_namespaces() -> None:
    def item(space: str, name: str, phase: str = "Complete") -> dict[str, Any]:
        status = {"phase": phase, "message": "refused", "observedGeneration": 1, "mounted": {"ufs": "/srv/x"}}
        return {"metadata": {"namespace": space, "name": name, "generation": 1}, "status": status}

    there = [item("alluxio", "a"), item("alluxio", "b"), item("one", "b"), item("one", "c"), item("two", "c"), item("two", "d"), item("two", "e", "Failed")]

    def meant(*names: str, watch: str = "") -> list[str]:
        operator = deployment()
        operator["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "ALNAIR_WATCH", "value": watch}]
        found = dataset_jobs.meant(list(names), operator, lambda space: [one for one in there if space in ("", one["metadata"]["namespace"])])
        return [f"{name}={one['metadata']['namespace']}" for name, one in found.items()]

    assert meant() == ["a=alluxio", "b=alluxio"]
    assert meant("b", "one/b", "two/c", "d", "alluxio/a") == ["b=alluxio", "one/b=one", "two/c=two", "two/d=two", "alluxio/a=alluxio"]
    assert meant("c", watch="alluxio,two") == ["two/c=two"]
    with pytest.raises(LookupError, match=r"Several namespaces have a data set c: say which by one of one/c, two/c\."):
        meant("c")
    with pytest.raises(LookupError, match=r"There is no data set one/c\. Declared: a, b, two/c"):
        meant("one/c", watch="alluxio,two")
    with pytest.raises(LookupError, match="two/e is not mounted as it is declared, so there is nothing to compare or to sum up: refused"):
        meant("e")


def test_a_job_that_compares_sees_the_sources_folder_and_cannot_write_there() -> None:
    item = declared("images", "/datasets/images")
    item["spec"]["source"] = "/mnt/fuse3/datasets/images"
    job = dataset_jobs.manifest(deployment(), item, "check", [], "abc123", 60)
    assert complaints(job) == []
    pod_spec = job["spec"]["template"]["spec"]
    assert {"name": "source", "hostPath": {"path": "/mnt/fuse3/datasets/images", "type": "Directory"}} in pod_spec["volumes"]
    assert {"name": "source", "mountPath": "/mnt/fuse3/datasets/images", "readOnly": True} in pod_spec["containers"][0]["volumeMounts"]


def test_a_job_that_compares_sees_the_folder_of_a_claim() -> None:
    item = declared("images", "/datasets/images")
    item["spec"]["source"] = "pvc://images"
    assert "source" not in {volume["name"] for volume in dataset_jobs.manifest(deployment(), item, "check", [], "x", 60)["spec"]["template"]["spec"]["volumes"]}
    item["status"] = {"mounted": {"path": "/datasets/images", "source": "pvc://images", "ufs": "/srv/volumes/images"}}
    pod_spec = dataset_jobs.manifest(deployment(), item, "check", [], "x", 60)["spec"]["template"]["spec"]
    assert {"name": "source", "hostPath": {"path": "/srv/volumes/images", "type": "Directory"}} in pod_spec["volumes"]


def test_a_job_has_ended_when_its_container_has() -> None:
    assert dataset_jobs.ended(None) is None
    assert dataset_jobs.ended({"status": {"containerStatuses": [{"state": {"running": {}}}]}}) is None
    assert dataset_jobs.ended({"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}}) == 3
    assert dataset_jobs.outcome(1, 'x\n{"differs": 1}')["report"] == {"differs": 1}
    assert dataset_jobs.outcome(1, "a\nb\n")["said"] == "a\nb"


@pytest.mark.parametrize(("reason", "timeout", "said"), [
    ("InvalidImageName", 3600, "its pod cannot start: container check: InvalidImageName: no message"),
    ("ImagePullBackOff", -1, "it did not end within -1 s (datasets_timeout): container check: ImagePullBackOff: no message"),
])  # fmt: skip
def test_a_job_that_cannot_start_is_not_told_as_one_that_took_too_long(reason: str, timeout: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {"name": "check", "state": {"waiting": {"reason": reason}}}
    monkeypatch.setattr(dataset_job.readiness, "events_of", lambda *_words: "")
    jobs = dataset_job.Jobs.__new__(dataset_job.Jobs)
    jobs.params, jobs.core, jobs.jobs = {"timeout": timeout}, None, {"images": {}}
    monkeypatch.setattr(jobs, "pod", lambda _job: {"metadata": {"name": "p"}, "status": {"containerStatuses": [waits]}})
    assert jobs.wait() == {"images": {"rc": 124, "report": None, "said": said}}
