"""Ansible module: a backup of the journal, outside the cluster and proven by a master that starts from it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_backup
short_description: Back the journal up and prove that a master starts from the backup
description:
  - Lets the leading master write a backup of its journal, and copies it to this machine with a checksum; nothing of it stays in the pod.
  - Starts a scratch master from the copy, with an empty journal and the release's own options, and compares the number of paths that it knows with
    what the leading master knew before and after the backup. The scratch master serves nobody and is removed again.
  - The copy has the ending .part until it is proven; what a run that was cut off left of one is removed by the next.
  - Beside the backup lies a file with the same name and the ending .json that says of which cluster, namespace, release and revision it is, so that a
    directory may hold those of many. Both can be read by their owner only, for a backup may hold credentials of mounted storage.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  source:
    description: A backup that is there already, of whichever cluster; it is proven only. One with another checksum than the file beside it says is refused.
    type: path
  directory: {description: Directory of the backups on this machine; made where it is missing., type: path, required: true}
  revision: {description: Revision of the release that the backup is of; written beside it., type: int, default: 0}
  keep: {description: "Number of backups of this release in this cluster that stay; older ones are removed. 0 keeps all.", type: int, default: 10}
  images:
    description: Images beside that of the release whose scratch masters shall start from the backup too. What came of it is told in RV(proofs) and
      RV(undecided); it is enough when one knows all paths.
    type: list
    elements: str
    default: []
  latest:
    description: Whether the copy is taken once more after the proof, for masters that are about to be stopped and to start from it; what was written meanwhile
      is in it then. Those that start from it prove it.
    type: bool
    default: false
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds that backup and proof may take each., type: int, default: 300}
attributes:
  check_mode: {description: "Tells which master would be asked; with O(source), looks at its checksum only.", support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Back the journal up
  alnair.alluxio.journal_backup: {release: alluxio, namespace: alluxio, directory: ~/backups, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
path: {description: The backup., type: str, returned: when it was made}
sha256: {description: Its checksum., type: str, returned: when it was made}
bytes: {description: Its size., type: int, returned: when it was made}
paths: {description: Number of files and directories that the leading master knew after the backup., type: int, returned: when it was made}
leader: {description: The pod that was asked., type: str, returned: success}
proofs:
  description: By image, the number of paths that its scratch master found, or in words that it gave up or lacks some, so that it cannot read the journal.
  type: dict
  returned: when it was made
undecided:
  description: By image, why its scratch master could not tell whether it can read the journal, such as no room on the nodes.
  type: dict
  returned: when it was made
proof_seconds: {description: Seconds that the proof took., type: float, returned: when it was made}
removed: {description: Older backups that were removed., type: list, elements: str, returned: when it was made}
"""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import backups, kube, pods, readiness
from ansible_collections.alnair.alluxio.plugins.module_utils import masters as about

try:
    import kubernetes
except ImportError:
    kubernetes = None

SCRATCH = "/tmp/alnair"
# Where the leading master writes a backup that is fetched from there.
WRITTEN = "/tmp/alnair-backup"
# The file appears under its name only when it is whole.
COMMAND = (f"until [ -e {SCRATCH}/backup.gz ]; do sleep 0.2; done; mkdir -p {SCRATCH}/journal; alluxio formatJournal >&2 || exit 1; "
           "exec /entrypoint.sh master-only --no-format")  # fmt: skip
PORT = 19999
# Alluxio's own System.exit(-1), as when it cannot read a journal. A JVM that does not start, a kill, an eviction and a missing program end with others.
GAVE_UP = 255


def make(masters: about.Masters, leader: str, target: Path, timeout: int) -> str:
    """Let a master write a backup, and copy it; return its checksum.

    Raises:
        pods.PodError: it could not be made or copied.
    """
    pod = masters.pod(leader)
    # The leader itself shall write it, to a folder from which it can be taken: a standby would write it into another pod.
    alone = "--bypass-delegation --allow-leader" if masters.stateful_set()["spec"]["replicas"] > 1 else ""
    # Also what a run that was killed, or could not reach the pod any more, left there: a journal may be large, and has credentials of mounts.
    line = f"rm -rf {WRITTEN} && mkdir -m 700 {WRITTEN} && alluxio fsadmin backup {WRITTEN} --local {alone} >&2 && ls {WRITTEN}/*.gz"
    try:
        path = pods.execute(masters.core, pod, line, timeout=timeout).split()[-1]
        return pods.fetch(masters.core, pod, path, target, timeout)
    finally:
        with contextlib.suppress(pods.PodError):
            pods.execute(masters.core, pod, f"rm -rf {WRITTEN}")


