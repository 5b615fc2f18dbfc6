"""Calls of the API outlast a server that restarts, and nothing else."""

from __future__ import annotations

import http.server
import importlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import kubernetes
import kubernetes.dynamic
import pytest
import urllib3
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, pods
from small_api import Api as Server
from small_api import Refused as Forbidden
from small_api import serve

from tests.unit.small_api import CUT_OFF

Refused = kubernetes.client.ApiException


class Api:
    """Stands for an API class; answers with errors, then with a word."""

    def __init__(self, *errors: Exception) -> None:
        self.api_client = kubernetes.client.ApiClient()
        self.api_client.kubeconfig = "/home/me/config"
        self.errors = list(errors)

    def read(self, name: str, _request_timeout: float) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return name


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the server says next of whether it is starting; that it is not, at the end."""
    says = list[bool]()
    monkeypatch.setattr(kube, "starting", lambda _api: bool(says) and says.pop(0))
    return says


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(kube.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(kube.time, "monotonic", lambda: clock[0])


def test_a_server_that_restarts_is_waited_for() -> None:
    nothing: Any = None
    slow, refused = urllib3.exceptions.ReadTimeoutError(nothing, "", "slow"), urllib3.exceptions.NewConnectionError(nothing, "refused")
    errors = [Refused(status=503), Refused(status=0), urllib3.exceptions.ProtocolError("reset"), slow, refused, Refused(status=429)]
    assert kube.retried(Api(*errors).read, "pod") == "pod"


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
def test_what_the_server_refuses_is_not_asked_again(status: int) -> None:
    api = Api(Refused(status=status))
    with pytest.raises(Refused):
        kube.retried(api.read, "pod")
    assert kube.retried(api.read, "pod") == "pod"


def test_a_server_that_forbids_before_it_has_read_its_rules_is_waited_for(ready: list[bool]) -> None:
    ready[:] = [True, True]
    assert kube.retried(Api(Refused(status=403), Refused(status=403)).read, "pod") == "pod"
    ready[:] = [True]
    with pytest.raises(Refused):
        kube.retried(Api(Refused(status=403), Refused(status=403)).read, "pod")


def test_what_stays_forbidden_is_not_told_as_a_server_that_is_away(ready: list[bool]) -> None:
    ready[:] = [True] * 99
    with pytest.raises(Refused):
        kube.retried(Api(*[Refused(status=403)] * 99).read, "pod", seconds=20)


def test_what_is_missing_may_have_a_value() -> None:
    assert kube.retried(Api(Refused(status=404)).read, "pod", missing=None) is None
    with pytest.raises(Refused):
        kube.retried(Api(Refused(status=403)).read, "pod", missing=None)


def test_a_server_that_stays_away_is_named() -> None:
    with pytest.raises(kube.ClusterAway, match="server that /home/me/config names does not answer; tried for 20 s: Service Unavailable"):
        kube.retried(Api(*[Refused(status=503, reason="Service Unavailable")] * 99).read, "pod", seconds=20)
    assert kube.time.monotonic() <= 20


def test_a_list_of_kubeconfigs_is_refused_with_the_remedy() -> None:
    with pytest.raises(kube.ClusterAway, match="The kubeconfig /a:/b is a list of files, and one is needed. Name it with alluxio_kubeconfig"):
        kube.client({"kubeconfig": "/a:/b", "context": ""})


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(kube.ClusterAway, match="There is no kubeconfig at /no/where"):
        kube.client({"kubeconfig": "/no/where", "context": ""})


@pytest.mark.parametrize("text", ["kept\n", '{"found": [1]}\n', "true", ""])
def test_a_log_is_the_text_that_was_printed_whenever_the_server_ends(text: str) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        ends = 1 if text else 0

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            # The first answer breaks off in the middle.
            self.wfile.write(text[: len(text) // 2 if Answer.ends else None].encode())
            Answer.ends -= 1

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
        configuration.retries = False
        core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
        assert kube.log(core, "pod", "alluxio", tail_lines=100) == text
        server.shutdown()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a: [b", "while parsing"), ("text\n", "it has not the form of one"), ("- a\n", "it has not the form of one"), (CUT_OFF, "Invalid base64")],
)
def test_a_kubeconfig_that_is_none_is_named_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "config").write_text(text, encoding="utf-8")
    with pytest.raises(kube.ClusterAway, match=f"config cannot be used: {reason}"):
        kube.client({"kubeconfig": str(tmp_path / "config"), "context": ""})


@pytest.mark.timeout(30)
def test_a_server_that_takes_a_connection_and_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0), backlog=99) as silent:
        entry = {"cluster": "c", "user": "u"}
        (tmp_path / "config").write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": entry}], "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}],
        }), encoding="utf-8")  # fmt: skip
        api = kube.client({"kubeconfig": str(tmp_path / "config"), "context": ""})
        core = kubernetes.client.CoreV1Api(api)
        # What asks without a limit of its own: a plain call, and the dynamic client, which learns of the kinds first.
        for ask in (core.list_node, lambda: kubernetes.dynamic.DynamicClient(api)):
            with pytest.raises(urllib3.exceptions.HTTPError):
                ask()
        with pytest.raises(kube.ClusterAway, match="does not answer"):
            pods.execute(core, {"namespace": "alluxio", "name": "alluxio-master-0", "container": "alluxio-master"}, "true")


@pytest.mark.parametrize(("name", "given"), [
    ("pods_gone", {}),
    ("volumes_absent", {}),
    ("volumes_bound", {"volumes": []}),
    ("volumes_present", {"release": ..., "volumes": [], "storage_class": "standard"}),
    ("release_info", {}),
    ("release_ready", {"revision": 1}),
    ("cluster_info", {"release": ..., "namespace": ...}),
    ("deployment_ready", {"release": ..., "name": "alnair-operator"}),
])  # fmt: skip
def test_who_may_not_ask_is_told_so_in_a_sentence(
    name: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api, no = Server(), 'User "me" cannot do that'
    module = importlib.import_module(f"ansible_collections.alnair.alluxio.plugins.modules.{name}")
    workload = {"metadata": {"name": "alluxio-master", "generation": 1}, "spec": {"replicas": 0, "selector": {}, "template": {}, "serviceName": ""},
                "status": {"observedGeneration": 1, "replicas": 0}}  # fmt: skip

    def answer(method: str, path: str, *_words: Any) -> Any:
        # Here the release is Ready, and only to remember that is forbidden.
        if method == "GET" and "revision" in given:
            return {"items": [workload] if path.endswith("statefulsets") else []}
        raise Forbidden(403, no)

    monkeypatch.setattr(api, "answer", answer)
    if "revision" in given:
        monkeypatch.setattr(module.workers, "amiss", lambda *_words, **_options: None)
    server = serve(api, tmp_path / "kubeconfig")
    arguments = {"release": "alluxio", "namespace": "alluxio", "kubeconfig": str(tmp_path / "kubeconfig"), **given}
    with patch_module_args({key: value for key, value in arguments.items() if value is not ...}), pytest.raises(SystemExit):
        module.main()
    server.shutdown()
    told = json.loads(capsys.readouterr().out)
    assert told == {**told, "failed": True, "msg": f"The Kubernetes API refused: {no}"}


@pytest.mark.parametrize(("reason", "status"), [("Handshake status 403 Forbidden -+-+- {'audit-id': 'x'}", 403), ("[Errno 111] Connection refused", 0)])
def test_a_handshake_that_is_refused_is_told_by_its_status(reason: str, status: int) -> None:
    """The client calls each of them a connection that did not come about, which would be tried again for a minute and a half."""
    error = pods.refused(kubernetes.client.ApiException(status=0, reason=reason))
    assert (error.status, str(error.reason)) == (status, reason.partition(" -+-+-")[0])


def test_a_command_that_the_kubelet_could_not_start_is_told_in_its_words() -> None:
    class Closed:
        @property
        def returncode(self) -> int:
            return int('unable to upgrade connection: container not found ("alluxio-master")')

    with pytest.raises(pods.PodError, match=r"pod m-0: 'unable to upgrade connection: container not found \(\"alluxio-master\"\)'"):
        pods.ended(Closed(), {"name": "m-0"})
