"""A certificate for a server inside the cluster, and the authority that vouches for it alone. Its key is thrown away once it has signed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    x509 = None  # type: ignore[assignment]

# Clocks of nodes differ.
SKEW = datetime.timedelta(hours=1)


def now() -> datetime.datetime:
    """Return the time of now."""
    return datetime.datetime.now(datetime.UTC)


def ends(certificate: Any) -> datetime.datetime:
    """Return when a certificate ends; before release 42 the library said it without the time's zone."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.UTC)


def pem(item: Any) -> bytes:
    """Return a certificate, or a private key, as text."""
    if hasattr(item, "private_bytes"):
        return item.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return item.public_bytes(serialization.Encoding.PEM)


def bundle(text: bytes) -> list[Any]:
    """Return the certificates of a bundle, none where it is none."""
    try:
        return list(x509.load_pem_x509_certificates(text))
    except ValueError:
        return []


def signed(subject: str, public: Any, issuer: str, key: Any, days: int, extensions: Iterable[tuple[Any, bool]]) -> Any:
    """Return a certificate that a key signs."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])]) for text in (subject, issuer)]
    builder = x509.CertificateBuilder(names[1], names[0], public, x509.random_serial_number(), now() - SKEW, now() + datetime.timedelta(days=days))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256())


def usage(**wanted: bool) -> Any:
    """Return a key's usage: only what is wanted."""
    words = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
             "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{word: wanted.get(word, False) for word in words})


def made(names: list[str], days: int) -> tuple[bytes, bytes, bytes]:
    """Return a server's certificate, its key and the certificate of the authority that signed it.

    Args:
        names: DNS names of the server.
        days: How long both are valid.
    """
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A name of its own, so that two of them in a bundle are not taken for one.
    title = f"{names[0].partition('.')[0]} authority {now():%Y%m%dT%H%M%S%f}"
    identifier = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    authority = signed(title, root.public_key(), title, root, days, [
        (x509.BasicConstraints(ca=True, path_length=0), True), (usage(key_cert_sign=True), True), (identifier, False),
    ])  # fmt: skip
    server = signed(names[0], own.public_key(), title, root, days, [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ])  # fmt: skip
    return pem(server), pem(own), pem(authority)


def fault(certificate: bytes, key: bytes, authorities: bytes, names: list[str], days: int) -> str:
    """Return why a certificate has to be made anew, nothing where it is fit.

    Args:
        certificate: The server's certificate.
        key: Its key.
        authorities: The bundle, the signing one first.
        names: DNS names that it must hold.
        days: How many days it must still be valid.
    """
    found, roots = bundle(certificate), bundle(authorities)
    if not found or not roots:
        return "there is none yet" if not certificate else "it cannot be read"
    server, root = found[0], roots[0]
    try:
        own = serialization.load_pem_private_key(key, None)
        root.public_key().verify(server.signature, server.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        held = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, AttributeError, x509.ExtensionNotFound):
        # AttributeError, TypeError: somebody's keys of another kind. A new certificate heals it.
        return "certificate, key and authority do not fit together"
    if own.public_key() != server.public_key():
        return "certificate and key do not fit together"
    if missing := [name for name in names if name not in held]:
        return f"it lacks the name {', '.join(missing)}"
    last = min(ends(server), ends(root))
    return f"it ends on {last:%Y-%m-%d}" if last < now() + datetime.timedelta(days=days) else ""


def trusted(authority: bytes, before: bytes) -> bytes:
    """Return a bundle of a new authority and the one before it while that is valid, so that a server that still shows its old certificate is trusted, too."""
    return authority + b"".join(pem(item) for item in bundle(before)[:1] if ends(item) > now())
