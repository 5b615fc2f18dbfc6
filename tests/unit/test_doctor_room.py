"""Doctor says of requests, limits, tiers and the number of masters what deploy would refuse, in deploy's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.filter.capacity import shortfalls
from ansible_collections.alnair.alluxio.plugins.module_utils import doctor

from alnair import Alnair
from tests.unit.doctor_tools import CLUSTER, CONTROLLER, NODES, WANTED, node, wrong
from tests.unit.small_api import Api, serve
from tests.unit.test_capacity import CHART, pod, tier


def small(name: str, **has: str) -> dict[str, Any]:
    """Return a node that can give less."""
    found = node(name)
    found["status"]["allocatable"].update(has)
    return found


def lines(masters: list[str], values: dict[str, Any], nodes: dict[str, Any], pods: list[dict[str, Any]]) -> list[str]:
    """Return what doctor says of nodes and release, as deploy puts it."""
    params = {**WANTED, "masters": masters, "chart_values": CHART, "namespace": "ns", "release": "r"}
    params["values"] = doctor.merged([doctor.defaults(params), values])
    hosts = {name: {"facts": {"node": name}} for name in [*masters, "w"]}
    found = list(doctor.of_nodes(hosts, {**CLUSTER, "nodes": nodes, "pods": pods}, params))
    return [f"{check.text}: {check.remedy[0].lower()}{check.remedy[1:]}" for check in found if check.verdict == "fail"]


@pytest.mark.parametrize(
    ("values", "nodes", "pods", "count"),
    [
        ({}, {}, [], 0),
        (tier("20Gi"), {"w": small("w", memory="16Gi")}, [], 1),
        ({}, {"w": small("w", cpu="2")}, [], 1),
        ({}, {}, [pod("w", "63Gi")], 1),
        ({}, {}, [pod("w", "63Gi", release="r")], 0),
        ({}, {}, [pod("m", "1Gi", cpu="15")], 1),
        (tier("80Gi", mediumtype="SSD"), {"w": small("w", **{"ephemeral-storage": "50Gi"})}, [], 1),
        ({"worker": {"jvmOptions": ["-Xmx4g"]}}, {}, [], 1),
        ({"jobMaster": {"resources": {"requests": {"cpu": "5"}}}}, {}, [], 1),
        ({"master": {"count": 2}}, {}, [], 1),
        ({"fuse": {"maxSurge": 1, "resources": {"requests": {"cpu": "8"}}}}, {"w": small("w", cpu="12")}, [], 2),
    ],
)
def test_what_deploy_refuses_doctor_says_with_the_same_words(values: dict[str, Any], nodes: dict[str, Any], pods: list[dict[str, Any]], count: int) -> None:
    there = {**NODES, **nodes}
    role = {"fuse": {"enabled": True}, "tieredstore": doctor.defaults({**WANTED, "chart_values": {}})["tieredstore"]}
    refused = shortfalls([CHART, role, values], there.values(), pods, {"master": ["m"], "worker": ["w"]}, "r", "ns")
    # Deploy joins what it says of a node, and names it so.
    one_by_one = [text.removeprefix("node ") for line in refused for text in line.split("; it ")]
    assert lines(["m"], values, there, pods) == one_by_one
    assert len(one_by_one) == count


def test_masters_are_counted_as_the_inventory_has_them() -> None:
    (line,) = lines(["m", "x"], {}, NODES, [])
    assert line.startswith("2 masters tolerate the loss of 0 of them") and line.endswith(": name 1, 3 or 5 hosts in alluxio_masters")
    assert lines(["m", "x"], {"master": {"count": 1}}, NODES, []) == []


@pytest.mark.parametrize(
    ("controller", "wanted", "verdict"),
    [
        ({}, {}, "fail"),
        ({}, {"chart": "oci://x/alluxio"}, "fail"),
        ({"helm": ""}, {"chart": "oci://x/alluxio"}, "warn"),
        # That it does not answer is a line already.
        ({"repository": "gone"}, {"chart": "oci://x/alluxio"}, ""),
    ],
)
def test_a_chart_that_cannot_be_read_is_a_line(controller: dict[str, Any], wanted: dict[str, Any], verdict: str) -> None:
    found = wrong(controller={**CONTROLLER, **controller}, chart_unread="there is no such folder", **wanted)
    assert [line[2] for line in found if line[1] == "chart"] == ([verdict] if verdict else [])


@pytest.mark.parametrize(("given", "cpu"), [({}, "has 1 cores of cpu free (2 cores allocatable, 1 cores asked for by other pods), master, jobMaster need 2 cores"),
                                            ({"alluxio_chart_ref": "/nowhere/chart"}, "")])  # fmt: skip
def test_the_playbook_counts_with_the_charts_own_requests_and_with_pods_that_are_there(tmp_path: Path, given: dict[str, str], cpu: str) -> None:
    host = {"ansible_connection": "local", "ansible_become": False}
    groups = {"alluxio_masters": {"hosts": {"m": host}}, "all": {"vars": {"alluxio_kubeconfig": str(tmp_path / "config")}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    api = Api()
    api.add({"apiVersion": "v1", "kind": "Node", **small("m", cpu="2")})
    for item in (pod("m", "1Gi", cpu="1"), pod("m", "1Gi", cpu="500m", name="mine", release="alluxio")):
        item["metadata"]["namespace"] = "alluxio"
        api.add({"apiVersion": "v1", "kind": "Pod", **item})
    server = serve(api, tmp_path / "config")
    more = {"helm_install_directory": str(tmp_path), "helm_install_method": "apt", "alluxio_chart_image": "localhost/x", **given}
    result = Alnair(tmp_path / "hosts.yml").doctor(extra_vars=more)
    server.shutdown()
    assert [check.text for check in result.checks if check.check == "nodes" and check.verdict == "fail"] == ([f"m {cpu}"] if cpu else [])
    assert ["there is no such folder" in check.text for check in result.checks if check.check == "chart"] == ([] if cpu else [True])
    # What was read, but is no failure of its own, leaves the report the only one.
    assert [failure.task for failure in result.failures] == ["Stop where something must be mended first"]
