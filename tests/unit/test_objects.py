"""Objects of the cluster are applied, compared and removed as their owner sees them, against an API that answers from memory."""

from __future__ import annotations

import copy
import datetime
import json
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils import certificates, kube, objects
from ansible_collections.alnair.alluxio.plugins.modules import deployment_ready, objects_absent, objects_info, objects_present, operator_certificate

Item = dict[str, Any]


class Left(Exception):
    """A module would have failed."""


class Module:
    """Stands for an AnsibleModule."""

    def __init__(self, *items: Item, check: bool = False, **params: Any) -> None:
        self.params = {"objects": list(items), "secret": False, "timeout": 0, "force": False, **params}
        self.check_mode, self._diff = check, True

    def fail_json(self, msg: str, **_more: Any) -> None:
        raise Left(msg)


class Cluster(objects.Objects):
    """Keeps objects in memory, by their paths; namespaces and kinds must be there."""

    def __init__(self, *items: Item, spaces: tuple[str, ...] = ("ns",), stuck: bool = False) -> None:
        self.kept = {objects.path(item): copy.deepcopy(item) for item in items}
        self.spaces, self.stuck, self.asked = [*spaces], stuck, list[str]()

    def ask(self, method: str, where: str, body: Any = None, **options: Any) -> Item:
        self.asked.append(f"{method} {where}" + (" dry" if options.get("dry_run") else ""))
        kind = options.get("content_type", "")
        if method == "get":
            return copy.deepcopy(self.there(where))
        if method == "delete":
            self.there(where)
            if not self.stuck:
                del self.kept[where]
            return {}
        if "apply" in kind:
            space = body["metadata"].get("namespace")
            if space and space not in self.spaces:
                raise self.missing(f'namespaces "{space}" not found')
            before = self.kept.get(where, {"metadata": {"uid": "1"}})
            after = {**before, **body, "metadata": {**before["metadata"], **body["metadata"], "resourceVersion": "2"}}
            if not options.get("dry_run"):
                self.kept[where] = after
            return copy.deepcopy(after)
        if "json" in kind and isinstance(body, list):
            for change in body:
                index = int(change["path"].split("/")[2])
                self.there(where)["webhooks"][index]["clientConfig"]["caBundle"] = change["value"]
        elif body == {"metadata": {"finalizers": None}}:
            del self.kept[where]
        return {}

    def there(self, where: str) -> Item:
        if where not in self.kept:
            raise self.missing(f"{where} not found")
        return self.kept[where]

    @staticmethod
    def missing(text: str) -> Exception:
        error = kubernetes.client.ApiException(status=404, reason="Not Found")
        error.body = json.dumps({"message": text})
        return error


def item(name: str = "a", namespace: str = "ns", **more: Any) -> Item:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, **more}


@pytest.mark.parametrize(("given", "path"), [
    (item(), "/api/v1/namespaces/ns/configmaps/a"),
    ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "b", "namespace": "ns"}}, "/apis/apps/v1/namespaces/ns/deployments/b"),
    ({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "c"}}, "/apis/rbac.authorization.k8s.io/v1/clusterroles/c"),
])  # fmt: skip
def test_an_object_is_known_by_its_path(given: Item, path: str) -> None:
    assert objects.path(given) == path


def test_what_is_missing_is_made_once_and_then_left_alone() -> None:
    cluster = Cluster()
    assert objects_present.hold(Module(item(data={"k": "1"})), cluster)["made"] == ["ConfigMap ns/a"]
    again = objects_present.hold(Module(item(data={"k": "1"})), cluster)
    assert (again["changed"], again["made"], again["altered"], again["diff"]) == (False, [], [], {"before": "", "after": ""})


def test_what_controllers_write_beside_it_is_no_change() -> None:
    labels = {"labels": {"mine": "1"}}
    wanted = item(data={"k": "1"}) | {"metadata": {**item()["metadata"], **labels}}
    cluster = Cluster(wanted)
    kept = cluster.kept[objects.path(wanted)]
    kept["metadata"] |= {"annotations": {"theirs": "x"}, "finalizers": ["f"], "generation": 7}
    kept["status"] = {"phase": "Loading"}
    assert not objects_present.hold(Module(wanted), cluster)["changed"]
    cluster.kept[objects.path(wanted)]["metadata"]["labels"] = {"mine": "2"}
    assert objects_present.hold(Module(wanted), cluster)["altered"] == ["ConfigMap ns/a"]


