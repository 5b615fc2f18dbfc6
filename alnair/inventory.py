"""What an inventory says: its hosts, and where the cluster is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from alnair import home
from alnair.errors import UsageError

# Ansible and the Kubernetes client take long to import: this package does so where they are used, so that help and completion need not wait.

KNOBS = {"alluxio_kubeconfig": "", "alluxio_kube_context": "", "alluxio_namespace": "alluxio", "alluxio_release": "alluxio"}


def managed(inventory: Path) -> Any:
    """Return Ansible's manager of an inventory, a dynamic one asked by the plugin that it names.

    Raises:
        UsageError: it cannot be read.
    """
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    class Manager(InventoryManager):
        """Refuses what Ansible would go on without."""

        def parse_source(self, source: str, cache: bool = False) -> bool:
            """Read a file or folder."""
            # Where ansible.cfg makes it an error, it is one without the reason, too.
            with contextlib.suppress(AnsibleError):
                if super().parse_source(source, cache):
                    return True
            raise UsageError(f"The inventory {source} cannot be read; Ansible's warnings say why.")

    if not AnsibleCollectionConfig.collection_finder:
        init_plugin_loader(home.collections())
    return Manager(loader=DataLoader(), sources=[str(inventory)])


def hosts(inventory: Path, pattern: str) -> list[str]:
    """Return the hosts that a pattern matches.

    Raises:
        UsageError: the inventory cannot be read.
    """
    manager = managed(inventory)
    # Ansible would warn of a group that is not there; that nothing matches is answered by who asks.
    parts = [part for part in pattern.replace(",", ":").split(":") if part]
    if all(part.isidentifier() and part not in manager.groups and part not in manager.hosts for part in parts):
        return []
    return [str(host) for host in manager.list_hosts(pattern)]


def known(inventory: Path) -> dict[str, Any]:
    """Return the controller's variables as the inventory says them.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.parsing.dataloader import DataLoader
    from ansible.vars.manager import VariableManager

    manager = managed(inventory)
    controller = manager.list_hosts("alluxio_controller" if "alluxio_controller" in manager.groups else "all")
    return VariableManager(loader=DataLoader(), inventory=manager).get_vars(host=controller[0]) if controller else {}


def variables(inventory: Path) -> dict[str, Any]:
    """Return kubeconfig, context, namespace and release as the inventory says them, or their defaults.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    found = known(inventory)
    templar = Templar(loader=DataLoader(), variables=found)
    return {name: str(templar.template(found[name])) if name in found else default for name, default in KNOBS.items()}
