"""Values of a chart as helm merges them, and the quantities in them. The runner reads this file, too: it needs nothing but Python, and PyYAML for files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

try:
    import yaml
except ImportError:
    # The Kubernetes client brings it, and modules say where that is missing.
    pass

# Kubernetes' suffixes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES: dict[str, Decimal | int] = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "m": Decimal("0.001"),
}


def quantity(text: str | float, key: str = "") -> Decimal:
    """Return the number that a Kubernetes quantity stands for: bytes of memory, or cores.

    Args:
        text: The quantity.
        key: Where it stands, for the reader of an error.

    Raises:
        ValueError: it is no quantity.
    """
    words = str(text).strip()
    suffix = next((end for end in sorted(SUFFIXES, key=len, reverse=True) if words.endswith(end)), "")
    try:
        return Decimal(words.removesuffix(suffix)) * SUFFIXES.get(suffix, 1)
    except ArithmeticError as error:
        raise ValueError(f'{key or "A value"} is "{text}", which is no quantity; write it like 512Mi or 50Gi, cores like 500m or 2') from error


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return values merged as helm merges its values files: mappings deeply, a null removes, all else by the later layer."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged([result[key], value]) if both else value
    return {key: value for key, value in result.items() if value is not None}


def differing(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the keys at which two sets of values differ, as ``a.b.c``."""
    found: list[str] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differing(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}")
    return found


def no_majority(masters: int) -> str:
    """Return why a number of masters is refused; empty where it is not."""
    if masters % 2:
        return ""
    return f"{masters} masters tolerate the loss of {(masters - 1) // 2} of them, no more than {masters - 1} do, and elect no leader without a majority"


def layered(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chart's values as helm will merge them.

    Args:
        params: Parameters of a module with defaults, values_files and values, each of which wins over those before it.

    Raises:
        ValueError: a file cannot be read.
    """
    layers = [params["defaults"]]
    for path in params["values_files"]:
        try:
            with open(path, encoding="utf-8") as file:
                layer = yaml.safe_load(file) or {}
            if not isinstance(layer, Mapping):
                raise TypeError(f"it holds a {type(layer).__name__}, and no keys with values")
            layers.append(layer)
        except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"The values file {path} cannot be read: {error}. Nothing was changed.") from error
    return merged([*layers, params["values"]])
