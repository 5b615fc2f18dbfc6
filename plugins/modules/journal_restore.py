"""Ansible module: the journals of stopped masters put aside, and a backup laid where the masters will start from it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_restore
short_description: Put the masters' journals aside and lay a backup in their place
description:
  - Stops the masters and works on their claims, through a pod for each claim that has all that a master has.
  - Nothing of a journal is deleted. With V(prepared) it is moved to a hidden folder beside it, an UFS journal is formatted, and the backup is laid into another
    hidden folder, from which masters whose property C(alluxio.master.journal.init.from.backup) names it start.
  - V(started) remembers which revision they did that with; they may have been written to since.
  - From V(prepared) to V(done) an annotation of the first claim remembers what is under way, so that the next run can undo what a killed one began.
  - V(undone) stops the masters and puts the journals back that the annotation tells of, and those of the masters that failed into a hidden folder; there is
    nothing to do where it tells of none. V(done) removes the backup from the claims and the annotation, and leaves the old journals where they were put.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state: {description: What shall be there., type: str, choices: [prepared, started, undone, done, formatted], default: prepared}
  release: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  masters: {description: "Number of masters whose claims are meant; with V(undone), as remembered.", type: int, default: 0}
  source: {description: The backup on this machine., type: path}
  aside: {description: "Name of the folder for the old journals, without a slash.", type: str, default: ""}
  revision: {description: "Revision of the release that the journals belong to, before V(prepared) or with V(started).", type: int, default: 0}
  journal_type: {description: How the masters will keep their journal., type: str, choices: [UFS, EMBEDDED], default: UFS}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds that the work on one claim may take., type: int, default: 300}
attributes:
  check_mode: {description: Tells which claims are meant., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Lay a backup into the journal's place
  alnair.alluxio.journal_restore:
    {release: alluxio, namespace: alluxio, masters: 1, source: ~/backups/alluxio-20260101T000000Z.gz, aside: before-restore, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
claims: {description: The claims that were worked on., type: list, elements: str, returned: success}
revision: {description: Revision that the journals belong to; 0 where nothing was remembered., type: int, returned: success}
folder: {description: "Where the masters find the backup, in their own file system.", type: str, returned: success}
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import kube, pods
from ansible_collections.alnair.alluxio.plugins.module_utils import masters as about

try:
    import kubernetes
except ImportError:
    kubernetes = None

# Hidden entries are not the journal's: the chart's guard against formatting twice looks past them too.
JOURNALS = "find . -mindepth 1 -maxdepth 1 -not -name '.*' -not -name lost+found"
# What is in .alnair-part and what is not yet are one journal, whichever way it is on; so each line may be cut off anywhere and run again.
ASIDE = f'set -e; cd "$1"; [ ! -e ".alnair-$2" ] || exit 0; mkdir -p .alnair-part; {JOURNALS} -exec mv -t .alnair-part {{}} +; mv .alnair-part ".alnair-$2"'
BACK = 'set -e; cd "$1"; if [ -e ".alnair-$2" ]; then mkdir -p ".alnair-undone-$2"; '
BACK += f'{JOURNALS} -exec mv -t ".alnair-undone-$2" {{}} +; mv ".alnair-$2" .alnair-part; fi; '
BACK += "if [ -e .alnair-part ]; then find .alnair-part -mindepth 1 -maxdepth 1 -exec mv -t . {} +; rmdir .alnair-part; fi; rm -rf .alnair-restore"
NEW = f'cd "$1" && [ -z "$({JOURNALS} -print -quit)" ] && echo new || echo old'


def claim(masters: about.Masters, stateful_set: dict[str, Any], index: int) -> str:
    """Return the name of the journal's claim of a master, made now if that master has never been there."""
    template = next((item for item in stateful_set["spec"].get("volumeClaimTemplates") or [] if item["metadata"]["name"] == about.JOURNAL), None)
    if template is None:
        raise about.MastersError("its journal lies in an emptyDir, which goes with the pod: there is nowhere to restore to (journal.volumeType)")
    name = about.claim_name(stateful_set, index)
    if kube.retried(masters.core.read_namespaced_persistent_volume_claim, name, masters.namespace, missing=None) is None:
        labels = stateful_set["spec"]["selector"]["matchLabels"]
        body = {"metadata": {"name": name, "labels": labels}, "spec": template["spec"]}
        kube.retried(masters.core.create_namespaced_persistent_volume_claim, masters.namespace, body)
    return name


