"""The frames of channels: their header, their types, and the JSON in them (docs/protocol.md, part 3).

| type 8 | sub 8 | payload length 16 | channel 32 | payload          (bits; network byte order)
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, NamedTuple

from medusa.protocol.channels.limits import MAX_PAYLOAD
from medusa.protocol.errors import StreamError

OPEN, OPENED, REFUSED, DATA, EOF, STOP, WINDOW, REQUEST, RESULT, CLOSE, GOAWAY = range(1, 12)

HEADER = struct.Struct("!BBHI")
END = struct.Struct("!Q32s")
LIMIT = struct.Struct("!Q")

MAX_WORDS = 1000
"""The limit of the words for the user in a frame, in characters."""

_SIZES = {
    OPEN: (2, MAX_PAYLOAD),
    OPENED: (2, MAX_PAYLOAD),
    REFUSED: (2, MAX_PAYLOAD),
    DATA: (1, MAX_PAYLOAD),
    EOF: (END.size, END.size),
    STOP: (0, 0),
    WINDOW: (LIMIT.size, LIMIT.size),
    REQUEST: (2, MAX_PAYLOAD),
    RESULT: (2, MAX_PAYLOAD),
    CLOSE: (0, MAX_PAYLOAD),
    GOAWAY: (0, MAX_PAYLOAD),
}
"""Type of a frame -> the least and the largest length of its payload, in bytes."""

WITH_SUB = frozenset((DATA, EOF, STOP, WINDOW))


class Reason(NamedTuple):
    """The reason why a channel or a stream has ended.

    `code` is for programs; it is empty if nothing went wrong. `words` are for the user.
    """

    code: str = ""
    words: str = ""


def check_header(kind: int, sub: int, length: int, channel: int) -> None:
    """Checks the type, sub, payload length and channel number in the header of a frame.

    Raises:
        StreamError: the header breaks a rule (`bad-frame`).
    """
    if kind not in _SIZES:
        raise StreamError("bad-frame", "a frame of unknown type %d" % kind)
    least, most = _SIZES[kind]
    if not least <= length <= most:
        raise StreamError("bad-frame", "a frame of type %d with %d bytes" % (kind, length))
    if (sub and kind not in WITH_SUB) or (channel == 0) is not (kind == GOAWAY):
        raise StreamError("bad-frame", "a frame of type %d for sub %d of channel %d" % (kind, sub, channel))


def build_frame(kind: int, sub: int, channel: int, payload: bytes = b"") -> bytes:
    """Returns the bytes of a frame: its header and its payload. `kind` is the type of the frame."""
    return HEADER.pack(kind, sub, len(payload), channel) + payload


def build_json(kind: int, channel: int, fields: Dict[str, Any]) -> bytes:
    """Returns a frame that holds `fields` as JSON. Raises ValueError if the JSON is too long for a frame."""
    payload = json.dumps(fields, separators=(",", ":")).encode("ascii")
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("%d bytes of parameters, at most %d are allowed" % (len(payload), MAX_PAYLOAD))
    return build_frame(kind, 0, channel, payload)


def build_reason(kind: int, channel: int, reason: Reason) -> bytes:
    """Returns a frame CLOSE, REFUSED or GOAWAY that holds `reason`. Cuts the words of `reason` if they are too long."""
    if kind == CLOSE and not reason.code:
        return build_frame(CLOSE, 0, channel)
    return build_json(kind, channel, {"code": reason.code, "words": reason.words[:MAX_WORDS]})


def parse_json(payload: bytes) -> Dict[str, Any]:
    """Returns the JSON object in `payload`.

    Raises ValueError if `payload` is no JSON object, or is nested too deeply.
    """
    try:
        found = json.loads(str(payload, "utf-8"))
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("JSON that is not an object")
    return found


def parse_reason(payload: bytes) -> Reason:
    """Returns the reason in the payload of a CLOSE, REFUSED or GOAWAY frame.

    If the payload cannot be read, returns a Reason with the code `bad-json`.
    """
    if not payload:
        return Reason()
    try:
        fields = parse_json(payload)
    except ValueError as error:
        return Reason("bad-json", str(error))
    code, words = fields.get("code"), fields.get("words", "")
    if not isinstance(code, str) or not isinstance(words, str):
        return Reason("bad-json", "a reason without code and words")
    return Reason(code[:64], words[:MAX_WORDS])
