"""The lab's filter that names nodes."""

from __future__ import annotations

import pytest
from lab_node import lab_node


def test_nodes_have_names_addresses_and_pod_networks_of_their_own() -> None:
    nodes = [lab_node(number, "lab", "10.89.77.0/24") for number in range(3)]
    assert nodes[0] == {"name": "lab-0", "address": "10.89.77.10", "pod_cidr": "10.244.0.0/24"}
    for key in ("name", "address", "pod_cidr"):
        assert len({node[key] for node in nodes}) == 3


def test_a_subnet_too_small_for_the_node_is_refused() -> None:
    with pytest.raises(IndexError):
        lab_node(9, "lab", "10.89.77.0/28")
