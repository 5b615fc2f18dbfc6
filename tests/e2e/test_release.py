"""The release's second day on the lab: another version and back, what cannot succeed, backup and restore, more masters and fewer."""

from __future__ import annotations

import datetime
import gzip
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.module_utils import helm
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from chart_variants import variant
from conftest import remove_secret
from reading import FILES, FOLDER, UNSAVED, knob, nodes, readers, ssh, sums, unsaved

from alnair_runner import HOME, Alnair

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("content")]


def version(cluster: Alnair) -> str:
    return str(cluster.status()["release"]["image"]).rpartition(":")[2]


def backups(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("*.json"))]


@pytest.mark.long
def test_another_version_and_back_loses_nothing(cluster: Alnair, content: set[str], tmp_path: Path, record_property: Callable[..., None]) -> None:
    place = {"alluxio_chart_backup_directory": str(tmp_path)}
    older = cluster.upgrade(extra_vars={"alluxio_chart_image_tag": "2.9.3", **place})
    assert older.status == "successful", older.failures
    assert version(cluster) == "2.9.3"
    with readers(FOLDER, FILES[1:6]) as seen:
        newer = cluster.upgrade(extra_vars=place)
    assert newer.status == "successful", newer.failures
    assert version(cluster) == "2.9.4"
    assert sums() == dict.fromkeys(nodes(), content)
    with readers(FOLDER, FILES[1:6]) as back:
        result = cluster.rollback(extra_vars=place)
    assert result.status == "successful", result.failures
    assert version(cluster) == "2.9.3"
    assert sums() == dict.fromkeys(nodes(), content)
    # One backup for each change, each proven; the last one by both versions.
    assert [set(item["proofs"]) for item in backups(tmp_path)] == [
        {"localhost/alluxio:2.9.4"}, {"localhost/alluxio:2.9.3"}, {"localhost/alluxio:2.9.4", "localhost/alluxio:2.9.3"}]  # fmt: skip
    assert all(count == item["paths"] for item in backups(tmp_path) for count in item["proofs"].values())
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    for what, measured in (("upgrade", seen), ("rollback", back)):
        print(f"{what}: {measured.told()}")
        record_property(f"outage_{what}", measured.outages())
        assert all(seconds < 120 for seconds in measured.outages().values())


@pytest.mark.long
def test_a_file_that_only_workers_hold_outlives_their_restart(cluster: Alnair, core: Any, execute: Callable[..., str], tmp_path: Path) -> None:
    def write(path: str) -> str:
        copy = f"alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE copyFromLocal /tmp/f {path}"
        return execute("alluxio-master-0", f"head -c 100000 /dev/urandom > /tmp/f && {copy} >&2 && md5sum < /tmp/f", "alluxio-master")

    def read(path: str) -> str:
        # Alluxio's shell says on standard output, too, why it cannot read.
        return execute("alluxio-master-0", f"alluxio fs cat {path} > /tmp/f || {{ tail -c 1000 /tmp/f >&2; exit 1; }}; md5sum < /tmp/f", "alluxio-master")

    def lost() -> set[str]:
        page = core.connect_get_namespaced_pod_proxy_with_path("alluxio-master-0:19999", "alluxio", "api/v1/master/webui_workers", _preload_content=False)
        return {item["host"] for item in json.loads(page.data)["failedNodeInfos"]}

    written = {path: write(path) for path in ("/only-cached", "/cached-too")}
    before = lost()
    try:
        values = merged([knob("alluxio_chart_values"), {"worker": {"properties": {"alluxio.worker.rpc.executor.parallelism": 3}}}])
        result = cluster.upgrade(extra_vars={"alluxio_chart_values": values, "alluxio_chart_backup_directory": str(tmp_path)})
        assert result.status == "successful", result.failures
        assert {path: read(path) for path in written} == written
        # No worker was lost, for each said goodbye.
        assert lost() == before
        written["/since"] = write("/since")
        result = cluster.rollback(extra_vars={"alluxio_chart_backup_directory": str(tmp_path)})
        assert result.status == "successful", result.failures
        assert {path: read(path) for path in written} == written
    finally:
        for path in written:
            execute("alluxio-master-0", f"alluxio fs rm {path}", "alluxio-master")


