"""Ssh's ProxyCommand to a host that is slow: each piece of data takes 200 ms, both ways."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable

DELAY = 0.2


def pump(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    """Hand on what comes, late."""
    while data := read():
        time.sleep(DELAY)
        write(data)


with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as host:
    threading.Thread(target=pump, args=(lambda: os.read(0, 65536), host.sendall), daemon=True).start()
    pump(lambda: host.recv(65536), lambda data: os.write(1, data))
