"""What a chart's values say of the nodes and of the masters reaches the roles that did not write them, or is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.filter.chart import master_addresses, misplaced, mounts_cache
from chart_tools import render
from role_tools import HOME, run_role, value

BUNDLED: dict[str, Any] = yaml.safe_load((HOME / "charts/alluxio/values.yaml").read_text(encoding="utf-8"))
PUBLIC: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "files" / "public_values.yml").read_text(encoding="utf-8"))
# A chart of before, which calls the mount by another name.
OLDER: dict[str, Any] = {"fuse": {"enabled": False, "mountPath": "/mnt/alluxio-fuse"}}
ROLE: dict[str, Any] = {"fuse": {"enabled": True, "mountPoint": "/mnt/alluxio-fuse"},
                        "shortCircuit": {"volumeType": "hostPath", "hostPath": "/mnt/fuse/domain-socket"}}  # fmt: skip


def read(*files: dict[str, Any] | str) -> dict[str, Any]:
    """Return the variables of the role after it has read values files."""
    texts = [text if isinstance(text, str) else yaml.safe_dump(text) for text in files]
    return {"role_path": "", "alluxio_chart_values_read": {"results": [{"content": base64.b64encode(text.encode()).decode()} for text in texts]}}


@pytest.mark.parametrize(("chart", "values", "named"), [
    (BUNDLED, {"fuse": {"mountPoint": "/mnt/cache"}}, ["fuse.mountPoint: /mnt/cache"]),
    ({}, {"fuse": {"mountPoint": "/mnt/cache"}}, ["fuse.mountPoint: /mnt/cache"]),
    (BUNDLED, {"fuse": {"mountPoint": "/mnt/alluxio-fuse/"}}, []),
    (BUNDLED, {"fuse": {"mountPoint": "/mnt/cache", "enabled": False}}, []),
    (BUNDLED, {"fuse": {"mountPoint": "/mnt/cache", "enabled": False}, "worker": {"fuseEnabled": True}}, ["fuse.mountPoint: /mnt/cache"]),
    # Without effect there.
    (BUNDLED, {"fuse": {"mountPath": "/mnt/cache"}}, []),
    (OLDER, {"fuse": {"mountPath": "/mnt/cache"}}, ["fuse.mountPath: /mnt/cache"]),
    (OLDER, {"fuse": {"mountPoint": "/mnt/cache"}}, []),
    (BUNDLED, {"shortCircuit": {"hostPath": "/tmp/alluxio-domain"}}, ["shortCircuit.hostPath: /tmp/alluxio-domain"]),
    (BUNDLED, {"shortCircuit": {"hostPath": "/tmp/alluxio-domain", "enabled": False}}, []),
    (BUNDLED, {"shortCircuit": {"hostPath": "/tmp/alluxio-domain", "policy": "local"}}, []),
    (BUNDLED, {"shortCircuit": {"hostPath": "/tmp/alluxio-domain", "volumeType": "persistentVolumeClaim"}}, []),
    (BUNDLED, PUBLIC, []),
    (PUBLIC, PUBLIC, []),
    (BUNDLED, {"fuse": None, "shortCircuit": None}, []),
])  # fmt: skip
def test_places_that_other_roles_would_not_know_are_named_and_others_are_not(chart: dict[str, Any], values: dict[str, Any], named: list[str]) -> None:
    told = misplaced([chart, ROLE, values], "/mnt/alluxio-fuse", "/mnt/fuse/domain-socket")
    assert [sentence.removeprefix("the chart's values say ").partition(",")[0] for sentence in told] == named
    variables = {"fuse": "alluxio_chart_fuse_mount_point", "shortCircuit": "alluxio_chart_domain_socket_path"}
    assert all(f"set {variables[name.partition('.')[0]]}" in sentence for name, sentence in zip(named, told, strict=True))


def test_the_variable_places_the_mount_without_a_word() -> None:
    given = read(PUBLIC | {"fuse": {"mountPath": "/mnt/cache"}})
    assert value("alluxio_chart", "{{ alluxio_chart_misplaced }}", alluxio_chart_fuse_mount_point="/mnt/cache", **given) == []
    (sentence,) = value("alluxio_chart", "{{ alluxio_chart_misplaced }}", **read({"fuse": {"mountPoint": "/mnt/cache"}}))
    assert "fuse.mountPoint: /mnt/cache, where other roles look in /mnt/alluxio-fuse" in sentence


def test_a_values_file_of_comments_alone_is_no_value() -> None:
    given = read("# nothing yet\n", {"fuse": {"enabled": False}})
    assert value("alluxio_chart", "{{ alluxio_chart_given }}", alluxio_chart_values={"a": 1}, **given) == [{"fuse": {"enabled": False}}, {"a": 1}]
    (check,) = [task for task in yaml.safe_load((HOME / "roles/alluxio_chart/tasks/preflight.yml").read_text(encoding="utf-8"))
                if task["name"] == "Stop when a values file is no mapping"]  # fmt: skip
    wanted = {"# nothing\n": True, "": True, "a: 1\n": True, "- a\n": False, "text\n": False}
    condition = f"{{{{ {check['ansible.builtin.assert']['that']} }}}}"
    assert {text: value("alluxio_chart", condition, item=read(text)["alluxio_chart_values_read"]["results"][0]) for text in wanted} == wanted


def test_fuse_is_on_where_a_pod_of_its_own_or_the_worker_mounts() -> None:
    assert mounts_cache([BUNDLED, ROLE])
    assert not mounts_cache([BUNDLED, ROLE, {"fuse": {"enabled": False}}])
    assert mounts_cache([BUNDLED, ROLE, {"fuse": {"enabled": False}, "worker": {"fuseEnabled": True}}])


@pytest.mark.parametrize(("layers", "masters", "job_masters"), [
    ([{"master": {"count": 1}}], ["r-master-0.n.svc:19998"], ["r-master-0.n.svc:20001"]),
    ([{"master": {"count": 1}}, {"master": {"ports": {"rpc": 19978}}, "jobMaster": {"ports": {"rpc": 20978}}}],
     ["r-master-0.n.svc:19978"], ["r-master-0.n.svc:20978"]),
    ([{"master": {"count": 1}}, {"fullnameOverride": "full"}], ["full-master-0.n.svc:19998"], ["full-master-0.n.svc:20001"]),
    ([{"master": {"count": 1}}, {"master": {"count": 2}}, {"master": {"ports": None}}],
     [f"r-master-{index}.n.svc:19998" for index in range(2)], [f"r-master-{index}.n.svc:20001" for index in range(2)]),
    ([{"master": {"count": 0}}], [], []),
    ([{"master": {"count": 3}}, {"master": None}], ["r-master-0.n.svc:19998"], ["r-master-0.n.svc:20001"]),
    ([BUNDLED, PUBLIC], ["alluxio-master-0.n.svc:19998"], ["alluxio-master-0.n.svc:20001"]),
])  # fmt: skip
def test_masters_are_reached_where_the_values_put_them(layers: list[dict[str, Any]], masters: list[str], job_masters: list[str]) -> None:
    assert master_addresses(layers, "r", "n") == {"masters": masters, "job_masters": job_masters}


def test_the_addresses_are_those_of_the_services_that_the_chart_makes() -> None:
    values = {"fullnameOverride": "full", "master": {"count": 3, "ports": {"rpc": 19978}}, "journal": {"type": "EMBEDDED"}}
    services = [item for item in render(values) if item["kind"] == "Service" and (item["metadata"].get("labels") or {}).get("role") == "alluxio-master"]
    ports = [(item["metadata"]["name"], {port["name"]: port["port"] for port in item["spec"]["ports"]}) for item in services]
    wanted = {kind: [f"{name}.n.svc:{port[word]}" for name, port in ports] for kind, word in (("masters", "rpc"), ("job_masters", "job-rpc"))}
    assert master_addresses([BUNDLED, values], "alluxio", "n") == wanted
    assert len(ports) == 3


def test_nothing_is_torn_down_while_its_users_would_be_looked_for_in_the_wrong_place(tmp_path: Path) -> None:
    (tmp_path / "values.yml").write_text("fuse: {mountPoint: /mnt/cache}\n", encoding="utf-8")
    files = [str(tmp_path / "gone.yml"), str(tmp_path / "values.yml")]
    code, text = run_role(tmp_path, "alluxio_chart", tasks="consumers", alluxio_chart_values_files=files)
    assert code == 2
    assert "would be looked for in the wrong place: the chart's values say fuse.mountPoint: /mnt/cache" in " ".join(text.split())
