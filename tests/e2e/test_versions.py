"""The oldest Ansible on the oldest Python, and helm 4, deploy on the lab as the newest Ansible and helm 3 do in all other tests."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from caching import NAMESPACE

from alnair_runner import Alnair

HOME = Path(__file__).parents[2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture(autouse=True)
def as_before(cluster: Alnair) -> Iterator[None]:
    """Leave the release to the lab's own helm and Ansible."""
    yield
    result = cluster.deploy()
    assert result.status == "successful", result.failures


def test_the_oldest_ansible_on_the_oldest_python_deploys() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--session", "deploy"], cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]


def test_helm_4_deploys_and_takes_over_what_helm_3_made(cluster: Alnair, core: Any) -> None:
    found = re.search(r'^HELM = "(.+)"$', (HOME / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    folder = Path.home() / ".cache" / "alnair" / f"helm-{found[1]}"
    helm: dict[str, Any] = {"helm_install_method": "go", "helm_install_version": found[1], "helm_install_exact": True, "helm_install_directory": str(folder)}

    def deployed(**values: Any) -> int:
        result = cluster.deploy(extra_vars={**helm, **values})
        assert result.status == "successful", result.failures
        return result.changed

    # A release of helm 3 is there, which helm 4 goes on with.
    result = cluster.deploy()
    assert result.status == "successful", result.failures
    assert deployed(alluxio_chart_quota="256Mi") > 0
    assert deployed(alluxio_chart_quota="256Mi") == 0
    # And from nothing.
    result = cluster.teardown(extra_vars=helm)
    assert result.status == "successful", result.failures
    assert deployed() > 0
    assert deployed() == 0
    # Masters that somebody stopped and edited: what helm 4 applies at the server is in conflict with who did.
    apps = kubernetes.client.AppsV1Api(core.api_client)
    apps.patch_namespaced_stateful_set_scale("alluxio-master", NAMESPACE, {"spec": {"replicas": 0}})
    apps.patch_namespaced_stateful_set("alluxio-master", NAMESPACE, {"spec": {"minReadySeconds": 11}}, field_manager="kubectl-edit")
    assert deployed() > 0
    assert deployed() == 0
    result = cluster.verify(extra_vars=helm)
    assert result.status == "successful", result.failures
