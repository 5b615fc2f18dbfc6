"""A TCP proxy that is slow, and that answers with errors or not at all while it is told to.

``slow_proxy.py HOST PORT`` is ssh's ProxyCommand to a host that is slow: each piece of data takes 200 ms, both ways. A :class:`Front` stands before an HTTP
server.
"""

from __future__ import annotations

import asyncio
import collections
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

DELAY = 0.2
PIECE = 65536
# So much may be on its way in one direction.
PIECES = 128
ANSWER = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
HEAD = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(ANSWER)


class Over(Exception):
    """A direction has come to its end."""


class Late:
    """Hands on what comes, in order, each piece late by as many seconds; what comes meanwhile does not wait for it.

    Args:
        write: Who gets it.
        delay: The seconds.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[object]], delay: float) -> None:
        self.write, self.delay = write, delay
        self.queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)

    async def put(self, data: bytes) -> None:
        """Take a piece; an empty one is the end."""
        await self.queue.put((asyncio.get_running_loop().time() + self.delay, data))

    async def take(self, reader: asyncio.StreamReader) -> None:
        """Take all that comes from a reader, and its end."""
        while data := await reader.read(PIECE):
            await self.put(data)
        await self.put(b"")

    async def run(self) -> None:
        """Hand on until the end."""
        while True:
            due, data = await self.queue.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            if not data:
                return
            await self.write(data)


def written(writer: asyncio.StreamWriter) -> Callable[[bytes], Awaitable[object]]:
    """Return what writes to a connection and waits while that is full."""

    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return write


async def body(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """Yield the pieces of the body that belongs to a request's head."""
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line + await reader.readexactly(size + 2)
            if not size:
                return
    left = int(fields.get(b"content-length", b"0"))
    while left:
        data = await reader.read(min(left, PIECE))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        yield data


class Front:
    """Stands before an HTTP server at a Unix socket.

    Args:
        server: Path of the socket.
        port: Port to listen at.
        delay: Seconds that a question and its answer take together on their way.

    Attributes:
        errors: Share of the requests that are answered with 503.
        of: What a path of those has at its end, whichever of them; none for all paths.
        held: Number of requests that are held now, and neither handed on nor answered; see :meth:`hold`.
        requests: Number of requests since the last :meth:`forget`.
        failed: Number of those that were answered with 503.
        reads: How often each path was asked for with GET and handed on.
    """

    def __init__(self, server: str, port: int, delay: float) -> None:
        self.server, self.port, self.delay = server, port, delay
        self.errors = 0.0
        self.of: list[str] = []
        self.words: list[str] = []
        self.held, self.other = 0, asyncio.Event()
        self.listener: asyncio.Server | None = None
        self.open: set[asyncio.StreamWriter] = set()
        self.forget()

    def forget(self) -> None:
        """Count from zero."""
        self.requests = self.failed = 0
        self.reads: collections.Counter[str] = collections.Counter()

    def hold(self, words: list[str]) -> None:
        """Hold the requests whose path, what follows its question mark included, has one of the words in it; those that have none of them go on."""
        self.words = words
        self.other.set()
        self.other = asyncio.Event()

    async def there(self) -> None:
        """Listen."""
        if not self.listener:
            self.listener = await asyncio.start_server(self.connection, "0.0.0.0", self.port, backlog=1024)

    async def gone(self) -> None:
        """Refuse connections, and reset those that are open."""
        if self.listener:
            self.listener.close()
            self.listener = None
        for writer in self.open:
            writer.transport.abort()

    async def questions(self, reader: asyncio.StreamReader, up: Late, down: Late) -> None:
        """Hand the requests of a connection on, but for those that fail."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                await up.put(b"")
                return
            self.requests += 1
            method, path = head.split(b" ", 2)[:2]
            if random.random() < self.errors and (not self.of or path.decode().partition("?")[0].endswith(tuple(self.of))):
                self.failed += 1
                if b"\r\nexpect:" not in head.lower():
                    async for _piece in body(reader, head):
                        pass
                await down.put(HEAD + (b"" if head.startswith(b"HEAD ") else ANSWER))
                await down.put(b"")
                return
            while any(word in path.decode() for word in self.words):
                self.held += 1
                try:
                    await self.other.wait()
                finally:
                    self.held -= 1
            if method == b"GET":
                self.reads[path.decode()] += 1
            await up.put(head)
            async for piece in body(reader, head):
                await up.put(piece)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.open.add(writer)
        ours = None
        try:
            answers, ours = await asyncio.open_unix_connection(self.server)
            up, down = Late(written(ours), self.delay / 2), Late(written(writer), self.delay / 2)

            async def asked() -> None:
                await up.run()
                ours.write_eof()

            async def answered() -> None:
                await down.run()
                raise Over

            async with asyncio.TaskGroup() as tasks:
                for work in (asked(), answered(), down.take(answers), self.questions(reader, up, down)):
                    tasks.create_task(work)
        except* (Over, OSError, EOFError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self.open.discard(writer)
            for side in (writer, ours):
                if side:
                    side.close()


async def command(host: str, port: int) -> None:
    """Connect standard input and output with a host."""
    reader, writer = await asyncio.open_connection(host, port)
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)

    async def out(data: bytes) -> None:
        while data:
            data = data[os.write(1, data) :]

    up, down = Late(written(writer), DELAY), Late(out, DELAY)
    others = [asyncio.create_task(work) for work in (up.take(stdin), up.run(), down.take(reader))]
    await down.run()
    for task in others:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(command(sys.argv[1], int(sys.argv[2])))
