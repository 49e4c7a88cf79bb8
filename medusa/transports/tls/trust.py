"""Says in words why a server's certificate was not accepted, and how SSL_CERT_FILE and SSL_CERT_DIR affect this."""

from __future__ import annotations

import os
import ssl
from typing import List, Mapping, Optional

ISSUER_UNKNOWN = (18, 19, 20, 21)
"""OpenSSL's error codes for a certificate whose issuer is not trusted (X509_V_ERR_... in openssl/x509_vfy.h)."""

_MARKS = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----", b"-----BEGIN X509 CERTIFICATE-----")
_MAX_FILE = 16 * 1024 * 1024


def distrust(error: ssl.SSLCertVerificationError, environ: Mapping[str, str] = os.environ) -> str:
    """Returns OpenSSL's reason why a certificate was refused.

    If the issuer is not trusted, adds what SSL_CERT_FILE and SSL_CERT_DIR name, and whether that can be used. OpenSSL
    itself reports no error for a file that it cannot read.
    """
    words = [error.verify_message, *_about_variables(environ)] if error.verify_code in ISSUER_UNKNOWN else []
    return "; ".join(words) or error.verify_message


def _about_variables(environ: Mapping[str, str]) -> List[str]:
    """Returns a text for each of SSL_CERT_FILE and SSL_CERT_DIR that is set and not empty.

    The text says which path the variable names. If the path cannot be used, the text also says why.
    """
    names = ssl.get_default_verify_paths()
    found = []
    for name, problem in ((names.openssl_cafile_env, file_problem), (names.openssl_capath_env, directory_problem)):
        path = environ.get(name)
        if path:
            words = problem(path)
            shown = ascii(path)[1:-1]
            found.append("%s names %s, which %s" % (name, shown, words) if words else "%s names %s" % (name, shown))
    return found


def file_problem(path: str) -> Optional[str]:
    """Returns why no certificate can be read from the file at `path`; None if one can be read."""
    try:
        if not os.path.isfile(path):
            os.stat(path)
            return "is not a file"
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE)
    except (OSError, ValueError) as error:
        return "cannot be read: %s" % (getattr(error, "strerror", None) or error)
    if not any(mark in data for mark in _MARKS):
        return "holds no certificate in PEM"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        return "holds a certificate that cannot be read"
    return None


def directory_problem(path: str) -> Optional[str]:
    """Returns why no certificates can be read from the directories in `path`, which are separated by colons.

    Returns None if all directories can be read, and at least one is not empty.
    """
    try:
        names = [name for part in path.split(os.pathsep) if part for name in os.listdir(part)]
        return None if names else "is empty"
    except (OSError, ValueError) as error:
        return "cannot be read: %s" % (getattr(error, "strerror", None) or error)
