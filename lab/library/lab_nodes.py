"""Ansible module: the node containers of the lab."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_nodes
short_description: Hold the lab's node containers in a state
description:
  - Starts one privileged container with systemd per node, all at once, on a network of their own with fixed addresses.
  - A container that a killed run left without processes, or that was made from another image, is replaced.
options:
  state: {description: Whether the nodes shall be there., choices: [present, absent], default: present, type: str}
  lab: {description: Name of the lab and of its network; every container and volume begins with it., required: true, type: str}
  subnet: {description: Subnet of the network., required: true, type: str}
  image: {description: Image of the nodes., type: str}
  nodes: {description: Nodes; each has name and address., type: list, elements: dict, default: []}
  mounts: {description: "Mounts of every node as podman's --volume takes them; {name} stands for the node.", type: list, elements: str, default: []}
  timeout: {description: Seconds to wait for systemd on every node., type: int, default: 90}
"""

EXAMPLES = r"""
- name: Start one node
  lab_nodes: {lab: alnair-lab, subnet: 10.89.77.0/24, image: "localhost/alnair-node:1", nodes: [{name: alnair-lab-0, address: 10.89.77.10}]}
"""

RETURN = r"""
started: {description: Names of the nodes that were started., type: list, returned: success}
removed: {description: "Names of containers, volumes and networks that were removed.", type: list, returned: success}
"""

import concurrent.futures
import json
import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule


class Podman:
    """Podman with the settings that this kind of host needs: runc, and no raising of limits."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        handle, self.conf = tempfile.mkstemp(prefix="lab-containers-", suffix=".conf")
        os.write(handle, b'[containers]\ndefault_ulimits = []\npids_limit = 0\n[engine]\nruntime = "runc"\n')
        os.close(handle)
        self.module.add_cleanup_file(self.conf)

    def __call__(self, *args: str, check: bool = True) -> str | None:
        code, out, err = self.module.run_command(["podman", *args], environ_update={"CONTAINERS_CONF": self.conf})
        if check and code:
            self.module.fail_json(msg=f"podman {args[0]} failed: {err.strip() or out.strip()}", cmd=["podman", *args])
        return out if not code else None

    def names(self, kind: str, prefix: str) -> list[str]:
        listing = {"container": ("ps", "-a", "--format", "{{.Names}}"), "volume": ("volume", "ls", "--format", "{{.Name}}"),
                   "network": ("network", "ls", "--format", "{{.Name}}")}[kind]
        return sorted(name for name in (self(*listing) or "").split() if name == prefix or name.startswith(prefix + "-"))

    def alive(self, name: str) -> bool:
        """Tell whether processes run in the container: podman's own state outlives a killed host."""
        return self("exec", name, "true", check=False) is not None

    def remove(self, name: str) -> None:
        self("rm", "--force", "--time", "2", "--volumes", name)
        for volume in self.names("volume", name):
            self("volume", "rm", "--force", volume)


def wait_for_systemd(podman: Podman, name: str, deadline: float) -> str | None:
    while time.monotonic() < deadline:
        _code, out, _err = podman.module.run_command(["podman", "exec", name, "systemctl", "is-system-running"])
        if out.strip() in ("running", "degraded", "starting"):
            ready = podman("exec", name, "systemctl", "is-active", "lab-prepare.service", "ssh.service", check=False)
            if ready is not None:
                return None
        time.sleep(1)
    journal = podman("exec", name, "journalctl", "-b", "-p", "warning", "-n", "20", "--no-pager", check=False)
    return f"{name}: systemd did not bring up lab-prepare and ssh in time; its journal says: {journal or 'nothing'}"


def present(module: AnsibleModule, podman: Podman) -> None:
    params = module.params
    wanted = {node["name"]: node for node in params["nodes"]}
    containers = podman.names("container", params["lab"])
    image_id = (podman("image", "inspect", "--format", "{{.Id}}", params["image"]) or "").strip()
    removed: list[str] = []
    for name in containers:
        found = json.loads(podman("inspect", name) or "")[0]
        same = found["Image"] == image_id and found["Config"]["Labels"].get("lab.mounts") == json.dumps(params["mounts"])
        if name in wanted and same and podman.alive(name):
            continue
        removed.append(name)
    to_start = [name for name in wanted if name not in containers or name in removed]
    if module.check_mode or not (removed or to_start):
        module.exit_json(changed=bool(removed or to_start), started=to_start, removed=removed)
    for name in removed:
        podman.remove(name)
    if not podman.names("network", params["lab"]):
        podman("network", "create", "--disable-dns", "--subnet", params["subnet"], params["lab"])

    def start(name: str) -> None:
        mounts = [word for mount in params["mounts"] for word in ("--volume", mount.replace("{name}", name))]
        podman(
            "run", "--detach", "--name", name, "--hostname", name, "--network", params["lab"], "--ip", wanted[name]["address"],
            "--privileged", "--systemd=always", "--cgroupns=private", "--tmpfs", "/run", "--tmpfs", "/tmp", "--device", "/dev/fuse",
            "--volume", f"{name}-containerd:/var/lib/containerd", "--volume", f"{name}-kubelet:/var/lib/kubelet:rshared",
            "--label", f"lab.mounts={json.dumps(params['mounts'])}", *mounts, params["image"],
        )

    for name in to_start:
        start(name)
    deadline = time.monotonic() + params["timeout"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        problems = [text for text in pool.map(lambda name: wait_for_systemd(podman, name, deadline), to_start) if text]
    if problems:
        module.fail_json(msg="\n".join(problems))
    module.exit_json(changed=True, started=to_start, removed=removed)


def absent(module: AnsibleModule, podman: Podman) -> None:
    lab = module.params["lab"]
    containers, networks = podman.names("container", lab), podman.names("network", lab)
    volumes = podman.names("volume", lab)
    removed = containers + volumes + networks
    if removed and not module.check_mode:
        for name in containers:
            podman.remove(name)
        for name in podman.names("volume", lab):
            podman("volume", "rm", "--force", name)
        for name in networks:
            podman("network", "rm", "--force", name)
    module.exit_json(changed=bool(removed), removed=removed, started=[])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "lab": {"type": "str", "required": True},
            "subnet": {"type": "str", "required": True},
            "image": {"type": "str"},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "mounts": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    (present if module.params["state"] == "present" else absent)(module, Podman(module))


if __name__ == "__main__":
    main()
