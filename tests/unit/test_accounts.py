"""Who already has a name or number that an account shall get."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.filter.accounts import account_conflicts, free_ids

WANTED = {"user": "alluxio-user", "uid": 1000, "group": "alluxio-user", "gid": 1000}


def entry(number: int) -> list[str]:
    return ["x", str(number)]


@pytest.mark.parametrize(
    ("passwd", "group", "sentence"),
    [
        ({"bob": entry(1000)}, {}, "uid 1000 belongs to user bob"),
        ({"alluxio-user": entry(1001)}, {}, "user alluxio-user exists with uid 1001, not 1000"),
        ({}, {"staff": entry(1000)}, "gid 1000 belongs to group staff"),
        ({}, {"alluxio-user": entry(7)}, "group alluxio-user exists with gid 7, not 1000"),
    ],
)
def test_each_conflict_is_said(passwd: dict[str, Any], group: dict[str, Any], sentence: str) -> None:
    assert account_conflicts(WANTED, passwd, group) == [sentence]


def test_a_fresh_host_and_a_prepared_host_have_no_conflict() -> None:
    assert account_conflicts(WANTED, {"root": entry(0)}, {"root": entry(0)}) == []
    assert account_conflicts(WANTED, {"alluxio-user": entry(1000)}, {"alluxio-user": entry(1000)}) == []


def test_the_free_number_is_free_in_every_database() -> None:
    assert free_ids([{"a": entry(1000)}, {"b": entry(1001)}, {"c": entry(1003)}]) == 1002
