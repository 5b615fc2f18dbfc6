"""Documentation of the action run_lock, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let only one run at a time change what an inventory describes
description:
  - Takes a kernel lock on the controller for as long as this ansible-playbook lives. It frees itself however that ends, SIGKILL included.
  - Runs of the same user on the same inventory share the lock; playbooks of one run take it as often as they like. A run in check mode needs none.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
attributes:
  check_mode: {description: Is for those who call it to skip., support: none}
  diff_mode: {description: Changes nothing., support: none}
"""

EXAMPLES = r"""
- name: Take the lock
  alnair.alluxio.run_lock:
  when: not ansible_check_mode
"""

RETURN = r"""# """
