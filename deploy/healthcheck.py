"""The health check of a container: asks the reflector in it for /healthz. Exit status: 0 if the answer is 200, else 1.

The port is that of MEDUSA_PORT, or 8381. It may speak TLS, with any certificate: nothing secret is sent.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys

TIMEOUT = 2.0
"""Seconds for one request."""


def main() -> int:
    """Asks without TLS, then with TLS; the other way round if MEDUSA_TLS_CERT is set. Returns the exit status."""
    number = os.environ.get("MEDUSA_PORT", "")
    port = int(number) if number.isdecimal() else 8381  # Kubernetes may set it to tcp://...
    kinds = [False, True]
    if os.environ.get("MEDUSA_TLS_CERT"):
        kinds.reverse()
    return 0 if any(healthy(port, tls) for tls in kinds) else 1


def healthy(port: int, tls: bool) -> bool:
    """Returns True if the reflector on `port` of this host answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
