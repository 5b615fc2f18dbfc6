"""The chart installed by helm alone, once for each set of objects that its values make: all pods become Ready and do their work."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import kubernetes
import pytest
import yaml
from chart_rows import COMMON, MOUNT, ROWS, UFS
from conftest import HOME
from reading import nodes, ssh

from alnair_runner import Alnair

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

CHART = HOME / "charts" / "alluxio"


@pytest.fixture(scope="module")
def helm(cluster: Alnair) -> Callable[..., str]:
    variables = cluster.variables()
    access = HOME / "inventory" / "lab" / ".access"

    def run(*words: str, values: dict[str, Any] | None = None) -> str:
        answer = subprocess.run([str(access / "bin" / "helm"), "--kubeconfig", variables["alluxio_kubeconfig"], *words], input=yaml.safe_dump(values),
                                capture_output=True, text=True, check=False)  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    return run


@pytest.fixture
def node(core: Any) -> str:
    """The node of the one worker."""
    return str(max(item.metadata.name for item in core.list_node().items))


@contextmanager
def volumes_of(core: Any, row: str, claims: dict[str, tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Volumes for the claims of a row, each by its kind and the node where it lies; their names by claim."""
    folder, found = f"/srv/chart-{row}", {claim: f"chart-{row}-{index}" for index, claim in enumerate(claims)}
    hosts = {node for _, node in claims.values()}
    addresses = {**nodes("alluxio_masters"), **nodes()}
    for node in hosts:
        mine = " ".join(f"{folder}/{name}" for claim, name in found.items() if claims[claim][1] == node)
        subprocess.run(ssh(addresses[node], f"install -d -o 1000 -g 1000 -m 0770 {folder} {mine}"), check=True)
    try:
        for claim, name in found.items():
            kind, node = claims[claim]
            here = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}
            spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "standard", "nodeAffinity": {"required": here},
                    "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"name": claim, "namespace": f"chart-{row}"},
                    kind: {"path": f"{folder}/{name}"}}  # fmt: skip
            core.create_persistent_volume({"metadata": {"name": name}, "spec": spec})
        yield found
    finally:
        for item in core.list_persistent_volume().items:
            if item.metadata.name in found.values():
                core.delete_persistent_volume(item.metadata.name)
        for node in hosts:
            subprocess.run(ssh(addresses[node], f"rm -r {folder}"), check=True)


@pytest.fixture
def volumes(core: Any, node: str) -> Iterator[dict[str, str]]:
    """Volumes on that node for both claims of the row "claims"; their names by claim."""
    kinds = {"chart-claims-worker-domain-socket": "hostPath", "alluxio-metastore-chart-claims-master-0": "local"}
    with volumes_of(core, "claims", {claim: (kind, node) for claim, kind in kinds.items()}) as found:
        yield found


@pytest.fixture
def volumes_of_masters(core: Any) -> Iterator[dict[str, str]]:
    """Volumes for the journal and the inodes of each master of the row "masters-claims", each master's on a node; their names by claim."""
    names = sorted(item.metadata.name for item in core.list_node().items)[:3]
    claims = {f"alluxio-{what}-chart-masters-claims-master-{index}": ("local", node) for index, node in enumerate(names) for what in ("journal", "metastore")}
    with volumes_of(core, "masters-claims", claims) as found:
        yield found


