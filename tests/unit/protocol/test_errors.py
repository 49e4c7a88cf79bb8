from __future__ import annotations

import pytest

from medusa.protocol import errors
from medusa.protocol.websocket.codec import legal_close_code

REMOTE = [
    (errors.RemoteProtocolError, 1002),
    (errors.BadFrame, 1002),
    (errors.BadText, 1007),
    (errors.PolicyViolation, 1008),
    (errors.MessageTooBig, 1009),
]


@pytest.mark.parametrize(("error", "code"), REMOTE)
def test_what_the_peer_did_wrong_has_a_close_code(error: type[errors.RemoteProtocolError], code: int) -> None:
    assert error("x").close_code == code
    assert legal_close_code(code)
