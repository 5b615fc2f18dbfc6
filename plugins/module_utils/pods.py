"""Commands and files in pods through the API server."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import kube

try:
    import kubernetes
    import websocket
    from kubernetes.stream import stream, ws_client

    # ValueError: of a selector whose socket is gone.
    BROKEN: tuple[type[Exception], ...] = (OSError, ValueError, websocket.WebSocketException)

    class Bounded(websocket.WebSocket):
        """A connection that is given up where the server takes it and never answers; the client knows no limit for that."""

        def connect(self, url: str, **options: Any) -> None:
            """Connect."""
            super().connect(url, **{"timeout": kube.ANSWER_SECONDS, **options})  # type: ignore[no-untyped-call]

    ws_client.WebSocket = Bounded
except ImportError:
    stream = None

CHUNK = 2**16


class PodError(Exception):
    """A command in a pod failed, or did not end in time."""


class CutOff(PodError):
    """The connection to a pod broke before the command had ended, as when the API server restarts."""


def uncut(work: Callable[[], Any]) -> Any:
    """Do work in pods that may be begun again, again when it is cut off.

    Raises:
        PodError: it failed, or was cut off three times.
    """
    for last in (False, False, True):
        try:
            return work()
        except CutOff:
            if last:
                raise
    return None


def refused(error: BaseException) -> BaseException:
    """Return the client's error with the status that the server answered to a handshake, which the client has in its text alone."""
    found = re.match(r"Handshake status (\d+)", str(getattr(error, "reason", "")))
    if found:
        error.status, error.reason = int(found[1]), str(error.reason).partition(" -+-+-")[0]  # type: ignore[attr-defined]
    return error


def opened(core: Any, pod: dict[str, Any], command: list[str], timeout: float, *, stdin: bool = False, away: float = kube.AWAY_SECONDS) -> Any:
    """Start a command in a container and return its connection, which carries bytes.

    Args:
        core: The API's client for core objects.
        pod: namespace, name and container.
        command: The program and its arguments.
        timeout: Seconds that it may take, and so also a single read or write of the connection.
        stdin: Whether the command is written to.
        away: Seconds to try to start it while the API server is away.
    """

    def connect() -> Any:
        try:
            return stream(core.connect_get_namespaced_pod_exec, pod["name"], pod["namespace"], container=pod["container"], command=command,
                          stdin=stdin, stdout=True, stderr=True, tty=False, _preload_content=False, binary=True)  # fmt: skip
        except kubernetes.client.ApiException as error:
            raise refused(error) from None
        except AttributeError as error:
            # The client decodes the body of its own error, which has none where there is no connection.
            raise refused(error.__context__ or error) from None

    connection = kube.patient(connect, core.api_client, away)
    connection.sock.settimeout(timeout)
    return connection


def ended(connection: Any, pod: dict[str, Any]) -> int:
    """Return the exit code of a command whose connection is closed.

    Raises:
        CutOff: the API server has not told it.
        PodError: the kubelet could not start it, as in a container that is not there.
    """
    try:
        return int(connection.returncode or 0)
    except ValueError as error:
        # The client takes what the kubelet says in place of a code for one.
        raise PodError(f"pod {pod['name']}: {str(error).partition(': ')[2]}") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise CutOff(f"pod {pod['name']}: the connection broke before the command had ended; run this again") from error


def execute(core: Any, pod: dict[str, Any], line: str, *arguments: str, timeout: float = 120, sink: Any = None, away: float = kube.AWAY_SECONDS) -> str:
    """Run a line of bash in a container.

    Args:
        core: The API's client for core objects.
        pod: namespace, name and container.
        line: What bash runs; the arguments are its $1, $2 and so on.
        arguments: Words that need no quoting.
        timeout: Seconds that it may take.
        sink: A writer of bytes that standard output goes to instead of being returned.
        away: Seconds to try to start it while the API server is away.

    Returns:
        What it wrote to standard output.

    Raises:
        PodError: it failed or did not end in time; the message holds what it wrote to standard error.
    """
    connection = opened(core, pod, ["bash", "-c", line, "bash", *arguments], timeout, away=away)
    deadline, out, err = time.monotonic() + timeout, bytearray(), bytearray()
    write = sink.write if sink else out.extend
    while connection.is_open():
        try:
            connection.update(timeout=1)
            if connection.peek_stdout():
                write(connection.read_stdout())
            if connection.peek_stderr():
                err.extend(connection.read_stderr())
        except BROKEN as error:
            raise CutOff(f"pod {pod['name']}: the connection broke ({error}); run this again") from error
        if time.monotonic() > deadline:
            connection.close()
            raise PodError(f"pod {pod['name']}: not done after {timeout:.0f} s: {line[:200]}")
    write(connection.read_stdout(timeout=0) or b"")
    err.extend(connection.read_stderr(timeout=0) or b"")
    if code := ended(connection, pod):
        said = (err or out).decode(errors="replace").strip()
        raise PodError(f"pod {pod['name']}: {said[-1500:] or f'exit code {code}'}")
    return out.decode(errors="replace")


def fetch(core: Any, pod: dict[str, Any], path: str, target: Path, timeout: float) -> str:
    """Copy a file of a container to a new file that only this user can read.

    Returns:
        The file's SHA-256, which was the same on both sides.

    Raises:
        PodError: the copy failed or is not the same.
    """
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        execute(core, pod, 'cat "$1"', path, timeout=timeout, sink=file)
    there = execute(core, pod, 'sha256sum < "$1"', path, timeout=timeout).split()[0]
    if there != digest(target):
        target.unlink()
        raise PodError(f"pod {pod['name']}: the copy of {path} differs from the file; run this again")
    return there


def push(core: Any, pod: dict[str, Any], source: Path, path: str, timeout: float) -> None:
    """Copy a file into a container, under a name that appears only when it is whole.

    Raises:
        PodError: the copy failed or is not the same.
    """
    # The connection cannot tell the end of what is written to it, so the reader is told how much comes.
    line = 'umask 077; mkdir -p "$(dirname "$1")" && head -c "$2" > "$1.part" && sha256sum < "$1.part" && mv "$1.part" "$1"'
    connection = opened(core, pod, ["bash", "-c", line, "bash", path, str(source.stat().st_size)], timeout, stdin=True)
    deadline = time.monotonic() + timeout
    try:
        with open(source, "rb") as file:
            while block := file.read(CHUNK):
                connection.write_stdin(block)
                if time.monotonic() > deadline:
                    connection.close()
                    raise PodError(f"pod {pod['name']}: {source} was not copied in {timeout:.0f} s")
        while connection.is_open() and time.monotonic() < deadline:
            connection.update(timeout=1)
    except BROKEN as error:
        raise CutOff(f"pod {pod['name']}: the connection broke ({error}); run this again") from error
    if not connection.is_open():
        ended(connection, pod)
    out, err = (connection.read_stdout(timeout=0) or b"").decode(), (connection.read_stderr(timeout=0) or b"").decode()
    if out.split()[:1] != [digest(source)]:
        raise PodError(f"pod {pod['name']}: {source} could not be copied to {path}: {err.strip() or 'the copy differs'}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
