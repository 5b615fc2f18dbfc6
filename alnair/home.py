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


def collections_path(home: Path) -> str | None:
    """Return the value of ANSIBLE_COLLECTIONS_PATH with which an installed collection finds itself; None for a checkout, whose ansible.cfg says it."""
    if home.parts[-3:] != NAME.parts:
        return None
    return ":".join(dict.fromkeys((str(home.parents[2]), *map(str, roots()))))


def collections() -> list[str]:
    """Return where Ansible finds the collection, for what reads an inventory in this process; nothing where there is none."""
    try:
        place = find()
    except UsageError:
        return []
    return (collections_path(place) or str(place / "collections")).split(":")


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
