"""Makes the reference pages from the contracts: roles/*/meta/argument_specs.yml, docs/examples and the documentation of modules and filters.

`make docs` runs it. What is committed must be what it makes; a unit test checks that.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml
from antsibull_docs_parser import dom
from antsibull_docs_parser.md import MDFormatter, to_md
from antsibull_docs_parser.parser import Context, parse

HOME = Path(__file__).parents[1]
DOCS = HOME / "docs"


def code(text: str) -> str:
    """Return text as a code span of a Markdown table, where a bar would end the cell."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|").replace("\n", " ")


class Plain(MDFormatter):
    """Markdown that reads well as a source too: code spans, and no escape where none is needed."""

    def format_code(self, part: dom.CodePart) -> str:
        """Return C()."""
        return code(part.text)

    def format_option_value(self, part: dom.OptionValuePart) -> str:
        """Return V()."""
        return code(part.value)

    def format_env_variable(self, part: dom.EnvVariablePart) -> str:
        """Return E()."""
        return code(part.name)

    def format_module(self, part: dom.ModulePart, url: str | None) -> str:
        """Return M()."""
        return code(part.fqcn)

    def format_plugin(self, part: dom.PluginPart, url: str | None) -> str:
        """Return P()."""
        return code(part.plugin.fqcn)

    @staticmethod
    def _format_option_like(part: dom.OptionNamePart | dom.ReturnValuePart, url: str | None) -> str:
        return code(part.name if part.value is None else f"{part.name}: {part.value}")

    def format_text(self, part: dom.TextPart) -> str:
        """Return text, with an escape before what Markdown would take for its own."""
        return re.sub(r"([\\`*<>|\[\]])", r"\\\1", part.text)


def prose(text: str | list[str], separator: str = "\n\n") -> str:
    """Return a description with Ansible's markup as Markdown, a paragraph per item."""
    paragraphs = [text] if isinstance(text, str) else text
    return to_md(parse([str(paragraph) for paragraph in paragraphs], Context()), formatter=Plain(), par_sep=separator)


def value(given: Any) -> str:
    """Return a value as it would be written in YAML; Jinja without the quotes around it."""
    if isinstance(given, str) and given:
        try:
            if "{{" in given or yaml.safe_load(given) == given:
                return code(given)
        except yaml.YAMLError:
            pass
    return code(json.dumps(given, ensure_ascii=False))


def rows(options: dict[str, Any], prefix: str = "") -> Iterator[dict[str, str]]:
    """Return name, kind and meaning of every option, the options of an option after it."""
    for name, option in options.items():
        kind = option.get("type", "str")
        meaning = [prose(option.get("description", ""), "<br>")]
        if "choices" in option:
            meaning.append("One of " + ", ".join(value(choice) for choice in option["choices"]) + ".")
        if "aliases" in option:
            meaning.append("Also called " + ", ".join(code(alias) for alias in option["aliases"]) + ".")
        if option.get("default") is not None:
            meaning.append(f"Default: {value(option['default'])}")
        if "returned" in option:
            meaning.append(f"Returned: {prose(option['returned'])}")
        if "sample" in option:
            meaning.append(f"Sample: {value(option['sample'])}")
        yield {
            "name": prefix + name,
            "kind": f"list of {option['elements']}" if "elements" in option else kind,
            "required": ", required" if option.get("required") else "",
            "meaning": "<br>".join(meaning),
        }
        below = option.get("options") or option.get("suboptions") or option.get("contains") or {}
        yield from rows(below, f"{prefix}{name}{'[]' if kind == 'list' else ''}.")


def roles() -> list[dict[str, Any]]:
    """Return name, entry points and example of every role."""
    return [
        {
            "name": path.parents[1].name,
            "entries": yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"],
            "example": (DOCS / "examples" / f"{path.parents[1].name}.yml").read_text(encoding="utf-8"),
        }
        for path in sorted(HOME.glob("roles/*/meta/argument_specs.yml"))
    ]


def plugins(kind: str) -> list[dict[str, Any]]:
    """Return doc, examples and returned values of every documented plugin of a kind."""
    found = []
    for path in sorted((HOME / "plugins" / kind).glob("*.py")):
        texts = {
            node.targets[0].id: str(node.value.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)
        }
        if "DOCUMENTATION" in texts:
            doc = yaml.safe_load(texts["DOCUMENTATION"])
            found.append(
                {
                    "name": doc.get("module") or doc["name"],
                    "doc": doc,
                    "examples": texts.get("EXAMPLES", "").strip(),
                    "returned": yaml.safe_load(texts.get("RETURN", "")) or {},
                }
            )
    return found


def pages() -> dict[Path, str]:
    """Return the text of every page by its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DOCS / "templates"), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(prose=prose, rows=rows)
    everything = {
        "roles": roles(),
        "modules": plugins("modules"),
        "filters": plugins("filter"),
        "playbooks": [
            {"name": path.name, "does": [play["name"] for play in yaml.safe_load(path.read_text(encoding="utf-8"))]}
            for path in sorted(HOME.glob("playbooks/*.yml"))
        ],
    }
    result = {DOCS / f"{name}.md": environment.get_template(f"{name}.md.j2").render(everything) for name in ("README", "modules")}
    template = environment.get_template("role.md.j2")
    return result | {DOCS / "roles" / f"{role['name']}.md": template.render(role) for role in everything["roles"]}


def main() -> None:
    """Write the pages, and remove those of roles that are gone."""
    wanted = pages()
    (DOCS / "roles").mkdir(exist_ok=True)
    for path in set(DOCS.glob("roles/*.md")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
