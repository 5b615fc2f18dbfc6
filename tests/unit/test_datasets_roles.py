"""The roles dataset_operator and datasets from an empty cluster to data sets that are loaded, checked and gone, on an API that lives in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.filter.datasets import dataset_objects
from role_tools import rendered, run_role
from small_api import Api, serve

from alnair import counting

HOME = Path(__file__).parents[2]
SETS: list[dict[str, Any]] = [{"name": "images", "source": "s3://bucket/images"}, {"name": "texts", "source": "/srv/texts", "namespaces": ["default"]}]
REPORT: dict[str, Any] = {"files": 10, "bytes": 1000, "cached": 10, "differing": 0, "differences": []}
OPERATOR = {"dataset_operator_image": "registry.example/alnair-operator"}


class Cluster:
    """An empty cluster, and plays against it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.api = folder, Api()
        self.server = serve(self.api, folder / "kubeconfig")
        self.answers: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, tuple[int, str]] = {}
        self.api.played, self.answering = self.play, True

    def play(self, api: Api, _path: str, item: dict[str, Any]) -> None:
        """Do what the operator and the kubelet would."""
        name, metadata = item["metadata"]["name"], item["metadata"]
        if item["kind"] == "AlnairDatacache":
            asked, ends = ((metadata.get("annotations") or {}).get(f"alnair.io/{word}") or "" for word in ("reload", "cancel"))
            if not self.answering:
                return
            full = {"phase": "Complete", "files": 10, "bytes": 1000, "cachedBytes": 1000, "cachedPercent": 100}
            item["status"] = {
                **full,
                "observedGeneration": metadata["generation"],
                "observedReload": asked,
                "observedCancel": ends,
                **self.answers.get(name, {}),
            }
        if item["kind"] == "Job":
            code, text = self.ends.get(metadata["labels"]["alnair.io/dataset"], (0, json.dumps(REPORT)))
            labels = {"batch.kubernetes.io/job-name": name}
            over = {"name": "x", "state": {"terminated": {"exitCode": code}}}
            api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-x", "namespace": metadata["namespace"], "labels": labels, "owner": name},
                     "spec": item["spec"]["template"]["spec"], "status": {"phase": "Failed" if code else "Succeeded", "containerStatuses": [over]}})  # fmt: skip
            api.logs[f"{name}-x"] = text

    def deploy(self, *sets: dict[str, Any]) -> None:
        """Put kind, operator and data sets there as the roles do."""
        self.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "alluxio"}})
        kind = yaml.safe_load((HOME / "roles/dataset_operator/files/alnairdatacache.yml").read_text(encoding="utf-8"))
        for item in (kind, *rendered("dataset_operator", "operator.yml.j2", **OPERATOR), *dataset_objects(sets, "alluxio")):
            item["metadata"]["generation"] = 1
            self.api.add(item)
            self.api.written(next(path for path, kept in self.api.items.items() if kept is item), item)

    def annotation(self, name: str, word: str) -> str:
        """Return what is asked of a data set by an annotation."""
        (item,) = [item for item in self.api.known("AlnairDatacache") if item["metadata"]["name"] == name]
        return str((item["metadata"].get("annotations") or {}).get(f"alnair.io/{word}", ""))

    def run(self, role: str, *words: str, tasks: str = "main", **variables: Any) -> tuple[int, str]:
        """Run a role; return its exit code and what ansible-playbook said."""
        return run_role(self.folder, role, *words, tasks=tasks, **{**OPERATOR, **variables})

    def changed(self, *words: Any, **variables: Any) -> int:
        """Run a role that must not fail; return how many tasks changed something."""
        code, text = self.run(*words, **variables)
        assert code == 0, text
        found = re.search(r"changed=(\d+)", text)
        assert found
        return int(found[1])

    def said(self, *words: Any, **variables: Any) -> str:
        """Run a role that must fail; return what it said, in one line."""
        code, text = self.run(*words, **variables)
        assert code == 2, text
        return " ".join(text.split())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.server.shutdown()


