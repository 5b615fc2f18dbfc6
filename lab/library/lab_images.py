"""Ansible module: images in the nodes' containerd."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_images
short_description: Import an archive of images into every node's containerd
description:
  - Imports at the same time into all nodes that have not imported just this archive yet.
options:
  nodes: {description: Names of the node containers., required: true, type: list, elements: str}
  archive: {description: The archive as the nodes see it., required: true, type: path}
"""

EXAMPLES = r"""
- name: Import
  lab_images: {nodes: [alnair-lab-0], archive: /opt/lab/images/images.tar}
"""

RETURN = r"""
imported: {description: Nodes that imported., type: list, returned: success}
"""

import concurrent.futures

from ansible.module_utils.basic import AnsibleModule

# The mark lies on the volume that holds the images, and names the archive by its size and time, so both go together.
IMPORT = """set -e
mark=/var/lib/containerd/lab-images
now=$(stat -Lc '%s %Y' "$1")
[ "$(cat $mark 2>/dev/null)" = "$now" ] && exit 0
[ "$2" = check ] || ctr -n k8s.io images import "$1" >/dev/null
[ "$2" = check ] || echo "$now" > $mark
echo imported
"""


def main():
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "str", "required": True},
            "archive": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    mode = "check" if module.check_mode else "import"

    def one(node):
        return node, module.run_command(["podman", "exec", node, "sh", "-c", IMPORT, "sh", module.params["archive"], mode])

    with concurrent.futures.ThreadPoolExecutor(len(module.params["nodes"])) as pool:
        done = list(pool.map(one, module.params["nodes"]))
    problems = [f"{node}: {err.strip()}" for node, (code, _out, err) in done if code]
    if problems:
        module.fail_json(msg="The images could not be imported into " + "; ".join(problems))
    imported = [node for node, (_code, out, _err) in done if "imported" in out]
    module.exit_json(changed=bool(imported), imported=imported)


if __name__ == "__main__":
    main()