@pytest.fixture
def installed(helm: Callable[..., str], core: Any, node: str) -> Callable[[str], Any]:
    @contextmanager
    def install(row: str, **labels: str) -> Iterator[str]:
        """A release of this row's values in a namespace of its own with labels; yields the name of both."""
        name = f"chart-{row}"
        values = {**COMMON, **ROWS[row]}
        if "backup" in values:
            # The masters look once a minute; by then they are there.
            values["backup"] = {"daily": {"enabled": True, "time": time.strftime("%H:%M", time.gmtime(time.time() + 240))}}
        values["worker"] = {**values["worker"], "nodeSelector": {"kubernetes.io/hostname": node}}
        core.create_namespace({"metadata": {"name": name, "labels": labels}})
        try:
            core.create_namespaced_secret(
                name, {"metadata": {"name": "site"}, "stringData": {"alluxio-site.properties": "alluxio.user.block.size.bytes.default=3MB\n"}}
            )
            core.create_namespaced_secret(name, {"metadata": {"name": "extra"}, "stringData": {"word": "secret"}})
            core.create_namespaced_config_map(name, {"metadata": {"name": "extra"}, "data": {"word": "open"}})
            core.create_namespaced_service_account(name, {"metadata": {"name": "mine"}})
            helm("install", name, str(CHART), "--namespace", name, "--wait", "--timeout", "6m", "--values", "-", values=values)
            # Of a DaemonSet with one pod helm waits for none, where that one may be unavailable.
            until_there(lambda: ready(core, name), 180)
            yield name
        finally:
            helm("uninstall", name, "--namespace", name, "--ignore-not-found", "--wait", "--timeout", "3m")
            core.delete_namespace(name)
            gone(core, name)

    return install


def gone(core: Any, namespace: str) -> None:
    deadline = time.monotonic() + 120
    while any(item.metadata.name == namespace for item in core.list_namespace().items):
        assert time.monotonic() < deadline, f"namespace {namespace} is still there after 120 s"
        time.sleep(2)


def ready(core: Any, namespace: str) -> str:
    pods = core.list_namespaced_pod(namespace).items
    conditions = [{item.type: item.status for item in pod.status.conditions or []} for pod in pods]
    return "Ready" if pods and all(found.get("Ready") == "True" for found in conditions) else ""


def until_there(look: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"nothing is there after {seconds:.0f} s"
        time.sleep(5)


def open_folder(execute: Callable[..., str], name: str) -> str:
    """Make a folder in Alluxio that FUSE, which is root and not the masters' user, may write to; its path."""
    execute(f"{name}-master-0", f"alluxio fs mkdir /{name} && alluxio fs chmod 777 /{name}", "alluxio-master", name)
    return f"/{name}"


def pod_of(core: Any, name: str, role: str) -> str:
    (pod,) = core.list_namespaced_pod(name, label_selector=f"release={name},role=alluxio-{role}").items
    return str(pod.metadata.name)


def test_alluxios_own_tests_pass(installed: Any, helm: Callable[..., str], execute: Callable[..., str]) -> None:
    with installed("plain") as name:
        assert "Succeeded" in helm("test", name, "--namespace", name, "--timeout", "5m")
        assert "run-tests" not in execute(f"{name}-master-0", "alluxio fs ls /", "alluxio-master", name)


@pytest.fixture
def monitoring_kinds(core: Any) -> Iterator[Any]:
    """The kinds of the Prometheus operator, as far as the API server must know them; their client."""
    definitions = kubernetes.client.ApiextensionsV1Api(core.api_client)
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"}
    for plural, kind in names.items():
        definitions.create_custom_resource_definition({
            "metadata": {"name": f"{plural}.monitoring.coreos.com"},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]},
        })  # fmt: skip
    yield kubernetes.client.CustomObjectsApi(core.api_client)
    for plural in names:
        definitions.delete_custom_resource_definition(f"{plural}.monitoring.coreos.com")