@pytest.mark.long
def test_the_operator_comes_stays_and_goes(cluster: Cluster) -> None:
    before = {*cluster.api.items}
    secrets: dict[str, Any] = {"dataset_operator_credentials": {"s3": {"s3a.secretKey": "as-secret-as-can-be"}}}
    assert cluster.changed("dataset_operator", "--check", **secrets) == 5
    assert {*cluster.api.items} == before
    code, text = cluster.run("dataset_operator", "--diff", "-vvv", **secrets)
    assert code == 0, text
    assert "as-secret-as-can-be" not in text.partition("PLAY [")[2]
    assert "PRIVATE KEY" not in text
    (webhook,) = cluster.api.known("MutatingWebhookConfiguration")
    (tls,) = [item for item in cluster.api.known("Secret") if item["metadata"]["name"] == "alnair-operator-tls"]
    assert {hook["clientConfig"]["caBundle"] for hook in webhook["webhooks"]} == {tls["data"]["ca.crt"]}
    assert cluster.changed("dataset_operator", **secrets) == 0

    gates = [{"name": "alnair.io/dataset"}, {"name": "other"}]
    cluster.api.add(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "held", "namespace": "default"},
            "spec": {"schedulingGates": gates},
            "status": {"phase": "Pending"},
        }
    )
    gone = {**secrets, "dataset_operator_state": "absent"}
    # The webhook, the pod's gate, all else.
    assert cluster.changed("dataset_operator", **gone) == 3
    assert cluster.api.items.pop("/api/v1/namespaces/default/pods/held")["spec"]["schedulingGates"] == [{"name": "other"}]
    # The namespace is the release's.
    assert {*cluster.api.items} - before == {"/api/v1/namespaces/alluxio"}


def test_the_operator_stays_while_a_pod_would_wait_for_it_for_ever(cluster: Cluster) -> None:
    cluster.deploy()
    hold = {"name": "alnair-hold", "env": [{"name": "ALNAIR_ON_FAILURE", "value": "hold"}]}
    cluster.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bound", "namespace": "default"},
                     "spec": {"nodeName": "n", "initContainers": [hold]}, "status": {"phase": "Pending", "initContainerStatuses": [{"name": "alnair-hold", "state": {"running": {}}}]}})  # fmt: skip
    before = {*cluster.api.items}
    said = cluster.said("dataset_operator", dataset_operator_state="absent")
    assert "Nothing was removed: default/bound. These pods name their node and are to be held" in said
    assert {*cluster.api.items} == before
    code, text = cluster.run("dataset_operator", dataset_operator_state="absent", alluxio_force=True)
    assert (code, "so make them anew: default/bound." in " ".join(text.split()), cluster.api.known("Deployment")) == (0, True, []), text


@pytest.mark.long
def test_rights_follow_what_is_watched(cluster: Cluster) -> None:
    def rights() -> set[str]:
        kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        return {f"{kind} {item['metadata'].get('namespace', '')}".strip() for kind in kinds for item in cluster.api.known(kind)}

    assert cluster.run("dataset_operator")[0] == 0
    assert rights() == {"ClusterRole", "ClusterRoleBinding", "Role alluxio", "RoleBinding alluxio"}
    cluster.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}})
    named: dict[str, Any] = {"dataset_operator_namespaces": ["default", "train"]}
    assert cluster.run("dataset_operator", **named)[0] == 0
    assert rights() == {f"{kind} {space}" for kind in ("Role", "RoleBinding") for space in ("alluxio", "default", "train")}
    assert cluster.changed("dataset_operator", **named) == 0
    assert cluster.run("dataset_operator", dataset_operator_namespaces=["train"])[0] == 0
    assert rights() == {f"{kind} {space}" for kind in ("Role", "RoleBinding") for space in ("alluxio", "train")}
    # Whoever says nothing of the namespaces at its end leaves nothing, either.
    assert cluster.run("dataset_operator", dataset_operator_state="absent")[0] == 0
    assert rights() == set()


