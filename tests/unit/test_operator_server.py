"""The server of the webhook, and the certificate that it shows."""

from __future__ import annotations

import datetime
import json
import ssl
import urllib.request
from pathlib import Path

from alnair_operator.server import Certificate, Server, json_reply
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def test_a_certificate_that_changes_is_served_without_a_restart(tmp_path: Path) -> None:
    certificate(tmp_path, "first")
    tls = Certificate(str(tmp_path))
    server = Server(0, {"/x": lambda path, body: json_reply({"got": body.decode()})}, tls.context)
    server.start()
    port = server.server_address[1]

    def name() -> str:
        found = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
        return str(found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)

    try:
        assert name() == "first" and not tls.refresh()
        certificate(tmp_path, "second")
        assert tls.refresh() and name() == "second"
        (tmp_path / "tls.crt").write_text("half written")
        assert not tls.refresh() and name() == "second"
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/x", data=b"hello", context=unverified) as answer:
            assert json.loads(answer.read()) == {"got": "hello"}
    finally:
        server.shutdown()
        server.server_close()