def test_check_mode_asks_the_server_and_changes_nothing() -> None:
    cluster = Cluster(item(data={"k": "1"}))
    found = objects_present.hold(Module(item(data={"k": "2"}), check=True), cluster)
    assert found["altered"] == ["ConfigMap ns/a"]
    assert "k: '1'" in found["diff"]["before"]
    assert "k: '2'" in found["diff"]["after"]
    assert cluster.kept[objects.path(item())]["data"] == {"k": "1"}
    assert cluster.asked[-1].endswith("dry")


def test_in_check_mode_a_namespace_may_still_be_missing_else_not() -> None:
    assert objects_present.hold(Module(item(namespace="new"), check=True), Cluster())["made"] == ["ConfigMap new/a"]
    with pytest.raises(Left, match=r'ConfigMap new/a could not be applied: namespaces "new" not found'):
        objects_present.hold(Module(item(namespace="new")), Cluster())


def test_of_secrets_no_difference_is_returned() -> None:
    assert "diff" not in objects_present.hold(Module(item(data={"k": "1"}), secret=True), Cluster())


def test_what_is_there_is_removed_and_what_is_gone_is_fine() -> None:
    cluster = Cluster(item("a"))
    checked = objects_absent.remove(Module(item("a"), item("b"), check=True), cluster)
    assert (checked["changed"], checked["removed"], len(cluster.kept)) == (True, ["ConfigMap ns/a"], 1)
    assert objects_absent.remove(Module(item("a"), item("b")), cluster) == {"changed": True, "removed": ["ConfigMap ns/a"], "forced": []}
    assert not objects_absent.remove(Module(item("a")), cluster)["changed"]


def test_what_stays_is_named_with_its_finalizers_which_only_force_takes_off() -> None:
    stuck = item(status={"message": "The source is away."})
    stuck["metadata"]["finalizers"] = ["alnair.io/unmount"]
    cluster = Cluster(stuck, stuck=True)
    with pytest.raises(Left, match=r"ConfigMap ns/a \(finalizers alnair.io/unmount; it says: The source is away\.\).*alluxio_force=true"):
        objects_absent.remove(Module(stuck), cluster)
    assert objects_absent.remove(Module(stuck, force=True), cluster)["forced"]
    assert not cluster.kept


def test_several_kinds_are_read_at_once_and_of_secrets_only_what_names_them() -> None:
    secret = {"metadata": {"name": "s", "namespace": "ns", "labels": {"a": "b"}, "annotations": {"last-applied": "hidden"}}, "data": {"key": "hidden"}}
    cluster = Cluster(item("a", data={"k": "1"}))
    cluster.kept["/api/v1/namespaces/ns/secrets"] = {"items": [secret]}
    kinds = {
        "one": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "ns", "name": "a"},
        "none": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "ns", "name": "b"},
        "secrets": {"apiVersion": "v1", "kind": "Secret", "namespace": "ns", "names_only": True},
        "alien": {"apiVersion": "example.com/v1", "kind": "Thing"},
    }
    answer = objects_info.read(Module(kinds=kinds), cluster)
    assert answer["found"]["one"] == [item("a", data={"k": "1"})]
    assert answer["found"]["secrets"] == [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ns", "labels": {"a": "b"}}}]
    assert (answer["found"]["none"], answer["found"]["alien"], answer["unknown"], answer["changed"]) == ([], [], ["alien"], False)


def test_what_shall_be_read_is_looked_through_before() -> None:
    kinds = {"a": {"kind": "Pod"}, "b": "Pod", "c": {"apiVersion": "v1", "kind": "Pod", "label": "x"}}
    assert [fault.split(";")[0] for fault in objects_info.faults(kinds)] == ["a needs apiVersion and kind", "b needs apiVersion and kind", "c has label"]


NAMES = ["alnair-operator.ns.svc", "alnair-operator.ns"]
SECRET: Item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls", "namespace": "ns"}}
PARAMS = {"name": "tls", "namespace": "ns", "names": NAMES, "labels": {}, "webhook": "hook", "days": 365, "left": 30}
WEBHOOK: Item = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "hook"},
                 "webhooks": [{"clientConfig": {"caBundle": "old"}}, {"clientConfig": {}}]}  # fmt: skip


