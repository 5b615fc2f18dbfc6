"""What the chart renders is what Kubernetes takes, for every form of values that it knows."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
from chart_matrix import MATRIX
from chart_rows import COMMON, ROWS
from chart_tools import CHART, complaints, find, render


@pytest.mark.parametrize("row", MATRIX)
def test_every_object_holds_to_the_schema_of_kubernetes(row: str) -> None:
    assert [text for manifest in render(MATRIX[row]) for text in complaints(manifest)] == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda spec: spec.update(replica=1), "'replica' was unexpected"),
        (lambda spec: spec.update(replicas="1"), "'1' is not of type 'integer'"),
        (lambda spec: spec["template"]["spec"]["containers"][0].update(volumeMount=[]), "'volumeMount' was unexpected"),
        (lambda spec: spec["template"]["spec"]["volumes"].clear(), "which is no volume"),
        (lambda spec: spec["template"]["spec"]["containers"][0]["resources"]["limits"].update(memory="4 GB"), "4 GB is no quantity"),
        (lambda spec: spec["template"]["spec"]["containers"][0]["ports"].clear(), "which the container does not name"),
        (lambda spec: spec["template"]["spec"]["containers"][0]["ports"][0].update(name="job-embedded-port"), "longer than 15"),
    ],
)
def test_the_schema_is_strict(change: Any, complaint: str) -> None:
    manifest = copy.deepcopy(find(render({"journal": {"volumeType": "emptyDir"}}), "StatefulSet", "alluxio-master"))
    change(manifest["spec"])
    assert complaint in "\n".join(complaints(manifest))


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("ServiceMonitor", lambda item: item.update(apiVersion="v1"), "'monitoring.coreos.com/v1' was expected"),
        ("ServiceMonitor", lambda item: item["spec"].update(endpoint=[]), "'endpoint' was unexpected"),
        ("ServiceMonitor", lambda item: item["spec"]["endpoints"][0].update(port=80), "80 is not of type 'string'"),
        ("PrometheusRule", lambda item: item["spec"].pop("groups"), "'groups' is a required property"),
        ("PrometheusRule", lambda item: item["spec"]["groups"][0]["rules"][0].pop("expr"), "'expr' is a required property"),
    ],
)
def test_what_prometheus_operator_reads_has_its_shape(kind: str, change: Any, complaint: str) -> None:
    manifest = copy.deepcopy(find(render(MATRIX["metrics"]), kind, "alluxio"))
    change(manifest)
    assert complaint in "\n".join(complaints(manifest))


@pytest.mark.parametrize(("values", "surge", "unavailable"), [({}, 1, 0), ({"maxSurge": 3}, 3, 0), ({"maxSurge": 0}, 0, 1), ({"hostNetwork": True}, 0, 1)])
def test_the_next_fuse_begins_beside_the_old_one_unless_both_want_one_port(values: dict[str, Any], surge: int, unavailable: int) -> None:
    (found,) = [item for item in render({"fuse": {"enabled": True, **values}}) if (item["kind"], item["metadata"]["name"]) == ("DaemonSet", "alluxio-fuse")]
    assert found["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": unavailable}


def made(values: dict[str, Any]) -> tuple[set[str], set[str], bool]:
    """Return the kinds of objects that values make, the claims of each master, and whether there are several masters."""
    manifests = render(values)
    (masters,) = [item["spec"] for item in manifests if item["kind"] == "StatefulSet"]
    return {item["kind"] for item in manifests}, {item["metadata"]["name"] for item in masters.get("volumeClaimTemplates", [])}, masters["replicas"] > 1


@functools.cache
def installed() -> dict[str, tuple[set[str], set[str], bool]]:
    return {row: made({**COMMON, **values}) for row, values in ROWS.items()}


@pytest.mark.parametrize("row", MATRIX)
def test_what_a_row_makes_or_leaves_out_is_installed_in_the_lab(row: str) -> None:
    """The rows of tests/e2e/test_chart_matrix.py: one has each kind that a row here has beside the default, and lacks each that it lacks."""
    kinds, claims, several = made(MATRIX[row])
    default, _, _ = made({})
    more, fewer = kinds - default, default - kinds
    assert [name for name, there in installed().items() if more <= there[0] and not fewer & there[0]]
    assert [name for name, there in installed().items() if claims <= there[1] and bool(claims) == bool(there[1]) and several <= there[2]]


def test_each_row_of_the_lab_is_one_that_the_api_server_takes_and_that_a_test_installs() -> None:
    text = (Path(__file__).parents[1] / "e2e" / "test_chart_matrix.py").read_text(encoding="utf-8")
    for row, values in ROWS.items():
        assert [said for manifest in render({**COMMON, **values}) for said in complaints(manifest)] == [], row
        assert f'installed("{row}")' in text or f'("{row}", ' in text, row


@pytest.mark.parametrize("path", sorted((CHART / "templates").rglob("*.yaml")), ids=lambda path: str(path.relative_to(CHART)))
def test_a_template_is_short_and_makes_one_kind_of_object(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("kind:") for line in lines) == 1
    assert len(lines) <= 150
