"""Loads the reflector's certificate and private key: at the start, and again on SIGHUP."""

from __future__ import annotations

import datetime
import os
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from medusa.reflector.config import ConfigError
from medusa.transports.tls import Buffers

if TYPE_CHECKING:
    from cryptography import x509  # takes long to import: only a reflector with a certificate does so

log = structlog.get_logger(component="tls")

_OTHERS = 0o077
"""The mode bits that let users other than the owner of a file use it."""

_GROUP_READS = 0o040


def is_open_to_others(found: os.stat_result) -> bool:
    """Returns True if users other than the owner may use a file that contains a secret.

    `found`: the result of os.stat for the file.

    There is one exception. If this process is not root, and the file belongs to root, the file's group may read it. In
    Kubernetes, this process can read the files of a Secret only in this way: they belong to root and to the group
    `fsGroup`.
    """
    allowed = _GROUP_READS if found.st_uid == 0 != os.geteuid() else 0
    return bool(stat.S_IMODE(found.st_mode) & _OTHERS & ~allowed)


class Certificate:
    """The reflector's certificate chain and its private key, loaded from two PEM files.

    Attributes:
        context: the SSLContext for new connections. A connection keeps the context that it started with.
        leaf: the server's own certificate, the first of the chain.
        buffers: the buffers of ciphertext that all connections share; see medusa.transports.tls.Tls.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self.leaf: x509.Certificate
        self.context = self._load()
        self.buffers: Buffers = (ssl.MemoryBIO(), ssl.MemoryBIO())

    @property
    def names(self) -> list[str]:
        """The names and addresses of the hosts that the certificate is for."""
        from cryptography import x509

        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]

    def is_for(self, host: str) -> bool:
        """True if the certificate is for `host`: a name or an address."""
        _, _, domain = host.lower().partition(".")
        return any(name.lower() in (host.lower(), f"*.{domain}") for name in self.names)

    def reload(self) -> None:
        """Reads the files again. If they cannot be used, keeps the old certificate and logs the reason."""
        try:
            self.context = self._load()
        except (ConfigError, OSError) as error:  # OSError: a file was removed while it was in use
            log.error("certificate not reloaded", error=str(error))

    def _load(self) -> ssl.SSLContext:
        leaf = _first_certificate(self._certificate)
        _read("tls-key", self._key)
        context = _server_context()
        try:
            context.load_cert_chain(self._certificate, self._key, self._no_passphrase)
        except ssl.SSLError as error:
            raise ConfigError(self._why(error.reason or "")) from None
        self.leaf = leaf
        self._log(leaf)
        return context

    def _why(self, reason: str) -> str:
        """Returns the error text for the user: why the files cannot be used. `reason`: the code of OpenSSL's error."""
        words = reason.replace("_", " ").lower()
        if reason.startswith(("EE_", "CA_")):  # OpenSSL's security level forbids the key or the digest
            return f"tls-cert: {self._certificate!r} is too weak: {words}"
        if reason in _OTHERS_KEY:
            return f"tls-key: {self._key!r} is not the key of the certificate in {self._certificate!r}"
        return f"tls-key: {self._key!r} holds no private key in PEM" + (f" ({words})" if words else "")

    def _no_passphrase(self) -> str:
        """Raises ConfigError, because the key is encrypted. OpenSSL calls this function to get the passphrase."""
        hint = f"openssl pkey -in {self._key} -out DECRYPTED"
        raise ConfigError(f"tls-key: {self._key!r} is encrypted, and nobody is here to unlock it; decrypt it: {hint}")

    def _log(self, leaf: x509.Certificate) -> None:
        from cryptography.hazmat.primitives import hashes

        expires = leaf.not_valid_after_utc
        fingerprint = leaf.fingerprint(hashes.SHA256()).hex()
        log.info("certificate loaded", path=self._certificate, sha256=fingerprint, expires=expires.isoformat())
        if expires < datetime.datetime.now(datetime.timezone.utc):
            log.warning("certificate has expired", path=self._certificate, expires=expires.isoformat())
        found = os.stat(self._key)
        if is_open_to_others(found):
            mode = "%03o" % (found.st_mode & 0o777)
            log.warning("private key open to others", path=self._key, mode=mode, wanted="600")


_OTHERS_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")  # the last: wrong type of key


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # One TLS session ticket: each costs 30 us, and a proxy that resumes needs no more. Resumption skips no check here,
    # because no client has a certificate, and no data may come before the end of a handshake.
    context.num_tickets = 1
    context.set_alpn_protocols(["http/1.1"])
    return context


def _first_certificate(path: str) -> x509.Certificate:
    from cryptography import x509

    data = _read("tls-cert", path)
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        raise ConfigError(f"tls-cert: {path!r} holds no certificate in PEM") from None


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigError(f"{option}: cannot read {path!r}: {reason}") from None
