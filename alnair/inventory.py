"""What an inventory says: its hosts, and where the cluster is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alnair import home, records
from alnair.errors import UsageError

# Ansible and the Kubernetes client take long to import: this package does so where they are used, so that help and completion need not wait.

KNOBS = {"alluxio_kubeconfig": "", "alluxio_kube_context": "", "alluxio_namespace": "alluxio", "alluxio_release": "alluxio"}


def loader() -> Any:
    """Return Ansible's reader of files, which knows the passwords of vaults as ansible-playbook does that asks nobody.

    Raises:
        AnsibleError: a file of a password cannot be read.
    """
    from ansible import constants
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import VaultSecretsContext, get_file_vault_secret

    found, known_secrets = DataLoader(), []
    single = [constants.DEFAULT_VAULT_PASSWORD_FILE] if constants.DEFAULT_VAULT_PASSWORD_FILE else []
    for words in (*constants.DEFAULT_VAULT_IDENTITY_LIST, *single):
        name, at, path = words.partition("@")
        name, path = (name, path) if at else ("", words)
        if path in ("prompt", "prompt_ask_vault_pass"):
            continue
        secret = get_file_vault_secret(filename=path, vault_id=name or None, loader=found)
        secret.load()
        known_secrets.append((name or constants.DEFAULT_VAULT_IDENTITY, secret))
        found.set_vault_secrets(known_secrets)
    # Single values that are encrypted ask this; a process may say it once.
    if not VaultSecretsContext.current(optional=True):
        VaultSecretsContext.initialize(VaultSecretsContext(known_secrets))
    return found


@contextlib.contextmanager
def readable(inventory: Path) -> Iterator[None]:
    """Turn what Ansible cannot read into a sentence.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.errors import AnsibleError

    try:
        yield
    except AnsibleError as error:
        text = str(error).rstrip(".")
        remedy = " Name the file with the vault's password by ANSIBLE_VAULT_PASSWORD_FILE." if "decrypt" in text else ""
        raise UsageError(f"The inventory {inventory} cannot be read: {text}{place(error)}.{remedy}") from error


def place(error: BaseException | None) -> str:
    """Return where Ansible found what it cannot read, as file, line and column in brackets; nothing where it does not tell."""
    while error:
        # A property since ansible-core 2.19; what reads group_vars tells it only of the cause.
        if context := getattr(error, "_formatted_source_context", None):
            return f" ({context.splitlines()[0].removeprefix('Origin: ')})"
        error = error.__cause__ or error.__context__
    return ""


def managed(inventory: Path) -> Any:
    """Return Ansible's manager of an inventory, a dynamic one asked by the plugin that it names.

    Raises:
        UsageError: it cannot be read.
    """
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
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
    with readable(inventory):
        return Manager(loader=loader(), sources=[str(inventory)])


def configured() -> Path | None:
    """Return the inventory that ANSIBLE_INVENTORY or a configuration file of Ansible names; None where none does.

    Raises:
        UsageError: it names several.
    """
    from ansible import constants

    named, origin = constants.config.get_config_value_and_origin("DEFAULT_HOST_LIST")
    if origin == "default":
        return None
    if len(named) != 1:
        listed = ", ".join(named)
        raise UsageError(f"Ansible's configuration ({origin}) names {len(named)} inventories: {listed}. Name one with --inventory, such as their folder.")
    return Path(named[0])


def hosts(inventory: Path, pattern: str) -> list[str]:
    """Return the hosts that a pattern matches; one that Ansible refuses matches none.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.errors import AnsibleError

    manager = managed(inventory)
    # Ansible would warn of a group that is not there; that nothing matches is answered by who asks.
    parts = [part for part in pattern.replace(",", ":").split(":") if part]
    if all(part.isidentifier() and part not in manager.groups and part not in manager.hosts for part in parts):
        return []
    try:
        return [str(host) for host in manager.list_hosts(pattern)]
    # The latter for a sign without a name, such as "!".
    except (AnsibleError, IndexError):
        return []


def chosen(manager: Any) -> list[str]:
    """Return the hosts that do the cluster's tasks, as the playbooks choose them: this machine where the group has none, or is not there."""
    found = manager.list_hosts("alluxio_controller") if "alluxio_controller" in manager.groups else []
    return [str(host) for host in found] or ["localhost"]


def controllers(inventory: Path) -> list[str]:
    """Return the hosts that do the cluster's tasks: this machine where the inventory names none.

    Raises:
        UsageError: the inventory cannot be read.
    """
    return chosen(managed(inventory))


def known(inventory: Path) -> dict[str, Any]:
    """Return the variables of the first controller as the inventory says them.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.vars.manager import VariableManager

    manager = managed(inventory)
    with readable(inventory):
        return VariableManager(loader=loader(), inventory=manager).get_vars(host=manager.get_host(chosen(manager)[0]))


def told(inventory: Path, defaults: dict[str, str]) -> dict[str, str]:
    """Return variables of the controller with their templates worked out, or their defaults where they are not said or left blank.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.template import Templar

    found = known(inventory)
    with readable(inventory):
        templar = Templar(loader=loader(), variables=found)
        values = {name: templar.template(found.get(name)) for name in defaults}
    return {name: default if values[name] is None else str(values[name]) for name, default in defaults.items()}


def variables(inventory: Path) -> dict[str, Any]:
    """Return kubeconfig, context, namespace and release as the inventory says them, or their defaults.

    Raises:
        UsageError: the inventory cannot be read.
    """
    return told(inventory, KNOBS)


def listed(inventory: Path, extra_vars: dict[str, Any]) -> list[str]:
    """Return the names of the data sets that a mount without names means.

    Args:
        inventory: Folder or file.
        extra_vars: Variables that win over those of the inventory.

    Raises:
        UsageError: the inventory cannot be read.
    """
    from ansible.template import Templar

    found = {**known(inventory), **extra_vars}
    with readable(inventory):
        templar = Templar(loader=loader(), variables=found)
        only, items = (templar.template(found.get(name)) for name in ("datasets_only", "datasets_list" if "datasets_list" in found else "alluxio_datasets"))
    # The playbook refuses a list that is none.
    names = only or [item.get("name") for item in items or [] if isinstance(item, dict)]
    return [name for name in map(str, names) if name]


def figures(inventory: Path) -> Path | None:
    """Return the file for the figures of a bench: the one that the inventory names, or one of its own below the user's state folder; None where the
    inventory names it by what the play alone knows."""
    try:
        named = told(inventory, {"loading_bench_results": ""})["loading_bench_results"]
    except UsageError:
        return None
    return Path(named).expanduser().resolve() if named else records.figures(inventory)
