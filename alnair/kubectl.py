"""What kubectl does better than the API's client: a shell with a terminal, and ports that are forwarded."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from alnair import cluster
from alnair.errors import ClusterError

FORWARDING = re.compile(r"^Forwarding from (\S+):(\d+) -> ")


def words(knobs: dict[str, Any]) -> list[str]:
    """Return kubectl's command line as far as it names the cluster and the namespace.

    Raises:
        ClusterError: kubectl is not on the path, or there is no kubeconfig.
    """
    program = shutil.which("kubectl")
    if not program:
        raise ClusterError("kubectl is not on the path, and this verb needs it. Install it (https://kubernetes.io/docs/tasks/tools/), then try again.")
    context = ["--context", knobs["alluxio_kube_context"]] if knobs["alluxio_kube_context"] else []
    return [program, "--kubeconfig", cluster.kubeconfig(knobs), *context, "--namespace", knobs["alluxio_namespace"]]


@contextlib.contextmanager
def forwarded(command: list[str], pod: str, port: int, *, address: str, local: int) -> Iterator[tuple[str, int, subprocess.Popen[str]]]:
    """Forward a port of a pod, and give address, port and process; the process is ended in the end.

    Args:
        command: What :func:`words` returned.
        pod: Name of the pod.
        port: Port of the pod.
        address: Address of this machine that is listened on.
        local: Port of this machine; 0 for a free one.

    Raises:
        ClusterError: it could not be forwarded.
    """
    line = [*command, "port-forward", "--address", address, f"pod/{pod}", f"{local or ''}:{port}"]
    # In a session of its own, so that ^C is heard here alone.
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            text = []
            for said in process.stdout:
                if found := FORWARDING.match(said):
                    break
                text.append(said.strip())
            else:
                raise ClusterError(f"Port {port} of pod {pod} could not be forwarded to {address}:{local or 'a free port'}: {' '.join(text)[-500:]}")
            # It tells of every connection; what nobody reads would stop it.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield found[1], int(found[2]), process
        finally:
            process.terminate()
