"""What a release's modules read from helm, from the API server and from Alluxio."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.module_utils import helm, kube, masters, pods, readiness, workers
from ansible_collections.alnair.alluxio.plugins.module_utils.values import layered, merged
from ansible_collections.alnair.alluxio.plugins.modules import helm_release
from ansible_collections.alnair.alluxio.plugins.modules.files_persisted import LISTING, unpersisted
from ansible_collections.alnair.alluxio.plugins.modules.release_ready import hopeless, leaving, newest


def manifest(*objects: dict[str, Any]) -> str:
    return yaml.safe_dump_all(objects)


def workload(kind: str, image: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "a"}, "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}}}


def test_secrets_are_masked_and_the_order_of_objects_says_nothing() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "canary"}, "stringData": {"other": "canary"}}
    other = {"kind": "ConfigMap", "metadata": {"name": "c"}}
    assert helm.masked(manifest(secret, other)) == helm.masked(manifest(other, secret))
    assert "canary" not in "".join(helm.masked(manifest(secret)))


def test_only_workloads_whose_pods_change_restart() -> None:
    before = manifest(workload("StatefulSet", "a:1"), workload("DaemonSet", "a:1"))
    after = manifest(workload("StatefulSet", "a:2"), workload("DaemonSet", "a:1"), workload("Deployment", "a:2"))
    assert helm.restarted(before, after) == ["StatefulSet/a"]
    # What is there under another name only loses its pods as well.
    assert helm.restarted(before, manifest(workload("StatefulSet", "a:1"))) == ["DaemonSet/a"]


def test_values_merge_as_helm_merges_them() -> None:
    assert merged([{"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2]}]) == {"a": {"c": 2}, "l": [2]}


def test_a_stored_chart_is_written_as_helm_reads_it(tmp_path: Path) -> None:
    def packed(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    chart = {"metadata": {"name": "alluxio", "version": "1.0.0"}, "values": {"a": 1}, "schema": packed("{}"),
             "templates": [{"name": "templates/part/a.yaml", "data": packed("kind: A")}], "files": [{"name": "README.md", "data": packed("text")}]}  # fmt: skip
    data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"chart": chart}).encode()))).decode()
    helm.write_chart(helm.unpacked(data)["chart"], tmp_path)
    assert yaml.safe_load((tmp_path / "Chart.yaml").read_text())["version"] == "1.0.0"
    assert yaml.safe_load((tmp_path / "values.yaml").read_text()) == {"a": 1}
    assert (tmp_path / "templates/part/a.yaml").read_text() == "kind: A"
    assert (tmp_path / "values.schema.json").read_text() == "{}"


def test_a_revision_is_ready_by_its_own_label_not_by_one_that_helm_has_handed_on() -> None:
    class Three(helm.Helm):
        def __init__(self) -> None:
            self.params: dict[str, Any] = {}

        def secrets(self) -> dict[int, Any]:
            labels = {1: {helm.READY: "1"}, 2: {helm.READY: "2"}, 3: {helm.READY: "2"}}
            return {number: SimpleNamespace(metadata=SimpleNamespace(labels=found)) for number, found in labels.items()}

    history: list[dict[str, object]] = [{"revision": 1, "status": "superseded"}, {"revision": 2, "status": "superseded"}, {"revision": 3, "status": "deployed"}]
    assert Three().good_revision(history) == 2
    assert Three().good_revision(history[:1]) == 1


def test_a_rollback_makes_way_for_what_the_cut_off_revision_does_not_list() -> None:
    def item(kind: str, name: str, owner: str = "a", space: str = "n", **more: str) -> dict[str, Any]:
        spec = {"selector": {"matchLabels": {"x": "y"}}, "template": {}} if kind == "StatefulSet" else {}
        metadata = {"name": name, "annotations": {"meta.helm.sh/release-name": owner, "meta.helm.sh/release-namespace": space, **more}}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **({"spec": spec} if kind in ("Service", "StatefulSet") else {})}

    three = [item("Service", "m-0"), item("Service", "m-1"), item("ConfigMap", "c"), item("StatefulSet", "s"), item("PersistentVolumeClaim", "p"),
             item("Service", "gone"), item("ConfigMap", "foreign", "b"), item("ClusterRole", "of-another-namespace", space="m"),
             item("Secret", "kept", **{"helm.sh/resource-policy": "keep"}), item("PersistentVolume", "v")]  # fmt: skip
    one = [item("Service", "m-0")]
    steps: list[Any] = []

    class CutOff(helm.Helm):
        def __init__(self) -> None:
            self.params = {"name": "a", "namespace": "n", "timeout": 300}
            self.client = None

        def secrets(self) -> dict[int, Any]:
            def packed(objects: list[dict[str, Any]]) -> Any:
                text = base64.b64encode(gzip.compress(json.dumps({"manifest": yaml.safe_dump_all(objects), "chart": {}}).encode()))
                return SimpleNamespace(data={"release": base64.b64encode(text)})

            return {9: packed(three), 10: packed(one)}

        def living(self, wanted: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
            return [(found, found) for found in wanted if found["metadata"]["name"] != "gone"]

        def make_way(self, live: list[dict[str, Any]]) -> None:
            steps.extend((helm.title(found), found["alnair_keep_pods"]) for found in live)

        def __call__(self, *words: str, **_options: Any) -> str:
            steps.append(words)
            return ""

    CutOff().roll_back(9)
    # No claim, nothing of another release, and pods stay.
    assert steps == [("Service/m-1", False), ("ConfigMap/c", False), ("StatefulSet/s", True), ("rollback", "a", "9", "--timeout", "300s")]


@pytest.mark.parametrize(("status", "left"), [("pending-upgrade", ["DaemonSet/f"]), ("deployed", [])])
def test_a_removal_takes_along_what_a_cut_off_upgrade_left(monkeypatch: pytest.MonkeyPatch, status: str, left: list[str]) -> None:
    steps: list[Any] = []
    stub = SimpleNamespace(
        history=lambda: [{"revision": 1, "status": "superseded"}, {"revision": 2, "status": status}], good_revision=lambda _history: 1,
        unlisted=lambda revision: [{"kind": "DaemonSet", "metadata": {"name": "f"}, "alnair_keep_pods": revision == 1}],
        make_way=lambda live: steps.extend((helm.title(item), item["alnair_keep_pods"]) for item in live),
    )  # fmt: skip
    module = SimpleNamespace(params={"name": "a"}, check_mode=False, exit_json=lambda **told: steps.append(told["changed"]))
    monkeypatch.setattr(helm_release, "refuse_foreign", lambda *_words: None)

    class Called(SimpleNamespace):
        def __call__(self, *words: str, **_options: Any) -> None:
            steps.append(words)

    helm_release.absent(module, Called(**vars(stub)))
    # Its pods go, too.
    assert steps == [("uninstall", "a"), *((name, False) for name in left), True]


def test_masters_that_somebody_stopped_are_a_difference() -> None:
    class Stopped(helm.Helm):
        def __init__(self) -> None:
            self.client = None

        def living(self, wanted: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
            return [(item, {"spec": {"replicas": 0}}) for item in wanted if item["kind"] != "Secret"]

    wanted = manifest(workload("StatefulSet", "a:1"), {"kind": "DaemonSet", "metadata": {"name": "a"}, "spec": {}}, {"kind": "Secret", "metadata": {"name": "a"}},
                      workload("Deployment", "a:1"))  # fmt: skip
    there = helm.objects(Stopped().there(wanted))
    # An autoscaler may have changed what a Deployment has.
    assert [(item["kind"], item["spec"].get("replicas")) for item in there] == [("StatefulSet", 0), ("DaemonSet", None), ("Deployment", 1)]
    assert not helm.restarted(Stopped().there(wanted), wanted)


def test_a_backup_that_a_killed_run_had_masters_start_from_is_no_value_of_the_release(tmp_path: Path) -> None:
    class Killed(helm.Helm):
        def __init__(self) -> None:
            self.module = SimpleNamespace(tmpdir=str(tmp_path))

        def release(self, revision: int) -> dict[str, Any]:
            place = {6: "/journal/.alnair-restore/backup.gz", 7: "/srv/mine.gz"}[revision]
            return {"chart": {"metadata": {}}, "config": {"master": {"count": 3, "properties": {"alluxio.master.journal.init.from.backup": place, "a": "b"}}}}

    assert Killed().stored(6)[1] == {"master": {"count": 3, "properties": {"a": "b"}}}
    assert "alluxio.master.journal.init.from.backup" in Killed().stored(7)[1]["master"]["properties"]


def test_helm_4_takes_back_what_somebody_else_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Four(helm.Helm):
        def __init__(self) -> None:
            self.params = {"name": "a", "helm": "helm", "timeout": 1}
            self.base = [str(tmp_path / "helm")]

    conflict = 'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.minReadySeconds'
    (tmp_path / "helm").write_text(f"#!/bin/sh\ncase $* in *--force-conflicts*) echo $*;; *) echo '{conflict}' >&2; exit 1;; esac\n", encoding="utf-8")
    (tmp_path / "helm").chmod(0o755)
    monkeypatch.setattr(helm.time, "sleep", lambda _seconds: None)
    assert Four()("rollback", "a", "9") == "rollback a 9 --force-conflicts\n"


def test_a_helm_that_never_ends_is_ended(tmp_path: Path) -> None:
    class Module:
        def fail_json(self, msg: str) -> None:
            raise RuntimeError(msg)

    class Slow(helm.Helm):
        def __init__(self) -> None:
            self.module = Module()
            self.params = {"name": "a", "helm": "helm", "timeout": -59}
            self.base = [str(tmp_path / "helm")]

    (tmp_path / "helm").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (tmp_path / "helm").chmod(0o755)
    with pytest.raises(RuntimeError, match="helm history a: not done after 1 s. Does the API server answer"):
        Slow()("history", "a")
    (tmp_path / "helm").unlink()
    with pytest.raises(RuntimeError, match="There is no helm. Install it with"):
        Slow()("history", "a")


def test_helm_may_lie_in_the_users_home(tmp_path: Path) -> None:
    (tmp_path / "helm").write_text(f"#!/bin/sh\necho called >> {tmp_path}/called\necho '[]'\n", encoding="utf-8")
    (tmp_path / "helm").chmod(0o755)
    cluster = {"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
               "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}  # fmt: skip
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(cluster), encoding="utf-8")
    words = {"state": "absent", "name": "a", "namespace": "a", "helm": "~/helm", "kubeconfig": str(tmp_path / "kubeconfig")}
    program = str(Path(sys.executable).with_name("ansible"))
    done = subprocess.run([program, "localhost", "-m", "alnair.alluxio.helm_release", "-a", json.dumps(words)], cwd=Path(__file__).parents[2],
                          env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "called").read_text() == "called\n"


def stateful_set() -> dict[str, Any]:
    container = {"name": "alluxio-master", "image": "alluxio:1", "command": ["tini"], "args": ["master-only"], "livenessProbe": {}, "ports": [{}],
                 "env": [{"name": "ALLUXIO_JAVA_OPTS", "value": "old"}, {"name": "KEPT", "value": "1"}],
                 "volumeMounts": [{"name": "alluxio-journal", "mountPath": "/journal"}], "resources": {"limits": {"memory": "1Gi"}}}  # fmt: skip
    first = [{"name": "journal-format", "volumeMounts": [{"name": "alluxio-journal"}]}, {"name": "credentials", "volumeMounts": [{"name": "conf"}]}]
    spec = {"containers": [container, {"name": "alluxio-job-master"}], "initContainers": first, "hostNetwork": True, "volumes": [{"name": "conf"}]}
    claims = [{"metadata": {"name": name}} for name in ("alluxio-journal", "alluxio-metastore")]
    return {"spec": {"template": {"spec": spec}, "volumeClaimTemplates": claims}}


def test_a_scratch_master_has_all_but_the_place_of_a_master() -> None:
    original = stateful_set()
    pod = masters.likeness(original, "scratch", "", {"emptyDir": {}}, "sleep 1", {"ALLUXIO_JAVA_OPTS": "new"}, 60)
    spec = pod["spec"]
    assert original == stateful_set()
    assert [item["name"] for item in spec["containers"]] == ["alluxio-master"]
    master = spec["containers"][0]
    assert (master["image"], master["command"]) == ("alluxio:1", ["bash", "-c", "sleep 1"])
    assert not {"args", "livenessProbe", "ports"} & set(master)
    assert {item["name"]: item["value"] for item in master["env"]} == {"KEPT": "1", "ALLUXIO_JAVA_OPTS": "new"}
    # What writes the credentials comes along; what formats the journal does not.
    assert [item["name"] for item in spec["initContainers"]] == ["credentials"]
    assert {item["name"]: set(item) for item in spec["volumes"]} == {
        "conf": {"name"}, "alluxio-journal": {"name", "emptyDir"}, "alluxio-metastore": {"name", "emptyDir"}}  # fmt: skip
    assert "hostNetwork" not in spec
    # A pod with the release's label would be waited for, and its Service would send clients to it.
    assert "release" not in pod["metadata"]["labels"]
    assert spec["activeDeadlineSeconds"] == 60


def test_properties_are_taken_out_of_options_by_their_whole_name() -> None:
    options = "-Xmx1g -Dalluxio.master.hostname=a -Dalluxio.master.hostname.other=b -Dx=1"
    assert masters.without(options, ("alluxio.master.hostname",)) == "-Xmx1g -Dalluxio.master.hostname.other=b -Dx=1"


def pod(reason: str = "", restarts: int = 0, labels: dict[str, str] | None = None) -> dict[str, Any]:
    status = {"restartCount": restarts, "state": {"waiting": {"reason": reason}} if reason else {}}
    return {"metadata": {"ownerReferences": [{"name": "a"}], "labels": labels or {}}, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("reason", "restarts", "expected"),
    [("InvalidImageName", 0, True), ("CrashLoopBackOff", 4, True), ("CrashLoopBackOff", 3, False), ("ImagePullBackOff", 9, False), ("", 9, False)],
)
def test_waiting_ends_where_it_is_in_vain(reason: str, restarts: int, *, expected: bool) -> None:
    assert hopeless(pod(reason, restarts)) is expected


def test_what_a_container_printed_last_is_what_went_wrong() -> None:
    trace = "2026 ERROR AlluxioMaster - Fatal error\njava.lang.RuntimeException: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: why\n\tat d.E\n"
    said = readiness.telling(f"2026 INFO begin\n{trace}\n2026 INFO ProcessUtils - Dumped jstack of current process\n2026 INFO ProcessUtils - Bye\n")
    assert said == "2026 ERROR AlluxioMaster - Fatal error | java.lang.RuntimeException: no | Caused by: java.io.IOException: why"
    assert readiness.telling("\n".join("abcdefg")) == "c | d | e | f | g"
    jvm = "Unrecognized VM option 'NoSuchOption'\nError: Could not create the Java Virtual Machine.\nError: A fatal exception has occurred. Program will exit."
    assert "NoSuchOption" in readiness.telling(jvm)


def test_a_pod_that_waits_says_by_which_container() -> None:
    waits = {"initContainerStatuses": [{"name": "first", "state": {"terminated": {"exitCode": 0}}}, {"name": "wait-for-master", "state": {"running": {}}}]}
    assert readiness.pod_reason({"status": {"phase": "Pending", **waits}}) == "its init container wait-for-master has not ended yet"


def test_pods_that_are_about_to_be_replaced_do_not_count() -> None:
    sets = [{"metadata": {"name": "a", "annotations": {}}, "status": {"updateRevision": "a-2"}}]
    daemons = [{"metadata": {"name": "a", "annotations": {"deprecated.daemonset.template.generation": "2"}}}]
    assert newest(pod(labels={"controller-revision-hash": "a-2"}), sets)
    assert not newest(pod(labels={"controller-revision-hash": "a-1"}), sets)
    assert newest(pod(labels={"pod-template-generation": "2"}), daemons)
    assert not newest(pod(labels={"pod-template-generation": "1"}), daemons)


def test_the_workers_that_the_master_counts_must_be_those_of_the_pods() -> None:
    def worker(address: str) -> list[str]:
        return ["192.0.2.1", address]

    pods = [
        {"metadata": {"name": name, "labels": {"role": "alluxio-worker"}}, "status": {"podIP": address}}
        for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"))
    ]
    pods.append({"metadata": {"name": "m-0", "labels": {"role": "alluxio-master"}}, "status": {"podIP": "10.0.0.3"}})
    assert workers.amiss(None, pods, patient=False) == "no master answers on its web port as the leading one"
    # One that is gone is still counted, and one that is there is not.
    late = masters.Leader("m-0", 1, [worker("10.0.0.1"), worker("10.0.0.9")])
    assert workers.amiss(late, pods, patient=False) == (
        "m-0 does not count as live: b. Their logs tell whether they register; one that was decommissioned does so when its pod is removed"
    )
    both = [worker("10.0.0.1"), worker("10.0.0.2")]
    assert workers.amiss(masters.Leader("m-0", 1, both), pods, patient=True) is None
    stale = masters.Leader("m-0", 1, [*both, worker("10.0.0.9")])
    assert workers.amiss(stale, pods, patient=True) == "m-0 counts 3 workers as live, but there are 2"
    assert workers.amiss(stale, pods, patient=False) is None


def test_workers_that_end_are_taken_off_the_masters_list_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(name: str, address: str, *, ends: bool) -> dict[str, Any]:
        metadata = {"name": name, "uid": f"uid-{name}", "labels": {"role": "alluxio-worker"}, **({"deletionTimestamp": "now"} if ends else {})}
        ports = [{"name": "rpc", "containerPort": 29999}, {"name": "web", "containerPort": 31000}]
        return {"metadata": metadata, "spec": {"containers": [{"name": "alluxio-worker", "ports": ports}]}, "status": {"podIP": address}}

    there = [worker("a", "10.0.0.1", ends=True), worker("b", "10.0.0.2", ends=True), worker("c", "10.0.0.3", ends=False)]
    known = [["192.0.2.1", "10.0.0.1"], ["192.0.2.3", "10.0.0.3"]]
    said: list[tuple[str, ...]] = []
    leader: list[masters.Leader | None] = [None]
    release = SimpleNamespace(core=None, leader=lambda: leader[0], pod=lambda name: {"name": name})

    def execute(_core: Any, pod: dict[str, str], _line: str, *words: str, **_options: Any) -> str:
        said.append((pod["name"], *words))
        if raised:
            raise raised.pop()
        return ""

    monkeypatch.setattr(pods, "execute", execute)
    # The leader of a moment ago ends itself: whoever leads next is told anew.
    raised: list[Exception] = [pods.PodError("decommissionWorker is an unknown command."), pods.CutOff("m-0: the connection broke")]
    told: dict[str, str] = {}
    assert not workers.decommission(release, there, told)
    # No master leads for now, and b has not told the next one that it is there.
    assert not said and not told
    leader[0] = masters.Leader("m-0", 1, known)
    assert not workers.decommission(release, there, told)
    assert workers.decommission(release, there, told)
    assert not workers.decommission(release, there, told)
    assert said == [("m-0", "192.0.2.1:31000")] * 2
    # It did not know the command.
    assert told == {"uid-a": ""}
    # The next worker of its node has the node's address, too.
    leader[0] = masters.Leader("m-0", 1, [*known, ["192.0.2.2", "10.0.0.2"], ["192.0.2.2", "10.0.0.8"]])
    assert not workers.decommission(release, there, told)
    assert len(said) == 2
    leader[0] = masters.Leader("m-0", 1, [*known, ["192.0.2.2", "10.0.0.2"]])
    assert workers.decommission(release, there, told)
    assert said[2:] == [("m-0", "192.0.2.2:31000")]
    assert told == {"uid-a": "", "uid-b": "192.0.2.2"}


def test_a_worker_that_was_taken_for_the_one_before_it_is_found() -> None:
    def worker(name: str, host: str, address: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {"role": "alluxio-worker"}}, "status": {"hostIP": host, "podIP": address}}

    leader = masters.Leader("m-0", 1, [["192.0.2.2", "10.0.0.2"]])
    there = [worker("uncounted", "192.0.2.1", "10.0.0.1"), worker("counted", "192.0.2.2", "10.0.0.2"), worker("new", "192.0.2.3", "10.0.0.3")]
    assert workers.struck(leader, there, {"uid-a": "192.0.2.1", "uid-b": "192.0.2.2"}) == ["uncounted"]
    assert not workers.struck(None, there, {"uid-a": "192.0.2.1"})
    there[0]["metadata"]["deletionTimestamp"] = "now"
    assert not workers.struck(leader, there, {"uid-a": "192.0.2.1"})


def test_an_object_that_is_made_anew_takes_over_the_pods_that_it_can_have() -> None:
    def stateful_set(*claims: str, role: str = "master") -> dict[str, Any]:
        return {"spec": {"selector": {"matchLabels": {"role": role}}, "volumeClaimTemplates": [{"metadata": {"name": name}} for name in claims]}}

    assert helm.keeps_pods(stateful_set("journal"), stateful_set("journal"))
    assert helm.keeps_pods(stateful_set("journal", "metastore"), stateful_set("journal"))
    assert not helm.keeps_pods(stateful_set("journal"), stateful_set("journal", "metastore"))
    assert not helm.keeps_pods(stateful_set("journal"), stateful_set("journal", role="other"))


def test_files_that_only_workers_hold_are_found_by_their_state() -> None:
    listing = """\
