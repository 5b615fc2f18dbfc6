"""Ansible module: a Helm release whose changed, check mode and diff are true without a plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: Hold a Helm release in a state
description:
  - Renders what would be applied on the server and compares it, its values and its state with what is deployed; nothing is applied when they are the same.
  - Asks the API server beforehand whether it would take each object. What it refuses because a field cannot be changed is recreated with its pods kept,
    or with them replaced where its selector changes or a claim comes; claims are never recreated. All else that it refuses is told before anything is changed.
  - A release that a killed helm left pending is rolled back to its last Ready or deployed revision, or removed when there is none, and then installed; a
    removal that was cut off is ended first.
  - A release of the same name that is not of Alluxio's chart is refused.
  - Values reach helm by files, never by its command line; Secrets are masked in diffs.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state:
    description: Whether the release shall be there; V(rolled_back) puts an earlier revision back, V(repaired) does nothing but free a release in mid-flight.
    type: str
    choices: [present, absent, rolled_back, repaired]
    default: present
  name: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  chart: {description: Folder or tarball of a chart., type: path}
  revision:
    description:
      - With V(rolled_back), the revision to put back; 0 for the newest one that was Ready before the current one.
      - With V(repaired), the revision that an upgrade which was cut off goes back to; 0 for the newest one that was Ready.
      - With V(present), a revision whose stored chart and values are taken in the place of O(chart), O(defaults) and O(values_files); V(-1) for the
        current one.
    type: int
    default: 0
  values_files: {description: Values files in order; later ones win., type: list, elements: path, default: []}
  defaults: {description: Values below those of the files., type: dict, default: {}}
  values: {description: Values above those of the files., type: dict, default: {}}
  helm: {description: The program helm., type: path, default: helm}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  timeout: {description: Seconds that one call of helm may take., type: int, default: 300}
attributes:
  check_mode: {description: Can tell what it would change without changing it., support: full}
  diff_mode: {description: Returns what differs., support: full}
"""

EXAMPLES = r"""
- name: Install Alluxio
  alnair.alluxio.helm_release:
    name: alluxio
    namespace: alluxio
    chart: charts/alluxio
    kubeconfig: ~/.kube/config
    values: {fuse: {enabled: true}}

- name: Put the last Ready revision back
  alnair.alluxio.helm_release: {state: rolled_back, name: alluxio, namespace: alluxio, kubeconfig: ~/.kube/config}
"""

RETURN = r"""
revision: {description: Revision after the run., type: int, returned: success}
differs: {description: Whether what is deployed differs from what is wanted; the same as changed., type: bool, returned: success}
installed: {description: Whether a revision was deployed before., type: bool, returned: success}
ready_revision: {description: "Newest revision before the current one that was Ready, or else deployed; 0 for none.", type: int, returned: success}
restarts: {description: "Workloads whose pods are replaced, as kind/name.", type: list, elements: str, returned: success}
recreated: {description: "Objects that are recreated because a field of them cannot be changed, as kind/name.", type: list, elements: str, returned: success}
effective: {description: The chart's values as they are used., type: dict, returned: when state is present or rolled_back}
effective_before: {description: The chart's values as they were used before., type: dict, returned: when a revision was deployed}
repaired: {description: What was done to a release that was in mid-flight., type: str, returned: when it was}
"""

import difflib
import json
import re

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import helm as helms
from ansible_collections.alnair.alluxio.plugins.module_utils import kube
from ansible_collections.alnair.alluxio.plugins.module_utils.values import differing, merged

# The client brings PyYAML with it.
try:
    import kubernetes
    import yaml
except ImportError:
    kubernetes = None


def refuse_foreign(helm: helms.Helm, history: list[dict[str, object]]) -> None:
    """Fail when a release of this name is of another chart."""
    if history and not re.match(r"alluxio-v?\d", str(history[-1]["chart"])):
        helm.module.fail_json(
            msg=f"Namespace {helm.params['namespace']} has a release {helm.params['name']} of chart {history[-1]['chart']}, which is not Alluxio's. Nothing "
            "was changed. Give this one another name (alluxio_release) or another namespace (alluxio_namespace)."
        )


def present(module: AnsibleModule, helm: helms.Helm) -> None:
    """Install or upgrade the release when it differs."""
    history = helm.history()
    refuse_foreign(helm, history)
    result: dict[str, object] = {"restarts": [], "recreated": []}
    if done := helm.repair(history):
        result["repaired"] = done
        if module.check_mode:
            # Helm renders nothing for a release in this state, not even to look.
            module.exit_json(changed=True, differs=True, installed=True, revision=history[-1]["revision"], ready_revision=helm.good_revision(history),
                             effective={}, **result)  # fmt: skip
        history = helm.history()
    chart, defaults, files = module.params["chart"], module.params["defaults"], module.params["values_files"]
    if module.params["revision"]:
        number = module.params["revision"] if module.params["revision"] > 0 or not history else int(str(history[-1]["revision"]))
        (chart, defaults), files = helm.stored(number), []
    wanted = helm.upgrade(chart, defaults, files, "--dry-run=server", "--hide-notes")
    result["effective"] = merged([wanted.get("chart", {}).get("values") or {}, wanted.get("config") or {}])
    before, unseen = "", [""]
    if history:
        release = helm.release(int(str(history[-1]["revision"])))
        before = helm.there(release["manifest"])
        result["effective_before"] = merged([release["chart"].get("values") or {}, release.get("config") or {}])
        # What says the same in other words, such as a default, is no change, and a key that only another version of the chart has is none of the user's.
        unseen = [] if release.get("config") == wanted.get("config") else differing(result["effective_before"], result["effective"])
        if history[-1]["status"] != "deployed":
            unseen.append(f"the revision is {history[-1]['status']}")
    after = str(wanted["manifest"])
    lines = helms.masked(before), helms.masked(after)
    changed = bool(unseen or lines[0] != lines[1] or "repaired" in result)
    recreated: list[dict[str, object]] = []
    if changed:
        recreated = helm.unchangeable(before, after)
        result["recreated"] = [helms.title(item) for item in recreated]
        result["restarts"] = helms.restarted(before, after)
    if module._diff and changed:
        shown = "".join(difflib.unified_diff(*lines, "deployed", "wanted", n=2))
        # Without the values, which may be secret.
        result["diff"] = {"prepared": shown or f"No object differs, but the release: {', '.join(unseen) or 'it is repaired'}\n"}
    installed, good = bool(history), helm.good_revision(history)
    if changed and not module.check_mode:
        helm.stop_lost(before, after)
        helm.make_way(recreated)
        helm.upgrade(chart, defaults, files, "--hide-notes")
        history = helm.history()
    module.exit_json(changed=changed, differs=changed, installed=installed, ready_revision=good,
                     revision=history[-1]["revision"] if history else 0, **result)  # fmt: skip