@pytest.mark.long
def test_who_is_watched_no_more_is_not_left_waiting(cluster: Cluster) -> None:
    def named(*spaces: str) -> dict[str, Any]:
        return {"dataset_operator_namespaces": [*spaces]}

    for space in ("a", "b"):
        cluster.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    assert cluster.run("dataset_operator", **named("a", "b"))[0] == 0
    (item,) = dataset_objects(SETS[1:], "b")
    item["metadata"]["generation"] = 1
    cluster.api.add(item)
    for space in ("a", "b"):
        cluster.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "namespace": space},
                         "spec": {"schedulingGates": [{"name": "alnair.io/dataset"}]}, "status": {"phase": "Pending"}})  # fmt: skip

    def gated() -> list[str]:
        return [pod["metadata"]["namespace"] for pod in cluster.api.known("Pod") if pod["spec"]["schedulingGates"]]

    said = cluster.said("dataset_operator", **named("a"))
    assert "nobody would unmount them: b/texts. Remove them first (kubectl --namespace b delete adc NAME)" in said and gated() == ["a", "b"]
    assert {role["metadata"]["namespace"] for role in cluster.api.known("Role")} == {"alluxio", "a", "b"}
    del cluster.api.items["/apis/centaurusinfra.com/v1/namespaces/b/alnairdatacaches/texts"]
    code, text = cluster.run("dataset_operator", **named("a"))
    assert (code, gated()) == (0, ["a"]), text
    assert {role["metadata"]["namespace"] for role in cluster.api.known("Role")} == {"alluxio", "a"}
    assert cluster.changed("dataset_operator", **named("a")) == 0


@pytest.mark.long
def test_what_was_watched_until_now_keeps_the_operator_from_going(cluster: Cluster) -> None:
    for space in ("a", "b"):
        cluster.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    assert cluster.run("dataset_operator", dataset_operator_namespaces=["a", "b"])[0] == 0
    (item,) = dataset_objects(SETS[1:], "b")
    item["metadata"]["generation"] = 1
    cluster.api.add(item)
    cluster.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "namespace": "b", "labels": {"alnair.io/held": "true"}},
                     "spec": {"schedulingGates": [{"name": "alnair.io/dataset"}]}, "status": {"phase": "Pending"}})  # fmt: skip
    gone: dict[str, Any] = {"dataset_operator_namespaces": ["a"], "dataset_operator_state": "absent"}
    assert "these data sets are declared, and only the operator can unmount them: b/texts" in cluster.said("dataset_operator", **gone)
    assert cluster.run("dataset_operator", dataset_operator_unmount=True, **gone)[0] == 0
    (pod,) = cluster.api.known("Pod")
    assert (pod["spec"]["schedulingGates"], pod["metadata"]["labels"], cluster.api.known("AlnairDatacache")) == ([], {}, [])


@pytest.mark.long
def test_a_pod_whose_data_set_is_gone_is_named_and_not_started(cluster: Cluster) -> None:
    for space in ("a", "b"):
        cluster.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    assert cluster.run("dataset_operator", dataset_operator_namespaces=[])[0] == 0
    cluster.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "namespace": "b", "annotations": {"alnair.io/datasets": "b/gone"}},
                     "spec": {"schedulingGates": [{"name": "alnair.io/dataset"}]}, "status": {"phase": "Pending"}})  # fmt: skip
    code, text = cluster.run("dataset_operator", dataset_operator_namespaces=["a"])
    assert (code, "declared no more, so make them anew: b/held." in " ".join(text.split())) == (0, True), text
    assert cluster.api.known("Pod")[0]["spec"]["schedulingGates"] == [{"name": "alnair.io/dataset"}]


