"""TLS of the cluster: the tests' own certificate for the server, and an authority that signs users' certificates."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER = Path(__file__).parents[1] / "tls" / "localhost.pem"
_DAY = datetime.timedelta(days=1)


class Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("users of the stand-in")
        self._certificate = _signed("users of the stand-in", self._key.public_key(), self._name, self._key)

    def server_context(self) -> ssl.SSLContext:
        """For a server that accepts clients with and without a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SERVER)
        context.load_verify_locations(cadata=_pem(self._certificate).decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def issue(self, user: str) -> tuple[bytes, bytes]:
        """A certificate and private key for a user, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return _pem(_signed(user, key.public_key(), self._name, self._key)), key.private_bytes(*form)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - _DAY)
    builder = builder.not_valid_after(now + _DAY)
    authority = x509.BasicConstraints(ca=_name(subject) == issuer, path_length=None)
    return builder.add_extension(authority, critical=True).sign(by, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
