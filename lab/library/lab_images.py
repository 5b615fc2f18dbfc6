"""Ansible module: images in the nodes' containerd."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_images
short_description: Import an archive of images into every node's containerd
description:
  - Imports at the same time into all nodes that have not imported just this archive yet.
options:
  nodes: {description: Names of the node containers., required: true, type: list, elements: str}
  archive: {description: The archive on the controller., required: true, type: path}
"""

EXAMPLES = r"""
- name: Import
  lab_images: {nodes: [alnair-lab-0], archive: /var/cache/lab/images.tar}
"""

RETURN = r"""
imported: {description: Nodes that imported., type: list, returned: success}
"""

import concurrent.futures
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# The mark lies on the volume that holds the images, so both go together.
IMPORT = """set -e
mark=/var/lib/containerd/lab-images
[ "$(cat $mark 2>/dev/null)" = "$1" ] && exit 0
echo missing
[ "$2" = check ] && exit 0
ctr -n k8s.io images import - >/dev/null
echo "$1" > $mark
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "str", "required": True},
            "archive": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    mode = "check" if module.check_mode else "import"

    archive = Path(module.params["archive"])
    facts = archive.stat()
    mark = f"{archive.parent.name} {facts.st_size}"

    def one(node: str) -> tuple[str, tuple[int, str, str]]:
        command = ["podman", "exec", "-i", node, "sh", "-c", IMPORT, "sh", mark, mode]
        with archive.open("rb") as content:
            done = subprocess.run(command, stdin=content, capture_output=True, text=True, check=False)
        return node, (done.returncode, done.stdout, done.stderr)

    with concurrent.futures.ThreadPoolExecutor(len(module.params["nodes"])) as pool:
        done = list(pool.map(one, module.params["nodes"]))
    problems = [f"{node}: {err.strip()}" for node, (code, _out, err) in done if code]
    if problems:
        module.fail_json(msg="The images could not be imported into " + "; ".join(problems))
    imported = [node for node, (_code, out, _err) in done if "missing" in out]
    module.exit_json(changed=bool(imported), imported=imported)


if __name__ == "__main__":
    main()
