"""Where the playbooks are: in the checkout that this package lies in, or in the installed collection."""

from __future__ import annotations

import functools
import importlib.util
import os
import site
from pathlib import Path
from types import ModuleType

from alnair.errors import UsageError

NAME = Path("ansible_collections") / "alnair" / "alluxio"
# What of the collection's ansible.cfg holds where the user's own says nothing of it: ansible.cfg tells why.
NEEDED = {"DEFAULT_FORKS": "ANSIBLE_FORKS", "INVENTORY_ANY_UNPARSED_IS_FAILED": "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"}
# Nobody sits behind a run to type a password; a configuration that has one asked for would let it wait without end.
ASKS_NOBODY = {name: "False" for name in ("ANSIBLE_ASK_PASS", "ANSIBLE_BECOME_ASK_PASS", "ANSIBLE_ASK_VAULT_PASS")}
BESIDE = Path(__file__).resolve().parents[1]


def find() -> Path:
    """Return the folder of the collection.

    Raises:
        UsageError: there is none.
    """
    for place in (BESIDE, *(root / NAME for root in roots())):
        if (place / "playbooks" / "site.yml").is_file():
            return place
    raise UsageError(
        f"The collection alnair.alluxio is neither in {BESIDE} nor below {', '.join(map(str, roots()))}. Install it (ansible-galaxy collection install), or "
        "name "
        "its place with ANSIBLE_COLLECTIONS_PATH."
    )


def roots() -> list[Path]:
    """Return where Ansible looks for collections: its own paths, then where Python's packages are."""
    from ansible import constants

    return [Path(os.path.expanduser(path)) for path in (*constants.COLLECTIONS_PATHS, *site.getsitepackages())]


def settings(home: Path) -> dict[str, str]:
    """Return the environment of ansible-playbook: the user's own configuration where Ansible finds one, else that of the collection.

    Args:
        home: Folder of the collection.
    """
    from ansible.config.manager import ConfigManager, find_ini_config_file

    ours = home / "ansible.cfg"
    theirs = Path(find_ini_config_file() or ours)
    installed, own = home.parts[-3:] == NAME.parts, theirs.resolve() != ours.resolve()
    found = {"ANSIBLE_CONFIG": str(theirs), **ASKS_NOBODY}
    # The file of a checkout says where its collection is.
    if installed or own:
        mine = home.parents[2] if installed else home / "collections"
        found["ANSIBLE_COLLECTIONS_PATH"] = ":".join(dict.fromkeys((str(mine), *map(str, roots()))))
    if own:
        for name, variable in NEEDED.items():
            if ConfigManager(str(theirs)).get_config_value_and_origin(name)[1] == "default":
                found[variable] = str(ConfigManager(str(ours)).get_config_value(name))
    return found


def collections() -> list[str]:
    """Return where Ansible finds the collection, for what reads an inventory in this process; nothing where there is none."""
    try:
        place = find()
    except UsageError:
        return []
    return settings(place).get("ANSIBLE_COLLECTIONS_PATH", str(place / "collections")).split(":")


@functools.cache
def shared(name: str, folder: str = "module_utils") -> ModuleType:
    """Return a module of the collection that needs nothing but Python.

    Args:
        name: Its name.
        folder: Of plugins/; what the collection's own modules use, too, by default.

    Raises:
        UsageError: there is no collection.
    """
    path = find() / "plugins" / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"alnair_shared_{folder}_{name}", path)
    assert spec and spec.loader, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
