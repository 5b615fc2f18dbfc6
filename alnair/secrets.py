"""Keep what looks like a secret out of what is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "(hidden)"
NAME = re.compile(r"pass(?!wordless)|secret|token|credential|private|key|auth", re.IGNORECASE)
IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# In a log, a name ends with the word, and its value follows = or : at once or in quotes.
IN_LOG = re.compile(
    r"""((?:password|passwd|passphrase|secret(?:[._-]?access)?[._-]?key|secret|access[._-]?key(?:[._-]?id)?|token)["']?\s*[=:]\s*["']?)[^\s"',;}\]]+""",
    re.IGNORECASE,
)
# A shorter value would hide parts of words that are none.
SHORTEST = 4


def masked(value: Any, name: str = "") -> Any:
    """Return a value with what looks like a secret hidden: all below a name that says so or behind one in a text, and logins in URLs."""
    if NAME.search(name) and value not in ("", None, [], {}) and not isinstance(value, bool):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return hide_in_log(value) if isinstance(value, str) else value


def values(variables: Any, *, secret: bool = False) -> Iterator[str]:
    """Yield the values that :func:`masked` hides, but for those that are too short to be told from other words."""
    if isinstance(variables, Mapping):
        for key, item in variables.items():
            yield from values(item, secret=secret or bool(NAME.search(str(key))))
    elif isinstance(variables, list | tuple):
        for item in variables:
            yield from values(item, secret=secret)
    elif isinstance(variables, str):
        yield from [text for text in ([variables] if secret else IN_URL.findall(variables)) if len(text) >= SHORTEST]


def hide(text: str, variables: Any) -> str:
    """Return a text without the secret values of variables and without logins in URLs."""
    for value in sorted(set(values(variables)), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return IN_URL.sub(HIDDEN, text)


def hide_in_log(text: str) -> str:
    """Return a line of a log without what stands behind a name that says that it is a credential, and without logins in URLs."""
    return IN_URL.sub(HIDDEN, IN_LOG.sub(rf"\1{HIDDEN}", text))
