"""What must hold before a deploy: read from a host by one script, judged without a host, said with the remedy."""

from __future__ import annotations

import http.server
import json
import os
import platform
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.action.host_facts import parse, ports, probe_script
from ansible_collections.alnair.alluxio.plugins.filter.capacity import shortfalls
from ansible_collections.alnair.alluxio.plugins.module_utils import doctor, oci
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from ansible_collections.alnair.alluxio.plugins.modules.doctor import chart_values, cluster_facts, controller_facts, unpullable, writable

from alnair import Alnair, Check, Result
from tests.unit.runner_tools import call
from tests.unit.small_api import Api, serve

HOME = Path(__file__).parents[2]
GIB = 2**30
FACTS: dict[str, Any] = {
    "node": "node-1", "root": True, "system": "Debian GNU/Linux 12", "family": ["debian"], "kernel": "6.1", "python": "3.11.2", "device": True, "module": "loaded",
    "propagation": "shared", "free_mib": 4000, "free_inodes": 100000, "memory": 8 * GIB, "available": 6 * GIB, "shm": 4 * GIB, "ports": {"22": "sshd"}, "users": [], "groups": [],
}  # fmt: skip
WANTED: dict[str, Any] = {
    "namespace": "alluxio", "masters": ["m"], "workers": ["w"], "user": "alluxio-user", "uid": 1000, "group": "alluxio-user", "gid": 1000, "root": "/mnt/fuse",
    "mount": "/mnt/alluxio-fuse", "fuse": True, "free_mib": 512, "free_inodes": 1000, "journal_size": "1Gi", "quota": "2Gi", "values": {}, "images": ["alluxio/alluxio:2.9.4"],
    "image": "alluxio/alluxio", "image_tag": "2.9.4", "storage_class": "standard", "repository": "", "chart": "", "helm": "/usr/local/bin/helm", "helm_minimum": "3.12.0",
    "helm_lacks": "",
}  # fmt: skip


def node(name: str, *, images: tuple[str, ...] = ("docker.io/alluxio/alluxio:2.9.4",), ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "allocatable": {"memory": "64Gi", "cpu": "16", "ephemeral-storage": "100Gi"},
            "conditions": [{"type": "Ready", "status": ready, "message": "because"}],
            "images": [{"names": list(images)}],
        },
    }


CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
NODES = {name: node(name) for name in ("m", "w", "x")}
CLUSTER: dict[str, Any] = {"version": "1.34.4", "nodes": NODES, "dns": {"coredns": 2}, "storage_class": None, "namespace": None, "unpullable": {}}
CONTROLLER = {
    "ansible": "2.21.5", "python": "3.13.0", "helm": "3.19.5", "helm_broken": "", "helm_writable": True, "helm_elsewhere": "", "unread": [], "repository": "",
}  # fmt: skip


def tiers(quota: str, medium: str = "MEM", kind: str = "hostPath", path: str = "/dev/shm") -> dict[str, Any]:
    return {"tieredstore": {"levels": [{"mediumtype": medium, "type": kind, "path": path, "quota": quota}]}}


def fit(name: str, **other: Any) -> dict[str, Any]:
    return {"facts": {**FACTS, "node": name, **other}}


def wrong(
    hosts: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, controller: dict[str, Any] | None = None, **wanted: Any
) -> list[tuple[str, ...]]:
    """Return subject, check, verdict and text of all lines that are not ok, of a site that is fit but for what is given."""
    hosts = {"m": fit("m"), "w": fit("w"), **(hosts or {})}
    params = {**WANTED, **wanted}
    params["values"] = merged([doctor.defaults(params), params["values"]])
    found = doctor.checks(hosts, {**CLUSTER, **(cluster or {})}, {**CONTROLLER, **(controller or {})}, params)
    for check in found:
        assert bool(check.remedy) is (check.verdict != "ok"), check
    return [check[:4] for check in found if check.verdict != "ok"]


def test_a_site_that_is_fit_has_nothing_to_mend() -> None:
    assert wrong() == []
    assert wrong({"w": fit("w", module="loadable", users=[["alluxio-user", "1000"]], groups=[["alluxio-user", "1000"]])}) == []


