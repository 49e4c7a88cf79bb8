"""Makes the certificate of the relays that speak TLS: for localhost, signed by itself, with an ECDSA key on P-256."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from bench.toolchain import HERE

LIFETIME = datetime.timedelta(days=3650)


def made(path: Path = HERE / "build" / "localhost.pem") -> Path:
    """Returns the path of a file with the private key and the certificate, in PEM. Makes the file if it is missing."""
    if path.exists():
        return path
    from cryptography import x509  # takes long to import, and most rows need no certificate
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + LIFETIME)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    text = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    text += builder.sign(key, hashes.SHA256()).public_bytes(encoding)
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")  # two benchmarks may make it at the same time
    draft.touch(mode=0o600)
    draft.write_bytes(text)
    draft.replace(path)
    return path
