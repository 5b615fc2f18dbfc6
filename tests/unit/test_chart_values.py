"""Values that change nothing are named, with the key that does; what a chart knows or leaves free is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.module_utils.chart_values import Keys
from ansible_collections.alnair.alluxio.plugins.module_utils.values import differing, merged
from chart_tools import CHART, default_values

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


def bundled() -> Keys:
    """Return what the module knows of the bundled chart."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").rglob("*.*"))]
    return Keys({"global": {}, **default_values()}, json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")), "\n".join(texts))


@pytest.mark.parametrize(("path", "remedy"), [
    ("master.replicas", "in the chart it is master.count"),
    ("fuse.args", "options of the mount are fuse.mountOptions"),
    ("fuse.image", "alluxio_chart_image and alluxio_chart_image_tag"),
    ("fuse.imageTag", "alluxio_chart_image and alluxio_chart_image_tag"),
    ("fuse.imagePullPolicy", "FUSE runs from the image of all parts"),
    ("fuse.mountPath", "alluxio_chart_fuse_mount_point"),
    ("fuse.clientEnabled", "alluxio_chart_fuse, or fuse.enabled"),
    ("fuse.global", "nothing ever read it"),
    ("fuse.user", "FUSE is root, for nobody else may mount what other pods see; leave it out"),
    ("fuse.group", "FUSE is root, as fuse.user tells; leave it out"),
    ("fuse.fsGroup", "FUSE has no volume whose files a group would be given; leave it out"),
    ("journal.runFormat", "a journal is formatted when it is new, and never again; leave it out"),
    ("journal.format.runFormat", "a journal is formatted when it is new, and never again; leave it out"),
    ("metastore.enabled", "it is on where metastore.mountPath is set; leave it out"),
    ("worker.limitOneWorkerPerNode", "a DaemonSet has one worker per node; leave it out"),
    ("secrets.logserver", "the chart has no log server; leave it out"),
])  # fmt: skip
def test_a_key_that_the_bundled_chart_takes_without_effect_is_named_with_what_does_it(path: str, remedy: str) -> None:
    for value in ("x", {"x": 1}) if path.count(".") == 1 else (True,):
        given: Any = value
        for key in reversed(path.split(".")):
            given = {key: given}
        (sentence,) = bundled().remarks(given)
        assert sentence.startswith(f"the chart takes {path}, which changes nothing: ")
        assert remedy in sentence


def test_what_the_bundled_chart_reads_is_silent() -> None:
    assert bundled().remarks({**default_values(), "global": {"any": 1}}) == []
    public = yaml.safe_load((Path(__file__).parent / "files" / "public_values.yml").read_text(encoding="utf-8"))
    idle = {"master.replicas", "fuse.user", "fuse.group", "fuse.fsGroup", "secrets.logserver", "configmaps.logserver"}
    assert {sentence.split(",")[0].removeprefix("the chart takes ") for sentence in bundled().remarks(merged([public])) if " takes " in sentence} == idle
