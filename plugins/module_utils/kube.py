"""The Kubernetes API for modules: a client from a module's parameters, and calls that outlast a moment without an API server."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

try:
    import kubernetes
    import urllib3
    import yaml
except ImportError:
    kubernetes = None

# For argument_spec: where the API is.
ARGUMENTS = {"kubeconfig": {"type": "path", "required": True}, "context": {"type": "str", "default": ""}}
# An answer takes milliseconds; a server that was cut off in the middle of one never gives it.
ANSWER_SECONDS = 15.0
# An API server that is restarted first takes no more connections, but waits for those of clients that watch by HTTP/1.1: a minute at most.
AWAY_SECONDS = 90.0
# So many of a list are read at a time.
PAGE = 500
# The pods that have not ended, which hold what they ask for.
LIVE = "status.phase!=Succeeded,status.phase!=Failed"


class ClusterAway(Exception):
    """The API server did not answer for as long as a call may wait; the message says where and how."""


def client(params: dict[str, Any]) -> Any:
    """Return an ApiClient.

    Args:
        params: Parameters of a module with :data:`ARGUMENTS`.

    Raises:
        ClusterAway: the kubeconfig cannot be read, has no such context, or is a list of several.
    """
    path = params["kubeconfig"]
    if os.pathsep in path:
        # kubectl and helm take the current context of the first file, the Python client that of the last one.
        raise ClusterAway(
            f"The kubeconfig {path} is a list of files, and one is needed. Name it with alluxio_kubeconfig in the inventory, or KUBECONFIG in the environment; "
            "kubectl config view --minify --flatten > FILE makes one of the current context."
        )
    if not os.path.exists(path):
        raise ClusterAway(
            f"There is no kubeconfig at {os.path.abspath(path)}. Set alluxio_kubeconfig in the inventory, or KUBECONFIG in the environment, to the file that "
            "kubectl uses for this cluster, by its whole path or by one that begins with {{ inventory_dir }}."
        )
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_kube_config(path, context=params["context"] or None, client_configuration=configuration)
    except (kubernetes.config.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # The client takes for granted that YAML has the form of a kubeconfig.
        text = "it has not the form of one" if isinstance(error, (TypeError, AttributeError, LookupError)) else error
        raise ClusterAway(f"The kubeconfig {path} cannot be used: {text}. Name another with alluxio_kubeconfig or alluxio_kube_context.") from error
    # Whether to try again is the matter of retried() alone.
    configuration.retries = False
    api = kubernetes.client.ApiClient(configuration)
    api.kubeconfig = path
    api.rest_client.request = bounded(api.rest_client.request)
    return api


def bounded(request: Callable[..., Any]) -> Callable[..., Any]:
    """Return a client's way to ask that gives every answer a limit, that of calls which name none too, as those by which it learns of kinds."""

    def asked(*args: Any, _request_timeout: Any = None, **options: Any) -> Any:
        try:
            return request(*args, _request_timeout=_request_timeout or ANSWER_SECONDS, **options)
        except kubernetes.client.ApiException as error:
            # The client decodes it without a look, and there is none where TLS was cut off.
            error.body = error.body or b""
            raise

    return asked