@pytest.mark.parametrize(
    ("facts", "check", "verdict", "text"),
    [
        ({"root": False}, "root shell", "fail", "the login is not root"),
        ({"family": ["arch"], "system": "Arch"}, "system", "warn", "Arch, kernel 6.1"),
        ({"python": ""}, "python", "fail", "there is none"),
        ({"python": "3.8.20"}, "python", "fail", "3.8.20"),
        ({"device": False}, "FUSE device", "fail", "there is no /dev/fuse"),
        ({"module": ""}, "FUSE module", "fail", "the kernel knows no file system fuse"),
        ({"propagation": "private"}, "shared mounts", "fail", "/mnt is private"),
        ({"propagation": ""}, "shared mounts", "warn", "findmnt is not there to tell"),
        ({"free_mib": 511}, "disk", "fail", "511 MiB free below /mnt/fuse"),
        ({"free_mib": None}, "disk", "warn", "the space below /mnt/fuse could not be read"),
        ({"free_inodes": 999}, "inodes", "fail", "999 free below /mnt/fuse"),
        ({"memory": GIB, "available": GIB}, "memory", "fail", "1.0 GiB of 1.0 GiB available"),
        ({"available": GIB}, "memory", "warn", "1.0 GiB of 8.0 GiB available"),
        ({"users": [["bob", "1000"]]}, "account", "fail", "uid 1000 belongs to user bob"),
        (
            {"users": [["alluxio-user", "1001"]], "groups": [["staff", "1000"]]},
            "account",
            "fail",
            "user alluxio-user has uid 1001, not 1000; gid 1000 belongs to group staff",
        ),
    ],
)
def test_what_is_wrong_with_a_worker_is_said(facts: dict[str, Any], check: str, verdict: str, text: str) -> None:
    assert wrong({"w": fit("w", **facts)}) == [("w", check, verdict, text)]


def test_masters_need_the_journals_space_but_neither_fuse_nor_memory() -> None:
    assert wrong({"m": fit("m", device=False, module="", propagation="private", memory=1, available=1, shm=None)}) == []
    assert wrong({"m": fit("m", free_mib=1535)}) == [("m", "disk", "fail", "1535 MiB free below /mnt/fuse")]


def test_a_host_that_is_away_or_lets_nobody_become_root_is_a_line() -> None:
    assert wrong({"w": {"unreachable": True, "msg": "no\nroute"}}) == [("w", "ssh", "fail", "no route")]
    assert wrong({"w": {"failed": True, "msg": "Missing sudo password"}}) == [("w", "root shell", "fail", "Missing sudo password")]