def prove(masters: about.Masters, backup: Path, image: str, timeout: int) -> int | str:
    """Start a scratch master from a backup; return the number of paths that it found, or with which words it gave up.

    Raises:
        MastersError, pods.PodError: it could not be tried, or did not end in time, which says nothing of the backup.
    """
    stateful_set = masters.stateful_set()
    options = about.environment_of(masters.core, masters.namespace, stateful_set)
    environment = {name: about.without(value, about.PLACE) for name, value in options.items()}
    place = {"type": "UFS", "folder": f"{SCRATCH}/journal", "init.from.backup": f"{SCRATCH}/backup.gz"}
    words = [f"-Dalluxio.master.journal.{key}={value}" for key, value in place.items()]
    words += ["-Dalluxio.master.hostname=localhost", "-Dalluxio.master.rpc.port=19998", f"-Dalluxio.master.web.port={PORT}"]
    environment["ALLUXIO_JAVA_OPTS"] = " ".join([environment.get("ALLUXIO_JAVA_OPTS", ""), *words])
    pod = masters.pod(f"{masters.release}-journal-proof-{time.time_ns() // 10**6 % 10**9}")
    deadline = time.monotonic() + timeout
    body = about.likeness(stateful_set, pod["name"], image, {"emptyDir": {}}, COMMAND, environment, deadline=2 * timeout)
    # One that a killed run left behind would take memory until its deadline, and stay after it.
    for item in kube.retried(masters.core.list_namespaced_pod, masters.namespace, label_selector="app.kubernetes.io/managed-by=alnair").items:
        if item.metadata.name.startswith(f"{masters.release}-journal-proof-"):
            about.gone(masters.core, masters.pod(item.metadata.name), deadline)
    about.create(masters, body)
    try:
        about.running(masters.core, pod, deadline)
        pods.push(masters.core, pod, backup, f"{SCRATCH}/backup.gz", timeout)
        while time.monotonic() < deadline:
            if served := masters.look(pod["name"], PORT):
                return served.paths
            status = kube.retried(masters.core.read_namespaced_pod_status, pod["name"], masters.namespace).status
            if status.phase != "Running":
                text = kube.log(masters.core, pod["name"], masters.namespace, tail_lines=100)
                said = f"it ended: {readiness.telling(text)}"
                ends = [item.state.terminated for item in status.container_statuses or [] if item.state.terminated]
                if [item.exit_code for item in ends] == [GAVE_UP]:
                    return said
                why = status.reason or ", ".join(f"{item.reason}, exit code {item.exit_code}" for item in ends) or status.phase
                raise about.MastersError(f"pod {pod['name']} ({why}): {said}")
            time.sleep(1)
        raise about.MastersError(f"pod {pod['name']} did not serve within {timeout} s")
    finally:
        about.gone(masters.core, pod, time.monotonic() + 30)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "source": {"type": "path"},
            "directory": {"type": "path", "required": True},
            "revision": {"type": "int", "default": 0},
            "keep": {"type": "int", "default": 10},
            "images": {"type": "list", "elements": "str", "default": []},
            "latest": {"type": "bool", "default": False},
            **kube.ARGUMENTS,
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    try:
        masters = about.Masters(kube.client(params), params["namespace"], params["release"])
        if params["source"]:
            intact(Path(params["source"]))
            module.exit_json(changed=False, leader=None, **({} if module.check_mode else proven(masters, Path(params["source"]), params["timeout"])))
        before = masters.leader()
        if not before:
            raise about.MastersError("no master of it answers, so there is nobody to ask for a backup. Mend it first (alnair_runner.py status)")
        if module.check_mode:
            module.exit_json(changed=True, leader=before.name)
        module.exit_json(changed=True, leader=before.name, **backup(masters, before, params))
    except (about.MastersError, pods.PodError, kube.ClusterAway, kubernetes.client.ApiException, OSError) as error:
        what = f"{params['source']} cannot be restored" if params["source"] else f"The journal of release {params['release']} was not backed up"
        module.fail_json(msg=f"{what}: {kube.reason(error)}")


