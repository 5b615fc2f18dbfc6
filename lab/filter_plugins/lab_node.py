"""Filter: what a node of the lab is called and where it is found, from its number."""

from __future__ import annotations

import ipaddress


def lab_node(number: int, lab: str, subnet: str) -> dict[str, str]:
    """Return name, address and pod_cidr of the node with this number.

    Raises:
        IndexError: the subnet has no address for it.
    """
    address = ipaddress.ip_network(subnet)[10 + number]
    return {"name": f"{lab}-{number}", "address": str(address), "pod_cidr": f"10.244.{number}.0/24"}


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"lab_node": lab_node}
