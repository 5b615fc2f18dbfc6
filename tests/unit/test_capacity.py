"""What of a release does not fit is told for each node, with what it needs, what there is and what to do."""

from __future__ import annotations

import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alnair.alluxio.plugins.filter.capacity import host_memory_tier, overcommitted, quantity, shortfalls

HOME = Path(__file__).parents[2]
CHART = yaml.safe_load((HOME / "charts" / "alluxio" / "values.yaml").read_text(encoding="utf-8"))
# The fuse part is on, as the role has it.
ROLE = {"fuse": {"enabled": True}}
KINDS = {"master": ["m"], "worker": ["w"]}


def node(
    name: str, memory: str = "64Gi", cpu: str = "16", disk: str = "100Gi", taints: list[dict[str, str]] | None = None, cordoned: bool = False, **conditions: str
) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": cordoned, "taints": taints},
        "status": {
            "allocatable": {"memory": memory, "cpu": cpu, "ephemeral-storage": disk},
            "conditions": [{"type": kind, "status": status, "message": "because"} for kind, status in {"Ready": "True", **conditions}.items()],
        },
    }


def pod(where: str, memory: str, cpu: str = "100m", name: str = "other", **labels: str) -> dict[str, Any]:
    container = {"resources": {"requests": {"memory": memory, "cpu": cpu}}}
    return {"metadata": {"name": name, "namespace": "ns", "labels": labels}, "spec": {"nodeName": where, "containers": [container]}}


def found(*values: dict[str, Any], nodes: list[dict[str, Any]] | None = None, pods: list[dict[str, Any]] | None = None, **more: Any) -> list[str]:
    return shortfalls([CHART, ROLE, *values], nodes or [node("m"), node("w")], pods or [], more.pop("kinds", KINDS), "r", "ns", **more)


def tier(quota: str, **more: str) -> dict[str, Any]:
    level = {"level": 0, "mediumtype": "MEM", "path": "/dev/shm", "type": "emptyDir", "quota": quota, **more}
    return {"tieredstore": {"levels": [level]}, "worker": {"resources": {"limits": {"memory": "900Gi"}}}}


def test_gi_and_g_and_cores_are_what_kubernetes_says() -> None:
    assert quantity("1Gi") == 2**30
    assert quantity("1G") == 10**9
    assert quantity("0.5Gi") == 2**29
    assert quantity("250m") == Decimal("0.25")
    with pytest.raises(ValueError, match='worker.resources.limits.memory is "50Gib"'):
        found({"worker": {"resources": {"limits": {"memory": "50Gib"}}}})


def test_what_fits_is_silent() -> None:
    assert found() == []
    assert found(tier("50Gi"), tier("1Gi")) == []


def test_a_quota_above_a_nodes_memory_is_named_with_the_node_alone() -> None:
    lines = found(tier("20Gi"), nodes=[node("m", "8Gi"), node("w", "16Gi"), node("big")], kinds={"master": ["m"], "worker": ["w", "big"]})
    assert len(lines) == 1
    assert lines[0] == (
        "node w has 16384 MiB of memory free (16384 MiB allocatable, 0 MiB asked for by other pods), worker, jobWorker, fuse need 23552 MiB: "
        "lower alluxio_chart_quota or resources.requests.memory, or move other pods away"
    )


def test_other_pods_count_and_those_of_the_release_do_not() -> None:
    nodes = [node("m"), node("w", "8Gi")]
    assert found(nodes=nodes, pods=[pod("w", "3Gi", release="r")]) == []
    assert found(nodes=nodes, pods=[pod("m", "3Gi")]) == []
    assert "asked for by other pods" in found(nodes=nodes, pods=[pod("w", "6Gi")])[0]


def test_a_node_of_a_master_and_a_worker_holds_both() -> None:
    both = {"master": ["w"], "worker": ["w"]}
    assert found(nodes=[node("w", "7Gi")], kinds={"master": [], "worker": ["w"]}) == []
    assert "master, jobMaster, worker, jobWorker, fuse need 7168 MiB" in found(nodes=[node("w", "5Gi")], kinds=both)[0]


