"""Ansible module: a Helm release whose changed, check mode and diff are true without a plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: Hold a Helm release in a state
description:
  - Renders what would be applied on the server and compares it, its values and its state with what is deployed; nothing is applied when they are the same.
  - A release that a killed helm left pending is rolled back to its last deployed revision, or removed when there is none, and then installed; a
    removal that was cut off is ended first.
  - Values reach helm by files, never by its command line; Secrets are masked in diffs.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  state: {description: Whether the release shall be there., type: str, choices: [present, absent], default: present}
  name: {description: Name of the release., type: str, required: true}
  namespace: {description: Namespace of the release., type: str, required: true}
  chart: {description: "Folder or tarball of a chart, an oci:// reference, or the chart's name in O(repository).", type: str}
  repository: {description: URL of a chart repository., type: str}
  version: {description: Version of the chart in a repository., type: str}
  values_files: {description: Values files in order; later ones win., type: list, elements: path, default: []}
  defaults: {description: Values below those of the files., type: dict, default: {}}
  values: {description: Values above those of the files., type: dict, default: {}}
  helm: {description: The program helm., type: str, default: helm}
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
"""

RETURN = r"""
revision: {description: Revision after the run., type: int, returned: success}
differs: {description: Whether what is deployed differs from what is wanted; the same as changed., type: bool, returned: success}
repaired: {description: What was done to a release that was in mid-flight., type: str, returned: when it was}
"""

import difflib
import json
import os
import tempfile
import time

import yaml
from ansible.module_utils.basic import AnsibleModule

# What helm prints when the API server or a repository is away for a moment.
PASSING = ("connection refused", "connection reset", "EOF", "TLS handshake timeout", "i/o timeout", "the server is currently unable")


def masked(manifest: str) -> list[str]:
    """Return the lines of a manifest with the values of Secrets hidden, in an order of their own.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    objects = [item for item in yaml.safe_load_all(manifest) if item]
    for item in objects:
        if item.get("kind") == "Secret":
            for part in ("data", "stringData"):
                item[part] = dict.fromkeys(item.get(part) or {}, "(masked)")
    objects.sort(key=lambda item: (item.get("kind", ""), item.get("metadata", {}).get("name", "")))
    return yaml.safe_dump_all(objects, sort_keys=True).splitlines(keepends=True)


class Helm:
    """The program helm, bound to a cluster, a namespace and a release."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.base = [self.params["helm"], "--kubeconfig", self.params["kubeconfig"], "--namespace", self.params["namespace"]]
        if self.params["context"]:
            self.base += ["--kube-context", self.params["context"]]

    def __call__(self, *words: str, missing_is_none: bool = False) -> str | None:
        for attempt in range(4):
            code, out, err = self.module.run_command([*self.base, *words])
            if not code:
                return out
            if missing_is_none and "not found" in err:
                return None
            if not any(text in err for text in PASSING):
                break
            time.sleep(2**attempt)
        return self.module.fail_json(msg=f"helm {words[0]} {self.params['name']}: {err.strip() or out.strip()}")

    def history(self) -> list[dict[str, object]]:
        """Return the revisions, oldest first."""
        out = self("history", self.params["name"], "--max", "50", "--output", "json", missing_is_none=True)
        return json.loads(out) if out else []

    def values_file(self, values: dict[str, object]) -> str:
        """Return the path of a file with values that only this user can read."""
        handle, path = tempfile.mkstemp(prefix="values-", suffix=".yaml", dir=self.module.tmpdir)
        with os.fdopen(handle, "w") as target:
            yaml.safe_dump(values, target)
        return path

    def upgrade(self, *words: str) -> dict[str, object]:
        """Install or upgrade, or with --dry-run=server render; return the release."""
        chart = ["--repo", self.params["repository"]] if self.params["repository"] else []
        chart += ["--version", self.params["version"]] if self.params["version"] else []
        files = [self.values_file(self.params["defaults"]), *self.params["values_files"], self.values_file(self.params["values"])]
        out = self("upgrade", "--install", self.params["name"], self.params["chart"], *chart, "--reset-values", "--output", "json",
                   "--timeout", f"{self.params['timeout']}s", *[word for path in files for word in ("--values", path)], *words)
        return json.loads(out or "{}")


def repair(helm: Helm, history: list[dict[str, object]]) -> str:
    """Free a release that a killed helm left in mid-flight; return what was done."""
    if history[-1]["status"] == "uninstalling":
        if not helm.module.check_mode:
            helm("uninstall", helm.params["name"])
        return "ended the removal that was cut off"
    deployed = [item["revision"] for item in history if item["status"] in ("deployed", "superseded")]
    if deployed:
        if not helm.module.check_mode:
            helm("rollback", helm.params["name"], str(deployed[-1]))
        return f"rolled back to revision {deployed[-1]}"
    if not helm.module.check_mode:
        helm("uninstall", helm.params["name"])
    return "removed what the first install left behind"


def present(module: AnsibleModule, helm: Helm) -> None:
    """Install or upgrade the release when it differs."""
    history = helm.history()
    result: dict[str, object] = {}
    if history and str(history[-1]["status"]).startswith(("pending", "uninstalling")):
        result["repaired"] = repair(helm, history)
        if module.check_mode:
            # Helm renders nothing for a release in this state, not even to look.
            module.exit_json(changed=True, differs=True, revision=history[-1]["revision"], **result)
        history = helm.history()
    wanted = helm.upgrade("--dry-run=server", "--hide-notes")
    before: list[str] = []
    same = False
    if history:
        before = masked(helm("get", "manifest", module.params["name"]) or "")
        now = json.loads(helm("get", "values", module.params["name"], "--output", "json") or "{}") or {}
        same = now == (wanted.get("config") or {}) and history[-1]["status"] == "deployed"
    after = masked(str(wanted["manifest"]))
    changed = bool(not same or before != after or result)
    if module._diff and changed:
        result["diff"] = {"prepared": "".join(difflib.unified_diff(before, after, "deployed", "wanted", n=2))}
    if changed and not module.check_mode:
        helm.upgrade("--hide-notes")
        history = helm.history()
    module.exit_json(changed=changed, differs=changed, revision=history[-1]["revision"] if history else 0, **result)


def absent(module: AnsibleModule, helm: Helm) -> None:
    """Remove the release."""
    history = helm.history()
    if history and not module.check_mode:
        helm("uninstall", module.params["name"])
    module.exit_json(changed=bool(history), differs=bool(history), revision=0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "chart": {"type": "str"},
            "repository": {"type": "str"},
            "version": {"type": "str"},
            "values_files": {"type": "list", "elements": "path", "default": []},
            "defaults": {"type": "dict", "default": {}},
            "values": {"type": "dict", "default": {}},
            "helm": {"type": "str", "default": "helm"},
            "kubeconfig": {"type": "path", "required": True},
            "context": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[("state", "present", ["chart"])],
        supports_check_mode=True,
    )
    (present if module.params["state"] == "present" else absent)(module, Helm(module))


if __name__ == "__main__":
    main()
