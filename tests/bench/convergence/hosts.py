"""Hosts with sshd to measure on: the lab's node containers, or sshds on loopback addresses with a file system of their own each."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.convergence import cgroups

HOME = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair"
# A start with a journal that somebody else owns: the first run has something to correct.
PLANT = "mkdir -p /mnt/fuse/alluxio-journal/log && echo 1 > /mnt/fuse/alluxio-journal/log/0x0-0x1"
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
UNITS = "kubelet containerd etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy"


class HostError(Exception):
    """The hosts cannot be made, or one does not do what it was asked."""


@dataclasses.dataclass(frozen=True)
class Host:
    """A host as its inventory has it."""

    name: str
    address: str


def node_image() -> str:
    """Return the image of the lab's nodes.

    Raises:
        HostError: it was not built yet.
    """
    products = CACHE / "lab" / "products.json"
    if not products.exists():
        raise HostError(f"There is no {products}: the hosts are made from the lab's node image. Run `make lab-build` first.")
    return str(json.loads(products.read_text(encoding="utf-8"))["node_image"])


def run(*words: str | Path, text: str = "") -> str:
    """Run a command and return what it printed.

    Raises:
        HostError: it failed.
    """
    done = subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(map(str, words))[:200]} ended with {done.returncode}: {done.stderr.strip()[-800:] or done.stdout.strip()[-800:]}")
    return done.stdout


class Hosts:
    """Hosts that run, with access to them.

    Args:
        folder: Folder of the bench for keys and logs.
        members: The hosts; the first one is the source of the ssh trust.
    """

    def __init__(self, folder: Path, members: list[Host]) -> None:
        self.folder, self.members = folder, members
        self.pids: dict[str, int] = {}

    def start(self) -> None:
        """Start all hosts and wait until their sshds answer."""
        raise NotImplementedError

    def reset(self) -> None:
        """Bring all hosts to the state before a first run."""
        raise NotImplementedError

    def stop(self) -> None:
        """Remove all hosts."""
        raise NotImplementedError

    def cpu(self) -> float:
        """Return the CPU seconds that all hosts together have used."""
        raise NotImplementedError

    def log(self, host: Host) -> Path:
        """Return the log of a host's sshd."""
        return self.folder / "hosts" / host.name / "log" / "sshd.log"

    def inside(self, host: Host, script: str) -> str:
        """Run a script on a host without ssh and return what it printed."""
        return run("nsenter", "--target", str(self.pids[host.name]), "--mount", "--pid", "--uts", "--net", "sh", "-s", text=script)

    def everywhere(self, script: str) -> dict[str, str]:
        """Run a script on all hosts and return what each printed."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return dict(zip([host.name for host in self.members], pool.map(lambda host: self.inside(host, script), self.members), strict=True))

    def wait(self, seconds: float = 60) -> None:
        """Wait until every sshd greets."""
        deadline = time.monotonic() + seconds
        for host in self.members:
            while True:
                with contextlib.suppress(OSError), socket.create_connection((host.address, 22), 2) as line:
                    if line.recv(4) == b"SSH-":
                        break
                if time.monotonic() > deadline or not Path(f"/proc/{self.pids[host.name]}").exists():
                    tail = self.log(host).read_text(errors="replace")[-500:] if self.log(host).exists() else "nothing"
                    raise HostError(f"{host.name}: no sshd greets at {host.address}:22. Its log says: {tail}")
                time.sleep(0.05)


class Loopback(Hosts):
    """Sshds on loopback addresses; each has namespaces and a writable layer over the node image's files, both gone when it ends."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, [Host(f"bench-{i:03}", f"127.77.{i // 250}.{i % 250 + 1}") for i in range(count)])
        self.group = cgroups.Group("hosts")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        data = json.loads(run("podman", "image", "inspect", "--format", "{{json .GraphDriver.Data}}", node_image()))
        self.lower = ":".join(filter(None, (data.get("UpperDir"), data.get("LowerDir"))))

    def start(self) -> None:
        """Make host keys, then start."""

        def keys(host: Host) -> None:
            place = self.folder / "hosts" / host.name
            (place / "log").mkdir(parents=True)
            (place / "keys").mkdir()
            for kind in ("rsa", "ecdsa", "ed25519"):
                run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{host.name}", "-f", place / "keys" / f"ssh_host_{kind}_key")

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(keys, self.members))
        self.reset()

    def launch(self, host: Host, *options: str) -> None:
        """Start one host, with options of its sshd."""
        place = self.folder / "hosts" / host.name
        # With the bench, however it ends, end its hosts.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh",
                 str(Path(__file__).with_name("loopback_host.sh")), host.name, host.address, self.lower, str(place), *options]  # fmt: skip
        with self.log(host).open("ab") as log:
            self.processes[host.name] = subprocess.Popen(self.group.command(words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def find(self, hosts: list[Host]) -> None:
        """Find the first process of hosts that were launched."""
        for host in hosts:
            pid = self.processes[host.name].pid
            children = Path(f"/proc/{pid}/task/{pid}/children")
            while self.processes[host.name].poll() is None and not children.read_text().split():
                time.sleep(0.01)
            if self.processes[host.name].poll() is not None:
                raise HostError(f"{host.name} did not start: {self.log(host).read_text(errors='replace')[-500:]}")
            self.pids[host.name] = int(children.read_text().split()[0])

    def end(self, hosts: list[Host]) -> None:
        """End hosts and with them their file systems."""
        for host in hosts:
            with contextlib.suppress(KeyError, ProcessLookupError):
                os.kill(self.pids.pop(host.name), signal.SIGKILL)
        for host in hosts:
            process = self.processes.pop(host.name, None)
            if process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()
                process.wait()

    def reset(self) -> None:
        """Start all hosts anew."""
        self.end(self.members)
        for host in self.members:
            self.launch(host)
        self.find(self.members)
        self.wait()
        self.everywhere(PLANT)

    def stop(self) -> None:
        """End all hosts."""
        self.end(self.members)
        self.group.remove()

    def cpu(self) -> float:
        """Return the CPU seconds of the hosts' group."""
        return self.group.cpu()


class Containers(Hosts):
    """Node containers of a lab of their own."""

    LAB, SUBNET = cgroups.NAME, "10.89.79.0/24"

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, [Host(f"{self.LAB}-{i}", f"10.89.79.{i + 10}") for i in range(count)])
        self.instances = int(INSTANCES.read_text())

    def lab_nodes(self, **args: object) -> None:
        """Bring the containers to a state with the lab's module."""
        environment = {**os.environ, "ANSIBLE_LIBRARY": str(HOME / "lab" / "library"), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        words = json.dumps({"lab": self.LAB, "subnet": self.SUBNET, **args})
        command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "lab_nodes", "-a", words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise HostError(f"The node containers could not be brought to their state: {done.stdout[-1500:]}{done.stderr[-500:]}")

    def start(self) -> None:
        """Start the containers and stop what they do besides sshd."""
        files = {
            "authorized_keys": (self.folder / "access" / "id_ed25519.pub").read_text(),
            "node.env": "POD_CIDR=10.246.0.0/24\nNODE_IP=127.0.0.1\n",
            "routes": "",
            "sshd.conf": "LogLevel VERBOSE\n",
            "unit.conf": "[Service]\nType=simple\nExecStart=\nExecStart=/usr/sbin/sshd -D -E /var/log/bench/sshd.log\n",
        }
        for host in self.members:
            place = self.folder / "hosts" / host.name
            (place / "log").mkdir(parents=True)
            for name, content in files.items():
                (place / name).write_text(content)
                (place / name).chmod(0o644)
        # sshd reads the keys as the user who logs in.
        for path in (self.folder, self.folder / "hosts", *(self.folder / "hosts").iterdir()):
            path.chmod(0o711)
        node = self.folder / "hosts" / "{name}"
        mounts = [f"{node}:/etc/lab:ro", f"{node}/log:/var/log/bench", f"{node}/sshd.conf:/etc/ssh/sshd_config.d/bench.conf:ro",
                  f"{node}/unit.conf:/etc/systemd/system/ssh.service.d/bench.conf:ro"]  # fmt: skip
        # A systemd uses about ten; the kernel's default of 128 for all of root is too few.
        INSTANCES.write_text(str(max(self.instances, 1024)))
        self.lab_nodes(image=node_image(), nodes=[dataclasses.asdict(host) for host in self.members], mounts=mounts, timeout=180)
        for host in self.members:
            self.pids[host.name] = int(run("podman", "inspect", "--format", "{{.State.Pid}}", host.name))
        self.everywhere(f"systemctl stop {UNITS}; systemctl is-active ssh")
        self.reset()

    def reset(self) -> None:
        """Remove what the cases made."""
        self.everywhere(
            "if id alluxio-user >/dev/null 2>&1; then userdel -r alluxio-user 2>/dev/null; fi; groupdel alluxio-user 2>/dev/null; "
            f"rm -rf /mnt/fuse /home/alluxio-user /root/.ansible /tmp/*; ! getent passwd 1000 && ! getent group 1000 && {PLANT}"
        )
        self.wait()

    def stop(self) -> None:
        """Remove containers, volumes and network."""
        self.lab_nodes(state="absent")
        INSTANCES.write_text(str(self.instances))

    def cpu(self) -> float:
        """Return the sum of the containers' CPU seconds."""
        return sum(cgroups.cpu_of(cgroups.cpu_group_of(pid)) for pid in self.pids.values())


def make_access(folder: Path) -> None:
    """Make the key that the cases log in with."""
    (folder / "access").mkdir()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", folder / "access" / "id_ed25519")


def remove_leftovers() -> None:
    """Remove what a killed bench left: its groups and containers; loopback hosts end with it."""
    for name in ("controller", "hosts"):
        cgroups.Group(name).remove()
    if shutil.which("podman") and Containers.LAB in run("podman", "ps", "-a", "--format", "{{.Names}}"):
        Containers(Path("/nonexistent"), 0).stop()
