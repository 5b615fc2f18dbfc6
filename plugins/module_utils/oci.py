"""Registries: charts in them as helm names them, images as container runtimes do."""

from __future__ import annotations

import json
import re
from urllib.error import HTTPError
from urllib.parse import urlencode

from ansible.module_utils.urls import open_url

# What a tag may stand for, by the specifications of OCI and Docker: an image, or a list of one per platform.
MANIFESTS = ", ".join(
    [f"application/vnd.oci.image.{kind}.v1+json" for kind in ("index", "manifest")]
    + [f"application/vnd.docker.distribution.manifest{kind}.v2+json" for kind in (".list", "")]
)


def registry(reference: str) -> tuple[str, str]:
    """Return the address of a registry's API and a chart's name there, from an oci:// reference."""
    host, _slash, name = reference.removeprefix("oci://").partition("/")
    scheme = "http" if re.match(r"(localhost|127\.|\[::1\])", host) else "https"
    return f"{scheme}://{host}/v2/", name


def canonical(image: str) -> str:
    """Return an image's name as container runtimes write it."""
    first, _slash, rest = image.partition("/")
    if not rest:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"


def manifest(image: str) -> str:
    """Return where a registry has an image's manifest."""
    address, name = registry(canonical(image))
    # Docker's registry has another name than its images.
    address = address.replace("//docker.io/", "//registry-1.docker.io/")
    name, _at, digest = name.partition("@")
    name, _colon, tag = name.partition(":")
    return f"{address}{name}/manifests/{digest or tag or 'latest'}"


def ask(image: str, timeout: int) -> None:
    """Ask an image's registry for its manifest, as somebody without a login.

    Args:
        image: The image's name.
        timeout: Seconds for each question.

    Raises:
        HTTPError: the registry says no.
        OSError: it does not answer.
    """
    url = manifest(image)
    headers = {"Accept": MANIFESTS}
    try:
        open_url(url, method="HEAD", headers=headers, timeout=timeout).close()
    except HTTPError as error:
        told = error.headers.get("WWW-Authenticate", "") if error.code == 401 else ""
        # A registry that wants a token says who gives it, to anybody where the image is public.
        words = dict(re.findall(r'(\w+)="([^"]*)"', told)) if told.startswith("Bearer ") else {}
        if "realm" not in words:
            raise
        query = urlencode({key: words[key] for key in ("service", "scope") if key in words})
        try:
            answer = json.load(open_url(f"{words['realm']}?{query}", timeout=timeout))
        except HTTPError:
            # Strangers get none: the registry's own answer is the one to tell.
            raise error from None
        token = answer.get("token") or answer.get("access_token")
        open_url(url, method="HEAD", headers={**headers, "Authorization": f"Bearer {token}"}, timeout=timeout).close()
