"""The five ways to the state, as commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.bench.convergence.hosts import CACHE, HOME, Host, run

FILES = Path(__file__).with_name("cases")
NAMES = ("alnair", "plain", "mitogen", "pyinfra", "script")
REQUIREMENTS = HOME / "tests" / "bench" / "requirements.txt"


def bench_venv() -> Path:
    """Return the virtual environment with the bench's own packages; it is made where it is not there."""
    venv = CACHE / "venv-bench"
    stamp = venv / "requirements.txt"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        run(sys.executable, "-m", "venv", "--clear", venv)
        run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS)
        stamp.write_text(wanted, encoding="utf-8")
    return venv


class Cases:
    """Commands and settings of the cases for some hosts.

    Args:
        folder: Folder of the bench; access/ in it has key and known_hosts.
        hosts: The hosts; the first one is the source of the ssh trust.
    """

    def __init__(self, folder: Path, hosts: list[Host]) -> None:
        self.folder, self.hosts = folder, hosts
        self.venv = bench_venv()
        access = folder / "access"
        self.key, self.known = access / "id_ed25519", access / "known_hosts"
        self.inventory, self.config, self.pyinfra = access / "hosts.yml", access / "ssh_config", access / "inventory.py"
        (folder / "home").mkdir(exist_ok=True)

    def write(self) -> None:
        """Write inventories and ssh's configuration."""
        shared = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self.known} -o StrictHostKeyChecking=yes",
        }
        groups = {"alluxio_masters": self.hosts[:1], "alluxio_workers": self.hosts[1:]}
        children = {group: {"hosts": {host.name: {"ansible_host": host.address} for host in members}} for group, members in groups.items()}
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": shared, "children": children}}))
        options = f"User root\nIdentityFile {self.key}\nUserKnownHostsFile {self.known}\nStrictHostKeyChecking yes\nBatchMode yes\n"
        self.config.write_text("".join(f"Host {host.name}\nHostName {host.address}\n" for host in self.hosts) + "Host *\n" + options)
        data = {"ssh_user": "root", "ssh_key": str(self.key), "ssh_known_hosts_file": str(self.known), "ssh_strict_host_key_checking": "yes",
                "ssh_config_file": "/dev/null", "ssh_allow_agent": False, "ssh_look_for_keys": False, "source": self.hosts[0].name}  # fmt: skip
        self.pyinfra.write_text(f"hosts = {[(host.name, {**data, 'ssh_hostname': host.address}) for host in self.hosts]!r}\n")

    def pin(self, keys: dict[str, str]) -> None:
        """Write known_hosts from each host's public keys."""
        lines = [f"{host.address} {' '.join(key.split()[:2])}" for host in self.hosts for key in keys[host.name].splitlines()]
        self.known.write_text("\n".join(lines) + "\n")

    def command(self, case: str) -> list[str]:
        """Return the command of a case."""
        playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        if case == "alnair":
            return [playbook, "-i", str(self.inventory), "playbooks/prepare_hosts.yml"]
        if case in ("plain", "mitogen"):
            return [playbook, "-i", str(self.inventory), str(FILES / "plain.yml")]
        if case == "pyinfra":
            return [str(self.venv / "bin" / "pyinfra"), "-y", str(self.pyinfra), str(FILES / "deploy.py")]
        return ["sh", str(FILES / "script.sh"), str(self.config), *(f"{host.name},{host.address}" for host in self.hosts)]

    def environment(self, case: str) -> dict[str, str]:
        """Return the environment of a case: nothing of the user's settings."""
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder / "home"), "LANG": "C.UTF-8"}
        if case == "alnair":
            environment["ANSIBLE_CONFIG"] = str(HOME / "ansible.cfg")
        if case in ("plain", "mitogen"):
            environment["ANSIBLE_CONFIG"] = str(FILES / "ansible.cfg")
        if case == "mitogen":
            plugins = next(self.venv.glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
            environment.update(ANSIBLE_STRATEGY_PLUGINS=str(plugins), ANSIBLE_STRATEGY="mitogen_linear")
        return environment


def draw(script: Path, rows: Path, picture: Path) -> None:
    """Draw a picture by a script, in the bench's own environment."""
    done = subprocess.run([bench_venv() / "bin" / "python", script, rows, picture], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The picture could not be drawn: {done.stderr[-1000:]}")
