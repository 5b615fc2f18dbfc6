"""A registry of charts and images, for the time of a test."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml
from caching import until


def listens(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[int]:
    """Run a registry that keeps all in a folder, for the time of a ``with``; yield its port on 127.0.0.1."""
    program = shutil.which("docker-registry")
    assert program, "lab/build.py installs Debian's docker-registry"
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "data")}}, "http": {"addr": f"127.0.0.1:{port}"}}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with (folder / "log").open("w") as log, subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log) as process:
        try:
            until("the registry listens", lambda: listens(port), 20, 0.2)
            yield port
        finally:
            process.terminate()
