"""The Kubernetes API as the inventory names it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from alnair.errors import ClusterError

# For calls whose answer takes milliseconds, in seconds.
LIMITS: dict[str, Any] = {"_request_timeout": 10}


def kubeconfig(knobs: dict[str, Any]) -> str:
    """Return the path of the kubeconfig.

    Args:
        knobs: As :func:`alnair.inventory.variables` returns them.

    Raises:
        ClusterError: there is none.
    """
    path = os.path.expanduser(knobs["alluxio_kubeconfig"] or os.environ.get("KUBECONFIG", "") or "~/.kube/config")
    if not os.path.exists(path):
        raise ClusterError(f"There is no kubeconfig at {path}. Set alluxio_kubeconfig in the inventory, or KUBECONFIG in the environment.")
    return path


@contextlib.contextmanager
def asked(knobs: dict[str, Any]) -> Iterator[Any]:
    """Give an ApiClient; what goes wrong while it is used becomes a sentence.

    Args:
        knobs: As :func:`alnair.inventory.variables` returns them.

    Raises:
        ClusterError: there is no kubeconfig, or the API server does not answer or refuses.
    """
    import kubernetes
    import urllib3

    path = kubeconfig(knobs)
    try:
        yield kubernetes.config.new_client_from_config(path, context=knobs["alluxio_kube_context"] or None)
    except kubernetes.client.ApiException as error:
        raise ClusterError(f"The Kubernetes API server that {path} names refused: {error.status} {error.reason}") from error
    except kubernetes.config.ConfigException as error:
        raise ClusterError(f"The kubeconfig {path} cannot be used: {error}. Name another with alluxio_kubeconfig or alluxio_kube_context.") from error
    except urllib3.exceptions.HTTPError as error:
        raise ClusterError(f"The Kubernetes API server that {path} names does not answer: {str(error)[:300]}") from error
