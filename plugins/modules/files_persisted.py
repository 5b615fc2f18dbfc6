"""Ansible module: files that only workers hold, written to the under storage."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_persisted
short_description: Write what only workers hold to the under storage
description:
  - Asks the leading master for files that are not persisted, lets Alluxio persist them, and waits until none is left, so that workers can leave or restart
    without taking the only copy of a file with them.
  - Asks no source for files that the master does not know. Files that are lost already are named, and keep nothing from going on.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds that it may take., type: int, default: 300}
attributes:
  check_mode: {description: Names the files without persisting them., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Persist
  alnair.alluxio.files_persisted: {release: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
files: {description: Files that were not persisted., type: list, elements: str, returned: success}
lost: {description: Files whose content no worker has any more and that are in no under storage., type: list, elements: str, returned: success}
"""

import re
import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, pods
from ansible_collections.alnair.alluxio.plugins.module_utils import masters as about

try:
    import kubernetes
except ImportError:
    kubernetes = None

# A line of `alluxio fs ls -R` of a file that is not persisted: mode, owner, group, size, state, date, time, share in the cache, path.
LINE = re.compile(r"^-\S+\s+\S+\s+\S+\s+(?P<size>\d+)\s+(?P<state>NOT_PERSISTED|TO_BE_PERSISTED|LOST)\s+\S+\s+\S+\s+(?P<share>\d+)%\s+(?P<path>/.*)$")
# Files that are persisted, which are most, stay where they are, and folders that nobody has looked into are not listed at their source. A listing that broke
# off is not taken for all there is; that there are no such files is no error.
LISTING = ("set -o pipefail; alluxio fs -Dalluxio.user.file.metadata.load.type=NEVER ls -R / | "
           "{ grep -E ' (NOT_PERSISTED|TO_BE_PERSISTED|LOST) ' || [ $? = 1 ]; }")  # fmt: skip
BATCH = 100
SHORT = 5


def unpersisted(listing: str, complete: bool) -> tuple[list[str], list[str]]:
    """Return the files that only workers hold, and those that nobody holds wholly any more.

    Args:
        listing: What `alluxio fs ls -R` printed.
        complete: Whether all workers answer. Until then those that are away may hold what is lacking.
    """
    held: list[str] = []
    lost: list[str] = []
    for match in filter(None, map(LINE.match, listing.splitlines())):
        # Alluxio calls a file lost some time after its last worker; persisting what has gone would never end.
        gone = int(match["share"]) < 100 and (match["state"] == "LOST" or (complete and int(match["size"]) > 0))
        # Alluxio pads what is short.
        (lost if gone else held).append(match["path"].rstrip(" ") if len(match["path"]) == SHORT else match["path"])
    return held, lost


def some(files: list[str]) -> str:
    """Return the first of many files, and how many more there are."""
    return f"{', '.join(files[:20])}{f' and {len(files) - 20} more' if len(files) > 20 else ''}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            **kube.ARGUMENTS,
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    deadline = time.monotonic() + params["timeout"]
    try:
        masters = about.Masters(kube.client(params), params["namespace"], params["release"])
        leader = masters.leader()
        if not leader:
            module.fail_json(
                msg=f"No master of release {params['release']} answers, so nobody can tell what only its workers hold. Nothing was changed. Mend the "
                "masters (alnair_runner.py status tells what ails them), or let these files go with -e alluxio_force=true."
            )
        pod = masters.pod(leader.name)
        selector = f"release={params['release']},role=alluxio-worker"
        complete = len(leader.workers) >= len(kube.retried(masters.core.list_namespaced_pod, params["namespace"], label_selector=selector).items)

        def left() -> tuple[list[str], list[str]]:
            return unpersisted(pods.execute(masters.core, pod, LISTING, timeout=params["timeout"]), complete)

        files, lost = left()
        if lost:
            module.warn(
                f"No worker that answers holds these wholly, and the under storage does not have them: {some(lost)}. Remove them (alluxio fs rm), or write "
                "them again."
            )
        if not files or module.check_mode:
            module.exit_json(changed=bool(files), files=files, lost=lost)

        def persist(paths: list[str]) -> None:
            try:
                pods.execute(masters.core, pod, 'alluxio fs persist "$@"', *paths, timeout=max(1.0, deadline - time.monotonic()))
            except pods.PodError as error:
                # Whoever removed one of them meanwhile does not miss it.
                if "does not exist" not in str(error):
                    raise
                for one in paths if len(paths) > 1 else []:
                    persist([one])

        failed = None
        for start in range(0, len(files), BATCH):
            if time.monotonic() > deadline:
                break
            try:
                persist(files[start : start + BATCH])
            except pods.PodError as error:
                # One that cannot be persisted keeps none of the others back.
                failed = error
        if failed:
            raise failed
        while (now := left()[0]) and time.monotonic() < deadline:
            time.sleep(2)
    except (about.MastersError, pods.PodError, kube.ClusterAway, kubernetes.client.ApiException) as error:
        module.fail_json(
            msg=f"What only workers hold could not be persisted, so none was removed or restarted: {kube.reason(error)}. Mend that and run this again; in an "
            "upgrade, rollback or teardown -e alluxio_force=true lets it go."
        )
    if now:
        module.fail_json(
            msg=f"Not persisted after {params['timeout']} s, so no worker was removed or restarted: {some(now)}. "
            "Does their under storage, one that all pods share, take files? Remove or persist them yourself (alluxio fs persist) and run this again; in an "
            "upgrade, rollback or teardown -e alluxio_force=true lets them go."
        )
    module.exit_json(changed=True, files=files, lost=lost)


if __name__ == "__main__":
    main()
