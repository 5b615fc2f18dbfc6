"""The way to the S3 server of the tests: late, but as fast as without; errors and absence on demand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import slow_proxy

DELAY = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def front(folder: Path, seen: list[bytes]) -> AsyncIterator[tuple[slow_proxy.Front, int]]:
    """A front before a server that answers each request and notes its body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen.append(b"".join([piece async for piece in slow_proxy.body(reader, head)]))
                writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "socket")
    found = slow_proxy.Front(str(folder / "socket"), 0, DELAY)
    await found.there()
    assert found.listener
    try:
        yield found, found.listener.sockets[0].getsockname()[1]
    finally:
        await found.gone()
        server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """Send a request and return the answer's first line."""
    writer.write(request)
    line = await reader.readuntil(b"\r\n")
    if b" 200 " in line:
        await reader.readexactly(len(ANSWER) - len(line))
    return line


def test_each_answer_is_late_and_bodies_come_whole(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def go() -> float:
        async with front(tmp_path, seen) as (found, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            assert await ask(reader, writer, b"PUT /b/a HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)) == b"HTTP/1.1 200 OK\r\n"
            took = time.monotonic() - began
            await ask(reader, writer, b"PUT /b/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            await ask(reader, writer, b"GET /b/a HTTP/1.1\r\n\r\n")
            assert (found.requests, found.failed, dict(found.reads)) == (3, 0, {"/b/a": 1})
            writer.close()
        return took

    took = asyncio.run(go())
    # What comes in four pieces is late once and not four times.
    assert DELAY <= took < 3 * DELAY
    assert seen == [bytes(200_000), b"3\r\nabc\r\n0\r\n\r\n", b""]


def test_a_share_of_the_requests_fails_and_never_reaches_the_server(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def go() -> bytes:
        async with front(tmp_path, seen) as (found, port):
            found.errors = 1.0
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PUT /b/a HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + bytes(70_000))
            answer = await reader.read()
            assert (found.requests, found.failed) == (1, 1)
            writer.close()
        return answer

    assert asyncio.run(go()) == slow_proxy.HEAD + slow_proxy.ANSWER
    assert seen == []


def test_a_server_that_is_gone_refuses_and_resets_and_comes_back_at_the_same_port(tmp_path: Path) -> None:
    async def go() -> None:
        async with front(tmp_path, []) as (found, port):
            found.port = port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await ask(reader, writer, b"GET /b/a HTTP/1.1\r\n\r\n")
            await found.gone()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await found.there()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await ask(reader, writer, b"GET /b/a HTTP/1.1\r\n\r\n") == b"HTTP/1.1 200 OK\r\n"
            writer.close()

    asyncio.run(go())


def test_what_is_held_waits_until_it_is_let_go_and_nothing_else_does(tmp_path: Path) -> None:
    async def go() -> None:
        async with front(tmp_path, []) as (found, port):
            connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            found.hold(["prefix=a"])
            listing = asyncio.create_task(ask(*connections[0], b"GET /b?list-type=2&prefix=a%2F HTTP/1.1\r\n\r\n"))
            await ask(*connections[1], b"GET /b/a HTTP/1.1\r\n\r\n")
            assert (found.held, dict(found.reads), listing.done()) == (1, {"/b/a": 1}, False)
            # Another word lets it go, and holds others.
            found.hold(["/b/a"])
            await listing
            reading = asyncio.create_task(ask(*connections[2], b"GET /b/a HTTP/1.1\r\n\r\n"))
            await asyncio.sleep(2 * DELAY)
            assert (found.held, reading.done()) == (1, False)
            found.hold([])
            await reading
            assert found.held == 0

    asyncio.run(asyncio.wait_for(go(), 20))
