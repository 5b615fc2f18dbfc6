"""The S3 server of the tests is as far from the nodes as it says, checks credentials, and leaves nothing behind."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import s3
import s3_client
from caching import on_node
from reading import nodes


@pytest.mark.long
def test_the_way_to_it_is_long_and_narrow_and_nothing_of_it_stays() -> None:
    with s3.endpoint(next(iter(nodes().values())), delay=0.05, rate="40mbit", size="64m") as endpoint:
        endpoint.door.make_bucket("way")
        endpoint.door.put("way", "file", bytes(5_000_000))
        times = [float(on_node(f"curl -s -o /dev/null -w '%{{time_starttransfer}} %{{time_connect}}' {endpoint.url}/way/none").split()[0]) for _ in range(5)]
        assert 0.05 <= statistics.median(times) < 0.15, times
        # It takes a signature: without one nothing is read.
        assert on_node(f"curl -s -o /dev/null -w '%{{http_code}}' {endpoint.url}/way/file") == "403"
        buffer = memoryview(bytearray(2**20))
        store = s3_client.Store(endpoint.url, endpoint.keys)
        assert store.get("way", "file", buffer) == 5_000_000
        with pytest.raises(s3_client.S3Error, match="SignatureDoesNotMatch"):
            s3_client.Store(endpoint.url, (endpoint.keys[0], "wrong")).get("way", "file", buffer)
        with endpoint.gone():
            assert "refused" in on_node(f"curl -s -S {endpoint.url} 2>&1 || true").lower() or "connect" in on_node(f"curl -s -S {endpoint.url} 2>&1 || true")
        link = Path("/sys/class/net") / endpoint.link
        assert link.exists()
    assert not link.exists()
    assert endpoint.process.poll() is not None