@pytest.mark.long
def test_secrets_follow_what_is_named(cluster: Cluster) -> None:
    def secrets() -> set[str]:
        return {item["metadata"]["name"] for item in cluster.api.known("Secret")}

    own = {"alnair-operator-tls", "elsewhere"}
    cluster.api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "alluxio"}})
    cluster.api.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "elsewhere", "namespace": "alluxio", "labels": {"app": "other"}}})
    named = {name: {"s3a.secretKey": f"as-secret-as-{name}"} for name in ("s3", "renamed", "gone")}
    assert cluster.run("dataset_operator", dataset_operator_credentials=named)[0] == 0
    assert secrets() == own | {"s3", "renamed", "gone"}
    fewer: dict[str, Any] = {"dataset_operator_credentials": {"s3": named["s3"], "other": named["renamed"]}}
    # The Secret of another name, and those that go.
    assert cluster.changed("dataset_operator", "--check", **fewer) == 2
    assert secrets() == own | {"s3", "renamed", "gone"}
    code, text = cluster.run("dataset_operator", "-vvv", **fewer)
    assert (code, "changed=2" in text, "as-secret-as" in text.partition("PLAY [")[2]) == (0, True, False), text
    assert secrets() == own | {"s3", "other"}
    assert cluster.changed("dataset_operator", **fewer) == 0
    # Whoever names none at the end leaves none, either.
    assert cluster.run("dataset_operator", dataset_operator_state="absent")[0] == 0
    assert secrets() == {"elsewhere"}


def test_what_the_operator_lacks_is_said_before_anything_is_changed(cluster: Cluster) -> None:
    assert "dataset_operator_image is empty, so there is no operator to deploy" in cluster.said("dataset_operator", dataset_operator_image="")
    other = {"name": "o", "env": [{"name": "ALNAIR_WATCH", "value": ""}]}
    cluster.api.add({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [other]}}},
                     "metadata": {"name": "alnair-operator", "namespace": "default", "labels": {"app.kubernetes.io/name": "alnair-operator"}}})  # fmt: skip
    before = {*cluster.api.items}
    assert "that of namespace default watches the whole cluster" in cluster.said("dataset_operator")
    assert {*cluster.api.items} == before


@pytest.mark.long
def test_data_sets_are_declared_loaded_and_left_alone(cluster: Cluster) -> None:
    assert "The cluster does not know the kind AlnairDatacache" in cluster.said("datasets", alluxio_datasets=SETS)
    cluster.deploy()
    wrong = [*SETS, {"name": "images", "source": "bucket"}, {"name": "more", "source": "/x", "path": "/datasets"}]
    said = cluster.said("datasets", alluxio_datasets=wrong)
    for sentence in (
        "images: is listed 2 times",
        'images: source "bucket" must be',
        "its path /datasets/images and that of more, /datasets, lie in each other",
        "Nothing was changed",
    ):
        assert sentence in said
    assert cluster.api.known("AlnairDatacache") == []
    assert cluster.changed("datasets", alluxio_datasets=SETS) == 1
    assert cluster.changed("datasets", alluxio_datasets=SETS) == 0
    cluster.answers["images"] = {"files": 11, "bytes": 1100, "cachedBytes": 1100}
    cluster.answers["texts"] = {
        "phase": "Incomplete",
        "message": "1 file is not in the cache.",
        "failedFiles": [{"path": "/a", "reason": "gone"}],
        "failedCount": 1,
    }
    said = cluster.said("datasets", alluxio_datasets=SETS)
    assert "texts: Incomplete, 1000 B of 1000 B (100 %), 10 files: 1 file is not in the cache. Not loaded: /a (gone)." in said
    # New files at the source are what a load with the same list changes; the operator frees what shall make room, if that takes it.
    cluster.answers["images"] = {"files": 12}
    assert cluster.changed("datasets", tasks="load", datasets_only=["images"], datasets_evict=["texts"]) == 1
    assert cluster.annotation("images", "reload").split()[1:] == ["evict=texts"] and not cluster.annotation("texts", "cancel")
    assert "There is no data set none in namespace alluxio" in cluster.said("datasets", tasks="load", datasets_only=["images"], datasets_evict=["none"])
    cluster.answers["images"] = {"phase": "Loading"}
    assert "still so after 1 s, datasets_timeout; the load goes on" in cluster.said("datasets", tasks="load", datasets_only=["images"], datasets_timeout=1)


