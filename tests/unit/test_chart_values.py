"""Values that change nothing are named, with the key that does; what a chart knows or leaves free is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils.chart_values import Keys
from ansible_collections.alnair.alluxio.plugins.module_utils.values import differing, merged

DEFAULTS: dict[str, Any] = {
    "properties": {"one": "default"},
    "nodeSelector": {},
    "image": "alluxio",
    "master": {"count": 1, "resources": {"limits": {"memory": "1Gi"}}},
    "fuse": {"enabled": False, "mountPoint": "/mnt"},
    "tieredstore": {"levels": [{"quota": "1Gi"}]},
}


def test_values_merge_as_helm_merges_them() -> None:
    assert merged([{"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 3, "c": [4]}}]) == {"a": {"b": 3, "c": [4]}}


def test_values_that_differ_are_told_by_their_keys() -> None:
    assert differing(DEFAULTS, merged([DEFAULTS, {"image": "alluxio", "fuse": {"enabled": False}}])) == []
    assert differing(DEFAULTS, merged([DEFAULTS, {"fuse": {"enabled": True}, "new": 1, "master": {"resources": None}}])) == [
        "fuse.enabled",
        "master.resources",
        "new",
    ]


def test_known_and_free_keys_are_silent() -> None:
    values = {
        "properties": {"alluxio.user.x": 1},
        "nodeSelector": {"disk": "ssd"},
        "master": {"count": 3, "resources": {"limits": {"nvidia.com/gpu": 1}}},
        "tieredstore": {"levels": [{"anything": 1}]},
    }
    assert Keys(DEFAULTS).remarks(values) == []


@pytest.mark.parametrize(
    ("values", "path", "remedy"),
    [
        ({"alluxio": {"worker": {"ramdisk": {"size": "5G"}}}}, "alluxio.worker.ramdisk.size", "alluxio_chart_quota"),
        ({"alluxio.worker.tieredstore.level0.dirs.quota": "5G"}, "alluxio.worker.tieredstore.level0.dirs.quota", "tieredstore.levels"),
        ({"alluxio": {"master": {"hostname": "x"}}}, "alluxio.master.hostname", "the chart sets it itself"),
        ({"alluxio": {"user": {"file": 1}}}, "alluxio.user.file", "alluxio_chart_properties"),
        ({"fuse": {"clientEnabled": True}}, "fuse.clientEnabled", "fuse.enabled"),
        ({"fuse": {"imageTag": "2.4"}}, "fuse.imageTag", "alluxio_chart_image_tag"),
        ({"fuse": {"args": ["fuse"]}}, "fuse.args", "fuse.mountOptions"),
        ({"master": {"replicas": 3}}, "master.replicas", "master.count"),
        ({"fuse": {"mountpoint": "/x"}}, "fuse.mountpoint", "did you mean fuse.mountPoint?"),
        ({"zzz": 1}, "zzz", "leave it out"),
    ],
)
def test_a_key_that_changes_nothing_is_named_with_the_one_that_does(values: dict[str, Any], path: str, remedy: str) -> None:
    (sentence,) = Keys(DEFAULTS).remarks(values)
    assert f"the chart does not know {path}," in sentence
    assert remedy in sentence


def test_a_configmap_given_as_values_is_one_mistake() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"ALLUXIO_JAVA_OPTS": "-D"}}
    (sentence,) = Keys(DEFAULTS).remarks({**manifest, "image": "x"})
    assert "kind ConfigMap" in sentence
    assert "alluxio_chart_properties" in sentence


def test_what_templates_read_is_known_although_no_default_names_it() -> None:
    templates = "{{ .Values.fuse.mountPath }} {{- with .Values.metastore }}{{ toYaml . }}{{ end }} {{ $.Values.master.startupProbe }}"
    values = {"fuse": {"mountPath": "/x"}, "metastore": {"size": "1Gi"}, "master": {"startupProbe": {"periodSeconds": 1}}}
    assert Keys(DEFAULTS, None, templates).unknown(values) == []
    assert Keys(DEFAULTS).unknown({"metastore": {"size": "1Gi"}}) == ["metastore.size"]


def test_a_schema_knows_more_than_the_defaults() -> None:
    schema = {
        "properties": {
            "worker": {"$ref": "#/definitions/worker"},
            "hooks": {"properties": {"one": {}}, "additionalProperties": {}},
        },
        "definitions": {"worker": {"properties": {"ports": {"properties": {"rpc": {}}}}}},
    }
    keys = Keys(DEFAULTS, schema)
    assert keys.unknown({"worker": {"ports": {"rpc": 1}}, "hooks": {"any": "x"}}) == []
    assert keys.unknown({"worker": {"ports": {"rcp": 1}}}) == ["worker.ports.rcp"]
