"""Filter: a number that an account can have on every host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DOCUMENTATION = r"""
name: free_id
short_description: The lowest number that is free on every host
description:
  - Returns the lowest number from 1000 on that none of the hosts has given to a user or a group, so that uid and gid can be the same.
options:
  _input:
    description: The numbers that are given away, host by host.
    type: list
    elements: list
    required: true
"""

EXAMPLES = r"""
number: "{{ [[1000, 1001], [1000, 1003]] | alnair.alluxio.free_id }}"
"""

RETURN = r"""
_value:
  description: The number.
  type: int
"""


def free_id(hosts: Iterable[list[int]]) -> int:
    """Return the lowest number from 1000 on, where those of people begin, that no host has given away."""
    used = {number for numbers in hosts for number in numbers}
    return next(number for number in range(1000, 60000) if number not in used)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by name."""
        return {"free_id": free_id}
