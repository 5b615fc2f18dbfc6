"""Hosts of their own for faults, bare but for an administrator's login."""

from __future__ import annotations

import os
import subprocess

from alnair_runner import HOME

INVENTORY = HOME / "tests" / "e2e" / "hosts"
NODES = ["alnair-faults-0", "alnair-faults-1", "alnair-faults-2"]


def on_node(node: str, line: str, *, check: bool = True) -> str:
    """Run a shell line on a node past its sshd."""
    done = subprocess.run(["podman", "exec", node, "sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{node}: {line}: {done.stderr}"
    return done.stdout


def playbook(name: str) -> None:
    """Run one of molecule's playbooks that make and remove hosts."""
    environment = {**os.environ, "ANSIBLE_LIBRARY": str(HOME / "lab" / "library"), "ANSIBLE_CONFIG": str(HOME / "ansible.cfg")}
    done = subprocess.run(["ansible-playbook", "-i", str(INVENTORY), str(HOME / "molecule" / "shared" / name)], cwd=HOME, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def strip(node: str) -> None:
    """Take away all that the roles make."""
    on_node(node, "userdel -rf alluxio-user 2>/dev/null; groupdel alluxio-user 2>/dev/null; rm -rf /mnt/fuse /home/alluxio-user; true")


def prepared(node: str) -> None:
    """Assert that a node has all that it should have, whole, and nothing that everybody may write."""
    assert on_node(node, "id alluxio-user").startswith("uid=1000(alluxio-user) gid=1000(alluxio-user)")
    state = on_node(
        node, "stat -c '%a %u:%g' /mnt/fuse /mnt/fuse/datasets /mnt/fuse/alluxio-journal /mnt/fuse/domain-socket /home/alluxio-user/.ssh/authorized_keys"
    )
    assert state.splitlines() == ["750 1000:1000", "750 1000:1000", "700 1000:1000", "770 1000:1000", "600 1000:1000"]
    assert on_node(node, "find /mnt/fuse /home/alluxio-user -perm -0002 ! -type l; find /home/alluxio-user/.ssh -name '.*.new*'") == ""
    assert len(on_node(node, "cat /home/alluxio-user/.ssh/authorized_keys").splitlines()) == 3
