"""Filters: what a chart's merged values say to the roles that did not write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged

DOCUMENTATION = r"""
name: chart
short_description: What a chart's values say to other roles
description:
  - Merges layers of values as helm does, and tells where mount and sockets lie elsewhere than the roles look for them, and the addresses of the masters.
options:
  _input:
    description: Layers of values of the chart, its defaults first.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
lines: "{{ [chart['values'], mine] | alnair.alluxio.misplaced('/mnt/alluxio-fuse', '/mnt/fuse/domain-socket') }}"
"""

RETURN = r"""
_value:
  description: A sentence for each place, a truth, or addresses as host:port by C(masters) and C(job_masters).
  type: raw
"""


def part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the values of a part."""
    return values.get(name) or {}


def mounts_cache(layers: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether nodes mount the cache, by a pod of its own or in the worker."""
    values = merged(layers)
    return bool(part(values, "fuse").get("enabled") or part(values, "worker").get("fuseEnabled"))


def misplaced(layers: Iterable[Mapping[str, Any]], mount_point: str, socket: str) -> list[str]:
    """Return a sentence for each place on the nodes that the chart's values put elsewhere than the roles look for it.

    Args:
        layers: Values of the chart, its defaults first; these may be empty.
        mount_point: Where the roles look for the mount.
        socket: Where they look for the directory of the domain sockets.
    """
    layers = list(layers)
    values, known = merged(layers), part(layers[0], "fuse")
    # What it is called in charts of before. One that knows both names mounts at the newer one.
    key = "mountPath" if "mountPath" in known and "mountPoint" not in known else "mountPoint"
    places = [(f"fuse.{key}", part(values, "fuse").get(key) if mounts_cache(layers) else None, "alluxio_chart_fuse_mount_point", mount_point)]
    domain = part(values, "shortCircuit")
    # A claim's volume is a matter of persistent_volumes, which asks the values itself; policy local reads without a socket.
    used = domain.get("enabled", True) and domain.get("policy") != "local" and domain.get("volumeType") == "hostPath"
    variable = "alluxio_chart_domain_socket_path, or journal_directories_domain_socket, which it follows,"
    places.append(("shortCircuit.hostPath", domain.get("hostPath") if used else None, variable, socket))
    return [
        f"the chart's values say {name}: {there}, where other roles look in {looked}: set {variable} to {there} and leave {name} out"
        for name, there, variable, looked in places
        if there and str(there).rstrip("/") != looked.rstrip("/")
    ]


def master_addresses(layers: Iterable[Mapping[str, Any]], release: str, namespace: str) -> dict[str, list[str]]:
    """Return where masters and job masters of a release are reached, each behind a service of its own.

    Args:
        layers: Values of the chart, with master.count.
        release: Name of the release.
        namespace: Its namespace.
    """
    values = merged(layers)
    name, count = values.get("fullnameOverride") or release, part(values, "master").get("count")

    def of(kind: str, port: int) -> list[str]:
        found = (part(values, kind).get("ports") or {}).get("rpc") or port
        return [f"{name}-master-{index}.{namespace}.svc:{found}" for index in range(1 if count is None else int(count))]

    return {"masters": of("master", 19998), "job_masters": of("jobMaster", 20001)}


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"master_addresses": master_addresses, "misplaced": misplaced, "mounts_cache": mounts_cache}
