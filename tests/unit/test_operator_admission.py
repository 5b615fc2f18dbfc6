"""What the data set operator answers while a pod comes: the webhook with its data sets, and the gates."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from alnair_operator import admission, cluster, gates, webhook
from alnair_operator.admission import Admission
from alnair_operator.cluster import Cluster, Store
from alnair_operator.placement import Fuse
from alnair_operator.settings import Settings

SETTINGS = Settings("alluxio", roots=("/mnt/fuse3/datasets",), image="operator:1", service="alnair-operator.alluxio.svc:8002")
SOURCE = "/mnt/fuse3/datasets/images"
CACHE = "/mnt/alluxio-fuse/datasets/images"


def stamp(age: float) -> str:
    return datetime.fromtimestamp(time.time() - age, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dataset(phase: str, age: float = 0, reload: str = "", **status: Any) -> dict[str, Any]:
    """An AlnairDatacache of a bucket that has been in a phase for so many seconds."""
    meta = {"name": "images", "namespace": "alluxio", "generation": 1, "annotations": {"alnair.io/reload": reload}}
    said = {"phase": phase, "message": "refused", "observedGeneration": 1, "observedReload": reload, "settledAt": stamp(age), **status}
    return {"metadata": meta, "spec": {"source": "s3://bucket/images", "credentials": "keys"}, "status": said}


class Fake(Cluster):
    """A cluster whose operator does as it is told with a data set that is asked for again."""

    def __init__(self, settings: Settings = SETTINGS, again: Callable[[dict[str, Any]], None] = lambda item: None) -> None:
        self.settings, self.again, self.asked = settings, again, list[str]()
        self.store = Store(self)

    def fuse(self) -> Fuse:
        return Fuse(frozenset({"n1"}))

    def claims(self, namespace: str, names: set[str]) -> dict[str, str]:
        return {}

    def declare(self, key: str, source: str) -> None:
        name = key.split("/")[1]
        self.store.items[key] = {"metadata": {"name": name, "namespace": "alluxio", "generation": 1}, "spec": {"source": source}}

    def ask_again(self, key: str, text: str) -> None:
        self.asked.append(key)
        item = self.store.items[key]
        item["metadata"]["annotations"] = {"alnair.io/reload": text}
        item["status"]["observedReload"] = text
        self.again(item)


def pod(volume: dict[str, Any], **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    meta = {"name": "trainer", "annotations": {"cacheDataset": "yes"}}
    return {"kind": "Pod", "metadata": meta, "spec": {"containers": containers, "volumes": [{"name": "data", **volume}], **spec}}


HOST_PATH = {"hostPath": {"path": SOURCE, "type": "Directory"}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SETTLE_SECONDS", 0.5)


def admitted(fake: Fake, item: dict[str, Any]) -> dict[str, Any]:
    """Ask the webhook; return the volume's new value, the gates and the annotations that it gives to a pod."""
    body = {"request": {"uid": "u", "namespace": "team", "object": item, "kind": {"kind": "Pod"}}}
    _code, _kind, text = Admission(fake, fake.store, fake.settings).review("/mutate", json.dumps(body).encode())
    response = json.loads(text)["response"]
    assert response["allowed"], response
    patch = json.loads(base64.b64decode(response["patch"]))
    return {step["path"]: step["value"] for step in patch}


def mounting(item: dict[str, Any]) -> None:
    item["status"]["phase"] = "Mounting"


@pytest.mark.parametrize("age", [60, 600])
def test_a_pod_of_a_data_set_that_failed_long_ago_stays_on_its_source_while_that_is_tried_again(age: float) -> None:
    fake = Fake(again=mounting)
    fake.store.items["alluxio/images"] = dataset("Failed", age)
    made = admitted(fake, pod(HOST_PATH))
    assert fake.asked == ["alluxio/images"]
    assert [*made] == ["/metadata/annotations/alnair.io~1onSource"]
    # The next one finds it being tried already, and must not wait for it at a gate either.
    assert [*admitted(fake, pod(HOST_PATH))] == ["/metadata/annotations/alnair.io~1onSource"]
    assert fake.asked == ["alluxio/images"]


