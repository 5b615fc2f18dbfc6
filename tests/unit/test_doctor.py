"""What must hold before a deploy: read from a host by one script, judged without a host, said with the remedy."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.action.host_facts import parse, ports, probe_script
from ansible_collections.alnair.alluxio.plugins.filter.capacity import shortfalls
from ansible_collections.alnair.alluxio.plugins.module_utils import doctor, oci
from ansible_collections.alnair.alluxio.plugins.module_utils.host_checks import host_ports
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from ansible_collections.alnair.alluxio.plugins.modules.doctor import chart_values, cluster_facts

from alnair import Alnair, Check, Result
from tests.unit.doctor_tools import CONTROL_PLANE, GIB, NODES, WANTED, fit, node, tiers, wrong
from tests.unit.runner_tools import call
from tests.unit.small_api import Api, serve

HOME = Path(__file__).parents[2]


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
    assert wrong({"w": {"unreachable": True, "msg": "Task failed: no\nroute"}}) == [("w", "ssh", "fail", "no route")]
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
    assert [line[1:3] for line in wrong(host, values=values) if line[0] == "w"] == ([("memory", verdict)] if verdict else [])


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
    assert host_ports("w", params) == ports
    assert host_ports("m", params) == []


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
    remedies = [line.remedy for line in doctor.of_nodes({"w": fit("w")}, {"nodes": {}, "pods": []}, WANTED)]
    assert remedies == ["It has none yet: join this host."]
    assert [line.remedy for line in doctor.of_nodes({"w": fit("w")}, {"nodes": {"x": NODES["x"]}, "pods": []}, WANTED)] == [
        "Its nodes are x: set alluxio_node_name."
    ]


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
        "folders": ["/tmp/no where", "/", "/etc/passwd"],
    }
    done = subprocess.run(["sh", "-c", f"LC_ALL=C; export LC_ALL; {probe_script(args)}"], capture_output=True, text=True, check=True)
    found = parse("n", done.stdout.splitlines(), args["folders"])
    assert found["python"] == platform.python_version()
    assert found["kernel"] == os.uname().release
    assert found["root"] is (os.geteuid() == 0)
    assert found["memory"] > found["available"] > 0
    assert found["free_mib"] > 0
    assert found["users"] == [["root", "0"]]
    assert found["folders"]["/tmp/no where"] is None
    assert [found["folders"][path]["mode"][:2] for path in ("/", "/etc/passwd")] == ["dr", "-r"]
    assert (found["folders"]["/"]["uid"], found["folders"]["/"]["gid"]) == (Path("/").stat().st_uid, Path("/").stat().st_gid)


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
    # A path that is told ends no sentence, and no sentence ends twice.
    assert "that begins with {{ inventory_dir }}. See that alluxio_kubeconfig" in result.failures[-1].message


@pytest.mark.parametrize(("tag", "name"), [({}, "127.0.0.1:9/operator:0.1.0"), ({"dataset_operator_tag": ""}, "127.0.0.1:9/operator")])
def test_the_playbook_looks_for_the_images_that_values_and_operator_name(tmp_path: Path, tag: dict[str, str], name: str) -> None:
    host = {"ansible_connection": "local", "ansible_become": False}
    groups = {"alluxio_masters": {"hosts": {"m": host}}, "all": {"vars": {"alluxio_kubeconfig": str(tmp_path / "config")}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    api = Api()
    api.add({"apiVersion": "v1", "kind": "Node", **node("m", images=("alluxio/alluxio:2.9.3",), taints=[CONTROL_PLANE])})
    server = serve(api, tmp_path / "config")
    values = {"alluxio_chart_values": {"imageTag": "2.9.3"}, "helm_install_directory": str(tmp_path), "helm_install_method": "apt"}
    result = Alnair(tmp_path / "hosts.yml").doctor(extra_vars={"dataset_operator_image": "127.0.0.1:9/operator", **values, **tag})
    server.shutdown()
    assert [check.text for check in result.checks if check.check == "images"] == [
        "alluxio/alluxio:2.9.3 is on all nodes",
        f"{name} is not on m, and its registry, asked from the controller, answers: [Errno 111] Connection refused",
    ]
    assert [check.text for check in result.checks if check.check == "nodes"] == [
        f"m has the taint {CONTROL_PLANE['key']}=:NoSchedule, which master do not tolerate"
    ]
    assert [check.verdict for check in result.checks if check.check == "helm"] == ["warn"]


def test_a_host_that_hangs_refuses_or_is_away_is_a_line_beside_the_others(tmp_path: Path) -> None:
    become = "ansible_connection=local ansible_become_user=daemon ansible_become_exe"
    hosts = f"[alluxio_masters]\nrefuses {become}=/bin/false\n[alluxio_workers]\nhangs {become}='sleep 30;'\naway ansible_host=127.0.0.1 ansible_port=9\n"
    (tmp_path / "hosts.ini").write_text(hosts)
    words = ["ansible-playbook", "-i", str(tmp_path / "hosts.ini"), "playbooks/doctor.yml", "-e", "alluxio_user_timeout=2", "-e", "alluxio_kubeconfig=/none"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for line in (
        "fail  refuses: root shell: ",
        "fail  hangs: root shell: Timed out after 2 second",
        "fail  away: ssh: ",
        "fail  cluster: API server: ",
    ):
        assert line in done.stdout, done.stdout