class Odd(Api):
    """An API that answers some paths otherwise than Kubernetes."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__()
        self.answers = answers

    def answer(self, method: str, path: str, query: dict[str, str], content: str, body: Any) -> Any:
        """Return what is said of a path, or what the API answers."""
        return self.answers[path] if path in self.answers else super().answer(method, path, query, content, body)


@pytest.mark.parametrize(
    ("answers", "version", "error"),
    [
        ({}, "1.34.4", ""),
        ({"/version": {"gitVersion": "v1.31.0"}}, "1.31.0", ""),
        ({"/version": {"major": "1", "minor": "31"}}, "", ""),
        ({"/version": []}, "", ""),
        ({"/version": "<html>Log in</html>"}, None, "answers otherwise than one: Expecting value: line 1 column 1 (char 0). Is something else in front of it?"),
        ({"/api/v1/nodes": {"kind": "NodeList"}}, None, "names as the API server answers otherwise than one: "),
    ],
)
def test_an_api_server_that_answers_otherwise_is_told_in_a_sentence(tmp_path: Path, answers: dict[str, Any], version: str | None, error: str) -> None:
    server = serve(Odd(answers), tmp_path / "config")
    found = cluster_facts({"kubeconfig": str(tmp_path / "config"), "context": "", "namespace": "alluxio", "storage_class": "standard", "timeout": 5})
    server.shutdown()
    assert found.get("version") == version
    assert error in found.get("error", "") and bool(error) is ("error" in found)
    assert "\n" not in found.get("error", "") and "pydantic" not in found.get("error", "")


@pytest.mark.parametrize(
    ("shm", "values", "lines"),
    [
        (None, {}, 0), (GIB, {}, 0), (4 * GIB, tiers("2Gi"), 0), (GIB, tiers("2Gi"), 1), (None, tiers("2Gi"), 1), (GIB, tiers("2Gi", kind="emptyDir"), 0),
        (GIB, tiers("4Gi", medium="MEM,SSD", kind="hostPath,hostPath", path="/dev/shm,/data"), 1), (GIB, tiers("4Gi", medium="SSD", path="/data"), 0),
    ],
)  # fmt: skip
def test_shared_memory_matters_where_a_tier_lies_there(shm: int | None, values: dict[str, Any], lines: int) -> None:
    assert [line[:3] for line in wrong({"w": fit("w", shm=shm)}, values=values)] == [("w", "/dev/shm", "fail")] * lines


@pytest.mark.parametrize(
    ("memory", "values", "verdict"),
    [
        (8, {}, ""), (1, {}, "fail"), (8, tiers("512Gi", kind="emptyDir"), "fail"), (8, tiers("7Gi", kind="emptyDir"), "warn"),
        (0.9, tiers("200Gi", medium="SSD", path="/data"), ""), (0.9, tiers("512Mi", kind="emptyDir"), ""),
    ],
)  # fmt: skip
def test_memory_is_held_against_the_tiers_that_will_be(memory: float, values: dict[str, Any], verdict: str) -> None:
    host = {"w": fit("w", memory=memory * GIB, available=min(memory, 6) * GIB)}
    assert [line[1:3] for line in wrong(host, values=values)] == ([("memory", verdict)] if verdict else [])


def test_fuse_is_what_the_values_say() -> None:
    without = {"w": fit("w", device=False)}
    assert wrong(without, values={"fuse": {"enabled": False}}) == []
    assert wrong(without, fuse=False) == []
    for values in ({"fuse": {"enabled": True}}, {"worker": {"fuseEnabled": True}}):
        assert wrong(without, values=values, fuse=False) == [("w", "FUSE device", "fail", "there is no /dev/fuse")]


HOSTS_NETWORK = {"hostNetwork": True}


def test_ports_matter_on_the_hosts_network_and_may_be_alluxios_own() -> None:
    taken = {"w": fit("w", ports={"29999": "java", "30000": "nginx"})}
    assert wrong(taken) == wrong(taken, values={"master": HOSTS_NETWORK}) == []
    assert wrong(taken, values={"worker": HOSTS_NETWORK}) == [("w", "ports", "fail", "taken: 30000 by nginx")]
    assert wrong({"w": fit("w", ports=None)}, values={"worker": HOSTS_NETWORK}) == [("w", "ports", "warn", "ss is not there to tell")]


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({"worker": HOSTS_NETWORK}, [29999, 30000, 30001, 30002, 30003]),
        ({"worker": {**HOSTS_NETWORK, "ports": {"web": 31000}}, "jobWorker": {"ports": {"rpc": "31001"}}}, [29999, 31000, 31001, 30002, 30003]),
        ({"proxy": HOSTS_NETWORK, "fuse": HOSTS_NETWORK}, []),
        ({"proxy": {**HOSTS_NETWORK, "enabled": True, "ports": {"web": 80}}, "fuse": HOSTS_NETWORK, "metrics": {"enabled": True}}, [80, 49999]),
        ({"worker": {**HOSTS_NETWORK, "ports": None}, "jobWorker": None}, []),
    ],
)
def test_ports_are_those_of_the_values(values: dict[str, Any], ports: list[int]) -> None:
    params = {**WANTED, "values": merged([doctor.defaults(WANTED), values])}
    assert doctor.host_ports("w", params) == ports
    assert doctor.host_ports("m", params) == []


def test_ports_are_the_charts_where_values_say_none() -> None:
    chart = yaml.safe_load((HOME / "charts" / "alluxio" / "values.yaml").read_text(encoding="utf-8"))
    assert {part: chart[part]["ports"] for part in doctor.PORTS if part != "fuse"} == {part: ports for part, ports in doctor.PORTS.items() if part != "fuse"}
    fuse = (HOME / "charts" / "alluxio" / "templates" / "fuse" / "daemonset.yaml").read_text(encoding="utf-8")
    assert f"{{name: web, containerPort: {doctor.PORTS['fuse']['web']}}}" in fuse


def test_values_come_from_files_too_and_one_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yml", tmp_path / "second.yml"
    first.write_text("worker: {hostNetwork: true, ports: {web: 31000}}\n", encoding="utf-8")
    second.write_text("just words\n", encoding="utf-8")
    files = [str(first), str(second), str(tmp_path / "none.yml")]
    values, unread = chart_values({**WANTED, "values_files": files, "values": {"worker": {"ports": {"web": 32000}}, "imageTag": 2.9}})
    assert values["worker"] == {"hostNetwork": True, "ports": {"rpc": 29999, "web": 32000}}
    assert (values["image"], values["imageTag"], values["fuse"]["enabled"]) == ("alluxio/alluxio", 2.9, True)
    assert [text.partition(":")[0] for text in unread] == files[1:]
    assert [line[:3] for line in wrong(controller={"unread": unread})] == [("controller", "values", "fail")] * 2


@pytest.mark.parametrize(
    ("cluster", "check", "verdict", "text"),
    [
        ({"error": "It does not answer"}, "API server", "fail", "It does not answer"),
        ({"version": "1.29.9"}, "API server", "fail", "Kubernetes 1.29.9"),
        ({"version": ""}, "API server", "warn", "it answers, but tells no version (gitVersion of /version)"),
        ({"nodes": {"m": NODES["m"], "x": NODES["x"]}}, "nodes", "fail", "w is no node of the cluster"),
        ({"nodes": {**NODES, "m": node("m", unschedulable=True)}}, "nodes", "fail", "m is cordoned, so no master can start there"),
        ({"nodes": {**NODES, "w": node("w", ready="False")}}, "nodes", "fail", "w is not Ready (because)"),
        (
            {"nodes": {**NODES, "m": node("m", taints=[CONTROL_PLANE])}},
            "nodes",
            "fail",
            "m has the taint node-role.kubernetes.io/control-plane=:NoSchedule, which master do not tolerate",
        ),
        ({"dns": {}}, "DNS", "warn", "kube-system has no Deployment with the label k8s-app=kube-dns"),
        ({"dns": {"coredns": 0}}, "DNS", "fail", "coredns has no available pod"),
        ({"namespace": {doctor.ENFORCE: "baseline"}}, "Pod Security", "fail", "namespace alluxio enforces baseline"),
        (
            {"nodes": {**NODES, "m": node("m", images=())}, "unpullable": {"alluxio/alluxio:2.9.4": "HTTP Error 404: Not Found"}},
            "images",
            "warn",
            "alluxio/alluxio:2.9.4 is not on m, and its registry, asked from the controller, answers: HTTP Error 404: Not Found",
        ),
        (
            {"nodes": {**NODES, "m": node("m", images=())}, "unpullable": {"alluxio/alluxio:2.9.4": "no route"}},
            "images",
            "warn",
            "alluxio/alluxio:2.9.4 is not on m, and its registry, asked from the controller, answers: no route",
        ),
    ],
)
def test_what_is_wrong_with_the_cluster_is_said(cluster: dict[str, Any], check: str, verdict: str, text: str) -> None:
    assert wrong(cluster=cluster) == [("cluster", check, verdict, text)]


def test_an_image_that_its_registry_has_is_pulled() -> None:
    assert wrong(cluster={"nodes": {**NODES, "m": node("m", images=())}}) == []


def test_an_image_that_no_registry_has_must_be_on_every_node() -> None:
    (line,) = wrong(images=["localhost/alluxio:2.9.4"])
    assert line[2:] == ("fail", "localhost/alluxio:2.9.4 is not on m, w, and no registry has it")
    assert wrong(cluster={"nodes": {name: node(name, images=("localhost/x:1",)) for name in ("m", "w")}}, images=["localhost/x:1"]) == []


@pytest.mark.parametrize(
    ("image", "name"), [("nginx:1", "docker.io/library/nginx:1"), ("a/b:1", "docker.io/a/b:1"), ("r.io/a:1", "r.io/a:1"), ("r:5000/a:1", "r:5000/a:1")]
)
def test_images_are_compared_by_their_whole_names(image: str, name: str) -> None:
    assert oci.canonical(image) == name


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("alluxio/alluxio:2.9.4", "https://registry-1.docker.io/v2/alluxio/alluxio/manifests/2.9.4"),
        ("nginx", "https://registry-1.docker.io/v2/library/nginx/manifests/latest"),
        ("r.example:5000/a/b:1", "https://r.example:5000/v2/a/b/manifests/1"),
        ("localhost:5000/a", "http://localhost:5000/v2/a/manifests/latest"),
        ("r.example/a:1@sha256:00", "https://r.example/v2/a/manifests/sha256:00"),
    ],
)
def test_an_image_is_asked_for_where_its_registry_has_it(image: str, url: str) -> None:
    assert oci.manifest(image) == url


def test_a_cluster_without_nodes_is_not_told_as_a_matter_of_names() -> None:
    remedies = [line.remedy for line in doctor.of_nodes({"w": fit("w")}, {}, WANTED)]
    assert remedies == ["It has none yet: join this host."]
    assert [line.remedy for line in doctor.of_nodes({"w": fit("w")}, {"x": NODES["x"]}, WANTED)] == ["Its nodes are x: set alluxio_node_name."]


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({}, {}),
        ({"unschedulable": True}, {}),
        ({"unschedulable": True, "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}, {}),
        ({"taints": [CONTROL_PLANE]}, {}),
        ({"taints": [CONTROL_PLANE]}, {"master": {"tolerations": [{"key": CONTROL_PLANE["key"], "operator": "Exists"}]}}),
        ({"taints": [CONTROL_PLANE]}, {"tolerations": [{"operator": "Exists"}]}),
        ({"taints": [{"key": "gpu", "effect": "PreferNoSchedule"}]}, {}),
    ],
)
@pytest.mark.parametrize("name", ["m", "w"])
def test_a_node_that_deploy_takes_is_one_for_doctor_too_and_no_other(name: str, spec: dict[str, Any], values: dict[str, Any]) -> None:
    nodes = {**NODES, name: node(name, **spec)}
    layers = [doctor.defaults(WANTED), values]
    refused = shortfalls(layers, nodes.values(), [], {"master": ["m"], "worker": ["w"]}, "r", "ns")
    assert [line[:3] for line in wrong(cluster={"nodes": nodes}, values=values)] == [("cluster", "nodes", "fail")] * len(refused)


def test_a_node_may_have_another_name_than_its_host() -> None:
    assert wrong({"w": fit("node-w")}, {"nodes": {"m": NODES["m"], "node-w": node("node-w")}}) == []


@pytest.mark.parametrize(
    ("controller", "wanted", "found"),
    [
        ({"helm": ""}, {}, [("controller", "helm", "warn", "there is none at /usr/local/bin/helm")]),
        ({"helm": "", "helm_broken": "why"}, {}, [("controller", "helm", "warn", "/usr/local/bin/helm does not run: why")]),
        ({"helm": "3.9.0"}, {}, [("controller", "helm", "warn", "3.9.0")]),
        ({"helm": "4.0.0", "helm_writable": False}, {"helm_lacks": "x"}, []),
        (
            {"helm": "", "helm_writable": False},
            {},
            [("controller", "helm", "fail", "there is none at /usr/local/bin/helm, and /usr/local/bin cannot be written")],
        ),
        (
            {"helm": "3.9.0"},
            {"helm_lacks": "helm_install_sha256"},
            [("controller", "helm", "fail", "3.9.0, and deploy cannot install one without helm_install_sha256")],
        ),
        ({"ansible": "2.19.0"}, {}, []),
        ({"ansible": "2.18.12"}, {}, [("controller", "versions", "fail", "ansible-core 2.18.12, Python 3.13.0")]),
        ({"ansible": "2.22.0.dev0"}, {}, [("controller", "versions", "warn", "ansible-core 2.22.0.dev0, Python 3.13.0")]),
        ({}, {"repository": "https://x"}, []),
        ({}, {"chart": "oci://x/alluxio"}, []),
        ({}, {"chart": "/charts/alluxio"}, []),
        ({"repository": "gone"}, {"chart": "oci://x/alluxio"}, [("controller", "chart repository", "fail", "oci://x/alluxio: gone")]),
        ({}, {"repository": "oci://x"}, [("controller", "chart repository", "fail", "oci://x is a registry, which helm takes for no repository")]),
        ({}, {"repository": "s3://x"}, [("controller", "chart repository", "warn", "s3://x was not asked, for it is neither http(s):// nor oci://")]),
        ({"repository": "404"}, {"repository": "https://x"}, [("controller", "chart repository", "fail", "https://x: 404")]),
    ],
)
def test_what_is_wrong_with_the_controller_is_said(controller: dict[str, Any], wanted: dict[str, Any], found: list[tuple[str, ...]]) -> None:
    assert wrong(controller=controller, **wanted) == found


def test_a_helm_elsewhere_is_named_with_the_variable_that_takes_it() -> None:
    found = {**CONTROLLER, "helm": "", "helm_elsewhere": "/opt/bin"}
    for more in ({}, {"helm_writable": False}):
        assert "set helm_install_directory to /opt/bin" in doctor.of_helm({**found, **more}, WANTED).remedy


def test_where_helm_is_missing_its_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "helm").write_text("#!/bin/sh\necho v3.19.5\n", encoding="utf-8")
    (tmp_path / "bin" / "helm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    params = {"helm": str(tmp_path / "bin" / "helm"), "repository": "", "chart": "", "timeout": 5, "ansible": "2.21.5"}
    assert controller_facts(params)["helm_elsewhere"] == ""
    found = controller_facts({**params, "helm": str(tmp_path / "new" / "bin" / "helm")})
    assert (found["helm"], found["helm_writable"], found["helm_elsewhere"]) == ("", True, str(tmp_path / "bin"))
    assert not writable(str(tmp_path / "bin" / "helm" / "below-a-file"))
    assert not writable("/proc/sys/nowhere")


def test_the_versions_of_ansible_are_those_that_the_tests_run_with() -> None:
    cores = re.findall(r'^SUPPORTED = (.*)', (HOME / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)[0]
    known = re.findall(r'"(2\.\d+)"', cores)
    assert (known[0], known[-1]) == (doctor.OLDEST_ANSIBLE, doctor.NEWEST_ANSIBLE)
    assert f">={doctor.OLDEST_ANSIBLE}." in (HOME / "meta" / "runtime.yml").read_text(encoding="utf-8")


class Registry(http.server.BaseHTTPRequestHandler):
    """Wants a token at /v2/, as registries do, and for its images, which it gives for public ones; has nothing else."""

    def do_GET(self) -> None:
        name, where = self.path.split("/")[2:3], f"127.0.0.1:{self.connection.getsockname()[1]}"
        if self.path == "/token?service=me&scope=public":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"token": "t"}')
        elif self.path == "/v2/" or (name in (["public"], ["private"]) and self.headers["Authorization"] != "Bearer t"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{where}/token",service="me",scope="{"".join(name)}"')
            self.end_headers()
        elif self.path == "/v2/public/manifests/1" and "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]:
            self.send_response(200)
            self.end_headers()
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_words: Any) -> None:
        pass


def test_an_images_registry_is_asked_as_somebody_without_a_login() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        public, missing, private = (f"127.0.0.1:{server.server_port}/{name}" for name in ("public:1", "public:2", "private:1"))
        found = unpullable([public, missing, private, "127.0.0.1:9/gone:1", "127.0.0.1:9/a blank:1"], 5)
        server.shutdown()
    assert public not in found
    assert "404" in found[missing]
    assert "401" in found[private]
    assert "refused" in found["127.0.0.1:9/gone:1"]
    assert "control characters" in found["127.0.0.1:9/a blank:1"]


@pytest.mark.parametrize(("repository", "chart", "reason"), [("", "oci://{}/charts/alluxio", ""), ("http://{}", "alluxio", "404"), ("", "http://{}/a.tgz", "404"),
                                                             ("", "oci://127.0.0.1:9/alluxio", "refused"), ("http://127.0.0.1:9", "", "refused")])  # fmt: skip
def test_a_repository_and_a_registry_are_asked(tmp_path: Path, repository: str, chart: str, reason: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_port}"
        params = {"helm": str(tmp_path / "helm"), "timeout": 5, "ansible": "2.21.5", "repository": repository.format(where), "chart": chart.format(where)}
        found = controller_facts(params)
        server.shutdown()
    assert found["helm"] == ""
    assert reason in found["repository"] and bool(reason) is bool(found["repository"])


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("\x7fELF", "Exec format error"),
        ("#!/bin/sh\nexec sleep 60\n", "it did not answer within 1 s"),
        ("#!/bin/sh\necho no such library >&2\nexit 127\n", "no such library"),
        ("#!/bin/sh\nexit 1\n", "it tells no version, but ends with 1"),
        ("#!/bin/sh\necho v3.19.5\n", ""),
    ],
)
def test_a_helm_that_does_not_run_ends_no_report(tmp_path: Path, text: str, broken: str) -> None:
    (tmp_path / "helm").write_text(text, encoding="utf-8")
    (tmp_path / "helm").chmod(0o755)
    found = controller_facts({"helm": str(tmp_path / "helm"), "repository": "", "chart": "", "timeout": 1, "ansible": "2.21.5"})
    assert (found["helm"], found["helm_broken"]) == ("" if broken else "3.19.5", broken)


def test_the_script_reads_this_very_machine() -> None:
    args = {
        "node": "n",
        "python": sys.executable,
        "user": "root",
        "uid": 0,
        "group": "root",
        "gid": 0,
        "root": "/nowhere/at/all",
        "mount": "/nowhere/alluxio-fuse",
    }
    done = subprocess.run(["sh", "-c", f"LC_ALL=C; export LC_ALL; {probe_script(args)}"], capture_output=True, text=True, check=True)
    found = parse("n", done.stdout.splitlines())
    assert found["python"] == platform.python_version()
    assert found["kernel"] == os.uname().release
    assert found["root"] is (os.geteuid() == 0)
    assert found["memory"] > found["available"] > 0
    assert found["free_mib"] > 0
    assert found["users"] == [["root", "0"]]


def test_a_host_without_any_of_it_is_read_too() -> None:
    found = parse("n", ["# id", "1000", "# system", "# kernel", "5.4", "# python", "# module", "loadable", "# disk", "# shm", "overlay 1 1 1 1% /dev"])
    assert (found["root"], found["module"], found["free_mib"], found["shm"], found["ports"], found["users"]) == (False, "loadable", None, None, None, [])


def test_who_listens_is_read_by_port() -> None:
    lines = ['LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))', "LISTEN 0 128 [::]:80 [::]:*", "end"]
    assert ports(lines) == {"22": "sshd", "80": ""}


def test_the_verb_says_it_by_groups_of_hosts_and_by_its_exit_code(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Check("a", "python", "fail", "there is none", "Install [it]."), Check("a", "ssh", "ok", "answers"), Check("b", "ssh", "ok", "answers")]
    monkeypatch.setattr(Alnair, "run", lambda *_words, **_options: Result("failed", checks=found))
    done = call("doctor", "--inventory", str(inventory))
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["ok    a and b: ssh: answers", "fail  a: python: there is none", "      Install [it].", "doctor: 2 ok, 0 warn, 1 fail"]
    assert json.loads(call("doctor", "--json", "--inventory", str(inventory)).stdout)["checks"][0]["remedy"] == "Install [it]."


def test_the_playbook_reports_a_host_that_is_away_and_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    hosts = {"m": {"ansible_connection": "local", "ansible_become": False}, "w": {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_become": False}}
    groups = {
        "alluxio_masters": {"hosts": {"m": hosts["m"]}},
        "alluxio_workers": {"hosts": {"w": hosts["w"]}},
        "all": {"vars": {"alluxio_kubeconfig": "/nowhere/config", "helm_install_directory": str(tmp_path)}},
    }
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    result = Alnair(tmp_path / "hosts.yml").doctor()
    found = {(check.subject, check.check): check for check in result.checks}
    assert (result.status, result.exit_code, result.changed) == ("failed", 1, 0)
    assert found["m", "ssh"].verdict == "ok"
    assert found["m", "python"].verdict == "ok"
    assert found["w", "ssh"].verdict == "fail" and "refused" in found["w", "ssh"].text
    assert "There is no kubeconfig at /nowhere/config" in found["cluster", "API server"].text
    assert found["controller", "helm"].text == f"there is none at {tmp_path}/helm, and deploy cannot install one without helm_install_sha256"
    assert "w: ssh:" in result.failures[-1].message


@pytest.mark.parametrize(("tag", "name"), [({}, "127.0.0.1:9/operator:0.1.0"), ({"dataset_operator_tag": ""}, "127.0.0.1:9/operator")])
def test_the_playbook_looks_for_the_images_that_values_and_operator_name(tmp_path: Path, tag: dict[str, str], name: str) -> None:
    host = {"ansible_connection": "local", "ansible_become": False}
    groups = {"alluxio_masters": {"hosts": {"m": host}}, "all": {"vars": {"alluxio_kubeconfig": str(tmp_path / "config")}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    api = Odd({"/apis/storage.k8s.io/v1/storageclasses/standard": {"metadata": {"name": "standard"}, "provisioner": "x"}})
    api.add({"apiVersion": "v1", "kind": "Node", **node("m", images=("alluxio/alluxio:2.9.3",), taints=[CONTROL_PLANE])})
    server = serve(api, tmp_path / "config")
    values = {"alluxio_chart_values": {"imageTag": "2.9.3"}, "helm_install_directory": str(tmp_path), "helm_install_method": "go"}
    result = Alnair(tmp_path / "hosts.yml").doctor(extra_vars={"dataset_operator_image": "127.0.0.1:9/operator", **values, **tag})
    server.shutdown()
    assert [check.text for check in result.checks if check.check == "images"] == [
        "alluxio/alluxio:2.9.3 is on all nodes",
        f"{name} is not on m, and its registry, asked from the controller, answers: [Errno 111] Connection refused",
    ]
    assert [check.text for check in result.checks if check.check == "nodes"] == [f"m has the taint {CONTROL_PLANE['key']}=:NoSchedule, which master do not tolerate"]
    assert [check.verdict for check in result.checks if check.check == "helm"] == ["warn"]


def test_a_host_that_hangs_refuses_or_is_away_is_a_line_beside_the_others(tmp_path: Path) -> None:
    become = "ansible_connection=local ansible_become_user=daemon ansible_become_exe"
    hosts = f"[alluxio_masters]\nrefuses {become}=/bin/false\n[alluxio_workers]\nhangs {become}='sleep 30;'\naway ansible_host=127.0.0.1 ansible_port=9\n"
    (tmp_path / "hosts.ini").write_text(hosts)
    words = ["ansible-playbook", "-i", str(tmp_path / "hosts.ini"), "playbooks/doctor.yml", "-e", "alluxio_user_timeout=2", "-e", "alluxio_kubeconfig=/none"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for line in ("fail  refuses: root shell: ", "fail  hangs: root shell: Task failed: Timed out after 2 second", "fail  away: ssh: ", "fail  cluster: API server: "):
        assert line in done.stdout, done.stdout
