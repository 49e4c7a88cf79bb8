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


def test_the_type_says_who_is_to_blame() -> None:
    assert not issubclass(errors.LocalProtocolError, errors.RemoteProtocolError)
    assert not issubclass(errors.HandshakeError, errors.RemoteProtocolError)
    kinds = [errors.LocalProtocolError, errors.HandshakeError, *(error for error, _ in REMOTE)]
    assert all(issubclass(kind, errors.ProtocolError) for kind in kinds)


def test_a_handshake_error_carries_its_answer() -> None:
    error = errors.HandshakeError(426, "version", (("Sec-WebSocket-Version", "13"),))
    assert (error.http_status, str(error), error.headers) == (426, "version", (("Sec-WebSocket-Version", "13"),))
