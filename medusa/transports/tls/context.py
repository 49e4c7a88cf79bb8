"""Makes the TLS settings of a client: which certificates and which versions of TLS it accepts."""

from __future__ import annotations

import os
import ssl

_PARTIAL_CHAIN = 0x80000
"""OpenSSL's X509_V_FLAG_PARTIAL_CHAIN, for which Python has had a name only since 3.10."""


def client_context(insecure: bool = False) -> ssl.SSLContext:
    """Returns the TLS settings of a client. It trusts the certificates of the system, or those in SSL_CERT_FILE.

    Args:
        insecure: True to accept any certificate.
    """
    context = ssl.create_default_context()
    _load_defaults_of_empty_variables(context)
    verify_alike(context)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_defaults_of_empty_variables(context: ssl.SSLContext) -> None:
    """Treats SSL_CERT_FILE and SSL_CERT_DIR as unset if they are empty, in the same way as curl.

    OpenSSL itself would take an empty variable for the name of a file or directory, and find none.
    """
    paths = ssl.get_default_verify_paths()
    try:
        if os.environ.get(paths.openssl_cafile_env) == "":
            context.load_verify_locations(cafile=paths.openssl_cafile)
    except OSError:
        pass  # the system has no such file
    if os.environ.get(paths.openssl_capath_env) == "":
        context.load_verify_locations(capath=paths.openssl_capath)


def verify_alike(context: ssl.SSLContext) -> None:
    """Makes a client's context accept the certificates that curl accepts, with every version of Python.

    Python 3.13 refuses a certificate that breaks a rule of RFC 5280, for example one without an Authority Key
    Identifier. Earlier versions refuse a certificate whose issuer is trusted but is not a root. Python before 3.10 also
    accepts TLS 1.0, which this function forbids.
    """
    flags = int(context.verify_flags) & ~ssl.VERIFY_X509_STRICT | _PARTIAL_CHAIN
    context.verify_flags = ssl.VerifyFlags(flags)
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
