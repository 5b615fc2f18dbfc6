"""The JVM inside this process, with Alluxio's own Java client."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from typing import Any

HOME = "/opt/alluxio"
# The client's jars: beside each other in lib/, or as one assembly, which then must come alone.
JARS = ("client/alluxio-*-client.jar", "lib/*.jar", "assembly/alluxio-client-*.jar", "assembly/alluxio-server-*.jar")
# Bindings of the logging facade beside Alluxio's own; one is enough, and two are complained of.
OTHER_LOGS = ("log4j-slf4j-impl", "slf4j-log4j12")
OPENED = ("java.lang", "java.util", "java.nio", "sun.nio.ch")
LOGGING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "log4j.properties")
HEAP = os.environ.get("ALNAIR_JVM_HEAP", "384m")
# How long a call is tried; the client takes it from the properties of the JVM alone.
RETRY = "20s"


class AlluxioError(Exception):
    """Alluxio refused; the sentence is its own."""


class AlluxioAway(AlluxioError):
    """Alluxio does not answer, or is not so far yet; it is worth another try."""


def jars(home: str = HOME) -> list[str]:
    """Return the jars of Alluxio's client.

    Raises:
        AlluxioError: there are none.
    """
    found = [path for pattern in JARS for path in sorted(glob.glob(os.path.join(home, pattern))) if not os.path.basename(path).startswith(OTHER_LOGS)]
    if not found:
        raise AlluxioError(f"There are no jars of Alluxio below {home}: build the operator's image from an image of Alluxio (build argument ALLUXIO_IMAGE)")
    return found


def start_jvm(home: str = HOME, heap: str = HEAP) -> None:
    """Start the JVM of this process, once."""
    import jpype

    if jpype.isJVMStarted():
        return
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    options = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-Xrs", f"-Dlog4j.configuration=file:{LOGGING}", f"-Dalluxio.home={home}", f"-Dalluxio.conf.dir={home}/conf",
               "-Dalluxio.logs.dir=/tmp", "-Dalluxio.metrics.conf.file=/nonexistent", f"-Dalluxio.user.rpc.retry.max.duration={RETRY}"]  # fmt: skip
    jpype.startJVM(*opened, *options, classpath=jars(home), convertStrings=True)


def sentence(error: BaseException) -> str:
    """Return what a Java exception says, in one line."""
    return line_of(str(getattr(error, "getMessage", lambda: None)() or error), type(error).__name__)


def line_of(text: str, name: str = "failed") -> str:
    """Return the line of a Java exception's text that says why, and none that holds the options of a mount, credentials among them.

    Args:
        text: What the exception says.
        name: What to say where it says nothing.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return name
    # A mount that failed tells its whole command first, and why at the end.
    return lines[-1 if "MountContext{" in text else 0][:500]


@contextlib.contextmanager
def java_errors(what: str) -> Iterator[None]:
    """Turn exceptions of Java into those of this module.

    Args:
        what: What was tried, as the start of a sentence.

    Raises:
        AlluxioAway: nobody answered.
        AlluxioError: Alluxio refused.
    """
    import jpype

    try:
        yield
    except jpype.JException as error:
        names: list[str] = []
        cause: Any = error
        while cause is not None and len(names) < 10:
            names.append(str(cause.getClass().getName()))
            cause = cause.getCause()
        away = any(
            name.rsplit(".", 1)[-1] in ("UnavailableException", "DeadlineExceededException", "ConnectException", "UnknownHostException") for name in names
        )
        raise (AlluxioAway if away else AlluxioError)(f"{what}: {sentence(error)}") from None
