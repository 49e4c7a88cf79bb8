"""An HTTP request signed in advance, for who must act after its signer's death and may not hold a key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from medusa.transports.tls import client_context


@dataclass(frozen=True, repr=False)
class SignedRequest:
    """Without a body. Good for one thing, for as long as its Date is believed (Manta: 300 s)."""

    method: str
    url: str
    headers: dict[str, str]
    insecure_tls: bool = False

    def text(self) -> str:
        """In one line; it holds the signature."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> SignedRequest:
        return cls(**json.loads(text))

    def send(self, timeout: float) -> None:
        """Raises OSError: no answer within `timeout` seconds, or not a good one. Redirects are not followed."""
        import urllib.request  # a guard needs it at its end, if at all

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args: object, **kwargs: object) -> None:
                return None

        handler = urllib.request.HTTPSHandler(context=client_context(self.insecure_tls))
        opener = urllib.request.build_opener(handler, Stay())
        body = b"" if self.method == "POST" else None
        request = urllib.request.Request(self.url, body, self.headers, method=self.method)  # noqa: S310 - a Manta's
        opener.open(request, timeout=timeout).close()