def intact(source: Path) -> None:
    """Compare a backup with the checksum beside it, where there is one.

    Raises:
        MastersError: it is not what it was.
    """
    # Whoever brings a backup may leave the file beside it behind.
    with contextlib.suppress(FileNotFoundError, ValueError):
        if backups.facts(source)["sha256"] != pods.digest(source):
            raise about.MastersError(f"it is not what it was when it was made; its checksum is not that in {source.with_suffix('.json')}")


def proven(masters: about.Masters, source: Path, timeout: int) -> dict[str, Any]:
    """Prove a backup that is there already with the image of the masters.

    Raises:
        MastersError: no scratch master starts from it.
    """
    image = about.image_of(masters.stateful_set())
    started = time.monotonic()
    found = pods.uncut(lambda: prove(masters, source, image, timeout))
    seconds = round(time.monotonic() - started, 1)
    if not isinstance(found, int):
        raise about.MastersError(f"a scratch master of {image} does not start from it: {found}")
    return {"path": str(source), "sha256": pods.digest(source), "bytes": source.stat().st_size, "paths": found, "proofs": {image: found},
            "undecided": {}, "proof_seconds": seconds, "removed": []}  # fmt: skip


def backup(masters: about.Masters, leader: about.Leader, params: dict[str, Any]) -> dict[str, Any]:
    """Make, copy and prove a backup.

    Args:
        masters: The masters.
        leader: The master that leads.
        params: The module's options.

    Raises:
        MastersError: no scratch master knows what the leader knew; nothing of the backup stays.
        pods.PodError: it could not be made or copied.
    """
    directory = Path(params["directory"])
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    backups.sweep(directory, masters.release)
    owner = backups.whose(masters.core, masters.namespace, masters.release)
    target = directory / f"{masters.release}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.gz"
    with backups.growing(target) as part:
        sha256 = pods.uncut(lambda: make(masters, leader.name, part, params["timeout"]))
        paths = (masters.leader() or leader).paths
        image = about.image_of(masters.stateful_set())
        started = time.monotonic()
        proofs, undecided = tried(masters, part, [image, *params["images"]], min(leader.paths, paths), params["timeout"])
        seconds = round(time.monotonic() - started, 1)
        if not any(isinstance(found, int) and found <= max(leader.paths, paths) for found in proofs.values()):
            raise about.MastersError(f"no scratch master started from the copy with the {paths} paths that {leader.name} knows: {proofs | undecided}")
        if params["latest"]:
            sha256 = pods.uncut(lambda: make(masters, leader.name, part, params["timeout"]))
            paths = (masters.leader() or leader).paths
        size = part.stat().st_size
        about_it = {**owner, "revision": params["revision"], "image": image, "sha256": sha256, "bytes": size, "paths": paths, "proofs": proofs}
        beside = target.with_suffix(".json")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(about_it, indent=2) + "\n", encoding="utf-8")
    removed = old(directory, owner, params["keep"])
    for path in removed:
        path.unlink()
        path.with_suffix(".json").unlink()
    return {"path": str(target), "sha256": sha256, "bytes": size, "paths": paths, "proofs": proofs, "undecided": undecided, "proof_seconds": seconds,
            "removed": [str(path) for path in removed]}  # fmt: skip


def tried(masters: about.Masters, part: Path, images: list[str], least: int, timeout: int) -> tuple[dict[str, int | str], dict[str, str]]:
    """Start a scratch master of each image from a backup.

    Args:
        masters: The masters.
        part: The backup.
        images: The images; one that is named twice is tried once.
        least: Number of paths that a master which can read it knows.
        timeout: Seconds that each may take.

    Returns:
        What proofs and undecided are in the module's answer.
    """
    proofs: dict[str, int | str] = {}
    undecided: dict[str, str] = {}
    for image in dict.fromkeys(images):
        try:
            found = pods.uncut(lambda image=image: prove(masters, part, image, timeout))
        except (about.MastersError, pods.PodError) as error:
            undecided[image] = str(error)
        else:
            proofs[image] = f"it knows {found} of at least {least} paths" if isinstance(found, int) and found < least else found
    return proofs, undecided


def old(directory: Path, owner: dict[str, str], keep: int) -> list[Path]:
    """Return the backups of a release in a cluster beyond the newest ones that stay."""
    return [path for path, _facts in backups.listed(directory, owner) if path.exists()][keep:] if keep else []


if __name__ == "__main__":
    main()
