"""What keeps a volume and a claim from fitting is named with both figures; what of a volume can be changed is changed, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.filter.cluster import journal_volumes
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from ansible_collections.alnair.alluxio.plugins.module_utils.volumes import change, claims_of_chart, misfits, obstacles, of_chart
from ansible_collections.alnair.alluxio.plugins.modules import volumes_bound
from chart_tools import find, render
from role_tools import value

NAME, CLAIM = "r-journal-0", "alluxio-journal-r-master-0"


def wanted(
    path: str = "/journal", size: str = "1Gi", node: str = "a", storage_class: str = "standard", kind: str = "local", release: str = "r"
) -> dict[str, Any]:
    return journal_volumes([{"inventory_hostname": node}], release, "ns", path, size, storage_class, kind)[0]


def there(volume: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a volume as the cluster has it after its claim was bound."""
    spec = {"spec": {"claimRef": {"uid": "1", "resourceVersion": "2"}}, "status": {"phase": "Bound"}}
    return merged([volume or wanted(), spec, more])


def claim(size: str = "1Gi", storage_class: str | None = "standard", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": CLAIM},
        "spec": {"storageClassName": storage_class, "accessModes": [*modes], "resources": {"requests": {"storage": size}}, **spec},
    }


def said(volume: dict[str, Any], *found: dict[str, Any], claims: Any = (), values: Any = None) -> str:
    asked = claims_of_chart([volume], values or {"journal": {"volumeType": "emptyDir"}})
    return "; ".join(obstacles([volume], {item["metadata"]["name"]: item for item in found}, [*claims], asked))


def test_what_fits_is_silent() -> None:
    assert said(wanted(), there(), claims=[claim(volumeName=NAME)]) == ""
    assert said(wanted(size="2Gi"), claims=[claim("1Gi")]) == ""
    assert misfits(wanted(size="1024Mi"), claim("1Gi")) == []
    assert said(wanted(), values={"journal": {"size": "1Gi", "storageClass": "standard"}}) == ""


@pytest.mark.parametrize(("other", "text"), [
    (claim("2Gi"), f"claim {CLAIM} asks for 2Gi, volume {NAME} has 1Gi"),
    (claim(storage_class="fast"), f'claim {CLAIM} asks for storage class "fast", volume {NAME} has "standard"'),
    (claim(modes=("ReadWriteMany",)), f"claim {CLAIM} asks for access mode ReadWriteMany, volume {NAME} has ReadWriteOnce"),
    (claim(volumeName="else"), f"claim {CLAIM} is bound to volume else, not to {NAME}"),
])  # fmt: skip
def test_a_claim_that_does_not_fit_is_named_with_both_figures(other: dict[str, Any], text: str) -> None:
    assert said(wanted(), claims=[other]) == text


def test_what_the_chart_will_ask_for_counts_until_there_is_a_claim() -> None:
    values = {"journal": {"size": "5Gi", "storageClass": "standard"}}
    assert said(wanted(), values=values) == f"claim {CLAIM} asks for 5Gi, volume {NAME} has 1Gi"
    assert said(wanted(), claims=[claim()], values=values) == ""


@pytest.mark.parametrize(("volume", "text"), [
    (wanted(path="/else"), f"volume {NAME} is local /journal, wanted is local /else. Kubernetes cannot change that."),
    (wanted(kind="hostPath"), f"volume {NAME} is local /journal, wanted is hostPath /journal."),
    (wanted(node="b"), f"volume {NAME} lies on a, wanted is b."),
])  # fmt: skip
def test_what_cannot_be_changed_is_named_with_the_remedy(volume: dict[str, Any], text: str) -> None:
    assert text in said(volume, there())
    assert "copy the directory" in said(volume, there())


def test_volumes_of_others_are_left_alone() -> None:
    assert "belongs to somebody else" in said(wanted(), there(metadata={"labels": {"release": "other"}}))
    elsewhere = said(wanted(), there(spec={"claimRef": {"namespace": "else"}}))
    assert "is for claim else/alluxio-journal-r-master-0, not for ns/alluxio-journal-r-master-0: a release of this name is in another namespace" in elsewhere
    assert f"values named the claim so before. Set them back, or remove the volume, which keeps what lies in it: kubectl delete pv {NAME}" in said(
        wanted(), there(spec={"claimRef": {"name": "old"}})
    )
    assert "is being removed (finalizers: kubernetes.io/pv-protection)" in said(
        wanted(), there(metadata={"deletionTimestamp": "now", "finalizers": ["kubernetes.io/pv-protection"]})
    )


@pytest.mark.parametrize(("other", "shared"), [
    (there(wanted(release="first")), True),
    (there(wanted(release="first", path="/journal/", kind="hostPath")), True),
    (there(wanted(release="first", kind="hostPath"), spec={"nodeAffinity": None}), True),
    (there(wanted(release="first", node="b")), False),
    (there(wanted(release="first", path="/journal-first")), False),
    ({"metadata": {"name": "first-journal-0"}, "spec": {"csi": {"driver": "x"}}}, False),
])  # fmt: skip
def test_a_journal_of_another_release_is_not_shared(other: dict[str, Any], *, shared: bool) -> None:
    text = said(wanted(), other)
    assert (f"volume {NAME} would be local /journal on a, as is volume first-journal-0 of release first: two masters" in text) == shared
    assert ("journal_directories_journal" in text) == bool(text) == shared
    # What is there already stays: the release that was first is not stopped for the other's fault.
    assert said(wanted(), there(), other) == ""