def work(masters: about.Masters, stateful_set: dict[str, Any], index: int, params: dict[str, Any]) -> bool:
    """Do on a claim what was asked for; tell whether that changed it.

    Raises:
        MastersError, pods.PodError: it could not be done.
    """
    name = claim(masters, stateful_set, index)
    folder = journal_folder(stateful_set)
    options = about.environment_of(masters.core, masters.namespace, stateful_set)
    place = f"-Dalluxio.master.journal.type={params['journal_type']} -Dalluxio.master.journal.folder={folder} -Dalluxio.master.hostname=localhost"
    environment = {key: about.without(value, about.PLACE) for key, value in options.items()}
    environment["ALLUXIO_JAVA_OPTS"] = f"{environment.get('ALLUXIO_JAVA_OPTS', '')} {place}"
    pod = masters.pod(f"{masters.release}-journal-restore-{index}")
    deadline = time.monotonic() + params["timeout"]
    # One that a killed run left behind.
    about.gone(masters.core, pod, deadline)
    source = {"persistentVolumeClaim": {"claimName": name}}
    body = about.likeness(stateful_set, pod["name"], "", source, "sleep infinity", environment, deadline=2 * params["timeout"])
    about.create(masters, body)
    try:
        about.running(masters.core, pod, deadline)
        if params["state"] == "prepared":
            pods.execute(masters.core, pod, ASIDE, folder, params["aside"])
            pods.push(masters.core, pod, Path(params["source"]), f"{folder}/.alnair-restore/backup.gz", params["timeout"])
        if params["state"] == "undone":
            pods.execute(masters.core, pod, BACK, folder, params["aside"])
        elif params["journal_type"] == "UFS" and pods.execute(masters.core, pod, NEW, folder).strip() == "new":
            pods.execute(masters.core, pod, "alluxio formatJournal >&2", timeout=params["timeout"])
        else:
            return params["state"] == "prepared"
    finally:
        about.gone(masters.core, pod, time.monotonic() + 30)
    return True


def change(masters: about.Masters, stateful_set: dict[str, Any], params: dict[str, Any]) -> bool:
    """Do on all claims what was asked for; tell whether that changed any."""
    indices = range(params["masters"])
    if params["state"] == "done":
        for index in indices:
            pod = masters.pod(f"{stateful_set['metadata']['name']}-{index}")
            pods.uncut(lambda pod=pod: pods.execute(masters.core, pod, 'rm -rf "$1/.alnair-restore"', journal_folder(stateful_set)))
        masters.remember_move(None)
        return True
    if params["state"] == "started":
        masters.remember_move({**(masters.move() or {}), "started": params["revision"]})
        return True
    if params["state"] == "prepared":
        claim(masters, stateful_set, 0)
        # Claims of masters that come have nothing to be put back.
        known = min(params["masters"], stateful_set["spec"]["replicas"] or params["masters"])
        masters.remember_move({"aside": params["aside"], "revision": params["revision"], "masters": known, "started": 0})
    if params["state"] != "formatted" and params["masters"]:
        masters.stop(params["timeout"])
    changed = [pods.uncut(lambda index=index: work(masters, stateful_set, index, params)) for index in indices]
    return any(changed)


def journal_folder(stateful_set: dict[str, Any]) -> str:
    """Return where the masters' containers have the journal's volume."""
    master = next(item for item in stateful_set["spec"]["template"]["spec"]["containers"] if item["name"] == about.CONTAINER)
    return str(next(item["mountPath"] for item in master["volumeMounts"] if item["name"] == about.JOURNAL))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["prepared", "started", "undone", "done", "formatted"], "default": "prepared"},
            "release": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "masters": {"type": "int", "default": 0},
            "source": {"type": "path"},
            "aside": {"type": "str", "default": ""},
            "revision": {"type": "int", "default": 0},
            "journal_type": {"choices": ["UFS", "EMBEDDED"], "default": "UFS"},
            **kube.ARGUMENTS,
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[("state", "prepared", ["source", "aside", "masters", "revision"]), ("state", "started", ["revision"])],
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    try:
        masters = about.Masters(kube.client(params), params["namespace"], params["release"])
        stateful_set = masters.stateful_set()
        move = masters.move() or {}
        if params["state"] == "undone":
            params.update(masters=move.get("masters", 0), aside=move.get("aside", ""))
        names = [about.claim_name(stateful_set, index) for index in range(params["masters"])]
        changed = bool(names)
        if not module.check_mode:
            changed &= change(masters, stateful_set, params)
        module.exit_json(changed=changed, claims=names, revision=move.get("revision", 0), folder=f"{journal_folder(stateful_set)}/.alnair-restore")
    except (about.MastersError, pods.PodError, kube.ClusterAway, kubernetes.client.ApiException, OSError) as error:
        module.fail_json(msg=f"The journals of release {params['release']}: {kube.reason(error)}")


if __name__ == "__main__":
    main()