def test_cores_are_counted() -> None:
    line = found(nodes=[node("m"), node("w", cpu="2")])[0]
    assert "has 2 cores of cpu free" in line
    assert "need 2.5 cores: lower resources.requests.cpu" in line


def test_a_limit_holds_heap_direct_memory_and_memory_tier() -> None:
    assert found({"worker": {"jvmOptions": ["-Xmx2g", "-XX:MaxDirectMemorySize=512m"]}}) == []
    line = found({"jvmOptions": ["-Xmx1g"], "worker": {"jvmOptions": ["-Xmx2g", "-XX:MaxDirectMemorySize=1g"]}})[0]
    assert line.startswith("the limit of 4096 MiB does not hold worker with its memory tier of 1024 MiB and heap and direct memory of 3072 MiB: raise")
    assert any("does not hold jobMaster" in line for line in found({"jobMaster": {"jvmOptions": "-Xmx9g"}}))
    for several in (["-Xmx2g -XX:MaxDirectMemorySize=1g"], [" -Xmx1g", "-XX:MaxHeapSize=2g\t-XX:MaxDirectMemorySize=1g "]):
        assert found({"worker": {"jvmOptions": several}})[0] == line


def test_a_request_above_its_limit_is_named() -> None:
    assert "fuse.resources asks for more memory than its limit" in found({"fuse": {"resources": {"requests": {"memory": "5Gi"}}}})[0]


def test_a_tier_on_disk_is_held_against_the_disk_and_no_memory() -> None:
    assert found(tier("80Gi", mediumtype="SSD")) == []
    assert "ephemeral storage, the tiers on disk need 204800 MiB" in found(tier("100Gi,100Gi", mediumtype="SSD", path="/a,/b"))[0]
    assert found(tier("200Gi", mediumtype="SSD", type="hostPath")) == []


def test_media_of_one_level_are_counted_each_for_itself() -> None:
    mixed = tier("20Gi, 200Gi", mediumtype="MEM, SSD", path="/dev/shm, /ssd", type="hostPath, emptyDir")
    assert host_memory_tier([CHART, mixed])
    lines = found(mixed, nodes=[node("m"), node("w", "16Gi")], shm={"w": str(4 * 2**30)})[0]
    assert "worker, jobWorker, fuse need 23552 MiB" in lines
    assert "the tiers on disk need 204800 MiB" in lines
    assert "a /dev/shm of 4096 MiB, the memory tier needs 20480 MiB" in lines
    # The last quota is that of further folders too.
    assert "the tiers on disk need 204800 MiB" in found(tier("100Gi", mediumtype="SSD", path="/a,/b"))[0]


def test_the_proxy_is_counted_where_it_is_on() -> None:
    proxy = {"proxy": {"enabled": True, "resources": {"requests": {"memory": "62Gi"}, "limits": {"memory": "63Gi"}}}}
    assert "worker, jobWorker, fuse, proxy need" in found(proxy)[0]
    assert found({"proxy": {**proxy["proxy"], "enabled": False}}) == []
    assert any("does not hold proxy" in line for line in found({"proxy": {"enabled": True, "jvmOptions": ["-Xmx9g"]}}))
    tainted = [node("m"), node("w", taints=[{"key": "gpu", "effect": "NoSchedule"}])]
    mine = {part: {"tolerations": [{"operator": "Exists"}]} for part in ("worker", "fuse")}
    assert "which proxy do not tolerate" in found({**mine, "proxy": {"enabled": True}}, nodes=tainted)[0]


def test_a_tier_in_the_hosts_memory_file_system_needs_its_room() -> None:
    values = tier("10Gi", type="hostPath")
    assert host_memory_tier([CHART, values])
    assert not host_memory_tier([CHART])
    assert found(values, shm={"w": str(20 * 2**30)}) == []
    assert "node w has a /dev/shm of 4096 MiB, the memory tier needs 10240 MiB" in found(values, shm={"w": str(4 * 2**30)})[0]