def test_a_load_of_nothing_is_told(cluster: Cluster) -> None:
    said = cluster.said("datasets", tasks="load")
    assert "The cluster does not know the kind AlnairDatacache: no operator was deployed, which would load." in said
    cluster.deploy()
    assert "No data set is declared in namespace alluxio. List it in alluxio_datasets" in cluster.said("datasets", tasks="load")


def test_what_is_only_mounted_is_tried_again_too(cluster: Cluster) -> None:
    cluster.answers["texts"] = {"phase": "Failed", "message": "It could not be mounted."}
    cluster.deploy({**SETS[1], "preload": "none"})
    assert "It could not be mounted." in cluster.said("datasets", tasks="load")
    assert cluster.annotation("texts", "reload")
    cluster.answers.clear()
    assert cluster.run("datasets", tasks="load")[0] == 0


def test_what_was_declared_a_moment_ago_is_loaded_once(cluster: Cluster) -> None:
    cluster.answering = False
    cluster.deploy(*SETS)
    assert "no operator has taken it up" in cluster.said("datasets", tasks="load", datasets_only=["images"], datasets_timeout=1)
    assert cluster.annotation("images", "reload") == ""
    cluster.answering = True
    assert cluster.run("datasets", tasks="load", datasets_only=["texts"], datasets_evict=["images"])[0] == 0
    assert cluster.annotation("texts", "reload").endswith("evict=images")
    # What is under way is joined.
    cluster.answers["images"] = {"phase": "Loading"}
    cluster.deploy(*SETS)
    assert "the load goes on" in cluster.said("datasets", tasks="load", datasets_only=["images"], datasets_timeout=1)
    assert cluster.annotation("images", "reload") == ""


