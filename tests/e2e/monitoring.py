"""What dashboard and alert rules ask for, what the release's pods export, and a Prometheus that scrapes them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from caching import OPERATOR, until
from reading import HOME, MOUNT

CHART = HOME / "charts" / "alluxio"
RULES = CHART / "prometheus" / "alerts.yml"
RELEASES = "app=alluxio,role in (alluxio-master,alluxio-worker,alluxio-fuse)"


def panels() -> dict[str, str]:
    """Return the queries of the dashboard by panel and letter."""
    dashboard = json.loads((CHART / "dashboards" / "alluxio.json").read_text(encoding="utf-8"))
    return {f"{panel['title']} ({panel['id']}{target['refId']})": target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])}


def alerts(*, operator: bool = False) -> dict[str, str]:
    """Return the queries of the alert rules of releases by name, or of those of the operator of data sets."""
    group = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][operator]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def ports(core: Any, namespace: str, selector: str = RELEASES, name: str = "web") -> dict[str, tuple[Any, int]]:
    """Return the pods of a namespace by name, each with the port that Prometheus asks."""
    found = {}
    for pod in core.list_namespaced_pod(namespace, label_selector=selector).items:
        there = [port.container_port for item in pod.spec.containers for port in item.ports or [] if port.name == name]
        assert there, f"{pod.metadata.name} has no port of the name {name}: is metrics.enabled true?"
        found[pod.metadata.name] = pod, there[0]
    return found


def pages(core: Any, namespace: str) -> dict[str, str]:
    """Return what each pod exports, by its name."""
    found = {}
    for name, (_pod, port) in ports(core, namespace).items():
        # As text, not as what the client would make of it.
        answer = core.connect_get_namespaced_pod_proxy_with_path(f"{name}:{port}", namespace, "metrics/prometheus/", _preload_content=False)
        found[name] = answer.data.decode()
    return found


def read_through_fuse(core: Any, execute: Callable[..., str], namespace: str) -> None:
    """Write and read a file of a megabyte through every FUSE pod, and remove it."""
    # Alluxio's root belongs to the user of the pods.
    execute("alluxio-master-0", "alluxio fs test -d /metrics || alluxio fs mkdir /metrics; alluxio fs chmod 777 /metrics", "alluxio-master")
    for pod in core.list_namespaced_pod(namespace, label_selector="role=alluxio-fuse").items:
        file = f"{MOUNT}/metrics/{pod.metadata.name}"
        execute(pod.metadata.name, f"head -c 1000000 /dev/zero > {file}; ls {MOUNT}/metrics > /dev/null; cat {file} > /dev/null; rm {file}")


class Prometheus:
    """A Prometheus that runs.

    Args:
        address: Where it answers.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **words: str) -> Any:
        """Return what its API answers; raise with its own text where it refuses."""
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{words}: {error.read().decode()}") from error

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the samples of a query, with what Grafana would put in for its variables."""
        for name, value in (("$namespace", "alluxio"), ("$release", "alluxio"), ("$__rate_interval", "30s")):
            query = query.replace(name, value)
        found: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return found

    def up(self) -> int:
        """Return how many of what it scrapes answered."""
        return [target["health"] for target in self.get("targets")["activeTargets"]].count("up")


def configuration(core: Any, namespace: str) -> dict[str, Any]:
    """Return a configuration that scrapes the release, and the operator of data sets where there is one, as the chart's scrape.yml says.

    Debian's Prometheus is built without the discovery of pods, and runs outside the cluster: what that would find is given, and the way leads through the API
    server.
    """
    jobs = yaml.safe_load((CHART / "prometheus" / "scrape.yml").read_text(encoding="utf-8"))["scrape_configs"]
    access = core.api_client.configuration
    for job, selector, name in zip(jobs, (RELEASES, OPERATOR), ("web", "metrics"), strict=True):
        del job["kubernetes_sd_configs"]
        job["scheme"], server = access.host.split("://")
        job["tls_config"] = {"ca_file": access.ssl_ca_cert, "cert_file": access.cert_file, "key_file": access.key_file}
        job["static_configs"] = [
            {
                "targets": [server],
                "labels": {
                    "instance": pod.metadata.name,
                    "__metrics_path__": f"/api/v1/namespaces/{namespace}/pods/{pod.metadata.name}:{port}/proxy{job.get('metrics_path', '/metrics')}",
                    "__meta_kubernetes_namespace": namespace,
                    "__meta_kubernetes_pod_name": pod.metadata.name,
                    "__meta_kubernetes_pod_container_port_name": name,
                    **{f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', label)}": value for label, value in pod.metadata.labels.items()},
                },
            }
            for pod, port in ports(core, namespace, selector, name).values()
        ]
    return {"global": {"scrape_interval": "2s", "evaluation_interval": "2s"}, "rule_files": [str(RULES)], "scrape_configs": jobs}


@contextlib.contextmanager
def prometheus(core: Any, namespace: str, folder: Path, program: Path) -> Iterator[Prometheus]:
    """Run Debian's Prometheus on this machine until the end of the ``with``, once it has scraped all pods.

    Args:
        core: The cluster.
        namespace: Namespace of the release.
        folder: Where it keeps what it scraped.
        program: The binary.
    """
    config = folder / "prometheus.yml"
    settings = configuration(core, namespace)
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    pods = sum(len(job["static_configs"]) for job in settings["scrape_configs"])
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{door.getsockname()[1]}"
    line = [str(program), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with (folder / "log").open("w", encoding="utf-8") as log, subprocess.Popen(line, stdout=log, stderr=log) as process:
        try:
            found = Prometheus(f"http://{address}")
            deadline = time.monotonic() + 60
            while not ready(found.address):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text(encoding="utf-8")
                time.sleep(0.2)
            # It answers before it knows whom to ask.
            until("Prometheus has scraped all pods", lambda: found.up() == pods, 30)
            yield found
        finally:
            process.terminate()


def ready(address: str) -> bool:
    """Tell whether Prometheus answers queries."""
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=5):
            return True
    except OSError:
        return False


def without_thresholds(query: str) -> str:
    """Return a rule's query as one that finds every release, whether or not the rule would fire."""
    return re.sub(r" (==|<|>) [\d.]+(e\d+)?(?=\s|\)|$)", "", query.replace("unless ", "and "))
