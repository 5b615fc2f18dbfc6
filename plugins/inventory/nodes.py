"""Inventory plugin: masters and workers are the cluster's nodes that bear a label."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nodes
short_description: Hosts from the cluster's nodes by label
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
description:
  - Makes each node with the masters' label a host of group C(alluxio_masters), and each with the workers' label one of C(alluxio_workers); a node may be both.
    A node that gets the label later is there in the next run, without an edit.
  - A host is called as its node is. It knows C(alluxio_node_labels), C(alluxio_node_addresses), C(alluxio_node_ready) and C(alluxio_node_cordoned) for
    O(compose), O(groups) and O(keyed_groups).
  - This machine is the host of group C(alluxio_controller), unless a source that was read before has one. All hosts know C(alluxio_kubeconfig) and
    C(alluxio_kube_context) as they are here.
  - A node that is not Ready or cordoned stays a host, for what is no host any more is scaled away, and a node that restarts shall not be. A node that is
    being deleted is none.
  - The file is called C(nodes.yml), or its name ends in that; group_vars lie beside it.
notes:
  - Give the labels names of their own. C(alnair.io/RELEASE-master) and C(alnair.io/RELEASE-worker) follow the inventory, so they cannot lead it.
extends_documentation_fragment: [constructed, inventory_cache]
options:
  plugin:
    description: Marks the file as one for this plugin.
    type: str
    required: true
    choices: [alnair.alluxio.nodes]
  kubeconfig:
    description: Kubeconfig file.
    type: path
    default: ~/.kube/config
    env: [{name: KUBECONFIG}]
  context:
    description: Context in the kubeconfig; empty for its current one.
    type: str
    default: ""
  masters:
    description: Selector of the labels of the nodes that become masters, such as V(KEY=VALUE), V(KEY) or V(KEY in (A, B)\).
    type: str
    default: alnair.io/cache-master=true
  workers:
    description: Selector of the labels of the nodes that become workers.
    type: str
    default: alnair.io/cache=true
  order:
    description:
      - Label whose value, a whole number, says where a node stands among the others. Nodes without it come after those, the oldest first.
      - A master's place is that of its journal's volume. Where a node becomes a master that is older than those that are there, this keeps them in place.
    type: str
    default: alnair.io/cache-order
  address:
    description: Which of a node's addresses Ansible connects to.
    type: str
    choices: [InternalIP, ExternalIP, Hostname, InternalDNS, ExternalDNS]
    default: InternalIP
"""

EXAMPLES = r"""
# kubectl label node node-1 alnair.io/cache-master=true
# kubectl label node node-2 node-3 alnair.io/cache=true
plugin: alnair.alluxio.nodes

# Another cluster, other labels, and what hosts are told beside that.
---
plugin: alnair.alluxio.nodes
kubeconfig: ~/.kube/training
masters: node-role.kubernetes.io/control-plane
workers: nvidia.com/gpu.present=true
compose:
  ansible_user: "'debian'"
keyed_groups:
  - {prefix: zone, key: "alluxio_node_labels['topology.kubernetes.io/zone'] | default('none')"}
groups:
  away: not alluxio_node_ready
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template
from ansible_collections.alnair.alluxio.plugins.module_utils import kube

try:
    import kubernetes
except ImportError:
    kubernetes = None

# By the name of the group's option.
GROUPS = {"masters": "alluxio_masters", "workers": "alluxio_workers"}
# For how long an API server that is away is waited for.
PATIENCE = 15.0


class Unfit(Exception):
    """What the file asks for cannot be had; the message names the key, its value and the remedy."""


def facts(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a host is told of its node.

    Args:
        node: As the API returns it.
    """
    addresses: dict[str, str] = {}
    for entry in (node.get("status") or {}).get("addresses") or []:
        addresses.setdefault(entry["type"], entry["address"])
    conditions = (node.get("status") or {}).get("conditions") or []
    return {
        "alluxio_node_labels": dict(node["metadata"].get("labels") or {}),
        "alluxio_node_addresses": addresses,
        "alluxio_node_ready": any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions),
        "alluxio_node_cordoned": bool((node.get("spec") or {}).get("unschedulable")),
    }