def test_the_size_of_the_memory_file_system_is_what_df_says(tmp_path: Path) -> None:
    read, *_others, stop = yaml.safe_load((HOME / "roles" / "alluxio_chart" / "tasks" / "capacity.yml").read_text(encoding="utf-8"))
    said = subprocess.run(read["ansible.builtin.command"].split(), capture_output=True, text=True, check=True).stdout
    known = {"alluxio_chart_workers": ["localhost"], "alluxio_chart_shm": {"results": [{"stdout": said}]}}
    show = {"ansible.builtin.debug": {"msg": "of localhost: {{ alluxio_chart_shm_sizes.localhost }} bytes"}, "vars": stop["vars"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": known, "tasks": [show]}]), encoding="utf-8")
    output = subprocess.run(["ansible-playbook", str(tmp_path / "play.yml")], cwd=HOME, capture_output=True, text=True, check=False).stdout
    there = os.statvfs("/dev/shm")
    assert f"of localhost: {there.f_blocks * there.f_frsize} bytes" in output, output


def test_a_node_that_takes_no_pods_is_named_with_the_reason() -> None:
    assert "node w is not Ready (because)" in found(nodes=[node("m"), node("w", Ready="Unknown")])[0]
    assert "node w reports DiskPressure" in found(nodes=[node("m"), node("w", DiskPressure="True")])[0]
    assert "kubectl uncordon m" in found(nodes=[node("m", cordoned=True), node("w")])[0]
    assert found(nodes=[node("m"), node("w", cordoned=True), node("idle", Ready="False")]) == []


def test_a_taint_that_nobody_tolerates_is_named() -> None:
    nodes = [node("m"), node("w", taints=[{"key": "gpu", "value": "a100", "effect": "NoSchedule"}])]
    assert "has the taint gpu=a100:NoSchedule, which worker and fuse do not tolerate" in found(nodes=nodes)[0]
    assert found({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, nodes=nodes) == []
    assert found({"tolerations": [{"key": "gpu", "value": "h100", "effect": "NoSchedule"}]}, nodes=nodes) != []
    assert "which fuse do not tolerate" in found({"worker": {"tolerations": [{"operator": "Exists"}]}}, nodes=nodes)[0]


def test_two_masters_are_refused_with_the_reason() -> None:
    assert "2 masters tolerate the loss of 0 of them, no more than 1 do" in found({"master": {"count": 2}})[0]
    assert found({"master": {"count": 3}}) == []


def test_a_node_without_room_for_the_next_fuse_beside_the_old_one_is_named_with_the_way_without() -> None:
    (line,) = found(nodes=[node("m"), node("w", "5Gi")])
    print(line)
    assert "worker, jobWorker, fuse need " in line
    assert line.endswith(" more while the next FUSE begins beside the old one: lower alluxio_chart_quota or resources.requests.memory, set fuse.maxSurge to 0, "
                         "or move other pods away")  # fmt: skip
    assert found({"fuse": {"maxSurge": 0}}, nodes=[node("m"), node("w", "5Gi")]) == []


def test_a_node_that_has_not_told_what_it_has_matters_only_where_the_release_is_to_run() -> None:
    fresh, other = node("w"), node("x")
    del fresh["status"]["allocatable"], other["status"]["allocatable"]
    (line,) = found(nodes=[node("m"), fresh, other])
    assert line.startswith("node w has not told yet what it has")
    limits = {"worker": {"resources": {"limits": {"memory": "1Gi"}}}}
    assert overcommitted([CHART, ROLE, limits], [node("w"), other], KINDS) == []


def test_limits_above_a_nodes_memory_are_told_with_the_largest() -> None:
    limits = {part: {"resources": {"limits": {"memory": "4Gi"}}} for part in ("worker", "jobWorker", "fuse")}
    limits["worker"]["resources"]["limits"]["memory"] = "8Gi"
    layers = [CHART, ROLE, limits]
    assert overcommitted(layers, [node("w", memory="16Gi"), node("x", memory="1Gi")], KINDS) == []
    (line,) = overcommitted(layers, [node("w", memory="15Gi"), node("x", memory="1Gi")], KINDS)
    assert "node w has 15360 MiB of memory, and the limits of worker, jobWorker, fuse come to 16384 MiB" in line
    assert line.endswith("the largest, worker")