def reason(error: Exception) -> str:
    """Return the sentence of an answer that is an error."""
    try:
        return str(json.loads(getattr(error, "body", None) or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"{getattr(error, 'status', '')} {getattr(error, 'reason', None) or error}".strip()


@contextlib.contextmanager
def explained(module: Any, *others: type[Exception]) -> Iterator[None]:
    """Let a module end with a sentence, and no traceback, where the API refuses or does not answer.

    Args:
        module: The module.
        others: Errors of its own work, whose message is a sentence.
    """
    sentences: tuple[type[Exception], ...] = (ClusterAway, *others)
    try:
        yield
    except kubernetes.client.ApiException as error:
        module.fail_json(msg=f"The Kubernetes API refused: {reason(error)}")
    except sentences as error:
        module.fail_json(msg=str(error))


def passing(error: Exception) -> bool:
    """Tell whether an error is one of a server that restarts, which the next try may not meet."""
    if isinstance(error, kubernetes.client.ApiException):
        return error.status in (0, 429) or error.status >= 500
    return isinstance(error, urllib3.exceptions.HTTPError)


def starting(api: Any) -> bool:
    """Tell whether a server that forbids has not read its rules yet, as for a moment after its start: whether it is ready everybody may ask by default."""
    try:
        api.call_api("/readyz", "GET", auth_settings=["BearerToken"], _preload_content=False, _request_timeout=ANSWER_SECONDS)
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
        return True
    return False


def patient(work: Callable[[], Any], api: Any, seconds: float = AWAY_SECONDS) -> Any:
    """Do work that may be begun again, again while the server is away: refused, reset, 5xx or too many requests.

    Args:
        work: What asks the API.
        api: The ApiClient that it asks by.
        seconds: How long to try.

    Raises:
        kubernetes.client.ApiException: the server answered with an error that the next try would meet too.
        ClusterAway: the server did not answer in time.
    """
    deadline, pause = time.monotonic() + seconds, 0.5
    while True:
        try:
            return work()
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
            late, forbidden = time.monotonic() + pause > deadline, getattr(error, "status", 0) == 403
            # Where not even that may be asked, it is forbidden for good.
            if not passing(error) and (late or not (forbidden and starting(api))):
                raise
            if late:
                path, why = api.kubeconfig, " ".join(str(getattr(error, "reason", None) or error).split())
                raise ClusterAway(
                    f"The Kubernetes API server that {path} names does not answer; tried for {seconds:.0f} s: {why}. Try: kubectl --kubeconfig {path} get nodes"
                ) from error
        time.sleep(pause)
        pause = min(pause * 2, 5)


def retried(call: Callable[..., Any], *args: Any, seconds: float = AWAY_SECONDS, missing: Any = ..., **options: Any) -> Any:
    """Call the API as :func:`patient` does.

    Args:
        call: A method of one of the client's API classes.
        args: Its arguments.
        seconds: How long to try.
        missing: What to return where the object does not exist; without it that is an error.
        options: Its keyword arguments.

    Raises:
        kubernetes.client.ApiException: the server answered with an error that the next try would meet too.
        ClusterAway: the server did not answer in time.
    """

    def once() -> Any:
        answer = call(*args, _request_timeout=ANSWER_SECONDS, **options)
        if not options.get("_preload_content", True):
            # Read and kept by the answer: a server may end in the middle of one.
            len(answer.data)
        return answer

    try:
        return patient(once, call.__self__.api_client, seconds)  # type: ignore[attr-defined]
    except kubernetes.client.ApiException as error:
        if missing is not ... and error.status == 404:
            return missing
        raise


def listed(call: Callable[..., Any], seconds: float = AWAY_SECONDS, **options: Any) -> Iterator[dict[str, Any]]:
    """Yield what the API lists, as its JSON has it: objects of the client's own would take a large cluster's list many times longer.

    Args:
        call: A method that lists, of one of the client's API classes.
        seconds: How long to try each page.
        options: Its keyword arguments.

    Raises:
        kubernetes.client.ApiException: as of :func:`retried`.
        ClusterAway: as of :func:`retried`.
    """
    more: dict[str, str] = {}
    while True:
        page = json.loads(retried(call, seconds=seconds, limit=PAGE, _preload_content=False, **more, **options).data)
        yield from page["items"]
        if not page["metadata"].get("continue"):
            return
        more = {"_continue": page["metadata"]["continue"]}


def log(core: Any, pod: str, namespace: str, missing: Any = ..., **options: Any) -> str:
    """Return what a container has printed.

    Args:
        core: A CoreV1Api.
        pod: The pod's name.
        namespace: Its namespace.
        missing: What to return where there is no such pod; without it that is an error.
        options: Keyword arguments of read_namespaced_pod_log.

    Raises:
        kubernetes.client.ApiException: the server answered with an error that the next try would meet too.
        ClusterAway: the server did not answer in time.
    """
    # As bytes: the client makes an object of a log that is one JSON document, and release 36 the text "b'...'" of any.
    answer = retried(core.read_namespaced_pod_log, pod, namespace, missing=missing, _preload_content=False, **options)
    return missing if answer is missing else str(answer.data.decode(errors="replace"))
