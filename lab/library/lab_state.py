"""Ansible module: keys, certificates and settings of the lab's nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_state
short_description: Hold the keys, certificates and settings of the lab's nodes
description:
  - Makes with kubeadm the cluster's certificates and kubeconfigs, and an ssh key pair, once; what is there is kept.
  - Writes one folder per node, which the node mounts at /etc/lab.
options:
  path: {description: Folder of the state., required: true, type: path}
  kubeadm: {description: The program kubeadm., required: true, type: path}
  nodes: {description: "Nodes, the control plane first; each has name, address and pod_cidr.", required: true, type: list, elements: dict}
"""

EXAMPLES = r"""
- name: Write the state
  lab_state: {path: /var/lib/lab, kubeadm: /usr/bin/kubeadm, nodes: [{name: lab-0, address: 10.89.77.10, pod_cidr: 10.244.0.0/24}]}
"""

RETURN = r"""
written: {description: Files that were written., type: list, returned: success}
"""

import json
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {address}, bindPort: 6443}}
nodeRegistration: {{name: {name}, criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: lab
kubernetesVersion: v1.34.4
controlPlaneEndpoint: {address}:6443
certificatesDir: {pki}
networking: {{serviceSubnet: 10.96.0.0/16, podSubnet: 10.244.0.0/16}}
"""


class State:
    """The files that make the nodes what they are; what is there is kept."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.root = Path(module.params["path"])
        self.nodes = module.params["nodes"]
        self.head = self.root / "nodes" / self.nodes[0]["name"]
        self.written: list[str] = []

    def file(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a file where it differs."""
        if path.exists() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
            return
        self.written.append(str(path))
        if self.module.check_mode:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)

    def made(self, path: Path, *command: str | Path, keep_output: bool = False) -> None:
        """Run a command whose product is a file, unless the file is there."""
        if path.exists():
            return
        self.written.append(str(path))
        if self.module.check_mode:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _code, out, _err = self.module.run_command([str(word) for word in command], check_rc=True)
        if keep_output:
            path.touch(mode=0o600)
            path.write_text(out)

    def write(self) -> None:
        """Bring all files to their state."""
        kubeadm, config, pki = self.module.params["kubeadm"], self.root / "kubeadm.yaml", self.head / "pki"
        self.file(config, KUBEADM.format(pki=pki, **self.nodes[0]))
        self.made(pki / "sa.pub", kubeadm, "init", "phase", "certs", "all", "--config", config)
        self.made(self.head / "admin.conf", kubeadm, "init", "phase", "kubeconfig", "all", "--config", config, "--kubeconfig-dir", self.head)
        self.made(self.root / "ssh/id_ed25519", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", self.root / "ssh/id_ed25519")
        routes = "".join(f"{node['pod_cidr']} {node['address']}\n" for node in self.nodes)
        for node in self.nodes:
            home = self.root / "nodes" / node["name"]
            user = (kubeadm, "kubeconfig", "user", "--config", config, "--validity-period", "8760h", "--client-name")
            self.made(home / "kubelet.conf", *user, f"system:node:{node['name']}", "--org", "system:nodes", keep_output=True)
            self.made(home / "kube-proxy.conf", *user, "system:kube-proxy", keep_output=True)
            self.file(home / "node.env", f"NODE_NAME={node['name']}\nNODE_IP={node['address']}\nPOD_CIDR={node['pod_cidr']}\n")
            self.file(home / "routes", routes)
            self.file(home / "resolv.conf", "options ndots:1\n")
            if self.module.check_mode and self.written:
                continue
            self.file(home / "ca.crt", (pki / "ca.crt").read_text())
            # sshd reads this as the user who logs in.
            self.file(home / "authorized_keys", (self.root / "ssh/id_ed25519.pub").read_text(), mode=0o644)
            home.chmod(0o711)
        names = {node["name"] for node in self.nodes}
        for old in (self.root / "nodes").iterdir() if (self.root / "nodes").is_dir() else ():
            if old.name not in names:
                self.written.append(str(old))
                if not self.module.check_mode:
                    shutil.rmtree(old)
        self.file(self.root / "nodes.json", json.dumps(self.nodes, indent=2))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "kubeadm": {"type": "path", "required": True},
            "nodes": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    state = State(module)
    state.write()
    module.exit_json(changed=bool(state.written), written=state.written)


if __name__ == "__main__":
    main()