def in_order(nodes: Iterable[Mapping[str, Any]], label: str) -> list[Mapping[str, Any]]:
    """Return nodes by the number in a label, then those without it by age and name; those that are being deleted are left out.

    Raises:
        Unfit: a label's value is no whole number.
    """

    def place(node: Mapping[str, Any]) -> tuple[bool, int, str, str]:
        name, said = node["metadata"]["name"], (node["metadata"].get("labels") or {}).get(label)
        try:
            return said is None, int(said or 0), str(node["metadata"].get("creationTimestamp")), name
        except ValueError:
            raise Unfit(f'order: {label} of node {name} is "{said}", which is no whole number. Try: kubectl label --overwrite node {name} {label}=0') from None

    return sorted((node for node in nodes if not node["metadata"].get("deletionTimestamp")), key=place)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Takes hosts from the cluster's nodes."""

    NAME = "alnair.alluxio.nodes"

    def verify_file(self, path: str) -> bool:
        """Tell whether a file's name is one for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("nodes.yml", "nodes.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory.

        Raises:
            AnsibleParserError: the file or the cluster does not allow it.
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if kubernetes is None:
            raise AnsibleParserError(f"{path}: the Python that runs Ansible has no package kubernetes. See requirements.txt of the collection.")
        try:
            for option, nodes in self.nodes(path, cache).items():
                self.add(GROUPS[option], nodes)
        except (Unfit, kube.ClusterAway) as error:
            raise AnsibleParserError(f"{path}: {error}") from error
        inventory.set_variable("all", "alluxio_kubeconfig", self.get_option("kubeconfig"))
        if self.get_option("context"):
            inventory.set_variable("all", "alluxio_kube_context", self.get_option("context"))
        self.add_controller()

    def nodes(self, path: str, cache: bool) -> dict[str, list[dict[str, Any]]]:
        """Return nodes by the name of their group's option, from the cache where it is switched on and has them."""
        if not self.get_option("cache"):
            return self.asked()
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        if not cache or key not in self._cache:
            self._cache[key] = self.asked()
        return dict(self._cache[key])

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return nodes by the name of their group's option, as the cluster has them.

        Raises:
            ClusterAway: the API server does not answer.
            Unfit: it refuses, or no node is fit.
        """
        kubeconfig = self.get_option("kubeconfig")
        if os.pathsep not in kubeconfig and not os.path.exists(kubeconfig):
            raise Unfit(f"kubeconfig: there is no file {kubeconfig}. Name the one that kubectl uses for this cluster, here or in the environment's KUBECONFIG.")
        api = kube.client({"kubeconfig": kubeconfig, "context": self.get_option("context")})
        found = {}
        for option in GROUPS:
            selector = self.get_option(option)
            try:
                items = kube.retried(kubernetes.client.CoreV1Api(api).list_node, label_selector=selector, seconds=PATIENCE).items
            except kubernetes.client.ApiException as error:
                why = f"the API server that {kubeconfig} names refused to list nodes by it: {error.status} {error.reason}"
                remedy = "Correct the selector" if error.status == 400 else "Allow the kubeconfig's user to list nodes"
                raise Unfit(f'{option}: "{selector}": {why}. {remedy}.') from error
            found[option] = [api.sanitize_for_serialization(item) for item in items]
            # A list that is empty by mistake would scale the release away.
            if not found[option]:
                label = selector if re.fullmatch(r"[^=!,\s]+=[^=,\s]+", selector) else "KEY=VALUE"
                raise Unfit(f'{option}: no node of the cluster matches "{selector}". Try: kubectl label node NAME {label}')
        return found

    def add(self, group: str, nodes: Iterable[Mapping[str, Any]]) -> None:
        """Add nodes as hosts of a group.

        Raises:
            Unfit: a node has no such address, or cannot be put in order.
        """
        kind, strict = self.get_option("address"), self.get_option("strict")
        self.inventory.add_group(group)
        for node in in_order(nodes, self.get_option("order")):
            name, told = node["metadata"]["name"], facts(node)
            addresses = told["alluxio_node_addresses"]
            if kind not in addresses:
                raise Unfit(f"address: node {name} has no {kind}. It has: {', '.join(addresses) or 'none'}. Set address to one of them.")
            self.inventory.add_host(name, group=group)
            for key, value in {"ansible_host": addresses[kind], **told}.items():
                self.inventory.set_variable(name, key, value)
            self._set_composite_vars(self.get_option("compose"), told, name, strict=strict)
            self._add_host_to_composed_groups(self.get_option("groups"), told, name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), told, name, strict=strict)

    def add_controller(self) -> None:
        """Add this machine as the controller where no other is said to be."""
        group = "alluxio_controller"
        if group in self.inventory.groups and self.inventory.groups[group].get_hosts():
            return
        self.inventory.add_group(group)
        self.inventory.add_host("localhost", group=group)
        self.inventory.set_variable("localhost", "ansible_connection", "local")
        self.inventory.set_variable("localhost", "ansible_python_interpreter", trust_as_template("{{ ansible_playbook_python }}"))