@pytest.mark.long
def test_an_upgrade_that_cannot_succeed_is_put_back(cluster: Alnair, content: set[str], tmp_path: Path) -> None:
    cluster.deploy()
    result = cluster.upgrade(extra_vars={"alluxio_chart_image_tag": "not-there", "alluxio_chart_timeout": 90, "alluxio_chart_backup_directory": str(tmp_path)})
    assert result.status == "failed"
    assert len(result.failures) == 1, result.failures
    assert "not-there" in result.failures[0].message
    assert "was put back and is Ready again" in result.failures[0].message
    assert version(cluster) == "2.9.4"
    assert sums() == dict.fromkeys(nodes(), content)
    again = cluster.deploy()
    assert (again.status, again.changed) == ("successful", 0), again.failures


@pytest.mark.long
def test_fields_that_cannot_be_changed_are_changed_all_the_same(cluster: Alnair, core: Any, content: set[str], tmp_path: Path) -> None:
    def uids(role: str) -> set[str]:
        return {item.metadata.uid for item in core.list_namespaced_pod("alluxio", label_selector=f"role=alluxio-{role}").items}

    assert cluster.deploy().status == "successful"
    masters, workers, fuse = uids("master"), uids("worker"), uids("fuse")
    chart = variant(
        tmp_path,
        ("master/statefulset.yaml", "podManagementPolicy: Parallel", "podManagementPolicy: OrderedReady"),
        # As the public chart has it: its selector names the chart's version.
        ("fuse/daemonset.yaml", '(list . "fuse") | nindent 6 }}', '(list . "fuse") | nindent 6 }}\n      chart: alluxio-other'),
        ("fuse/daemonset.yaml", '$v.fuse "fuse") | nindent 6 }}', '$v.fuse "fuse") | replace "labels:" "labels:\\n  chart: alluxio-other" | nindent 6 }}'),
    )
    variables = {"alluxio_chart_ref": chart, "persistent_volumes_journal_size": "1536Mi"}
    plan = cluster.deploy(check=True, extra_vars=variables)
    assert plan.status == "successful", plan.failures
    changed = cluster.deploy(extra_vars=variables)
    assert changed.status == "successful", changed.failures
    (template,) = kubernetes.client.AppsV1Api(core.api_client).read_namespaced_stateful_set("alluxio-master", "alluxio").spec.volume_claim_templates
    assert template.spec.resources.requests["storage"] == "1536Mi"
    assert (uids("master"), uids("worker")) == (masters, workers)
    assert not uids("fuse") & fuse
    assert sums() == dict.fromkeys(nodes(), content)
    back = cluster.deploy()
    assert back.status == "successful", back.failures
    assert (uids("master"), uids("worker")) == (masters, workers)
    assert sums() == dict.fromkeys(nodes(), content)


def test_an_object_that_the_api_server_refuses_is_named_before_anything_changes(cluster: Alnair, core: Any, tmp_path: Path) -> None:
    before = {item.metadata.uid for item in core.list_namespaced_pod("alluxio").items}
    chart = variant(tmp_path, ("worker/daemonset.yaml", "maxUnavailable: 1", "maxUnavailable: none"))
    result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_ref": chart})
    assert result.status == "failed"
    assert "The API server would refuse DaemonSet/alluxio-worker" in result.failures[0].message
    assert "Nothing was changed" in result.failures[0].message
    assert {item.metadata.uid for item in core.list_namespaced_pod("alluxio").items} == before


