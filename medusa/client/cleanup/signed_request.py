"""An HTTP request that was signed in advance: the guard process sends it after mlogin was killed, and holds no key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from medusa.transports.tls import client_context


@dataclass(frozen=True, repr=False)
class SignedRequest:
    """A request without a body. It is accepted for as long as its Date is (by Manta: 300 s).

    Attributes:
        headers: with the signature, so they are secret.
    """

    method: str
    url: str
    headers: dict[str, str]
    insecure_tls: bool = False

    def text(self) -> str:
        """One line for `parse`. It holds the signature, so it is secret."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> SignedRequest:
        """Reads what `text` wrote."""
        return cls(**json.loads(text))

    def send(self, timeout: float) -> None:
        """Sends it once, and follows no redirect.

        Raises:
            OSError: no answer within `timeout` seconds, or one that is not a success.
        """
        import urllib.request  # only the guard needs it, if at all

        class RefuseRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args: object, **kwargs: object) -> None:
                return None

        handler = urllib.request.HTTPSHandler(context=client_context(self.insecure_tls))
        opener = urllib.request.build_opener(handler, RefuseRedirect())
        body = b"" if self.method == "POST" else None
        request = urllib.request.Request(self.url, body, self.headers, method=self.method)  # noqa: S310 - a Manta's
        opener.open(request, timeout=timeout).close()