def test_a_pod_is_served_from_the_cache_where_the_next_try_mounts_it_in_time() -> None:
    def mounted(item: dict[str, Any]) -> None:
        item["status"]["phase"] = "Syncing"

    fake = Fake(again=mounted)
    fake.store.items["alluxio/images"] = dataset("Failed", 60)
    assert admitted(fake, pod(HOST_PATH))["/spec/volumes/0"]["hostPath"]["path"] == CACHE


def test_what_is_mounted_for_the_first_time_is_waited_for_at_a_gate_but_not_by_a_pod_that_names_its_node() -> None:
    fake = Fake()
    fake.store.items["alluxio/images"] = dataset("Mounting")
    made = admitted(fake, pod(HOST_PATH))
    assert made["/spec/schedulingGates"] and made["/spec/volumes/0"]["hostPath"]["path"] == CACHE
    # Its volumes come before the container that would hold it.
    made = admitted(fake, pod(HOST_PATH, nodeName="n1"))
    assert [*made] == ["/metadata/annotations/alnair.io~1onSource"]
    fake.store.items["alluxio/images"] = dataset("Loading")
    assert admitted(fake, pod(HOST_PATH, nodeName="n1"))["/spec/initContainers"][0]["name"] == "alnair-hold"


def test_the_data_set_of_a_new_folder_is_that_of_its_pod_only_once_it_is_mounted() -> None:
    fake = Fake()
    assert [*admitted(fake, pod(HOST_PATH, nodeName="n1"))] == ["/metadata/annotations/alnair.io~1onSource"]
    assert fake.store.items["alluxio/images"]["spec"] == {"source": SOURCE}


