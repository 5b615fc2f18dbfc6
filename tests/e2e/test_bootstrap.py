"""A password gets the sources in once, and is seen nowhere meanwhile."""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import kubernetes
import pytest

from alnair_runner import HOME, Alnair

SECRET = "alnair-cache-operator-secret"
NODES = ["alnair-lab-0", "alnair-lab-1", "alnair-lab-2"]


def on_node(node: str, line: str, text: str = "") -> str:
    """Run a shell line on a node, with a text as its input."""
    return subprocess.run(["podman", "exec", "-i", node, "sh", "-c", line], input=text, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def password(core: Any, cluster: Alnair) -> Iterator[str]:
    """A password that alluxio-user has on every node and that the Secret tells; the trust is taken away before."""
    assert cluster.run("prepare_hosts").status == "successful"
    canary = f"canary-{secrets.token_hex(8)}"
    for node in NODES:
        on_node(node, "chpasswd && rm -rf /home/alluxio-user/.ssh", f"alluxio-user:{canary}\n")
    spec = kubernetes.client.V1Namespace(metadata=kubernetes.client.V1ObjectMeta(name="bootstrap"))
    core.create_namespace(spec)
    core.create_namespaced_secret(
        "bootstrap", kubernetes.client.V1Secret(metadata=kubernetes.client.V1ObjectMeta(name=SECRET), string_data={"ALLUXIO_PASS": canary})
    )
    yield canary
    for node in NODES:
        on_node(node, "usermod --lock alluxio-user")
    core.delete_namespace("bootstrap")
    # The next test makes one of the same name.
    deadline = time.monotonic() + 60
    while any(item.metadata.name == "bootstrap" for item in core.list_namespace().items):
        assert time.monotonic() < deadline, "the namespace bootstrap is still there 60 s after its removal"
        time.sleep(0.5)


class Watch(threading.Thread):
    """Looks for a word in command lines and environments of all processes, the nodes' too, as long as it runs."""

    def __init__(self, word: str) -> None:
        super().__init__(daemon=True)
        self.word, self.found, self.looks, self.ended = word.encode(), set[str](), 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            self.looks += 1
            for path in (entry / name for entry in Path("/proc").glob("[0-9]*") for name in ("cmdline", "environ")):
                try:
                    content = path.read_bytes()
                except OSError:
                    continue
                if self.word in content:
                    self.found.add(f"{path.name} of {content[:60]!r}")


def run(folder: Path, **extra: Any) -> tuple[str, str]:
    """Run the playbook with all that can be said of it, and keep what ansible-runner keeps; return its status and output."""
    done = ansible_runner.run(
        private_data_dir=str(folder), project_dir=str(HOME), playbook=str(HOME / "playbooks" / "bootstrap_ssh.yml"), inventory=str(HOME / "inventory" / "lab"),
        verbosity=5, quiet=True, envvars={"ANSIBLE_CONFIG": str(HOME / "ansible.cfg"), "ANSIBLE_SSH_CONTROL_PATH_DIR": "/tmp/alnair-bootstrap"},
        **extra,
    )  # fmt: skip
    return done.status, done.stdout.read()


def logins() -> str:
    """Log in from the master to all nodes as alluxio-user."""
    line = "; ".join(f"runuser -u alluxio-user -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes 10.89.77.{number} hostname" for number in (10, 11, 12))
    return on_node("alnair-lab-0", line)


def test_the_secrets_password_gets_the_masters_in_and_stands_nowhere(password: str, tmp_path: Path) -> None:
    watch = Watch(password)
    watch.start()
    started = time.monotonic()
    status, output = run(tmp_path, extravars={"alluxio_bootstrap_namespace": "bootstrap"})
    watch.ended.set()
    watch.join()
    assert status == "successful", output[-3000:]
    assert watch.looks > time.monotonic() - started, "fewer than one look a second"
    assert not watch.found
    assert password not in output
    assert len(output) > 10000
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if password.encode() in path.read_bytes()]
    for node in NODES:
        assert on_node(node, f"grep -rl {password[:12]} /home /var/log /tmp /run 2>/dev/null || true") == ""
    assert logins().split() == NODES


def test_the_watch_sees_what_it_looks_for() -> None:
    watch = Watch("seen-by-everybody")
    watch.start()
    subprocess.run(["sh", "-c", "sleep 3", "seen-by-everybody"], check=True)
    subprocess.run(["sleep", "3"], env={"PASS": "seen-by-everybody"}, check=True)
    watch.ended.set()
    watch.join()
    assert {found.split()[0] for found in watch.found} == {"cmdline", "environ"}


def test_a_vaults_password_does_too(password: str, tmp_path: Path) -> None:
    key = tmp_path / "vault-key"
    key.write_text("open\n", encoding="utf-8")
    variables = tmp_path / "vault.yml"
    variables.write_text(f"alluxio_bootstrap_password: {password}\n", encoding="utf-8")
    subprocess.run(["ansible-vault", "encrypt", "--vault-password-file", str(key), str(variables)], check=True, capture_output=True)
    (tmp_path / "run").mkdir()
    status, output = run(tmp_path / "run", cmdline=f"--vault-password-file {key} -e @{variables}")
    assert status == "successful", output[-3000:]
    assert password not in output
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert logins().split() == NODES


def test_without_any_password_the_remedy_is_named(cluster: Alnair) -> None:
    result = cluster.run("bootstrap_ssh", extra_vars={"alluxio_bootstrap_namespace": "default"})
    assert (result.status, result.changed) == ("failed", 0)
    assert "Put alluxio_bootstrap_password into a vault, or ALLUXIO_PASS into the Secret alnair-cache-operator-secret" in result.failures[0].message
