"""Whose a Lease is: one that is renewed belongs to its holder, one that expired to whoever asks."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from ansible_collections.alnair.alluxio.plugins.plugin_utils import lease
from ansible_collections.alnair.alluxio.plugins.plugin_utils.lease import refusal

HOME = Path(__file__).parents[2]
NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("holder", "age", "refused"), [("other", 59, True), ("other", 61, False), ("me", 1, False), (None, 1, False), ("other", -5, True)])
def test_who_has_the_lease(holder: str | None, age: int, refused: bool) -> None:
    renewed = NOW - datetime.timedelta(seconds=age)
    spec = kubernetes.client.V1LeaseSpec(holder_identity=holder, lease_duration_seconds=60, acquire_time=renewed, renew_time=renewed)
    found = refusal(kubernetes.client.V1Lease(spec=spec), "me", NOW)
    assert bool(found) is refused
    if refused:
        assert found.startswith("other since ")


def held(age: int, holder: str = "other") -> Any:
    when = NOW - datetime.timedelta(seconds=age)
    metadata = kubernetes.client.V1ObjectMeta(name="alnair-run", resource_version=str(-age))
    spec = kubernetes.client.V1LeaseSpec(holder_identity=holder, lease_duration_seconds=60, acquire_time=when, renew_time=when)
    return kubernetes.client.V1Lease(metadata=metadata, spec=spec)


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, list[Any], float]]:
    """Takes a Lease that is read as one thing after another, the last one for good; returns who has it, what was written, and the seconds that it took."""

    def take(*answers: Any) -> tuple[str, list[Any], float]:
        reads, slept, written = list(answers), list[float](), list[Any]()
        monkeypatch.setattr(lease.time, "monotonic", lambda: sum(slept))
        monkeypatch.setattr(lease.time, "sleep", slept.append)
        monkeypatch.setattr(lease, "now", lambda: NOW)
        keeper = lease.Keeper.__new__(lease.Keeper)
        keeper.options = {"name": "alnair-run", "namespace": "default", "identity": "me", "seconds": 60}

        class Api:
            def read_namespaced_lease(self) -> None: ...
            def replace_namespaced_lease(self) -> None: ...
            def create_namespaced_lease(self) -> None: ...

        def asked(call: Any, *args: Any, **_options: Any) -> Any:
            if call.__name__ == "read_namespaced_lease":
                return reads.pop(0) if len(reads) > 1 else reads[0]
            written.append(args[-1])
            return args[-1]

        monkeypatch.setattr(lease, "retried", asked)
        keeper.api = Api()
        return keeper.take(5), written, sum(slept)

    return take


def test_a_lease_that_its_holder_renews_is_not_taken_over_whatever_the_clock_here_says(taking: Callable[..., tuple[str, list[Any], float]]) -> None:
    holder, written, seconds = taking(held(300), held(300), held(285))
    assert holder.startswith("other since ")
    assert written == []
    assert seconds < 5


def test_a_lease_that_nobody_renews_is_taken_over(taking: Callable[..., tuple[str, list[Any], float]]) -> None:
    holder, written, seconds = taking(held(300))
    assert holder == ""
    assert [body.spec.holder_identity for body in written] == ["me"]
    assert 30 <= seconds <= 32


@pytest.mark.parametrize("answers", [(None,), (held(300), None), (held(300, ""),), (held(300, "me"),)], ids=["none", "given back", "nobody's", "mine"])
def test_a_lease_that_is_free_is_taken_at_once(taking: Callable[..., tuple[str, list[Any], float]], answers: tuple[Any, ...]) -> None:
    holder, written, seconds = taking(*answers)
    assert (holder, len(written)) == ("", 1)
    assert seconds < 2


def test_a_controller_over_ssh_is_told_that_nobody_else_is_kept_out(tmp_path: Path) -> None:
    # Nothing is asked there: a Lease that is renewed beside ansible-playbook is kept from this machine or not at all.
    (tmp_path / "hosts.yml").write_text("alluxio_controller: {hosts: {far: {ansible_host: 192.0.2.1}}}\n", encoding="utf-8")
    words = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "playbooks/lease.yml"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The cluster is reached from far, so no Lease is held: a run on another machine is not kept out." in " ".join((done.stdout + done.stderr).split())