def test_a_certificate_is_made_once_and_its_key_is_never_returned() -> None:
    cluster = Cluster()
    planned = operator_certificate.hold(PARAMS, cluster, check=True)
    assert (planned["changed"], planned["ca_bundle"], cluster.kept) == (True, "", {})
    made = operator_certificate.hold(PARAMS, cluster, check=False)
    assert made["changed"]
    data = cluster.kept[objects.path(SECRET)]["data"]
    assert made["ca_bundle"] == data["ca.crt"]
    assert data["tls.key"] not in json.dumps(made)
    assert "PRIVATE" not in json.dumps(made)
    kept = operator_certificate.hold(PARAMS, cluster, check=False)
    assert (kept["changed"], kept["reason"], kept["ca_bundle"]) == (False, "", made["ca_bundle"])
    assert kept["ends"] == f"{certificates.now() + datetime.timedelta(days=365):%Y-%m-%d}"


@pytest.mark.parametrize(("change", "reason"), [
    ({"names": [*NAMES, "other"]}, "it lacks the name other"),
    ({"left": 400}, "it ends on "),
])  # fmt: skip
def test_it_is_renewed_in_time_and_the_webhook_trusts_the_new_one_first(change: Item, reason: str) -> None:
    cluster = Cluster(WEBHOOK)
    first = operator_certificate.hold(PARAMS, cluster, check=False)
    cluster.asked.clear()
    second = operator_certificate.hold({**PARAMS, **change}, cluster, check=False)
    assert second["reason"].startswith(reason)
    # The old authority stays trusted until every pod shows the new certificate, but no longer than one renewal.
    roots = certificates.bundle(operator_certificate.base64.b64decode(second["ca_bundle"]))
    assert [root.subject for root in roots[1:]] == [certificates.bundle(operator_certificate.base64.b64decode(first["ca_bundle"]))[0].subject]
    third = operator_certificate.hold({**PARAMS, "left": 400}, cluster, check=False)
    assert len(certificates.bundle(operator_certificate.base64.b64decode(third["ca_bundle"]))) == 2
    assert {hook["clientConfig"]["caBundle"] for hook in cluster.kept[objects.path(WEBHOOK)]["webhooks"]} == {third["ca_bundle"]}
    writes = [line for line in cluster.asked if line.startswith("patch")]
    assert "mutatingwebhookconfigurations" in writes[0]
    assert "secrets" in writes[1]


def test_what_somebody_broke_is_made_anew() -> None:
    server, key, authority = certificates.made(NAMES, 365)
    other = certificates.made(NAMES, 365)
    assert certificates.fault(server, key, authority, NAMES, 30) == ""
    for broken in (
        (b"", key, authority),
        (b"x", key, authority),
        (server, b"x", authority),
        (server, other[1], authority),
        (server, key, other[2]),
        (server, key, b""),
    ):
        assert certificates.fault(*broken, NAMES, 30)


def test_only_pods_of_the_newest_revision_speak_for_a_deployment() -> None:
    def labelled(name: str, mark: str, revision: str = "") -> Item:
        return {"metadata": {"name": name, "labels": {"pod-template-hash": mark}, "annotations": {"deployment.kubernetes.io/revision": revision}}}

    sets, pods = [labelled("r9", "old", "9"), labelled("r10", "new", "10")], [labelled("p1", "old"), labelled("p2", "new")]
    assert [pod["metadata"]["name"] for pod in deployment_ready.newest(sets, pods)] == ["p2"]
    assert deployment_ready.newest([], pods) == []


def test_a_deployment_is_waited_for_though_the_server_is_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = {"metadata": {"generation": 1}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}},
             "status": {"observedGeneration": 1, "updatedReplicas": 2, "readyReplicas": 2}}  # fmt: skip
    answers = iter([kube.ClusterAway("away"), kube.ClusterAway("away"), ready, kube.ClusterAway("away")])

    def get(_item: Any) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ended(**result: Any) -> None:
        raise SystemExit(str(result["ready"]))

    monkeypatch.setattr(deployment_ready.kube, "client", lambda _params: None)
    monkeypatch.setattr(deployment_ready.objects, "Objects", lambda _api: SimpleNamespace(get=get))
    params = {"name": "operator", "namespace": "alluxio", "timeout": 60, "variable": "timeout"}
    with pytest.raises(SystemExit, match="2"):
        deployment_ready.wait(SimpleNamespace(params=params, exit_json=ended))
    with pytest.raises(kube.ClusterAway):
        deployment_ready.wait(SimpleNamespace(params={**params, "timeout": -1}, exit_json=ended))