def rolled_back(module: AnsibleModule, helm: helms.Helm) -> None:
    """Put an earlier revision back."""
    history = helm.history()
    refuse_foreign(helm, history)
    if not history:
        module.fail_json(msg=f"There is no release {module.params['name']} in namespace {module.params['namespace']}, so there is nothing to roll back.")
    numbers = [int(str(item["revision"])) for item in history]
    # A revision that a killed helm left pending is not the current one: the user saw it come as little as helm does.
    settled = [item for item in history if not str(item["status"]).startswith("pending")]
    target = module.params["revision"] or helm.good_revision(settled[:-1])
    # The current one can be asked for too: what changed its objects past helm, such as masters that were stopped, is undone.
    if target not in (numbers if module.params["revision"] else numbers[:-1]):
        lacking = f"Release {module.params['name']} has no revision {target or 'that was Ready before'} to go back to"
        module.fail_json(msg=f"{lacking}; it has {numbers}. See helm history.")
    before, after = helm("get", "manifest", module.params["name"]) or "", helm("get", "manifest", module.params["name"], "--revision", str(target)) or ""
    recreated = helm.unchangeable(before, after)
    release, now = helm.release(target), helm.release(numbers[-1])
    result: dict[str, object] = {
        "effective_before": merged([now["chart"].get("values") or {}, now.get("config") or {}]),
        "restarts": helms.restarted(before, after),
        "recreated": [helms.title(item) for item in recreated],
        "effective": merged([release["chart"].get("values") or {}, release.get("config") or {}]),
    }
    if module._diff:
        lines = helms.masked(before), helms.masked(after)
        result["diff"] = {"prepared": "".join(difflib.unified_diff(*lines, "deployed", f"revision {target}", n=2))}
    if not module.check_mode:
        helm.stop_lost(before, after)
        helm.make_way(recreated)
        helm.roll_back(target)
        settled = helm.history()
    module.exit_json(changed=True, differs=True, installed=True, ready_revision=target, revision=(settled or history)[-1]["revision"], **result)


def repaired(module: AnsibleModule, helm: helms.Helm) -> None:
    """Free the release where a helm that was cut off left it in mid-flight."""
    history = helm.history()
    refuse_foreign(helm, history)
    done = helm.repair(history, module.params["revision"])
    if done and not module.check_mode:
        history = helm.history()
    module.exit_json(changed=bool(done), differs=bool(done), installed=bool(history), ready_revision=helm.good_revision(history), restarts=[], recreated=[],
                     revision=history[-1]["revision"] if history else 0, **({"repaired": done} if done else {}))  # fmt: skip


def absent(module: AnsibleModule, helm: helms.Helm) -> None:
    """Remove the release."""
    history = helm.history()
    refuse_foreign(helm, history)
    if history and not module.check_mode:
        pending, good = str(history[-1]["status"]).startswith("pending"), helm.good_revision(history)
        # Helm removes what its newest revision has, which was cut off before it had removed what only the one before it has.
        left = helm.unlisted(good) if pending and good else []
        helm("uninstall", module.params["name"], missing_is_none=True)
        helm.make_way([{**item, "alnair_keep_pods": False} for item in left])
    module.exit_json(changed=bool(history), differs=bool(history), installed=bool(history), ready_revision=0, revision=0, restarts=[], recreated=[])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent", "rolled_back", "repaired"], "default": "present"},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "chart": {"type": "path"},
            "revision": {"type": "int", "default": 0},
            "values_files": {"type": "list", "elements": "path", "default": []},
            "defaults": {"type": "dict", "default": {}},
            "values": {"type": "dict", "default": {}},
            "helm": {"type": "path", "default": "helm"},
            "kubeconfig": {"type": "path", "required": True},
            "context": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    if module.params["state"] == "present" and not (module.params["chart"] or module.params["revision"]):
        module.fail_json(msg="state=present needs chart, or revision for a stored one.")
    try:
        {"present": present, "absent": absent, "rolled_back": rolled_back, "repaired": repaired}[module.params["state"]](module, helms.Helm(module))
    except (kube.ClusterAway, kubernetes.client.ApiException, yaml.YAMLError, json.JSONDecodeError) as error:
        module.fail_json(msg=f"Release {module.params['name']}: {kube.reason(error)[:500]}")


if __name__ == "__main__":
    main()