def test_a_change_that_the_journal_would_not_survive_is_refused(cluster: Alnair, core: Any) -> None:
    before = {item.metadata.uid for item in core.list_namespaced_pod("alluxio").items}
    values = merged([knob("alluxio_chart_values"), {"journal": {"volumeType": "emptyDir"}}])
    result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_values": values})
    assert (result.status, result.changed) == ("failed", 0)
    assert "journal.volumeType emptyDir would start with an empty one. Nothing was changed" in result.failures[0].message
    assert {item.metadata.uid for item in core.list_namespaced_pod("alluxio").items} == before


@pytest.mark.long
def test_an_object_that_somebody_removed_is_made_again(cluster: Alnair, content: set[str], core: Any) -> None:
    kubernetes.client.AppsV1Api(core.api_client).delete_namespaced_daemon_set("alluxio-fuse", "alluxio")
    plan = cluster.run("deploy_alluxio", check=True)
    assert (plan.status, plan.changed) == ("successful", 1), plan.failures
    again = cluster.run("deploy_alluxio")
    assert again.status == "successful", again.failures
    assert sums() == dict.fromkeys(nodes(), content)


@pytest.mark.long
def test_a_release_of_another_chart_is_refused(cluster: Alnair, content: set[str], tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: other\nversion: 1.0.0\n", encoding="utf-8")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n", encoding="utf-8")
    helm = [str(HOME / "inventory/lab/.access/bin/helm"), "--kubeconfig", str(HOME / "inventory/lab/.access/kubeconfig"), "--namespace", "default"]
    subprocess.run([*helm, "install", "alluxio", str(tmp_path)], check=True, capture_output=True)
    try:
        results = [cluster.run(name, extra_vars={"alluxio_namespace": "default"}) for name in ("deploy_alluxio", "teardown")]
    finally:
        subprocess.run([*helm, "uninstall", "alluxio"], check=True, capture_output=True)
    for result in results:
        assert result.status == "failed"
        assert "has a release alluxio of chart other-1.0.0, which is not Alluxio's" in result.failures[0].message
    assert sums() == dict.fromkeys(nodes(), content)
    after = cluster.deploy()
    assert (after.status, after.changed) == ("successful", 0), after.failures


@pytest.mark.long
def test_a_backup_restores_into_a_new_cluster(cluster: Alnair, content: set[str], tmp_path: Path) -> None:
    place = {"alluxio_chart_backup_directory": str(tmp_path)}
    made = cluster.backup(extra_vars=place)
    assert made.status == "successful", made.failures
    source = next(tmp_path.glob("*.gz"))
    assert cluster.teardown(purge=True).status == "successful"
    new = cluster.deploy(extra_vars={"alluxio_chart_properties": {
        "alluxio.master.mount.table.root.ufs": "/srv/alluxio-ufs", "alluxio.underfs.allow.set.owner.failure": "true"}})  # fmt: skip
    assert new.status == "successful", new.failures
    # The files are read from under the storage; what only the journal knew is lost, and comes with the backup.
    assert sums() == dict.fromkeys(nodes(), content - unsaved())
    restored = cluster.restore(source, extra_vars=place)
    assert restored.status == "successful", restored.failures
    assert sums() == dict.fromkeys(nodes(), content)
    # The property that the masters were started with is gone, and nothing but that was changed.
    again = cluster.deploy()
    assert (again.status, again.changed) == ("successful", 0), again.failures


