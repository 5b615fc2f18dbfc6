"""Prints what the package alnair offers to Python, a line each, in order: `python tests/unit/public_api.py > tests/unit/files/public_api.txt`."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any

import alnair


def signature(function: Any) -> str:
    """Return the signature of a function; some versions of Python put its annotations in quotes."""
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))


def default(field: dataclasses.Field[Any]) -> str:
    """Return what a field is where nothing is said of it."""
    if field.default_factory is not dataclasses.MISSING:
        return f" = {field.default_factory()!r}"
    return "" if field.default is dataclasses.MISSING else f" = {field.default!r}"


def offered(name: str, item: Any) -> Iterator[str]:
    """Yield the lines of a name.

    Raises:
        NameError: an annotation names what is not there.
    """
    typing.get_type_hints(item)
    if typing.is_typeddict(item):
        yield f"{name}: TypedDict"
        yield from (f"{name}[{key}]: {kind.__forward_arg__}" for key, kind in item.__annotations__.items())
        return
    bases = [base.__name__ for base in item.__bases__ if base is not object]
    yield f"{name}({', '.join(bases)})" if bases else name
    fields = dataclasses.fields(item) if dataclasses.is_dataclass(item) else ()
    yield from (f"{name}.{field.name}: {field.type}{default(field)}" for field in fields)
    for member, value in sorted(vars(item).items()):
        # A dataclass's own way to be made its fields tell.
        if member.startswith("_") and (member != "__init__" or fields):
            continue
        found = value.fget if isinstance(value, property) else getattr(value, "func", value)
        if inspect.isfunction(found):
            typing.get_type_hints(found)
            yield f"{name}.{member}{signature(found)}{'' if found is value else ', read as an attribute'}"


def lines() -> list[str]:
    """Return all lines."""
    return [line for name in sorted(alnair.__all__) for line in offered(name, getattr(alnair, name))]


if __name__ == "__main__":
    print("\n".join(lines()))
