"""Doctor looks at what of storage deploy does not make itself: folders of tiers on the hosts, and storage classes that claims name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.filter.capacity import tier_folders

from alnair import Alnair
from tests.unit.doctor_tools import fit, tiers, wrong
from tests.unit.small_api import Api, serve

DISK = tiers("2Gi", medium="SSD", path="/data")
CLAIM = "persistentVolumeClaim"


def mode(text: str, uid: int = 0, gid: int = 0) -> dict[str, Any]:
    return {"mode": text, "uid": uid, "gid": gid}


@pytest.mark.parametrize(
    ("found", "values", "verdict", "text"),
    [
        (None, {}, "fail", "there is no /data, where a tier of type hostPath shall lie"),
        (mode("-rw-r--r--"), {}, "fail", "/data is no folder"),
        (mode("drwxr-xr-x"), {}, "fail", "/data belongs to 0:0, drwxr-xr-x, where the pods' user 1000:1000 must read, write and enter"),
        (mode("drwxr-xr-x"), {"user": 0}, "", ""),
        (mode("drwxr-xr-x", 1000), {}, "", ""),
        (mode("drwxr-xr-x", 1000), {"user": 1001}, "fail", "/data belongs to 1000:0, drwxr-xr-x, where the pods' user 1001:1000 must read, write and enter"),
        (mode("drwxrwsr-x", 0, 1000), {}, "", ""),
        (mode("drwxrwSr-x", 0, 1000), {}, "fail", "/data belongs to 0:1000, drwxrwSr-x, where the pods' user 1000:1000 must read, write and enter"),
        (mode("dr-xrwxrwx", 1000, 1000), {}, "fail", "/data belongs to 1000:1000, dr-xrwxrwx, where the pods' user 1000:1000 must read, write and enter"),
        (mode("drwxrwxrwt"), {}, "", ""),
        (mode("drwxrwx---+"), {}, "warn", "/data belongs to 0:0, drwxrwx---+, where the pods' user 1000:1000 must read, write and enter"),
    ],
)
def test_the_folder_of_a_tier_must_be_there_with_rights_for_the_pods_user(
    found: dict[str, Any] | None, values: dict[str, Any], verdict: str, text: str
) -> None:
    lines = wrong({"w": fit("w", folders={"/data": found})}, values={**DISK, **values})
    assert lines == ([("w", "tier's folder", verdict, text)] if verdict else [])
    # Only workers have tiers, and only of type hostPath in folders of the hosts.
    assert wrong({"m": fit("m", folders={"/data": found})}, values={**DISK, **values}) == []
    assert wrong({"w": fit("w", folders={"/data": found})}, values=tiers("2Gi", medium="SSD", kind="emptyDir", path="/data")) == []


def test_folders_are_those_of_all_media_of_all_levels_each_once() -> None:
    level = {"mediumtype": "SSD,HDD", "type": "hostPath,emptyDir,hostPath", "path": "/a, /b, /c", "quota": "1Gi"}
    assert tier_folders([{"tieredstore": {"levels": [{"path": "/x", "type": "hostPath"}]}}, {"tieredstore": {"levels": [level, level]}}]) == ["/a", "/c"]
    assert tier_folders([{}]) == []


@pytest.mark.parametrize(
    ("values", "wanted", "cluster", "text"),
    [
        ({}, {}, {}, ""),
        ({}, {"storage_class": "fast"}, {}, ""),
        ({}, {"claim_storage_class": "fast"}, {}, 'journal.storageClass of the values is "fast", and deploy makes the volumes for its claims with "standard"'),
        (
            {"journal": {"storageClass": "fast"}}, {}, {"storage_classes": {"fast": "x"}},
            'journal.storageClass of the values is "fast", and deploy makes the volumes for its claims with "standard"',
        ),
        ({"journal": {"storageClass": "fast", "volumeType": "emptyDir"}}, {}, {}, ""),
        ({"shortCircuit": {"storageClass": "fast"}}, {}, {}, ""),
        ({"shortCircuit": {"storageClass": "fast", "volumeType": CLAIM, "policy": "local"}}, {}, {}, ""),
        (
            {"shortCircuit": {"storageClass": "fast", "volumeType": CLAIM}}, {}, {},
            'shortCircuit.storageClass of the values is "fast", and deploy makes the volumes for its claims with "standard"',
        ),
        ({"metastore": {"storageClass": "fast"}}, {}, {}, ""),
        (
            {"metastore": {"mountPath": "/m", "storageClass": "fast"}}, {}, {"storage_classes": {"slow": "x"}},
            'metastore.storageClass of the values is "fast", of which there is neither class nor volume: slow is there',
        ),
        ({"metastore": {"mountPath": "/m", "storageClass": "fast"}}, {}, {"storage_classes": {"fast": "x"}}, ""),
        ({"metastore": {"mountPath": "/m", "storageClass": "fast", "volumeType": "emptyDir"}}, {}, {}, ""),
        (
            {"metastore": {"mountPath": "/m"}}, {}, {"storage_classes": {"standard": "kubernetes.io/no-provisioner"}},
            'metastore.storageClass of the values is "standard", which makes no volumes, and none of it is there',
        ),
        ({"metastore": {"mountPath": "/m"}}, {}, {"storage_classes": {"standard": "kubernetes.io/no-provisioner"}, "volume_classes": ["standard"]}, ""),
    ],
)  # fmt: skip
def test_claims_name_a_class_of_which_there_are_volumes(values: dict[str, Any], wanted: dict[str, Any], cluster: dict[str, Any], text: str) -> None:
    assert wrong(values=values, cluster=cluster, **wanted) == ([("cluster", "StorageClass", "fail", text)] if text else [])


@pytest.mark.parametrize("made", [True, False])
def test_the_playbook_asks_workers_for_the_folders_that_values_files_name(tmp_path: Path, made: bool) -> None:
    local = {"ansible_connection": "local", "ansible_become": False}
    groups = {
        "alluxio_masters": {"hosts": {"m": local}},
        "alluxio_workers": {"hosts": {"w": local}},
        "all": {"vars": {"alluxio_kubeconfig": str(tmp_path / "c")}},
    }
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    values = {**tiers("1Mi", medium="SSD", path=f"{tmp_path}/tier"), "user": os.geteuid(), "metastore": {"mountPath": "/m"}}
    (tmp_path / "values.yml").write_text(json.dumps(values), encoding="utf-8")
    if made:
        (tmp_path / "tier").mkdir()
    api = Api()
    api.add({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"}, "provisioner": "x"})
    server = serve(api, tmp_path / "c")
    files = {"alluxio_chart_values_files": [str(tmp_path / "values.yml")], "alluxio_chart_image": "localhost/x", "helm_install_directory": str(tmp_path)}
    result = Alnair(tmp_path / "hosts.yml").doctor(extra_vars=files)
    server.shutdown()
    assert [(check.subject, check.verdict) for check in result.checks if check.check == "tier's folder"] == [("w", "ok" if made else "fail")]
    (claims,) = [check.text for check in result.checks if check.check == "StorageClass"]
    assert claims.endswith('"standard", of which there is neither class nor volume: slow is there')


def test_values_that_cannot_be_read_are_a_line_and_no_folder_is_asked_for(tmp_path: Path) -> None:
    local = {"ansible_connection": "local", "ansible_become": False}
    groups = {"alluxio_masters": {"hosts": {"m": local}}, "alluxio_workers": {"hosts": {"w": local}}, "all": {"vars": {"alluxio_kubeconfig": "/nowhere"}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    (tmp_path / "values.yml").write_text("worker: {", encoding="utf-8")
    result = Alnair(tmp_path / "hosts.yml").doctor(extra_vars={"alluxio_chart_values_files": [str(tmp_path / "values.yml")]})
    assert [check.text.partition(": ")[0] for check in result.checks if check.check == "values"] == [f"no values can be read from {tmp_path}/values.yml"]
    assert ("w", "ssh") in [(check.subject, check.check) for check in result.checks]
    assert [failure.task for failure in result.failures] == ["Stop where something must be mended first"]
