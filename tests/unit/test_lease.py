"""Whose a Lease is: one that is renewed belongs to its holder, one that expired to whoever asks."""

from __future__ import annotations

import datetime

import kubernetes
import pytest
from ansible_collections.alnair.alluxio.plugins.plugin_utils.lease import refusal

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("holder", "age", "refused"), [("other", 59, True), ("other", 61, False), ("me", 1, False), (None, 1, False), ("other", -5, True)])
def test_who_has_the_lease(holder: str | None, age: int, refused: bool) -> None:
    renewed = NOW - datetime.timedelta(seconds=age)
    spec = kubernetes.client.V1LeaseSpec(holder_identity=holder, lease_duration_seconds=60, acquire_time=renewed, renew_time=renewed)
    found = refusal(kubernetes.client.V1Lease(spec=spec), "me", NOW)
    assert bool(found) is refused
    if refused:
        assert found.startswith("other since ")