def sockets(release: str = "r") -> dict[str, Any]:
    """Return a domain socket's volume as the role has it."""
    return value("persistent_volumes", "{{ persistent_volumes_socket }}", alluxio_release=release)


def test_a_directory_of_domain_sockets_may_be_shared() -> None:
    asked = {"shortCircuit": {"volumeType": "persistentVolumeClaim"}}
    assert obstacles(of_chart([sockets()], asked), {"first-domain-socket": sockets("first")}, [], []) == []


@pytest.mark.parametrize(("values", "name"), [
    ({}, None),
    ({"shortCircuit": {"volumeType": "hostPath", "pvcName": "mine"}}, None),
    ({"shortCircuit": {"volumeType": "persistentVolumeClaim", "enabled": False}}, None),
    ({"shortCircuit": {"volumeType": "persistentVolumeClaim", "policy": "local"}}, None),
    ({"shortCircuit": {"volumeType": "persistentVolumeClaim"}}, "r-worker-domain-socket"),
    ({"shortCircuit": {"volumeType": "persistentVolumeClaim", "pvcName": ""}, "fullnameOverride": "full"}, "full-worker-domain-socket"),
    ({"shortCircuit": {"volumeType": "persistentVolumeClaim", "pvcName": "mine"}, "fullnameOverride": "full"}, "mine"),
])  # fmt: skip
def test_a_domain_socket_has_a_volume_where_the_chart_asks_for_its_claim_and_of_the_same_name(values: dict[str, Any], name: str | None) -> None:
    found = of_chart([sockets()], values)
    assert [item["spec"]["claimRef"]["name"] for item in found] == ([name] if name else [])
    assert [item["metadata"]["name"] for item in claims_of_chart(found, values)] == ([name] if name else [])
    asked = [item["metadata"]["name"] for item in render(values, release="r") if item["kind"] == "PersistentVolumeClaim"]
    assert asked == ([name] if name else [])


@pytest.mark.parametrize(("values", "names"), [
    ({}, ["alluxio-journal-r-master-0"]),
    ({"fullnameOverride": "full"}, ["alluxio-journal-full-master-0"]),
    ({"fullnameOverride": "full", "master": {"count": 3}, "journal": {"type": "EMBEDDED"}}, [f"alluxio-journal-full-master-{index}" for index in range(3)]),
    ({"journal": {"volumeType": "emptyDir"}}, []),
])  # fmt: skip
def test_a_journal_has_a_volume_where_the_chart_asks_for_its_claim_and_of_the_same_name(values: dict[str, Any], names: list[str]) -> None:
    masters = find(render(values, release="r"), "StatefulSet", f"{values.get('fullnameOverride', 'r')}-master")
    claims = [item["metadata"]["name"] for item in masters["spec"].get("volumeClaimTemplates", [])]
    assert [f"{claim}-{masters['metadata']['name']}-{index}" for claim in claims for index in range(masters["spec"]["replicas"])] == names
    hosts = [{"inventory_hostname": f"node-{index}"} for index in range(values.get("master", {}).get("count", 1))]
    volumes = journal_volumes(hosts, "r", "ns", "/journal", "1Gi", "standard", "local")
    assert [item["spec"]["claimRef"]["name"] for item in of_chart(volumes, values)] == names


@pytest.mark.parametrize(("values", "names"), [({"journal": {"volumeType": "emptyDir"}}, []), ({}, [NAME])])
def test_only_volumes_that_the_values_use_are_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, Any], names: list[str]) -> None:
    found = {"volumes": [there(status={"phase": "Available"})], "claims": []}
    core = SimpleNamespace(list_persistent_volume="volumes", list_namespaced_persistent_volume_claim="claims")
    monkeypatch.setattr(volumes_bound, "client", lambda _: SimpleNamespace(sanitize_for_serialization=lambda items: items))
    monkeypatch.setattr(volumes_bound, "retried", lambda what, *_, **__: SimpleNamespace(items=found[what]))
    monkeypatch.setattr(volumes_bound.kubernetes.client, "CoreV1Api", lambda _: core)
    (tmp_path / "values.yml").write_text(yaml.safe_dump(values), encoding="utf-8")
    binding = volumes_bound.Binding({"namespace": "ns", "release": "r", "volumes": [wanted(), sockets()], "values_files": [str(tmp_path / "values.yml")],
                                     "defaults": {"shortCircuit": {"volumeType": "hostPath"}}, "values": {}})  # fmt: skip
    binding.read()
    assert [item["metadata"]["name"] for item in binding.loose()] == names
    assert binding.hopeless() == bool(names)


def test_a_volume_as_wanted_is_not_changed() -> None:
    assert change(wanted(), there()) == {}
    assert change(wanted(size="1024Mi"), there()) == {}


def test_what_differs_is_changed_and_a_released_volume_is_freed() -> None:
    assert change(wanted(size="2Gi"), there()) == {"spec": {"capacity": {"storage": "2Gi"}}}
    assert change(wanted(), there(spec={"persistentVolumeReclaimPolicy": "Delete"})) == {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    assert change(wanted(), there(status={"phase": "Released"})) == {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
