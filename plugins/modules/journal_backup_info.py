"""Ansible module: the backups of a release's journal on this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_backup_info
short_description: List the backups of a release's journal
description:
  - Reads what M(alnair.alluxio.journal_backup) wrote beside each backup, and tells whether the backup is still what it was.
version_added: 0.2.0
author: The Alnair authors (@CentaurusInfra)
options:
  release: {description: Name of the release., type: str, required: true}
  directory: {description: Directory of the backups on this machine., type: path, required: true}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: List
  alnair.alluxio.journal_backup_info: {release: alluxio, directory: ~/backups}
"""

RETURN = r"""
backups:
  description: "The backups, newest first, each with path, revision, image, paths, bytes, sha256, and whole: whether its checksum still holds."
  type: list
  elements: dict
  returned: success
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alnair.alluxio.plugins.module_utils import pods


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"release": {"type": "str", "required": True}, "directory": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    found = []
    for path in sorted(Path(module.params["directory"]).glob(f"{module.params['release']}-*Z.json"), reverse=True):
        backup = path.with_suffix(".gz")
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["release"] == module.params["release"]:
                found.append({"path": str(backup), **facts, "whole": backup.exists() and pods.digest(backup) == facts["sha256"]})
        except (OSError, ValueError, KeyError) as error:
            module.warn(f"{path} tells nothing of a backup: {error}")
    module.exit_json(changed=False, backups=found)


if __name__ == "__main__":
    main()
