"""Action of node_leftovers: stale FUSE mounts and dead domain sockets go, with one sh script that asks and acts."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.alnair.alluxio.plugins.modules.node_leftovers import ARGUMENTS
from ansible_collections.alnair.alluxio.plugins.plugin_utils.probe import ProbeAction

# A mount that answers is of a process that runs, such as another release's. stat -f asks the process; stat alone is answered by the kernel, out of its
# cache, when there is none any more. Several mounts may lie on each other, and each umount takes one. A socket's listener may sit in any network namespace,
# where its path is another; the socket's name, made of random digits, is the same.
SCRIPT = r"""
act={act}; mount={mount}; folder={folder}
table=$(printf '%s' "$mount" | sed 's/\\/\\134/g; s/ /\\040/g')
table=$table awk '$2 == ENVIRON["table"] && $3 ~ /^fuse\.alluxio/ {{ print $3 }}' /proc/self/mounts | while read -r kind; do
  if timeout 5 stat -f -- "$mount" >/dev/null 2>&1; then echo "kept $kind mount $mount"; break; fi
  if [ "$act" = 1 ]; then umount -l -- "$mount" || {{ echo "failed mount"; continue; }}; fi
  echo "removed $kind mount $mount"
done
find "$folder" -xdev -mindepth 1 -maxdepth 1 -type s 2>/dev/null | while IFS= read -r path; do
  if cat /proc/[0-9]*/net/unix 2>/dev/null | grep -qE "/${{path##*/}}\$"; then continue; fi
  if [ "$act" = 1 ]; then rm -f -- "$path" || {{ echo "failed socket"; continue; }}; fi
  echo "removed domain socket $path"
done
true
"""


def script(args: dict[str, Any], act: bool) -> str:
    """Return the sh script that tells what is left, and removes it where it shall act."""
    return SCRIPT.format(act=int(act), mount=shlex.quote(args["mount_point"].rstrip("/")), folder=shlex.quote(args["domain_socket"]))


class ActionModule(ProbeAction):
    """Ask the host and act."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(ARGUMENTS)
        for name, path in args.items():
            if not re.fullmatch(r"/[^/\n]+(/[^/\n]+)*/?", path):
                raise AnsibleActionFail(f"{name} is {path!r}, which is no absolute path. Write it like /mnt/alluxio-fuse.")
        lines = self.probe(script(args, act=not self._task.check_mode))
        if lines is None:
            raise AnsibleActionFail("The host's mounts could not be read. May this user become root?")
        if any(line.startswith("failed ") for line in lines):
            mount = args["mount_point"]
            raise AnsibleActionFail(f"Something at {mount} or in {args['domain_socket']} could not be removed. Try on the host: umount -l {mount}")
        kept = [line.removeprefix("kept ") for line in lines if line.startswith("kept ")]
        # In check mode it may be the release's own, which ends with its pods.
        if kept and not self._task.check_mode:
            whose = "its process runs. It is another release's, or of a pod that was removed by force"
            self._display.warning(f"{(task_vars or {}).get('inventory_hostname')}: {', '.join(kept)} stays, for it answers: {whose}.")
        removed = [line.removeprefix("removed ") for line in lines if line.startswith("removed ")]
        return {"changed": bool(removed), "removed": removed, "kept": kept}