def test_every_further_object_does_its_work(installed: Any, core: Any, execute: Callable[..., str], monitoring_kinds: Any) -> None:
    with installed("all") as name:
        (monitor,) = monitoring_kinds.list_namespaced_custom_object("monitoring.coreos.com", "v1", name, "servicemonitors")["items"]
        chosen = ",".join(f"{key}={value}" for key, value in monitor["spec"]["selector"]["matchLabels"].items())
        ports = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
        found = {
            address.target_ref.name
            for service in core.list_namespaced_service(name, label_selector=chosen).items
            for subset in core.read_namespaced_endpoints(service.metadata.name, name).subsets or []
            if ports & {port.name for port in subset.ports}
            for address in subset.addresses
        }
        assert found == {pod.metadata.name for pod in core.list_namespaced_pod(name).items}, "Prometheus finds each pod"
        (rules,) = monitoring_kinds.list_namespaced_custom_object("monitoring.coreos.com", "v1", name, "prometheusrules")["items"]
        assert rules["spec"]["groups"]
        master, worker = f"{name}-master-0", pod_of(core, name, "worker")
        for pod, container in ((master, "alluxio-master"), (worker, "alluxio-worker")):
            assert execute(pod, "cat /secrets/extra/word /configmaps/extra/word", container, name) == "secretopen"
        assert execute(master, "alluxio getConf alluxio.user.block.size.bytes.default", "alluxio-master", name).strip() == "3MB"
        assert execute(master, "touch /scratch/here && ls /metastore", "alluxio-master", name)
        assert "here" in execute(master, "ls /s", "helper", name)
        report = execute(master, "alluxio fsadmin report capacity", "alluxio-master", name)
        # 64 MiB of memory; 100 MB and 0.1 GB of disk.
        assert re.search(r"Tier: MEM\s+Size: 64\.00MB", report), report
        assert re.search(r"Tier: SSD\s+Size: 190\.73MB", report), report
        shown = execute(master, "curl -sf localhost:18999/metrics/prometheus/", "alluxio-master", name)
        assert "\nCluster_Workers 1.0" in shown
        line = f"ls {UFS}/alluxio_backups/alluxio-backup-*.gz"
        until_there(lambda: execute(master, f"{line} || true", "alluxio-master", name).strip(), 420)
        execute(master, f"rm -r {UFS}/alluxio_backups", "alluxio-master", name)
        proxy = core.read_namespaced_pod(pod_of(core, name, "proxy"), name).status.pod_ip
        execute(master, f"curl -sf http://{proxy}:38999/metrics/prometheus/ | grep -q heap_used", "alluxio-master", name)


@pytest.mark.parametrize(("row", "role"), [("fuse", "fuse"), ("worker-fuse", "worker")])
def test_a_file_is_read_and_written_through_the_mount(installed: Any, core: Any, execute: Callable[..., str], row: str, role: str) -> None:
    with installed(row) as name:
        folder = open_folder(execute, name)
        pod, path = pod_of(core, name, role), f"{MOUNT['mountPoint']}{folder}/file"
        execute(pod, f"echo written > {path} && cat {path}", f"alluxio-{role}", name)
        assert "written" in execute(f"{name}-master-0", f"alluxio fs cat {folder}/file", "alluxio-master", name)
        execute(f"{name}-master-0", f"alluxio fs rm -R {folder}", "alluxio-master", name)


def test_both_claims_are_bound_and_used(installed: Any, core: Any, execute: Callable[..., str], volumes: dict[str, str]) -> None:
    with installed("claims") as name:
        claims = core.list_namespaced_persistent_volume_claim(name).items
        assert {item.metadata.name: item.spec.volume_name for item in claims} == volumes
        assert execute(f"{name}-master-0", "ls /metastore", "alluxio-master", name).split()
        folder = open_folder(execute, name)
        worker, fuse, path = pod_of(core, name, "worker"), pod_of(core, name, "fuse"), f"{MOUNT['mountPoint']}{folder}/file"
        (socket,) = execute(worker, "ls /opt/domain", "alluxio-worker", name).split()
        assert execute(fuse, f"echo written > {path}; cat {path}; ls /opt/domain", "alluxio-fuse", name).split() == ["written", socket]
        # FUSE comes by it; the kernel lists both ends in the network of who connects.
        assert int(execute(fuse, f"grep -c /opt/domain/{socket} /proc/net/unix", "alluxio-fuse", name)) > 0
        execute(f"{name}-master-0", f"alluxio fs rm -R {folder}", "alluxio-master", name)


