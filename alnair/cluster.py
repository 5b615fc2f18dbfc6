"""The Kubernetes API as the inventory names it."""

from __future__ import annotations

import contextlib
import json
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
        ClusterError: there is none, or it is a list of several.
    """
    path = os.path.expanduser(knobs["alluxio_kubeconfig"] or os.environ.get("KUBECONFIG", "") or "~/.kube/config")
    if os.pathsep in path:
        # kubectl and helm take the current context of the first file, the Python client that of the last one.
        raise ClusterError(
            f"The kubeconfig {path} is a list of files, and one is needed. Name it with alluxio_kubeconfig in the inventory (init: --kubeconfig), or "
            "KUBECONFIG in the environment; kubectl config view --minify --flatten > FILE makes one of the current context."
        )
    if not os.path.exists(path):
        # Whole, for what an inventory says may be meant from another folder than the one where it is looked for.
        path = os.path.abspath(path)
        raise ClusterError(f"There is no kubeconfig at {path}. Set alluxio_kubeconfig in the inventory (init: --kubeconfig), or KUBECONFIG in the environment.")
    return path


@contextlib.contextmanager
def asked(knobs: dict[str, Any]) -> Iterator[Any]:
    """Give an ApiClient; what goes wrong while it is used becomes a sentence.

    Args:
        knobs: As :func:`alnair.inventory.variables` returns them.

    Raises:
        ClusterError: there is no kubeconfig, or the API server does not answer, refuses or is none.
    """
    import kubernetes
    import urllib3
    import yaml

    path = kubeconfig(knobs)
    try:
        client = kubernetes.config.new_client_from_config(path, context=knobs["alluxio_kube_context"] or None)
    except (kubernetes.config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        # The client takes for granted that YAML has the form of a kubeconfig.
        formless = isinstance(error, TypeError | AttributeError | LookupError)
        text = "it has not the form of one" if formless else " ".join(str(error).split()).rstrip(".")
        raise ClusterError(
            f"The kubeconfig {path} cannot be used: {text}. Name another with alluxio_kubeconfig or alluxio_kube_context (init: --kubeconfig, --context)."
        ) from error
    try:
        yield client
    except kubernetes.client.ApiException as error:
        raise ClusterError(f"The Kubernetes API server that {path} names refused: {error.status} {reason(error)}") from error
    except ValueError as error:
        # The client lists what it misses in an answer, line by line.
        text = ": ".join(str(error).splitlines()[:2])
        raise ClusterError(f"What {path} names as the Kubernetes API server answers otherwise than one: {text}. Is something else in front of it?") from error
    except urllib3.exceptions.HTTPError as error:
        # That it was tried again and again stands around the reason.
        text = str(getattr(error, "reason", None) or error)[:300].rstrip(".")
        raise ClusterError(f"The Kubernetes API server that {path} names does not answer: {text}. Try: kubectl --kubeconfig {path} get nodes") from error


def reason(error: Any) -> str:
    """Return what the API says in an error."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