@pytest.mark.long
def test_a_daily_backup_of_the_masters_is_restored(cluster: Alnair, content: set[str], execute: Callable[..., str], tmp_path: Path) -> None:
    # A whole minute that the masters, which look once in one, are there to see.
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    daily = {"backup": {"directory": "/e2e-daily", "daily": {"enabled": True, "time": f"{moment:%H:%M}", "keep": 1}}}
    changed = cluster.deploy(extra_vars={"alluxio_chart_values": merged([knob("alluxio_chart_values"), daily]), "alluxio_chart_backup": False})
    assert changed.status == "successful", changed.failures
    line = "cat /srv/alluxio-ufs/e2e-daily/alluxio-backup-*.gz"
    backup, deadline = tmp_path / "daily.gz", time.monotonic() + 420
    # All nodes see the same folder. It is whole where its end can be read.
    while subprocess.run(["gzip", "--test", str(backup)], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "no daily backup"
        time.sleep(5)
        backup.write_bytes(subprocess.run(ssh(next(iter(nodes().values())), line), capture_output=True, check=False).stdout)
    execute("alluxio-master-0", f"alluxio fs rm -R --alluxioOnly {FOLDER}/{UNSAVED} && ! alluxio fs test -d {FOLDER}/{UNSAVED}", "alluxio-master")
    restored = cluster.restore(backup, extra_vars={"alluxio_chart_backup_directory": str(tmp_path)})
    assert restored.status == "successful", restored.failures
    assert sums() == dict.fromkeys(nodes(), content)
    subprocess.run(ssh(next(iter(nodes().values())), "rm -r /srv/alluxio-ufs/e2e-daily"), check=True)
    assert cluster.deploy().status == "successful"


@pytest.fixture
def site_secret(cluster: Alnair, core: Any) -> Iterator[str]:
    """A Secret of properties for the release, which has it no more afterwards; what must stay in it."""
    word = uuid.uuid4().hex
    remove_secret(core, "e2e-site")
    lines = f"s3a.accessKeyId=reader\ns3a.secretKey={word}\nalluxio.user.block.size.bytes.default=3MB\n"
    core.create_namespaced_secret("alluxio", {"metadata": {"name": "e2e-site"}, "stringData": {"alluxio-site.properties": lines}})
    yield word
    assert cluster.deploy(extra_vars={"alluxio_chart_backup": False}).status == "successful"
    remove_secret(core, "e2e-site")


@pytest.mark.long
def test_credentials_of_the_root_stay_in_their_secret(
    cluster: Alnair, core: Any, execute: Callable[..., str], site_secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    values = merged([knob("alluxio_chart_values"), {"sitePropertiesSecret": "e2e-site"}])
    place = {"alluxio_chart_backup_directory": str(tmp_path), "alluxio_chart_values": values}
    result = cluster.upgrade(extra_vars=place)
    assert result.status == "successful", result.failures
    worker = core.list_namespaced_pod("alluxio", label_selector="release=alluxio,role=alluxio-worker").items[0].metadata.name
    for pod, container in (("alluxio-master-0", "alluxio-master"), (worker, "alluxio-worker")):
        assert execute(pod, "alluxio getConf alluxio.user.block.size.bytes.default", container).strip() == "3MB"
    assert site_secret in execute("alluxio-master-0", "cat /etc/alluxio/alluxio-site.properties", "alluxio-master")
    apps = kubernetes.client.AppsV1Api(core.api_client)
    calls = (core.list_namespaced_config_map, core.list_namespaced_pod, apps.list_namespaced_stateful_set, apps.list_namespaced_daemon_set)
    there = [core.api_client.sanitize_for_serialization(call("alluxio")) for call in calls]
    stored = [helm.unpacked(item.data["release"]) for item in core.list_namespaced_secret("alluxio", label_selector="owner=helm").items]
    kept = {path: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.suffix == ".gz" for path in kept) and (tmp_path / "alnair" / "runs").is_dir()
    assert site_secret not in json.dumps([there, stored]) + repr(result)
    assert not [path for path, text in kept.items() if site_secret.encode() in text]


@pytest.mark.long
def test_a_backup_that_is_not_whole_is_refused_before_anything_stops(cluster: Alnair, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"no backup")
    result = cluster.restore(broken, extra_vars={"alluxio_chart_timeout": 120})
    assert result.status == "failed"
    assert "broken.gz cannot be restored" in result.failures[0].message
    assert all(item["ready"] for item in cluster.status()["masters"])


@pytest.fixture
def three_masters(tmp_path: Path) -> Alnair:
    """The lab's inventory with a master on every node."""
    folder = tmp_path / "inventory"
    shutil.copytree(HOME / "inventory/lab", folder, symlinks=True)
    path = folder / "hosts.yml"
    hosts = yaml.safe_load(path.read_text(encoding="utf-8"))
    groups = hosts["all"]["children"]
    groups["alluxio_masters"]["hosts"].update({name: {} for name in groups["alluxio_workers"]["hosts"]})
    path.write_text(yaml.safe_dump(hosts), encoding="utf-8")
    return Alnair(folder)


def until(there: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.long
@pytest.mark.timeout(2700)
def test_one_master_becomes_three_and_one_again(cluster: Alnair, three_masters: Alnair, content: set[str], core: Any, tmp_path: Path) -> None:
    more = three_masters.scale(extra_vars={"alluxio_chart_backup_directory": str(tmp_path)})
    assert more.status == "successful", more.failures
    assert [item["ready"] for item in three_masters.status()["masters"]] == [True, True, True]
    assert sums() == dict.fromkeys(nodes(), content)
    # The one that leads goes, and the others go on.
    with readers(FOLDER, FILES[1:6]) as seen:
        core.delete_namespaced_pod("alluxio-master-0", "alluxio", grace_period_seconds=0)
        assert three_masters.deploy().status == "successful"
    print(f"a master killed: {seen.told()}")
    assert sums() == dict.fromkeys(nodes(), content)
    # Three masters change their version one after another, and the next FUSE of a node takes the place of the old one.
    older = {"alluxio_chart_image_tag": "2.9.3", "alluxio_chart_backup_directory": str(tmp_path)}
    with readers(FOLDER, FILES[1:6]) as seen:
        rolled = three_masters.upgrade(extra_vars=older)
    assert rolled.status == "successful", rolled.failures
    assert version(three_masters) == "2.9.3"
    print(f"upgrade with three masters: {seen.told()}")
    assert not any(seen.failed.values()) and all(seconds < 30 for seconds in seen.outages().values())
    assert sums() == dict.fromkeys(nodes(), content)
    place = {"alluxio_chart_backup_directory": str(tmp_path)}
    assert three_masters.upgrade(extra_vars=place).status == "successful"
    # None of them starts: they are mended together, for one alone would wait for a quorum.
    access = HOME / "inventory/lab/.access"
    words = [str(access / "bin/helm"), "--kubeconfig", str(access / "kubeconfig"), "--namespace", "alluxio", "upgrade", "alluxio", str(HOME / "charts/alluxio")]
    subprocess.run([*words, "--reuse-values", "--set", r"master.properties.alluxio\.master\.metastore=NO_SUCH"], check=True, capture_output=True)
    apps = kubernetes.client.AppsV1Api(core.api_client)
    until(lambda: (item := apps.read_namespaced_stateful_set("alluxio-master", "alluxio")).status.observed_generation == item.metadata.generation)
    core.delete_collection_namespaced_pod("alluxio", label_selector="release=alluxio,role=alluxio-master", grace_period_seconds=0)
    until(lambda: not apps.read_namespaced_stateful_set("alluxio-master", "alluxio").status.ready_replicas)
    mended = three_masters.deploy(extra_vars=place)
    assert mended.status == "successful", mended.failures
    assert sums() == dict.fromkeys(nodes(), content)
    # Members of the quorum are known by their ports, too.
    values = merged([knob("alluxio_chart_values"), {"master": {"ports": {"embedded": 19201}}}])
    moved = three_masters.upgrade(extra_vars={**place, "alluxio_chart_values": values})
    assert moved.status == "successful", moved.failures
    assert sums() == dict.fromkeys(nodes(), content)
    fewer = cluster.scale(extra_vars=place)
    assert fewer.status == "successful", fewer.failures
    assert len(cluster.status()["masters"]) == 1
    assert sums() == dict.fromkeys(nodes(), content)


def test_two_masters_are_refused_with_the_reason(cluster: Alnair) -> None:
    result = cluster.run("deploy_alluxio", extra_vars={"alluxio_chart_masters": list(nodes("alluxio_masters")) + list(nodes())[:1]})
    assert result.status == "failed"
    assert "loss" in result.failures[0].message
