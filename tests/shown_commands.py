"""Commands and values as the documentation shows them: blocks of its pages, and the single commands of a block."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).parents[1]
# What antsibull-docs writes is made from the contracts, which have tests of their own.
PAGES = [
    HOME / "README.md",
    HOME / "docs" / "tutorial.md",
    *sorted(path for path in (HOME / "docs").rglob("*.md") if path.name != "tutorial.md"),
    HOME / "charts" / "alluxio" / "README.md",
    HOME / "operator" / "README.md",
]
FENCE = re.compile(r"^(?:<!--(?P<note>[^\n]*)-->\n)?```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r" not run: (?P<why>[^;]{10,}); checked: (?P<how>.{10,}) ")
HEREDOC = re.compile(r"<<'(?P<word>\w+)'\n(?P<body>.*?)^(?P=word)$", re.MULTILINE | re.DOTALL)
ENDS = {"&&", "||", "|", ";"}


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        page: The page, relative to the checkout.
        line: Line of the page on which it begins.
        language: What stands behind the fence.
        text: What it shows.
        note: The comment above it, without its marks; empty where there is none.
    """

    page: str
    line: int
    language: str
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str, pages: list[Path] = PAGES) -> Iterator[Block]:
    """Yield the blocks of a language in the order in which they stand."""
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            if found["language"] == language:
                yield Block(str(page.relative_to(HOME)), text.count("\n", 0, found.start("language")) + 1, language, found["text"], found["note"] or "")


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each single command of a script, without assignments before it, redirections, comments and here-documents."""
    for line in HEREDOC.sub("", text).replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        reader.whitespace_split = True
        words = list[str]()
        skip = False
        for token in [*reader, ";"]:
            if token in ENDS:
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    yield words
                words = []
            elif set(token) <= {"<", ">", "&"}:
                # A number before it is a stream's.
                words = words[:-1] if words[-1:] in (["1"], ["2"]) else words
                skip = True
            elif skip:
                skip = False
            else:
                words.append(token)


def inline(page: Path) -> Iterator[str]:
    """Yield the code spans of a page that stand outside of its blocks."""
    yield from (found[1] for found in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", FENCE.sub("", page.read_text(encoding="utf-8"))))
