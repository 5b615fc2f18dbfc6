"""An S3 server in namespaces of its own, with a slow front: what :mod:`s3` starts.

Takes orders as lines of JSON from standard input, answers each with a line, and ends with its input. All processes and the server's storage, a file system in
memory, end with it, whoever ends it and how.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import slow_proxy


async def obey(front: slow_proxy.Front, order: dict[str, Any]) -> dict[str, Any]:
    """Do what an order says and return the answer."""
    if "errors" in order:
        front.errors, front.of = float(order["errors"]), list(order.get("of", []))
    if "hold" in order:
        front.hold(list(order["hold"]))
    if "delay" in order:
        front.delay = float(order["delay"])
    if "gone" in order:
        await (front.gone() if order["gone"] else front.there())
    answer = {"requests": front.requests, "failed": front.failed, "held": front.held, "reads": dict(front.reads) if order.get("reads") else {}}
    if order.get("forget"):
        front.forget()
    return answer


async def serve(front: slow_proxy.Front) -> None:
    """Listen, and take orders until there are no more."""
    await front.there()
    orders = asyncio.StreamReader(2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while line := await orders.readline():
        print(json.dumps(await obey(front, json.loads(line))), flush=True)


def main(program: str, socket: str, port: str, delay: str, size: str) -> None:
    """Start the server and stand before it.

    Args:
        program: The S3 server.
        socket: Path of the socket that it listens at.
        port: Port of the front.
        delay: Seconds that a question and its answer take together on their way.
        size: Most that the storage can hold.
    """
    folder = Path("/mnt")
    # A mount namespace of its own: nobody else sees this, and it goes with the last process.
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = subprocess.Popen([program, "--port", socket, "--keep-alive", "--quiet", "posix", str(folder)], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    deadline = time.monotonic() + 20
    while not Path(socket).exists():
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("The S3 server does not listen.")
        time.sleep(0.05)
    asyncio.run(serve(slow_proxy.Front(socket, int(port), float(delay))))


if __name__ == "__main__":
    main(*sys.argv[1:])
