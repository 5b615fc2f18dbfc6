"""Action of ssh_probe: an account's ssh folder, the host's keys and a proof of logins, from one sh script."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.modules.ssh_probe import ARGUMENTS
from ansible_collections.alnair.alluxio.plugins.modules.ssh_trust import inside
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells what there is and whom the account reaches."""
    folder, user = shlex.quote(args["home"] + "/.ssh"), shlex.quote(args["user"])
    timeout, targets = int(args.get("timeout", 15)), args.get("targets", [])
    lines = [
        f"grep -H '' /etc/ssh/ssh_host_*_key.pub {folder}/id_ed25519.pub {folder}/id_ed25519_sk.pub {folder}/authorized_keys {folder}/known_hosts 2>/dev/null",
        f"stat -c 'mode:%n %a %U' {folder} {folder}/id_ed25519 {folder}/authorized_keys {folder}/known_hosts 2>/dev/null",
    ]
    if targets:
        # Root logs in as the account; without root the account has logged in itself.
        login = (
            f"timeout {2 * timeout} $BECOME ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout={timeout} "
            f'-o ControlPath=none -o IdentityAgent=none -p "$2" {user}@"$1" true </dev/null >/dev/null 2>&1 && echo "reached:$0"'
        )
        words = " ".join(shlex.quote(str(word)) for target in targets for word in (target["name"], target["host"], target.get("port", 22)))
        lines.append(f'if [ "$(id -u)" = 0 ]; then export BECOME="runuser -u {user} --"; fi')
        lines.append(f"printf '%s\\n' {words} | xargs -n 3 -P 32 sh -c {shlex.quote(login)}")
    return "; ".join([*lines, "true"])


def read(args: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """Return what the script's lines say.

    Returns:
        host_keys, public_key, exact, allowed, pinned and reached; see the module's documentation.
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        path, _colon, rest = line.partition(":")
        found.setdefault("hostkey" if path.startswith("/etc/ssh/") else path.rpartition("/")[2], []).append(rest)
    modes = [line.rsplit(" ", 2) for line in found.get("mode", [])]
    paths = [path.rpartition("/")[2] for path, _mode, _owner in modes]
    exact = all(owner == args["user"] and not int(mode, 8) & (0o077 if path.endswith(".ssh") else 0o177) for path, mode, owner in modes)
    key = "".join(found.get("id_ed25519.pub", [])[:1])
    return {
        "host_keys": sorted(" ".join(line.split()[:2]) for line in found.get("hostkey", [])),
        "public_key": key if "id_ed25519" in paths else "",
        "exact": exact and ".ssh" in paths and not any(line.startswith("ssh-ed25519 ") for line in found.get("id_ed25519_sk.pub", [])),
        "allowed": inside(found.get("authorized_keys", [])),
        "pinned": inside(found.get("known_hosts", [])),
        "reached": sorted(found.get("reached", [])),
    }


class ActionModule(ProbeAction):
    """Probe the account's trust; there is nothing to act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        lines = self.probe(probe_script(args))
        if lines is None:
            raise AnsibleActionFail("The host's keys could not be read. May this user become root?")
        return {"changed": False, **read(args, lines)}