def test_what_is_checked_decides_and_nothing_is_left(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    before = {*cluster.api.items}
    assert cluster.changed("datasets", tasks="check", datasets_only=["images"]) == 0
    report = {**REPORT, "differing": 1, "differences": [{"path": "a b", "kind": "length", "reason": "it has 1 B"}]}
    cluster.ends["texts"] = (1, "a line of a log\n" + json.dumps(report, indent=1))
    said = cluster.said("datasets", tasks="check", datasets_content=True, datasets_sample=3).rpartition("Stop where something differs")[2]
    assert "texts: 10 files, 1000 B, 10 of them cached, 1 differs: a b (it has 1 B)" in said
    assert "images" not in said
    assert {*cluster.api.items} == before


def test_the_operator_frees_and_cancels_and_is_waited_for(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    assert "Name the data sets that are to be freed" in cluster.said("datasets", tasks="free")
    assert "There is no data set none, other/x. Declared: images, texts " in cluster.said("datasets", tasks="free", datasets_only=["none", "other/x"])
    assert cluster.changed("datasets", "--check", tasks="free", datasets_only=["texts"]) == 1
    assert not cluster.annotation("texts", "cancel")
    code, text = cluster.run("datasets", tasks="free", datasets_only=["texts"])
    assert (code, "It was freed: texts." in text, "changed=1" in text) == (0, True, True), text
    assert cluster.annotation("texts", "cancel").endswith(" free") and not cluster.annotation("images", "cancel")
    # What is loaded has no load to cancel.
    assert cluster.changed("datasets", tasks="cancel") == 0


def test_data_sets_of_other_namespaces_are_loaded_cancelled_and_freed_by_their_titles(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    (item,) = dataset_objects([{"name": "theirs", "source": "/srv/theirs"}], "team")
    item["metadata"]["generation"] = 1
    cluster.api.add(item)
    cluster.api.written(next(path for path, kept in cluster.api.items.items() if kept is item), item)
    code, text = cluster.run("datasets", tasks="load", datasets_only=["team/theirs", "alluxio/texts"])
    assert code == 0 and "team/theirs: Complete" in text, text
    assert cluster.annotation("theirs", "reload") and cluster.annotation("texts", "reload") and not cluster.annotation("images", "reload")
    # Without a name those of the operator's namespace alone are meant.
    cluster.changed("datasets", tasks="load")
    asked = cluster.annotation("theirs", "reload")
    assert cluster.annotation("images", "reload") and cluster.annotation("theirs", "reload") == asked
    assert "There is no data set team/none" in cluster.said("datasets", tasks="load", datasets_only=["team/none"])
    code, text = cluster.run("datasets", tasks="free", datasets_only=["team/theirs", "alluxio/texts"])
    assert (code, "It was freed: texts, team/theirs." in text) == (0, True), text
    assert cluster.annotation("theirs", "cancel").endswith(" free") and not cluster.annotation("images", "cancel")
    next(item for item in cluster.api.known("AlnairDatacache") if item["metadata"]["name"] == "theirs")["status"]["phase"] = "Loading"
    assert cluster.changed("datasets", tasks="cancel") == 0
    code, text = cluster.run("datasets", tasks="cancel", datasets_only=["team/theirs"])
    assert (code, "It was cancelled: team/theirs." in text) == (0, True), text


@pytest.mark.long
def test_an_operator_that_does_not_answer_is_told_of(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    cluster.answering = False
    assert "After 60 s the operator has not answered for texts" in cluster.said("datasets", tasks="free", datasets_only=["texts"])


@pytest.mark.long
def test_data_sets_go_before_the_operator(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    said = cluster.said("dataset_operator", dataset_operator_state="absent")
    assert "only the operator can unmount them: alluxio/images, alluxio/texts" in said
    assert cluster.changed("datasets", alluxio_datasets=SETS, datasets_state="absent", datasets_only=["texts"]) == 1
    assert [item["metadata"]["name"] for item in cluster.api.known("AlnairDatacache")] == ["images"]
    gone: dict[str, Any] = {"dataset_operator_state": "absent", "dataset_operator_unmount": True}
    # The data set, and the operator with the kind.
    assert cluster.changed("dataset_operator", "--check", **gone) == 2
    assert len(cluster.api.known("AlnairDatacache")) == 1
    removed: list[str] = []
    cluster.api.removed = lambda item: removed.append(item["kind"])
    assert cluster.changed("dataset_operator", **gone) == 2
    assert removed[0] == "AlnairDatacache"
    assert removed.index("Deployment") < removed.index("CustomResourceDefinition")
    assert {*cluster.api.items} == {f"/api/v1/namespaces/{name}" for name in ("default", "alluxio")}


def counted(role: str, **variables: Any) -> int:
    """Return how many tasks progress expects of a run of a role."""
    known = {**variables, "groups": {"alluxio_masters": ["node-1"]}, "ansible_check_mode": False}
    return counting.tasks_of_list([{"include_role": {"name": role}}], HOME / "roles" / "none", known)


@pytest.mark.long
def test_what_was_never_there_is_no_change_and_no_failure(cluster: Cluster) -> None:
    gone: dict[str, Any] = {"dataset_operator_state": "absent", "dataset_operator_unmount": True}
    assert cluster.changed("dataset_operator", "--check", **gone) == 0
    code, text = cluster.run("dataset_operator", **gone, alluxio_force=True)
    assert (code, "changed=0" in text) == (0, True), text
    assert text.count("\nTASK [") == counted("dataset_operator", **gone)


@pytest.mark.long
def test_what_another_operator_looks_after_stays(cluster: Cluster) -> None:
    cluster.deploy(*SETS)
    gate = {"schedulingGates": [{"name": "alnair.io/dataset"}]}
    cluster.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "namespace": "alluxio"}, "spec": gate, "status": {"phase": "Pending"}})
    before = {*cluster.api.items}
    for force in (False, True):
        gone = {"dataset_operator_state": "absent", "dataset_operator_unmount": True, "alluxio_force": force}
        assert cluster.changed("dataset_operator", **gone, alluxio_namespace="default") == 0
    assert {*cluster.api.items} == before


def test_progress_counts_the_tasks_that_ansible_starts(cluster: Cluster) -> None:
    given: dict[str, dict[str, Any]] = {"dataset_operator": OPERATOR, "datasets": {"alluxio_datasets": SETS}}
    for role, variables in given.items():
        code, text = cluster.run(role, **variables)
        assert code == 0, text
        assert text.count("\nTASK [") == counted(role, **variables)
