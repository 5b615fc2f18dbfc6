"""Ansible module: proof that a host reaches others over ssh without a password."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_proof
short_description: Prove that this host reaches others over ssh without a password
description:
  - Logs in to all targets at the same time, with the account's own key and pinned host keys.
  - Changes nothing, so it also runs in check mode.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  targets:
    description: Where to log in, with host, port and the name to say in errors.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The host's name in the inventory., type: str, required: true}
      host: {description: Name or address., type: str, required: true}
      port: {description: Port of sshd., type: int, default: 22}
  user:
    description: The account on the targets.
    type: str
    required: true
  local_user:
    description: The account on this host; by default the one that the module runs as.
    type: str
    default: ""
  timeout:
    description: Seconds that one login may take.
    type: int
    default: 15
  identity:
    description: Private key to log in with; by default those that ssh finds.
    type: path
    default: ""
  known_hosts:
    description: File of pinned host keys; by default those that ssh finds.
    type: path
    default: ""
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Prove it
  alnair.alluxio.ssh_proof:
    user: alluxio-user
    local_user: alluxio-user
    targets: [{name: node-1, host: 10.0.0.11}]
  become: true
"""

RETURN = r"""
reached:
  description: Names of the targets, all of which answered.
  type: list
  elements: str
  returned: success
"""

import concurrent.futures
import os

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "targets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "default": 22},
                },
            },
            "user": {"type": "str", "required": True},
            "local_user": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 15},
            "identity": {"type": "path", "default": ""},
            "known_hosts": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    user, timeout, targets = module.params["user"], module.params["timeout"], module.params["targets"]
    files = ["-o", "IdentitiesOnly=yes", "-i", module.params["identity"]] if module.params["identity"] else []
    files += ["-o", f"UserKnownHostsFile={module.params['known_hosts']}"] if module.params["known_hosts"] else []
    # Ansible's own way to become somebody else than root needs pipelining or acl on the host.
    become = ["runuser", "-u", module.params["local_user"], "--"] if os.geteuid() == 0 and module.params["local_user"] else []

    def login(target: dict[str, object]) -> str | None:
        command = [
            "ssh",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"ConnectTimeout={timeout}",
            "-o",
            "ControlPath=none",
            "-o",
            "IdentityAgent=none",
            *files,
            "-p",
            str(target["port"]),
            f"{user}@{target['host']}",
            "true",
        ]
        code, _out, err = module.run_command(["timeout", str(2 * timeout), *become, *command])
        # timeout(1) ends with 124.
        reason = f"no answer within {2 * timeout} s" if code == 124 else err.strip() or f"exit code {code}"
        return f"{target['name']} ({target['host']}:{target['port']}): {reason}" if code else None

    with concurrent.futures.ThreadPoolExecutor(min(32, len(targets)) or 1) as pool:
        problems = [text for text in pool.map(login, targets) if text]
    if problems:
        module.fail_json(msg=f"{user} cannot log in without a password from here to: " + "; ".join(problems))
    module.exit_json(changed=False, reached=[target["name"] for target in targets])


if __name__ == "__main__":
    main()
