"""Each repair of the chart, seen in what it renders."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_matrix import MATRIX, PORTS, TIERS
from chart_tools import CHART, Manifest, container, containers, default_values, find, options, pod_specs, render

EVERY: dict[str, Any] = {
    "fuse": {"enabled": True},
    "proxy": {"enabled": True},
    "shortCircuit": {"volumeType": "persistentVolumeClaim"},
    "metrics": {"enabled": True, **{what: {"enabled": True} for what in ("dashboard", "prometheusRule", "serviceMonitor")}},
    "networkPolicy": {"enabled": True},
}


def pod_templates(values: dict[str, Any]) -> dict[str, str]:
    return {
        item["metadata"]["name"].removeprefix("alluxio-"): json.dumps(item["spec"]["template"], sort_keys=True)
        for item in render(values)
        if "template" in item.get("spec", {})
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = pod_templates(before), pod_templates(after)
    return {name for name in old if old[name] != new[name]}


def test_an_upgrade_of_chart_and_image_changes_no_field_that_is_immutable(tmp_path: Path) -> None:
    newer = shutil.copytree(CHART, tmp_path / "alluxio")
    text = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^version:.*$", "version: 99.0.0", text))

    def fixed(manifests: list[Manifest]) -> dict[str, Any]:
        free = {"replicas", "template", "updateStrategy", "minReadySeconds", "persistentVolumeClaimRetentionPolicy"}
        return {
            item["metadata"]["name"]: {key: value for key, value in item["spec"].items() if key not in free}
            for item in manifests
            if item["kind"] in ("StatefulSet", "DaemonSet", "Deployment", "PersistentVolumeClaim")
        }

    upgraded = render({**EVERY, "imageTag": "2.9.5"}, chart=newer)
    assert "99.0.0" in json.dumps(upgraded)
    assert fixed(render(EVERY)) == fixed(upgraded)


def test_a_chart_version_alone_restarts_no_pod(tmp_path: Path) -> None:
    newer = shutil.copytree(CHART, tmp_path / "alluxio")
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^version:.*$", "version: 99.0.0", (newer / "Chart.yaml").read_text()))
    assert list(pod_specs(render(EVERY))) == list(pod_specs(render(EVERY, chart=newer)))


@pytest.mark.parametrize(
    ("part", "restarted"),
    [
        ("master", {"master"}),
        ("jobMaster", {"master"}),
        ("worker", {"worker"}),
        ("jobWorker", {"worker"}),
        ("fuse", {"fuse"}),
        ("proxy", {"proxy"}),
        ("", {"master", "worker", "fuse", "proxy"}),
    ],
)
@pytest.mark.parametrize("change", [{"properties": {"alluxio.user.x": "1"}}, {"jvmOptions": ["-Dalluxio.user.x=1"]}])
def test_a_changed_property_restarts_the_pods_that_use_it_and_no_others(part: str, restarted: set[str], change: dict[str, Any]) -> None:
    values = {**EVERY, part: {**EVERY.get(part, {}), **change}} if part else {**EVERY, **change}
    assert changed(EVERY, values) == restarted


def test_no_pod_restarts_for_what_only_prometheus_and_grafana_read() -> None:
    assert changed({**EVERY, "metrics": {"enabled": True}}, EVERY) == set()
    assert changed({**EVERY, "metrics": {"enabled": False}}, {**EVERY, "metrics": {"enabled": True}}) == {"master", "worker", "fuse", "proxy"}


def test_each_pod_is_placed_as_its_part_and_all_parts_say() -> None:
    row = MATRIX["placed"]
    pods = {title: pod for title, pod in pod_specs(render(row)) if not title.startswith("Pod/")}
    kinds = {title.rpartition("-")[2] for title in pods}
    assert kinds == {"master", "worker", "fuse", "proxy"}
    for title, pod in pods.items():
        part = row[title.rpartition("-")[2]]
        assert pod["priorityClassName"] == part["priorityClassName"] == "high", title
        assert pod["hostAliases"] == row["hostAliases"], title
        assert pod["imagePullSecrets"] == [{"name": "registry"}], title
        assert pod["tolerations"] == [*row["tolerations"], *part["tolerations"]], title
        assert pod["nodeSelector"] == row["nodeSelector"] | part["nodeSelector"], title
    # Helm's test runs wherever the release may, and needs the image as they do.
    (test,) = [pod for title, pod in pod_specs(render(row)) if title.startswith("Pod/")]
    assert (test["nodeSelector"], test["tolerations"], test["imagePullSecrets"]) == (row["nodeSelector"], row["tolerations"], [{"name": "registry"}])
    assert "priorityClassName" not in test
    masters = find(render(MATRIX["three-masters"]), "StatefulSet", "alluxio-master")["spec"]["template"]["spec"]
    assert masters["topologySpreadConstraints"] == MATRIX["three-masters"]["master"]["topologySpreadConstraints"]


def test_a_second_rendering_is_the_same() -> None:
    assert changed(EVERY, {**EVERY, "master": {"count": 1}}) == set()


def test_several_masters_never_format(tmp_path: Path) -> None:
    manifests = render(MATRIX["three-masters"])
    assert "formatJournal" not in json.dumps(manifests)
    spec = find(manifests, "StatefulSet", "alluxio-master")["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (3, "Parallel")


def test_several_masters_have_stable_addresses_and_a_node_each() -> None:
    manifests = render(MATRIX["three-masters"])
    addresses = options(manifests, "ALLUXIO_JAVA_OPTS")["alluxio.master.embedded.journal.addresses"]
    assert addresses == "alluxio-master-0:19200,alluxio-master-1:19200,alluxio-master-2:19200"
    for i in range(3):
        service = find(manifests, "Service", f"alluxio-master-{i}")["spec"]
        assert service["clusterIP"] == "None"
        assert service["publishNotReadyAddresses"]
        assert service["selector"] == {"statefulset.kubernetes.io/pod-name": f"alluxio-master-{i}"}
    rule = find(manifests, "StatefulSet", "alluxio-master")["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert "kubernetes.io/hostname" in json.dumps(rule["requiredDuringSchedulingIgnoredDuringExecution"])
    environment = container(manifests, "StatefulSet", "alluxio-master", "alluxio-master")["env"]
    assert {"name": "ALLUXIO_MASTER_HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in environment
    assert options(manifests, "ALLUXIO_MASTER_JAVA_OPTS")["alluxio.master.hostname"] == "${ALLUXIO_MASTER_HOSTNAME}"


def test_ports_move_with_properties() -> None:
    manifests = render({**PORTS, "master": {**PORTS["master"], "count": 3}, "journal": {"type": "EMBEDDED"}})
    common = options(manifests, "ALLUXIO_JAVA_OPTS")
    moved = {
        "alluxio.master.rpc.port": "18998",
        "alluxio.master.web.port": "18999",
        "alluxio.master.embedded.journal.port": "18200",
        "alluxio.job.master.rpc.port": "18001",
        "alluxio.job.master.web.port": "18002",
        "alluxio.job.master.embedded.journal.port": "18003",
    }
    assert common | moved == common
    assert common["alluxio.master.embedded.journal.addresses"].endswith("alluxio-master-2:18200")
    worker = options(manifests, "ALLUXIO_WORKER_JAVA_OPTS") | options(manifests, "ALLUXIO_JOB_WORKER_JAVA_OPTS") | options(manifests, "ALLUXIO_PROXY_JAVA_OPTS")
    moved = {
        "alluxio.worker.rpc.port": "28999",
        "alluxio.worker.web.port": "28000",
        "alluxio.job.worker.rpc.port": "28001",
        "alluxio.job.worker.data.port": "28002",
        "alluxio.job.worker.web.port": "28003",
        "alluxio.proxy.web.port": "38999",
    }
    assert worker | moved == worker
    service = {port["name"]: port["port"] for port in find(manifests, "Service", "alluxio-master-0")["spec"]["ports"]}
    assert set(service.values()) == {18998, 18999, 18200, 18001, 18002, 18003}
    opened = {port["containerPort"] for _, pod in pod_specs(manifests) for item in pod["containers"] for port in item.get("ports", [])}
    assert opened == {18998, 18999, 18200, 18001, 18002, 18003, 28999, 28000, 28001, 28002, 28003, 38999}
    assert not re.search(r"\b(1999[89]|1920\d|2000\d|2999\d|3000\d|39999)\b", json.dumps([pod for _, pod in pod_specs(manifests)]))


def test_a_link_that_leads_nowhere_does_not_hide_its_folder_unless_somebody_wants_that() -> None:
    name = "alluxio.underfs.local.skip.broken.symlinks"
    assert options(render(), "ALLUXIO_JAVA_OPTS")[name] == "true"
    assert options(render({"properties": {name: False}}), "ALLUXIO_JAVA_OPTS")[name] == "false"


@pytest.mark.parametrize("kind", ["rpc", "streaming"])
def test_nobody_asks_more_often_whether_the_other_side_is_there_than_that_permits(kind: str) -> None:
    manifests = render({"fuse": {"enabled": True}})
    common, fuse = (options(manifests, f"ALLUXIO_{part}JAVA_OPTS") for part in ("", "FUSE_"))
    asked = int(fuse[f"alluxio.user.network.{kind}.keepalive.time"].removesuffix("sec"))
    assert all(int(common[f"alluxio.{part}.network.permit.keepalive.time"].removesuffix("sec")) < asked for part in ("master", "worker"))


def test_the_ramdisk_has_the_size_of_the_tier_in_memory() -> None:
    quota = {"tieredstore": {"levels": [{**TIERS[0], "quota": "768Mi"}]}, "worker": {"resources": {"requests": {"memory": "2Gi"}}}}
    worker = options(render(quota), "ALLUXIO_WORKER_JAVA_OPTS")
    assert worker["alluxio.worker.ramdisk.size"] == worker["alluxio.worker.tieredstore.level0.dirs.quota"] == "768MB"


@pytest.mark.parametrize(("media", "quota", "size"), [
    ("MEM,SSD", "256Mi,2Gi", "256MB"), ("SSD, MEM", "2Gi, 256Mi", "256MB"), ("SSD,MEM", "256Mi", "256MB"), ("MEM,MEM", "1Mi,2Mi", "1MB"), ("SSD,HDD", "1Gi", None),
])  # fmt: skip
def test_the_ramdisk_has_the_size_of_the_part_of_a_level_that_is_in_memory(media: str, quota: str, size: str | None) -> None:
    level = {**TIERS[0], "alias": media, "mediumtype": media, "path": "/a,/b", "quota": quota}
    assert options(render({"tieredstore": {"levels": [level]}}), "ALLUXIO_WORKER_JAVA_OPTS").get("alluxio.worker.ramdisk.size") == size


ALLUXIO_UNITS = {"": 1, "B": 1, "K": 2**10, "KB": 2**10, "M": 2**20, "MB": 2**20, "G": 2**30, "GB": 2**30, "T": 2**40, "TB": 2**40}
KUBERNETES_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def size(text: str, units: dict[str, int]) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return float(number) * units[unit]


@pytest.mark.parametrize("quota", ["1G", "1Gi", "512M", "512Mi", "1.5Gi", "1.5G", "1000k", "2048Ki", "1073741824"])
def test_g_and_gi_are_the_same_to_kubernetes_and_to_alluxio(quota: str) -> None:
    """Alluxio's G is 2^30, Kubernetes' is 10^9; the worker refuses to start on a memory file system that is smaller than its quota."""
    manifests = render({"tieredstore": {"levels": [{**TIERS[0], "quota": quota}]}})
    pod = find(manifests, "DaemonSet", "alluxio-worker")["spec"]["template"]["spec"]
    (volume,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"].startswith("tier-")]
    told = options(manifests, "ALLUXIO_WORKER_JAVA_OPTS")["alluxio.worker.tieredstore.level0.dirs.quota"]
    assert size(told, ALLUXIO_UNITS) == size(str(volume["sizeLimit"]), KUBERNETES_UNITS) == size(quota, KUBERNETES_UNITS)


def test_only_a_tier_in_memory_lies_in_memory() -> None:
    levels = [{**TIERS[0], "mediumtype": "MEM"}, {**TIERS[0], "level": 1, "alias": "SSD", "mediumtype": "SSD,HDD", "path": "/a,/b", "quota": "1Gi,2Gi"}]
    pod = find(render({"tieredstore": {"levels": levels}}), "DaemonSet", "alluxio-worker")["spec"]["template"]["spec"]
    volumes = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"].startswith("tier-")]
    assert volumes == [{"medium": "Memory", "sizeLimit": "1G"}, {"sizeLimit": "1Gi"}, {"sizeLimit": "2Gi"}]


def test_tiers_lie_where_their_type_says() -> None:
    pod = find(render(MATRIX["three-tiers"]), "DaemonSet", "alluxio-worker")["spec"]["template"]["spec"]
    sources = {
        mount["mountPath"]: volume
        for item in pod["containers"]
        for mount in item["volumeMounts"]
        for volume in pod["volumes"]
        if volume["name"] == mount["name"]
    }
    assert sources["/ssd0"]["hostPath"]["path"] == "/ssd0"
    assert sources["/ssd1"]["hostPath"]["path"] == "/ssd1"
    assert sources["/hdd"]["persistentVolumeClaim"] == {"claimName": "hdd"}


@pytest.mark.parametrize("values", [EVERY, MATRIX["three-masters"]], ids=["every", "three-masters"])
def test_two_releases_in_a_namespace_share_no_name(values: dict[str, Any]) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        return {(item["kind"], item["metadata"]["name"]) for item in render(values, release=release)}

    assert names("one") & names("two") == set()


def test_what_selects_pods_selects_its_own_release_only() -> None:
    def labels(release: str) -> list[dict[str, str]]:
        return [item["spec"]["template"]["metadata"]["labels"] for item in render(EVERY, release=release) if "template" in item.get("spec", {})]

    for manifest in render(EVERY, release="one"):
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector", {})
        selector = selector.get("matchLabels", selector)
        # A pod's name is one release's by itself; what the monitor selects are Services.
        if not selector or "statefulset.kubernetes.io/pod-name" in selector or manifest["kind"] == "ServiceMonitor":
            continue
        for release, there in (("one", True), ("two", False)):
            assert any(selector.items() <= other.items() for other in labels(release)) == there, manifest["metadata"]["name"]


def test_credentials_come_from_a_secret() -> None:
    manifests = render(MATRIX["credentials"])
    for kind, name, titles in (
        ("StatefulSet", "alluxio-master", ["journal-format", "alluxio-master", "alluxio-job-master"]),
        ("DaemonSet", "alluxio-worker", ["alluxio-worker", "alluxio-job-worker"]),
        ("DaemonSet", "alluxio-proxy", ["alluxio-proxy"]),
    ):
        pod = find(manifests, kind, name)["spec"]["template"]["spec"]
        (volume,) = [volume for volume in pod["volumes"] if volume.get("secret", {}).get("secretName") == "ufs"]
        for title in titles:
            mounts = container(manifests, kind, name, title)["volumeMounts"]
            assert {"name": volume["name"], "mountPath": "/etc/alluxio", "readOnly": True} in mounts, title
    assert "ufs" not in json.dumps([item for item in manifests if item["kind"] == "ConfigMap"])


@pytest.mark.parametrize("row", MATRIX)
def test_fuse_alone_is_privileged_and_nobody_has_a_token(row: str) -> None:
    for title, pod in pod_specs(render(MATRIX[row])):
        assert pod["automountServiceAccountToken"] is False, title
        for item in containers(pod):
            if item["name"] == "helper":
                continue
            security = {**pod.get("securityContext", {}), **item["securityContext"]}
            mounts = title.endswith("-fuse") or (row == "worker-fuse" and item["name"] == "alluxio-worker")
            if security.get("privileged"):
                assert mounts, f"{title} {item['name']}"
            if not title.endswith("-fuse") and row != "worker-fuse":
                restricted = {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                }
                assert security | restricted == security, f"{title} {item['name']}"
                assert security["runAsUser"] == MATRIX[row].get("user", 1000)


def test_a_release_has_an_account_of_its_own_without_a_token() -> None:
    account = find(render(), "ServiceAccount", "alluxio")
    assert account["automountServiceAccountToken"] is False
    assert {pod["serviceAccountName"] for _, pod in pod_specs(render(EVERY))} == {"alluxio"}
    named = render({**EVERY, "serviceAccount": "mine"})
    assert {pod["serviceAccountName"] for _, pod in pod_specs(named)} == {"mine"}
    assert not [item for item in named if item["kind"] == "ServiceAccount"]


def test_the_domain_socket_lies_on_the_node_by_default_and_is_seen_by_worker_and_fuse() -> None:
    for pod in (pod for title, pod in pod_specs(render({"fuse": {"enabled": True}})) if title.startswith("DaemonSet")):
        assert {"name": "alluxio-domain", "hostPath": {"path": "/tmp/alluxio-domain", "type": "Directory"}} in pod["volumes"]
        for item in pod["containers"]:
            assert {"name": "alluxio-domain", "mountPath": "/opt/domain"} in item["volumeMounts"]


def test_without_a_socket_fuse_opens_the_files_of_the_tiers() -> None:
    socket = "alluxio.worker.data.server.domain.socket"
    worker = options(render(), "ALLUXIO_WORKER_JAVA_OPTS")
    assert (worker[f"{socket}.address"], worker[f"{socket}.as.uuid"]) == ("/opt/domain", "true")
    manifests = render(MATRIX["open-tiers"])
    # Told /opt/domain, a worker would bind its socket to the directory itself.
    assert socket not in json.dumps(manifests)
    assert "alluxio-domain" not in json.dumps(manifests)
    pods = {kind: find(manifests, "DaemonSet", f"alluxio-{kind}")["spec"]["template"]["spec"] for kind in ("worker", "fuse", "proxy")}
    mounts = {kind: {item["mountPath"]: item["name"] for item in pod["containers"][0]["volumeMounts"]} for kind, pod in pods.items() if kind != "proxy"}
    for path in ("/dev/shm", "/ssd1", "/hdd"):
        (here, there) = ([item for item in pods[kind]["volumes"] if item["name"] == mounts[kind][path]] for kind in ("worker", "fuse"))
        assert here == there
    # It is in the node's folder that FUSE has for its mount.
    assert "/mnt/ssd0" in mounts["worker"]
    assert "/mnt/ssd0" not in mounts["fuse"]
    assert mounts["fuse"]["/mnt"] == "alluxio-fuse-mount"
    assert options(manifests, "ALLUXIO_PROXY_JAVA_OPTS")["alluxio.user.short.circuit.enabled"] == "false"
    assert "alluxio.user.short.circuit.enabled" not in options(manifests, "ALLUXIO_JAVA_OPTS") | options(manifests, "ALLUXIO_FUSE_JAVA_OPTS")


def test_fuse_in_the_worker_works_without_further_values() -> None:
    manifests = render(MATRIX["worker-fuse"])
    worker = options(manifests, "ALLUXIO_WORKER_JAVA_OPTS")
    # What the container's script counts on is no matter of choice.
    own = {"alluxio.fuse.mount.point": "/elsewhere", "alluxio.fuse.mount.options": "allow_other", "alluxio.worker.free.space.timeout": "9sec"}
    chosen = options(render({**MATRIX["worker-fuse"], "worker": {**MATRIX["worker-fuse"]["worker"], "properties": own}}), "ALLUXIO_WORKER_JAVA_OPTS")
    assert chosen == worker | {"alluxio.worker.free.space.timeout": "9sec"}
    wanted = {"alluxio.worker.fuse.enabled": "true", "alluxio.fuse.mount.point": "/run/alluxio-fuse", "alluxio.fuse.mount.alluxio.path": "/"}
    assert worker | wanted == worker
    mounts = container(manifests, "DaemonSet", "alluxio-worker", "alluxio-worker")["volumeMounts"]
    assert {"name": "alluxio-fuse-mount", "mountPath": "/mnt", "mountPropagation": "Bidirectional"} in mounts


def test_fuse_in_the_worker_is_told_what_fuse_is_told_but_has_the_workers_memory() -> None:
    client = {"alluxio.user.x": "1", "alluxio.user.y": 2, "alluxio.user.metadata.cache.enabled": False, "alluxio.fuse.mount.point": "/elsewhere"}
    fuse = {"properties": client, "jvmOptions": ["-Xmx7g", "-XX:MaxDirectMemorySize=7g"]}
    values = {"worker": {"fuseEnabled": True, "properties": {"alluxio.user.y": 3}}, "fuse": fuse}
    manifests = render(values)
    worker = options(manifests, "ALLUXIO_WORKER_JAVA_OPTS")
    alone = options(render({"fuse": {"enabled": True}}), "ALLUXIO_FUSE_JAVA_OPTS")
    del alone["alluxio.user.hostname"]
    wanted = alone | {
        "alluxio.user.x": "1",
        "alluxio.user.y": "3",
        "alluxio.user.metadata.cache.enabled": "false",
        "alluxio.fuse.mount.point": "/run/alluxio-fuse",
    }
    assert worker | wanted == worker
    assert "7g" not in find(manifests, "ConfigMap", "alluxio-config")["data"]["ALLUXIO_WORKER_JAVA_OPTS"]
    changes = {"fuse": {**fuse, "properties": {**client, "alluxio.user.x": "2"}}}
    assert changed(values, {**values, **changes}) == {"worker"}
    assert not {"alluxio.user.x", *alone} & set(options(render({"fuse": fuse}), "ALLUXIO_WORKER_JAVA_OPTS"))


def test_pods_restart_one_at_a_time() -> None:
    for manifest in render(EVERY):
        if manifest["kind"] == "DaemonSet":
            one = {"maxSurge": 1, "maxUnavailable": 0} if manifest["metadata"]["name"] == "alluxio-fuse" else {"maxUnavailable": 1}
            assert manifest["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": one}
    budget = find(render(), "PodDisruptionBudget", "alluxio-master")["spec"]
    assert budget["maxUnavailable"] == 1


def test_a_network_policy_lets_the_namespaces_and_addresses_in_that_are_named() -> None:
    rule = find(render(MATRIX["network-policy"]), "NetworkPolicy", "alluxio")["spec"]["ingress"][0]["from"]
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in ("10.0.0.0/24", "fd00::/64")]
    assert rule == [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"team": "training", "tier": "gpu"}}}, *blocks]


def test_daily_backups_are_the_masters_own() -> None:
    master = options(render(MATRIX["daily-backup"]), "ALLUXIO_MASTER_JAVA_OPTS")
    wanted = {
        "alluxio.master.backup.directory": "/safe",
        "alluxio.master.daily.backup.enabled": "true",
        "alluxio.master.daily.backup.time": "03:30",
        "alluxio.master.daily.backup.files.retained": "7",
    }
    assert master | wanted == master


@pytest.mark.parametrize(
    ("root", "folder", "place"),
    [("/srv/ufs/", "/safe", "/srv/ufs/safe"), ("/srv/ufs", "/srv/ufs/safe", "/srv/ufs/safe"), ("s3://bucket/a", "/safe", "/safe"), ("", "/safe", "/safe")],
)
def test_daily_backups_lie_in_the_root_under_storage(root: str, folder: str, place: str) -> None:
    values = {"properties": {"alluxio.master.mount.table.root.ufs": root} if root else {}, "backup": {"directory": folder}}
    assert options(render(values), "ALLUXIO_MASTER_JAVA_OPTS")["alluxio.master.backup.directory"] == place


def keys(values: dict[str, Any], path: str = "") -> set[str]:
    """A key is what a table row describes: two levels deep, or one where there is no second."""
    found: set[str] = set()
    for name, value in values.items():
        found |= {f"{path}{name}"} if path or not isinstance(value, dict) or not value or name in ONE_ROW else keys(value, f"{name}.")
    return found


ONE_ROW = {"secrets", "configmaps"}


def test_the_readme_tells_of_each_key_and_of_no_other() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \|", (CHART / "README.md").read_text())
    assert sorted(rows) == sorted(set(rows))
    assert set(rows) == keys(default_values())


def without_effect(schema: dict[str, Any], path: str = "") -> set[str]:
    """Return the keys that the schema takes and no template reads."""
    found = {path} if "without effect" in schema.get("description", "") or schema.get("const") else set()
    return found.union(*(without_effect(below, f"{path}.{name}".lstrip(".")) for name, below in schema.get("properties", {}).items()))


def test_the_readme_tells_of_each_key_that_is_taken_and_changes_nothing() -> None:
    rows = re.findall(r"(?m)^\| ([^`|]+) \| not there \|", (CHART / "README.md").read_text())
    known = keys(default_values())
    # What is below a key of the first table is told of in its row.
    idle = {path for path in without_effect(json.loads((CHART / "values.schema.json").read_text())) if not any(path.startswith(f"{key}.") for key in known)}
    assert idle <= set(", ".join(rows).split(", "))
    assert not idle & known


def test_the_schema_names_each_key_of_the_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(yaml.safe_load((CHART / "values.yaml").read_text())) <= set(schema["properties"])


def test_names_beyond_ascii_are_read_unless_the_user_says_otherwise() -> None:
    def locale(values: dict[str, Any]) -> set[str]:
        containers = find(render(values), "DaemonSet", "alluxio-worker")["spec"]["template"]["spec"]["containers"]
        return {item["value"] for container in containers for item in container["env"] if item["name"] == "LC_ALL"}

    assert locale({}) == {"C.UTF-8"}
    assert locale({"worker": {"env": {"LC_ALL": "de_DE.UTF-8"}}}) == {"de_DE.UTF-8", "C.UTF-8"}


def test_reading_through_fuse_copies_nothing_unless_it_is_said_to() -> None:
    name, copying = "alluxio.user.file.passive.cache.enabled", {"fuse": {"enabled": True, "properties": {"alluxio.user.file.passive.cache.enabled": True}}}
    assert options(render({"fuse": {"enabled": True}}), "ALLUXIO_FUSE_JAVA_OPTS")[name] == "false"
    assert options(render(copying), "ALLUXIO_FUSE_JAVA_OPTS")[name] == "true"


@pytest.mark.parametrize(("where", "variable"), [("fuse", "ALLUXIO_FUSE_JAVA_OPTS"), ("worker", "ALLUXIO_WORKER_JAVA_OPTS")])
def test_what_all_parts_are_told_is_not_unsaid_to_fuse(where: str, variable: str) -> None:
    name = "alluxio.user.metadata.cache.enabled"
    on = {"fuse": {"enabled": True}} if where == "fuse" else {"worker": {"fuseEnabled": True}}
    assert options(render(on), variable)[name] == "true"
    told = render({**on, "properties": {name: False, "alluxio.user.file.passive.cache.enabled": None}})
    assert options(told, "ALLUXIO_JAVA_OPTS")[name] == "false"
    # On the command line a part's own win over those of all parts.
    assert name not in options(told, variable)
    assert options(told, variable)["alluxio.user.file.passive.cache.enabled"] == "false"
