"""Certificates of all kinds, made by the library `cryptography`."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Certified:
    """A certificate with its key. `issuer`: its authority; None if it is signed by itself.

    It has no more extensions than it is given, so no Authority Key Identifier.
    """

    def __init__(
        self,
        common_name: str,
        issuer: Certified | None = None,
        names: Sequence[str] = (),
        *,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        days: int = 2,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        by = issuer or self
        builder = x509.CertificateBuilder(
            issuer.certificate.subject if issuer else subject,
            subject,
            self.key.public_key(),
            x509.random_serial_number(),
            NOW - 3 * DAY,
            NOW + days * DAY,
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names]), False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        self.certificate: x509.Certificate = builder.sign(by.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, path: Path, *chain: Certified) -> Path:
        """Writes the certificate, those of its `chain`, and its key to one file."""
        path.write_bytes(b"".join([self.pem, *(one.pem for one in chain), self.key_pem]))
        path.chmod(0o600)
        return path


def authority(name: str, issuer: Certified | None = None, *, critical: bool = True, usage: bool = False) -> Certified:
    """An authority. `usage`: whether it says that it may sign certificates, as RFC 5280 asks for."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(True, None), critical)]
    if usage:
        extensions.append((key_usage(key_cert_sign=True), True))
    return Certified(name, issuer, extensions=extensions)


def key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    """A key usage: only to sign certificates, or only to sign."""
    return x509.KeyUsage(not key_cert_sign, False, False, False, False, key_cert_sign, False, False, False)


def general(name: str) -> x509.GeneralName:
    """A name of a host, or an address, as it stands in a certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