drwxr-xr-x  alluxio        alluxio                      2       PERSISTED 11-25-2026 15:00:00:000  DIR /NOT_PERSISTED
-rw-r--r--  alluxio        alluxio                 100000       PERSISTED 11-25-2026 15:00:00:000 100% /a
-rw-r--r--  alluxio        alluxio                 100000   NOT_PERSISTED 11-25-2026 15:00:00:000 100% /b c
-rw-r--r--  alluxio        alluxio                      0 TO_BE_PERSISTED 11-25-2026 15:00:00:000   0% /d/e
drwxr-xr-x  alluxio        alluxio                      1   NOT_PERSISTED 11-25-2026 15:00:00:000  DIR /f
-rw-r--r--  alluxio        alluxio                 100000            LOST 11-25-2026 15:00:00:000   0% /g   \n\
-rw-r--r--  alluxio        alluxio                 100000   NOT_PERSISTED 11-25-2026 15:00:00:000 100% /h   \n\
-rw-r--r--  alluxio        alluxio                 100000   NOT_PERSISTED 11-25-2026 15:00:00:000 100% /ends in a space \n\
-rw-r--r--  alluxio        alluxio                     84 TO_BE_PERSISTED 11-25-2026 15:00:00:000   0% /its-worker-ended
-rw-r--r--  alluxio        alluxio                 100000            LOST 11-25-2026 15:00:00:000 100% /its-worker-is-back
-rw-r--r--  alluxio        alluxio                 100000   NOT_PERSISTED 11-25-2026 15:00:00:000  50% /one-of-its-workers-ended
"""
    held, ended = ["/b c", "/d/e", "/h", "/ends in a space "], ["/its-worker-ended", "/one-of-its-workers-ended"]
    assert unpersisted(listing, True) == ([*held, "/its-worker-is-back"], ["/g", *ended])
    # Somebody who is away may have them.
    assert unpersisted(listing, False) == ([*held, ended[0], "/its-worker-is-back", ended[1]], ["/g"])


def test_a_worker_whose_node_lost_the_label_is_waited_for() -> None:
    listed = [{"kind": "DaemonSet", "metadata": {"name": "alluxio-worker"}, "spec": {"template": {"spec": {"nodeSelector": {"worker": "true"}}}}},
              {"kind": "StatefulSet", "metadata": {"name": "alluxio-master"}, "spec": {"template": {"spec": {"nodeSelector": {"master": "true"}}}}}]  # fmt: skip

    def node(name: str, ready: str = "True", **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}

    def pod(owner: str, where: str) -> dict[str, Any]:
        return {"metadata": {"name": f"{owner}-{where}", "ownerReferences": [{"name": owner}]}, "spec": {"nodeName": where}}

    pods = [pod("alluxio-worker", "a"), pod("alluxio-worker", "b"), pod("alluxio-worker", "lost"), pod("alluxio-master", "b")]
    nodes = [node("a", worker="true"), node("b"), node("lost", ready="Unknown")]
    assert leaving(pods, listed, nodes) == "alluxio-worker-b has not left b yet"
    assert leaving(pods, listed, [node("a", worker="true"), node("b", worker="true")]) is None


@pytest.mark.parametrize(("does", "code", "lines"), [
    ("cat list", 0, 1), ("grep -v TO_BE list", 0, 0), ("cat list; exit 255", 255, 1), ("exit 137", 137, 0),
])  # fmt: skip
def test_a_listing_that_broke_off_is_not_taken_for_all_there_is(tmp_path: Path, does: str, code: int, lines: int) -> None:
    (tmp_path / "list").write_text(
        "-rw-r--r-- a a 1 TO_BE_PERSISTED 11-27-2026 08:00:00:000 100% /f\n-rw-r--r-- a a 1 PERSISTED 11-27-2026 08:00:00:000 100% /g\n"
    )
    (tmp_path / "alluxio").write_text(f"#!/bin/bash\n{does}\n")
    (tmp_path / "alluxio").chmod(0o755)
    done = subprocess.run(["bash", "-c", LISTING], cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (code, lines)


def test_objects_of_a_kind_that_the_cluster_does_not_know_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known(helm.Helm):
        def __init__(self) -> None:
            self.client, self.params, self.module = None, {"namespace": "cache"}, SimpleNamespace(tmpdir=str(tmp_path))

    def kind(api_version: str, kind: str) -> Any:
        if kind == "ServiceMonitor":
            raise kubernetes.dynamic.exceptions.ResourceNotFoundError(kind)
        return SimpleNamespace(namespaced=kind != "PriorityClass", get=lambda **where: SimpleNamespace(to_dict=lambda: where))

    asked = {}

    def client(_api: Any, cache_file: str) -> Any:
        asked["cache"] = cache_file
        return SimpleNamespace(resources=SimpleNamespace(get=kind))

    monkeypatch.setattr(kubernetes.dynamic, "DynamicClient", client)
    wanted = [{"apiVersion": "v1", "kind": kind, "metadata": {"name": kind.lower()}} for kind in ("ServiceMonitor", "Service", "PriorityClass")]
    assert [live for _item, live in Known().living(wanted)] == [{"name": "service", "namespace": "cache"}, {"name": "priorityclass"}]
    # Not where anybody may write.
    assert asked["cache"].startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("written", "told"), [(b"- a\n", "it holds a list"), (b"a text\n", "it holds a str"), (b"a: \xe4\n", "can't decode"), (b"a: [", "while parsing")]
)
def test_a_values_file_that_is_none_is_named(tmp_path: Path, written: bytes, told: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(written)
    with pytest.raises(ValueError, match=f"(?s)The values file {path} cannot be read: .*{told}.*Nothing was changed"):
        layered({"defaults": {}, "values_files": [str(path)], "values": {}})


def test_what_the_api_server_is_asked_removes_what_the_wanted_manifest_lacks() -> None:
    old = {"spec": {"probe": {"tcpSocket": {"port": 1}, "periodSeconds": 5}, "only": "old", "list": [{"name": "a", "value": 1}, {"name": "b"}]}}
    new = {"spec": {"probe": {"exec": {"command": ["true"]}, "periodSeconds": 9}, "list": [{"name": "a"}], "more": {}}}
    assert helm.forgetting(old, new) == {
        "spec": {"probe": {"tcpSocket": None, "exec": {"command": ["true"]}, "periodSeconds": 9}, "only": None, "list": [{"name": "a"}], "more": {}}}  # fmt: skip
    assert helm.forgetting({}, new) == new


def test_an_object_is_asked_for_as_it_shall_be(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known(helm.Helm):
        def __init__(self) -> None:
            self.client, self.params = None, {"namespace": "cache"}

        def dynamic(self) -> Any:
            return None

        def living(self, wanted: Any) -> Any:
            return [(item, {}) for item in wanted]

        def place(self, _dynamic: Any, item: dict[str, Any]) -> Any:
            return SimpleNamespace(patch=lambda **words: asked.append(words)), {"name": item["metadata"]["name"], "namespace": "cache"}

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(kube, "patient", lambda call, _client: call())
    manifests = ["{kind: Service, metadata: {name: a}, spec: {a: 1}}", "{kind: Service, metadata: {name: a}, spec: {b: 2}}"]
    assert Known().unchangeable(*manifests) == []
    body = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"a": None, "b": 2}}
    assert asked == [{"body": body, "content_type": "application/merge-patch+json", "dry_run": "All", "name": "a", "namespace": "cache"}]
