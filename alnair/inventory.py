"""What an inventory says: its hosts, and where the cluster is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Ansible and the Kubernetes client take long to import: this package does so where they are used, so that help and completion need not wait.

KNOBS = {"alluxio_kubeconfig": "", "alluxio_kube_context": "", "alluxio_namespace": "alluxio", "alluxio_release": "alluxio"}


def hosts(inventory: Path, pattern: str) -> list[str]:
    """Return the hosts that a pattern matches."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    manager = InventoryManager(loader=DataLoader(), sources=[str(inventory)])
    # Ansible would warn of a group that is not there; that nothing matches is answered by who asks.
    parts = [part for part in pattern.replace(",", ":").split(":") if part]
    if all(part.isidentifier() and part not in manager.groups and part not in manager.hosts for part in parts):
        return []
    return [str(host) for host in manager.list_hosts(pattern)]


def known(inventory: Path) -> dict[str, Any]:
    """Return the controller's variables as the inventory says them."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.vars.manager import VariableManager

    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(inventory)])
    controller = manager.list_hosts("alluxio_controller" if "alluxio_controller" in manager.groups else "all")
    return VariableManager(loader=loader, inventory=manager).get_vars(host=controller[0]) if controller else {}


def variables(inventory: Path) -> dict[str, Any]:
    """Return kubeconfig, context, namespace and release as the inventory says them, or their defaults."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    found = known(inventory)
    templar = Templar(loader=DataLoader(), variables=found)
    return {name: str(templar.template(found[name])) if name in found else default for name, default in KNOBS.items()}