def test_three_masters_go_on_when_the_leader_is_killed(installed: Any, core: Any, execute: Callable[..., str], cluster: Alnair) -> None:
    def ask(line: str, but: str = "") -> str:
        pod = min({f"{name}-master-{i}" for i in range(3)} - {but})
        # Alluxio's shell gives up after 5 s; masters take 10 to 20 s to elect another leader.
        return execute(pod, f"for _ in $(seq 12); do alluxio fs {line} && exit; sleep 1; done; exit 1", "alluxio-master", name)

    def leader(but: str = "") -> str:
        (found,) = re.findall(r"leader master: ([\w-]+)", ask("masterInfo", but))
        return str(found)

    with installed("three-masters") as name:
        pods = core.list_namespaced_pod(name, label_selector="role=alluxio-master").items
        assert len({pod.spec.node_name for pod in pods}) == 3
        before = leader()
        ask("mkdir /chart-matrix-kept")
        core.delete_namespaced_pod(before, name, grace_period_seconds=0)
        start = time.monotonic()
        assert "/chart-matrix-kept" in ask("ls /", before)
        print(f"the name space was served again after {time.monotonic() - start:.1f} s, the start of the command included")
        assert leader(before) != before
        ask("rm -R /chart-matrix-kept", before)
        client = kubernetes.client.AppsV1Api(kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"]))
        deadline = time.monotonic() + 180
        while (client.read_namespaced_stateful_set(f"{name}-master", name).status.ready_replicas or 0) < 3:
            assert time.monotonic() < deadline, "the killed master did not join again within 180 s"
            time.sleep(2)
        for i in range(3):
            execute(f"{name}-master-{i}", "curl -sf localhost:19999/metrics/prometheus/ | grep -q heap_used", "alluxio-master", name)


def test_a_budget_lets_one_master_of_a_quorum_be_evicted_at_a_time(installed: Any, core: Any) -> None:
    def evict(pod: str) -> None:
        core.create_namespaced_pod_eviction(pod, name, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": name}})

    with installed("three-masters") as name:
        evict(f"{name}-master-0")
        with pytest.raises(kubernetes.client.ApiException) as refused:
            evict(f"{name}-master-1")
        assert (refused.value.status, f"The disruption budget {name}-master needs" in refused.value.body) == (429, True), refused.value.body
        budget = kubernetes.client.PolicyV1Api(core.api_client).read_namespaced_pod_disruption_budget
        until_there(lambda: "Ready" if budget(f"{name}-master", name).status.disruptions_allowed else "", 300)
        evict(f"{name}-master-1")


def test_two_releases_share_a_namespace_and_nothing_else(installed: Any, helm: Callable[..., str], core: Any, execute: Callable[..., str], node: str) -> None:
    def ask(release: str, line: str) -> str:
        return execute(f"{release}-master-0", f"alluxio {line}", "alluxio-master", name)

    with installed("plain") as name:
        second = f"{name}-2"
        values = {**COMMON, "worker": {**COMMON["worker"], "nodeSelector": {"kubernetes.io/hostname": node}}}
        helm("install", second, str(CHART), "--namespace", name, "--wait", "--timeout", "6m", "--values", "-", values=values)
        try:
            until_there(lambda: ready(core, name), 180)
            for release in (name, second):
                assert "Live Workers: 1" in ask(release, "fsadmin report summary")
                ask(release, f"fs -Dalluxio.user.file.writetype.default=MUST_CACHE mkdir /of-{release}")
            # The longer name has the shorter one in it, and neither's objects are the other's.
            assert {release: f"/of-{name}\n" in ask(release, "fs ls -R /") for release in (name, second)} == {name: True, second: False}
            assert {release: f"/of-{second}\n" in ask(release, "fs ls -R /") for release in (name, second)} == {name: False, second: True}
        finally:
            helm("uninstall", second, "--namespace", name, "--wait", "--timeout", "3m")
        assert "Live Workers: 1" in ask(name, "fsadmin report summary")
        assert f"/of-{name}\n" in ask(name, "fs ls -R /")


def test_masters_workers_and_proxy_keep_to_the_restricted_profile(installed: Any, helm: Callable[..., str], core: Any, execute: Callable[..., str]) -> None:
    with installed("restricted", **{"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        assert {pod.metadata.labels["role"] for pod in core.list_namespaced_pod(name).items} == {"alluxio-master", "alluxio-worker", "alluxio-proxy"}
        line = "alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE"
        assert execute(f"{name}-master-0", f"echo kept > /tmp/f && {line} copyFromLocal /tmp/f /f >&2 && alluxio fs cat /f", "alluxio-master", name) == "kept\n"
        # The test's pod, too; and the profile does judge here.
        (hook,) = [item for item in yaml.safe_load_all(helm("get", "hooks", name, "--namespace", name)) if item["kind"] == "Pod"]
        core.create_namespaced_pod(name, hook, dry_run="All")
        hook["spec"]["hostNetwork"] = True
        with pytest.raises(kubernetes.client.ApiException, match="violates PodSecurity"):
            core.create_namespaced_pod(name, hook, dry_run="All")


def test_a_quorum_keeps_its_journal_in_its_claims(installed: Any, core: Any, execute: Callable[..., str], volumes_of_masters: dict[str, str]) -> None:
    def masters() -> list[Any]:
        return list(core.list_namespaced_pod(name, label_selector="role=alluxio-master").items)

    def ask(line: str) -> str:
        return execute(f"{name}-master-0", f"for _ in $(seq 12); do alluxio fs {line} && exit; sleep 1; done; exit 1", "alluxio-master", name)

    with installed("masters-claims") as name:
        claims = core.list_namespaced_persistent_volume_claim(name).items
        assert {item.metadata.name: item.spec.volume_name for item in claims} == volumes_of_masters
        for pod in masters():
            assert len(execute(pod.metadata.name, "ls -d /journal/* /metastore/*", "alluxio-master", name).split()) > 1
        folder = open_folder(execute, name)
        old = {pod.metadata.uid for pod in masters()}
        for pod in masters():
            core.delete_namespaced_pod(pod.metadata.name, name)
        until_there(lambda: "" if len(masters()) < 3 or old & {pod.metadata.uid for pod in masters()} else ready(core, name), 300)
        assert folder in ask("ls /")
        ask(f"rm -R {folder}")


def test_a_release_without_what_it_may_do_without_reads_secrets_as_another_user(
    installed: Any, core: Any, execute: Callable[..., str], cluster: Alnair
) -> None:
    client = kubernetes.config.new_client_from_config(cluster.variables()["alluxio_kubeconfig"])
    with installed("bare") as name:
        assert kubernetes.client.PolicyV1Api(client).list_namespaced_pod_disruption_budget(name).items == []
        assert {item.metadata.name for item in core.list_namespaced_service_account(name).items} == {"default", "mine"}
        assert {pod.spec.service_account_name for pod in core.list_namespaced_pod(name).items} == {"mine"}
        for pod, container in ((f"{name}-master-0", "alluxio-master"), (pod_of(core, name, "worker"), "alluxio-worker")):
            assert execute(pod, "id -u; id -G; cat /secrets/extra/word", container, name).split() == ["2000", "2000", "0", "secret"]
            assert "ALLUXIO_JAVA_OPTS" in execute(pod, "cat conf/alluxio-env.sh", container, name)
            assert execute(pod, "alluxio getConf alluxio.user.block.size.bytes.default", container, name).strip() == "3MB"
        assert "Live Workers: 1" in execute(f"{name}-master-0", "alluxio fsadmin report summary", "alluxio-master", name)
