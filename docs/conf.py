"""How Sphinx builds these pages; `make docs` runs it, after antsibull-docs has written the collection's own pages into reference/collection."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

HOME = Path(__file__).parents[1]
sys.path.insert(0, str(HOME))

project = "Alnair"
author = "The Alnair authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_antsibull_ext"]
# It is part of the front page, index.md.
exclude_patterns = ["README.md"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "furo"
html_title = "Alnair: Alluxio on Kubernetes"
html_show_sphinx = False
html_copy_source = False

CONTRACT = re.compile(r"\]\([./]*roles/(\w+)/meta/argument_specs\.yml\)")
# What antsibull-docs refers to in Ansible's own documentation; its whole list of labels would have to be fetched for each build.
ANSIBLE = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
ROLE = re.compile(r"reference/collection/(\w+)_role")


def complete(_app: Sphinx, page: str, source: list[str]) -> None:
    """Show a role's example on its page; lead from the contract, which readers of the repository are sent to, to that page."""
    source[0] = CONTRACT.sub(r"](#ansible_collections.alnair.alluxio.\1_role)", source[0])
    if role := ROLE.fullmatch(page):
        contents = ".. contents::\n   :local:\n   :depth: 2\n"
        assert contents in source[0], page
        source[0] = source[0].replace(contents, f"{contents}\nExample\n-------\n\n.. literalinclude:: /examples/{role[1]}.yml\n   :language: yaml\n", 1)


def exemplify(_app: Sphinx, context: object, lines: list[str]) -> None:
    """End a verb's part of the reference as its help ends: with the example."""
    command = context.command  # type: ignore[attr-defined]
    lines += ["", ".. code-block:: shell", "", f"   {context.command_path} {command.example}", ""]  # type: ignore[attr-defined]


def lead_to_ansible(_app: Sphinx, _env: object, node: nodes.Element, text: nodes.Element) -> nodes.reference | None:
    """Resolve a reference into Ansible's own documentation."""
    page = ANSIBLE.get(str(node.get("reftarget")))
    return nodes.reference("", "", text, refuri=f"https://docs.ansible.com/projects/ansible/latest/{page}") if page else None


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", complete)
    app.connect("missing-reference", lead_to_ansible)
    app.connect("sphinx-click-process-epilog", exemplify)
