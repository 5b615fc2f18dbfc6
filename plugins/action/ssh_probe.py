"""Action of ssh_probe: an account's ssh folder, the host's keys and a proof of logins, from one sh script."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction

BEGIN = "# BEGIN Alluxio's hosts, pinned by Ansible"
END = "# END Alluxio's hosts, pinned by Ansible"
# The script is one word of a command line, which Linux limits to 128 KiB; more logins are the module's that proves them.
MOST_TARGETS = 1000


def probe_script(args: dict[str, Any]) -> str:
    """Return the sh script that tells what there is and whom the account reaches."""
    folder, user = shlex.quote(args["home"] + "/.ssh"), shlex.quote(args["user"])
    timeout, targets = int(args.get("timeout", 15)), args.get("targets", [])
    keys = "awk '{print \"hostkey \" $1 \" \" $2}' /etc/ssh/ssh_host_*_key.pub 2>/dev/null"
    files = (
        f"if cd {folder} 2>/dev/null; then for file in id_ed25519.pub authorized_keys known_hosts; do "
        'if [ -f "$file" ]; then awk -v file="$file" \'{print file " " $0}\' "$file"; fi; done; '
        "stat -c 'mode %n %a %U' . id_ed25519 2>/dev/null; fi"
    )
    lines = [keys, files]
    if 0 < len(targets) <= MOST_TARGETS:
        login = (
            f"timeout {2 * timeout} runuser -u {user} -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout={timeout} "
            f'-o ControlPath=none -p "$2" {user}@"$1" true </dev/null >/dev/null 2>&1 && echo "reached $0"'
        )
        words = " ".join(shlex.quote(str(word)) for target in targets for word in (target["name"], target["host"], target.get("port", 22)))
        lines.append(f"printf '%s\\n' {words} | xargs -n 3 -P 32 sh -c {shlex.quote(login)}")
    return "; ".join([*lines, "true"])


def read(args: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """Return what the script's lines say.

    Returns:
        host_keys, public_key, allowed, pinned and reached; see the module's documentation.
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        found.setdefault(kind, []).append(rest)
    known = found.get("known_hosts", [])
    whole = {f". 700 {args['user']}", f"id_ed25519 600 {args['user']}"} <= set(found.get("mode", []))
    return {
        "host_keys": sorted(found.get("hostkey", [])),
        "public_key": "".join(found.get("id_ed25519.pub", [])[:1]) if whole else "",
        "allowed": found.get("authorized_keys", []),
        "pinned": known[known.index(BEGIN) + 1 : known.index(END)] if BEGIN in known and END in known else [],
        "reached": sorted(found.get("reached", [])),
    }


class ActionModule(ProbeAction):
    """Probe the account's trust; there is nothing to act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        lines = self.probe(probe_script(self._task.args))
        if lines is None:
            raise AnsibleActionFail("The host's keys could not be read. May this user become root?")
        return {"changed": False, **read(self._task.args, lines)}
