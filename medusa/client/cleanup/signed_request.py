"""An HTTP request that mlogin signs in advance. If mlogin is killed, the guard process sends it.

The guard process has no private key, so it cannot sign requests itself.
"""

from __future__ import annotations

import json

from medusa.protocol.record import field, fields_of, record
from medusa.transports.tls import client_context


@record
class SignedRequest:
    """A signed HTTP request without a body. The server accepts it while its Date is recent (Manta: 300 s).

    Attributes:
        method: the request's method.
        url: the request's URL.
        headers: the header fields. They are secret because they contain the signature.
        insecure_tls: True to accept any TLS certificate.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    insecure_tls: bool = False

    def text(self) -> str:
        """Returns the request as one line of text, which `parse` reads. It is secret: it contains the signature."""
        return json.dumps(fields_of(self))

    @classmethod
    def parse(cls, text: str) -> SignedRequest:
        """Returns the request that `text` describes, a line from the method `text`."""
        return cls(**json.loads(text))

    def send(self, timeout: float) -> None:
        """Sends the request once. Does not follow redirects.

        Raises:
            OSError: there was no answer within `timeout` seconds, or the answer reports no success.
        """
        import urllib.request  # imported here because only a guard that cleans up needs it

        class RefuseRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args: object, **kwargs: object) -> None:
                return None

        handler = urllib.request.HTTPSHandler(context=client_context(self.insecure_tls))
        opener = urllib.request.build_opener(handler, RefuseRedirect())
        body = b"" if self.method == "POST" else None
        request = urllib.request.Request(self.url, body, self.headers, method=self.method)  # noqa: S310 - a Manta URL
        opener.open(request, timeout=timeout).close()