def status(phase: str, settled: float = 100) -> dict[str, Any]:
    return {"phase": phase, "message": "the reason.", "settledAt": datetime.fromtimestamp(settled, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.mark.parametrize("phase", ["Failed", "Incomplete", "TooLarge"])
def test_a_gate_is_lifted_for_the_source_only_where_there_is_a_mount_to_read_through(phase: str) -> None:
    statuses = {"alluxio/images": status(phase), "alluxio/texts": status("Complete")}
    asked: list[str] = []

    def mounted(name: str) -> bool:
        asked.append(name)
        return False

    assert gates.decide([*statuses], statuses, "source", 50, 200, lambda name: True).word == "source"
    verdict = gates.decide([*statuses], statuses, "source", 50, 200, mounted)
    assert verdict.word == "hold" and asked == ["alluxio/images"]
    assert "the reason. Alluxio has no mount of alluxio/images" in verdict.message and "starts on its source" in verdict.message
    assert gates.decide([*statuses], statuses, "hold", 50, 200, mounted) == gates.Verdict(
        "hold", f"data set alluxio/images is {phase}: the reason. (onFailure: hold)"
    )


def test_a_data_set_that_nobody_declares_has_no_mount() -> None:
    assert gates.decide(["alluxio/x"], {}, "source", 50, 200, lambda name: False).word == "hold"
    assert gates.decide(["alluxio/x"], {}, "source", 190, 200, lambda name: False).word == "wait"


def alluxio_pod(role: str, node: str, *volumes: str) -> dict[str, Any]:
    spec = {"nodeName": node, "nodeSelector": {"disk": role}, "volumes": [{"name": name} for name in volumes]}
    return {"metadata": {"labels": {"role": role}}, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.mark.parametrize(("there", "nodes"), [
    ([alluxio_pod("alluxio-worker", "n1", "alluxio-domain")], set()),
    ([alluxio_pod("alluxio-worker", "n1", "alluxio-fuse-device", "alluxio-fuse-mount")], {"n1"}),
    ([alluxio_pod("alluxio-worker", "n1"), alluxio_pod("alluxio-fuse", "n2", "alluxio-fuse-device")], {"n2"}),
    ([], set()),
])  # fmt: skip
def test_a_worker_without_fuse_mounts_nothing(there: list[dict[str, Any]], nodes: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Fake()
    monkeypatch.setattr(found, "pods", lambda label="", namespace="": iter(there))
    assert Cluster.fuse(found).nodes == nodes


def test_the_image_of_what_holds_a_pod_must_be_within_its_reach() -> None:
    settings = Settings("alluxio", roots=SETTINGS.roots, image="operator:1", pull_secrets=True)

    def held(**spec: Any) -> bool:
        item = pod(HOST_PATH, **spec)
        patch = webhook.mutate(item, "team", [], settings, fuse=Fuse(frozenset({"n1"}))).patch
        return any(step["path"] == "/spec/volumes/0" for step in patch)

    assert held() and held(nodeName="n1", imagePullSecrets=[{"name": "registry"}])
    assert not held(nodeName="n1")


def made(**changes: Any) -> dict[str, Any]:
    """A data set that was made for a pod and failed two hours ago."""
    labels = {"app.kubernetes.io/managed-by": changes.pop("by", "alnair-operator")}
    meta = {"name": "x", "namespace": "alluxio", "generation": changes.pop("generation", 1), "labels": labels, **changes.pop("meta", {})}
    said = {"phase": "Failed", "observedGeneration": meta["generation"], "settledAt": stamp(7200), **changes}
    return {"metadata": meta, "spec": {"source": "/mnt/fuse3/datasets/x"}, "status": said}


def test_what_was_made_for_a_mistyped_folder_goes_after_a_while() -> None:
    assert cluster.mistyped(made(), time.time())
    for other in (
        made(by="alnair"), made(generation=2), made(meta={"deletionTimestamp": stamp(0)}), made(phase="Complete"), made(phase="Mounting"),
        made(settledAt=stamp(60)), made(mounted={"path": "/datasets/x"}), made(observedGeneration=0), {"metadata": {"name": "x", "namespace": "y"}},
    ):  # fmt: skip
        assert not cluster.mistyped(other, time.time()), other
    sent: list[Any] = []
    fake = Fake()
    fake.custom = type("Api", (), {"create_namespaced_custom_object": lambda self, *words, **_: sent.append(words[-1])})()
    Cluster.declare(fake, "alluxio/x", "/mnt/fuse3/datasets/x")
    assert cluster.mistyped({**made(), "metadata": {**sent[0]["metadata"], "generation": 1}}, time.time())


def test_what_is_only_asked_whether_it_could_be_made_declares_nothing_and_has_nothing_tried_again() -> None:
    for there in ({}, {"alluxio/images": dataset("Failed", 100)}):
        fake = Fake()
        fake.store.items = dict(there)
        request = {"uid": "1", "namespace": "default", "object": pod(HOST_PATH), "dryRun": True}
        code, _kind, answer = Admission(fake, fake.store, SETTINGS).review("/mutate", json.dumps({"request": request}).encode())
        assert code == 200 and json.loads(answer)["response"]["allowed"] and fake.store.items == there and not fake.asked


def test_a_replica_tells_whether_it_is_ready_and_init_containers_whether_their_pods_may_go_on() -> None:
    fake, wrong = Fake(), ["the data sets have not been listed yet"]
    fake.store.items = {"alluxio/images": dataset("Loading")}
    routes = admission.plain_routes(fake.store, SETTINGS, lambda: "".join(wrong))
    assert routes["/healthz"]("/healthz", b"")[0] == 503
    wrong.clear()
    assert routes["/healthz"]("/healthz", b"")[0] == 200 and b"alnair_operator_leader" in routes["/metrics"]("/metrics", b"")[2]

    def word(**said: Any) -> str:
        query = "&".join(f"{key}={value}" for key, value in {"datasets": "alluxio/images", "since": int(time.time()) - 100, **said}.items())
        return str(json.loads(routes["/hold"](f"/hold?{query}", b"")[2])["word"])

    assert word() == "wait"
    fake.store.items = {"alluxio/images": dataset("Complete")}
    assert word() == "go" and word(datasets="alluxio/images,alluxio/none") == "source"
    fake.store.items = {"alluxio/images": dataset("Incomplete")}
    assert (word(), word(onFailure="hold"), word(since=int(time.time()) + 100)) == ("source", "hold", "wait")
