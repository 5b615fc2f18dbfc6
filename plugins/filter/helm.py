"""Filters: which helm is there, whether it is the wanted one, and what its tarball is called."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.version import LooseVersion, SemanticVersion

DOCUMENTATION = r"""
name: helm
short_description: Versions of helm, and the name of a processor in a tarball's address
description:
  - Reads the version that a helm prints, compares it with what is wanted, and names processors as the Helm project does.
options:
  _input:
    description: What the program printed.
    type: str
    required: true
"""

EXAMPLES = r"""
kept: "{{ 'v3.19.5' | alnair.alluxio.helm_number | alnair.alluxio.helm_fits('3.19.5', '3.12.0', exact=false) }}"
"""

RETURN = r"""
_value:
  description: A version, a name or a truth.
  type: raw
"""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i386": "386", "i686": "386"}


def helm_number(printed: str) -> str:
    """Return the number of a version as helm 3 or 4 prints it: neither v nor the commit that it was built from."""
    return printed.strip().removeprefix("v").partition("+")[0]


def semantic(number: str) -> SemanticVersion | None:
    """Return a version that can be compared, with 0 for a part that is not given, or None for what is no version."""
    try:
        return SemanticVersion.from_loose_version(LooseVersion(helm_number(number)))
    # An empty text is an AttributeError there.
    except (AttributeError, ValueError):
        return None


def helm_fits(found: str, version: str, minimum: str, exact: bool) -> bool:
    """Tell whether the helm that was found may stay: it is just that version, or where any newer one will do, at least the minimum.

    Raises:
        AnsibleFilterError: the minimum is no version.
    """
    if exact:
        return found == helm_number(version)
    there, least = semantic(found), semantic(minimum)
    if least is None:
        raise AnsibleFilterError(f'"{minimum}" is no version of helm; write it like 3.12.0')
    return there is not None and there >= least


def helm_architecture(machine: str) -> str:
    """Return what the Helm project calls a processor that uname calls machine; those that it names alike stay as they are."""
    return ARCHITECTURES.get(machine.strip(), machine.strip())


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"helm_architecture": helm_architecture, "helm_fits": helm_fits, "helm_number": helm_number}
