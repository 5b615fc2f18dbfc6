"""A values file of the public chart is taken as it is, and does what it does there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_tools import complaints, container, containers, find, options, pod_specs, render

PUBLIC: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "files" / "public_values.yml").read_text(encoding="utf-8"))
ROOT: dict[str, Any] = {"user": 0, "group": 0, "fsGroup": 0}


def test_every_documented_key_is_taken_and_empty_ones_change_nothing() -> None:
    manifests = render(PUBLIC)
    assert [text for manifest in manifests for text in complaints(manifest)] == []
    assert len([title for title, _ in pod_specs(manifests) if not title.startswith("Pod/")]) == 4
    assert "nil" not in str(manifests)


def test_an_empty_mapping_or_list_is_as_good_as_none() -> None:
    empty = {"nodeSelector": None, "tolerations": None, "podAnnotations": None}
    values = {"worker": empty, "fuse": {**empty, "enabled": True}, "nodeSelector": None, "tolerations": None}
    assert render(values) == render({"fuse": {"enabled": True}})
    assert "sink.prometheus" not in str(render({"metrics": {"enabled": True, "PrometheusMetricsServlet": None}}))


def test_sinks_of_metrics_have_the_names_of_the_public_chart_and_work() -> None:
    def lines(**metrics: Any) -> list[str]:
        text: str = find(render({"metrics": {"enabled": True, **metrics}}), "ConfigMap", "alluxio-metrics")["data"]["metrics.properties"]
        return text.splitlines()

    servlet = "sink.prometheus.class=alluxio.metrics.sink.PrometheusMetricsServlet"
    assert lines() == [servlet]
    assert lines(PrometheusMetricsServlet={"enabled": False}) == []
    assert lines(Slf4jSink={"enabled": True, "period": 5, "filterClass": "alluxio.metrics.sink.RegexMetricFilter", "filterRegex": None}) == [
        servlet, "sink.slf4j.class=alluxio.metrics.sink.Slf4jSink", "sink.slf4j.filter-class=alluxio.metrics.sink.RegexMetricFilter", "sink.slf4j.period=5",
        "sink.slf4j.unit=seconds"]  # fmt: skip
    assert lines(GraphiteSink={"enabled": True, "host": "graphite", "port": 2003}, CsvSink={"enabled": True}) == [
        servlet, "sink.csv.class=alluxio.metrics.sink.CsvSink", "sink.csv.directory=/tmp", "sink.csv.period=1", "sink.csv.unit=seconds",
        "sink.graphite.class=alluxio.metrics.sink.GraphiteSink", "sink.graphite.host=graphite", "sink.graphite.period=10", "sink.graphite.port=2003",
        "sink.graphite.prefix=", "sink.graphite.unit=seconds"]  # fmt: skip


def test_a_level_without_marks_has_those_of_alluxio() -> None:
    level = {"level": 0, "alias": "MEM", "mediumtype": "MEM", "path": "/dev/shm", "type": "emptyDir", "quota": "1Gi"}

    def marks(**more: Any) -> dict[str, str]:
        worker = options(render({"tieredstore": {"levels": [{**level, **more}]}}), "ALLUXIO_WORKER_JAVA_OPTS")
        return {key.split(".")[-2]: value for key, value in worker.items() if "watermark" in key}

    assert (marks(), marks(low=0), marks(high=0.9, low=0.5)) == ({}, {"low": "0"}, {"high": "0.9", "low": "0.5"})


def test_media_of_one_level_are_one_level_to_masters_and_a_directory_each_to_workers() -> None:
    parts = {"alias": "SSD, HDD", "mediumtype": "SSD, HDD", "type": "persistentVolumeClaim", "name": "ssd, hdd", "path": "/dev/ssd, /dev/hdd",
             "quota": "10Gi, 20Gi"}  # fmt: skip
    manifests = render({"tieredstore": {"levels": [PUBLIC["tieredstore"]["levels"][0], {"level": 1, **parts}]}})
    worker, prefix = options(manifests, "ALLUXIO_WORKER_JAVA_OPTS"), "alluxio.worker.tieredstore.level1."
    assert {key.removeprefix(prefix): value for key, value in worker.items() if key.startswith(prefix)} == {
        "alias": "SSD",
        "dirs.mediumtype": "SSD,HDD",
        "dirs.path": "/dev/ssd,/dev/hdd",
        "dirs.quota": "10GB,20GB",
    }
    volumes = find(manifests, "DaemonSet", "alluxio-worker")["spec"]["template"]["spec"]["volumes"]
    assert [item["persistentVolumeClaim"]["claimName"] for item in volumes if item["name"].startswith("tier-1")] == ["ssd", "hdd"]


def test_an_empty_dir_of_the_masters_is_as_large_as_its_size_says() -> None:
    journal, metastore = {"volumeType": "emptyDir", "size": "2Gi"}, {"volumeType": "emptyDir", "medium": "Memory", "mountPath": "/metastore"}
    pod = find(render({"journal": journal, "metastore": metastore}), "StatefulSet", "alluxio-master")["spec"]["template"]["spec"]
    assert {item["name"]: item["emptyDir"] for item in pod["volumes"]} == {
        "alluxio-journal": {"medium": "", "sizeLimit": "2Gi"},
        "alluxio-metastore": {"medium": "Memory"},
    }


def test_numbers_stay_as_they_were_written() -> None:
    numbers = {"a": 1000000, "b": 0.5, "c": 21474836480, "d": -1, "e": "text", "f": True, "g": None}
    told = options(render({"properties": numbers}), "ALLUXIO_JAVA_OPTS")
    assert {key: told[key] for key in numbers if key in told} == {"a": "1000000", "b": "0.5", "c": "21474836480", "d": "-1", "e": "text", "f": "true"}


def test_user_0_is_root_everywhere_and_with_its_capabilities() -> None:
    # Nothing says so twice: a pod that must not be root and is told to be never starts.
    for title, pod in pod_specs(render({**ROOT, "proxy": {"enabled": True}, "worker": {"fuseEnabled": True}})):
        for item in containers(pod):
            security = {**pod.get("securityContext", {}), **item["securityContext"]}
            assert (security["runAsUser"], security["runAsGroup"]) == (0, 0), f"{title} {item['name']}"
            assert not {"runAsNonRoot", "capabilities", "fsGroup"} & set(security), f"{title} {item['name']}"


@pytest.mark.parametrize(("values", "groups"), [
    ({}, None), ({"fsGroup": None}, None), ({"user": 0, "fsGroup": None}, None), ({"user": 1000, "group": 2000, "fsGroup": None}, None),
    ({"user": 2000, "group": 2000}, [0]), ({"user": 2000, "group": 2000, "fsGroup": None}, [0]),
])  # fmt: skip
@pytest.mark.parametrize("worker", [{}, {"fuseEnabled": True}])
def test_another_user_than_the_images_reads_secrets_by_group_root(values: dict[str, Any], groups: list[int] | None, worker: dict[str, bool]) -> None:
    secret = {"sitePropertiesSecret": "site", "secrets": {"worker": {"extra": "extra"}}, "proxy": {"enabled": True}, "worker": worker}
    pods = dict(pod_specs(render({**secret, **values})))
    assert {title: pod["securityContext"].get("supplementalGroups") for title, pod in pods.items()} == dict.fromkeys(pods, groups)
    # It takes nothing but the group: everybody else reads none of them.
    modes = {volume["secret"]["defaultMode"] for pod in pods.values() for volume in pod["volumes"] if "secret" in volume}
    assert modes == {0o440}


@pytest.mark.parametrize("user", [{}, {"user": 1000, "group": 1000}])
def test_fuse_is_root_whatever_the_values_say(user: dict[str, int]) -> None:
    security = container(render({"fuse": {"enabled": True, **user}}), "DaemonSet", "alluxio-fuse", "alluxio-fuse")["securityContext"]
    assert security == {"privileged": True, "runAsUser": 0, "runAsGroup": 0}
