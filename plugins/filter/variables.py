"""Filter: variables that look like those of a role and are none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: unknown_variables
short_description: Variables that look like those of a role and are none
description:
  - Returns a sentence for each name that begins as a role's variables do and that no role takes, with the name that was likely meant.
options:
  _input:
    description: Names of variables.
    type: list
    elements: str
    required: true
  contracts:
    description: By role, what its C(meta/argument_specs.yml) holds.
    type: dict
    required: true
"""

EXAMPLES = r"""
# Gives ["alluxio_chart_qota is nothing that a role takes; did you mean alluxio_chart_quota?"]
sentences: "{{ ['alluxio_chart_qota'] | alnair.alluxio.unknown_variables(contracts) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each of them, in order of the names.
  type: list
  elements: str
"""


def unknown_variables(names: Iterable[str], contracts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each name that no role takes though it begins with one's name.

    Args:
        names: Names of variables.
        contracts: By role, what its meta/argument_specs.yml holds.
    """
    known = {name for contract in contracts.values() for entry in contract["argument_specs"].values() for name in entry.get("options") or {}}
    prefixes = tuple(f"{role}_" for role in contracts)
    sentences = []
    for name in sorted(name for name in names if name.startswith(prefixes) and name not in known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        sentences.append(f"{name} is nothing that a role takes{f'; did you mean {near[0]}?' if near else '.'}")
    return sentences


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by name."""
        return {"unknown_variables": unknown_variables}
