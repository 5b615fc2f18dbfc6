"""Charts in OCI registries, as helm names them."""

from __future__ import annotations

import re


def registry(reference: str) -> tuple[str, str]:
    """Return the address of a registry's API and a chart's name there, from an oci:// reference."""
    host, _slash, name = reference.removeprefix("oci://").partition("/")
    scheme = "http" if re.match(r"(localhost|127\.|\[::1\])", host) else "https"
    return f"{scheme}://{host}/v2/", name
