"""The modes of a terminal, encoded as RFC 4254 section 8 says, and written in hexadecimal.

A mode is an opcode (one byte) and a value (four bytes, network byte order); opcode 0 ends the modes. The opcodes have
the same meaning on all systems, unlike the numbers and bits of termios.
"""

from __future__ import annotations

import struct
import termios
from typing import Any, Dict, List, Mapping, Tuple

TTY_OP_END = 0
FIRST_WITHOUT_VALUE = 160
"""The first opcode that RFC 4254 does not define. A program that reads modes has to stop at such an opcode."""
ISPEED, OSPEED = 128, 129
DISABLED = 255
"""The value of the mode of a special character, such as VINTR, if the character is switched off."""

MAX_MODES = 256
"""The maximum number of modes that `decode` reads. There are fewer opcodes, so a valid text never has so many."""


def _numbered(first: int, names: str) -> Dict[int, str]:
    return dict(enumerate(names.split(), first))


CHARACTERS = {
    **_numbered(1, "VINTR VQUIT VERASE VKILL VEOF VEOL VEOL2 VSTART VSTOP VSUSP VDSUSP"),
    **_numbered(12, "VREPRINT VWERASE VLNEXT VFLUSH VSWTC VSTATUS VDISCARD"),
}
FLAGS = [
    _numbered(30, "IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8"),
    _numbered(70, "OPOST OLCUC ONLCR OCRNL ONOCR ONLRET"),
    _numbered(90, "CS7 CS8 PARENB PARODD"),
    _numbered(50, "ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP IEXTEN ECHOCTL ECHOKE PENDIN"),
]
"""The names of flags by opcode: one dictionary for each of the fields iflag, oflag, cflag and lflag of termios.

RFC 8160 defines IUTF8.
"""

_BITS = {"IUTF8": 0x4000}
"""The values of flags that Python's module termios does not name. All systems that have IUTF8 use the same value."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)
_SPEEDS = {int(name[1:]): getattr(termios, name) for name in dir(termios) if name[0] == "B" and name[1:].isdecimal()}


def encode(modes: Mapping[int, int]) -> str:
    """Returns `modes`, which are values by opcode, as hexadecimal text."""
    return (b"".join(struct.pack(">BI", *mode) for mode in sorted(modes.items())) + bytes([TTY_OP_END])).hex()


def decode(text: str) -> Dict[int, int]:
    """Parses `text`, which holds modes in hexadecimal. Returns the values by opcode, also for unknown opcodes.

    Stops at the opcode TTY_OP_END, at an opcode >= FIRST_WITHOUT_VALUE, or at an incomplete mode.

    Raises:
        ValueError: `text` is not hexadecimal.
    """
    data = bytes.fromhex(text[: 2 * 5 * MAX_MODES])
    modes: Dict[int, int] = {}
    for at in range(0, len(data) - 4, 5):
        opcode, value = struct.unpack_from(">BI", data, at)
        if opcode == TTY_OP_END or opcode >= FIRST_WITHOUT_VALUE:
            break
        modes[opcode] = value
    return modes


def from_termios(attributes: List[Any], disable: int) -> Dict[int, int]:
    """Returns the modes of a terminal: values by opcode.

    Args:
        attributes: what termios.tcgetattr returns.
        disable: the system's value of a special character that is switched off (_POSIX_VDISABLE).
    """
    modes = {}
    for opcode, name in CHARACTERS.items():
        index = getattr(termios, name, None)
        if index is not None:
            value = _number(attributes[_CC][index])
            modes[opcode] = DISABLED if value == disable else value
    for field, names in enumerate(FLAGS):
        for opcode, name in names.items():
            mask, bits = _bits(name)
            if bits:
                modes[opcode] = int(attributes[field] & mask == bits)
    rates = {constant: rate for rate, constant in _SPEEDS.items()}
    speeds = {ISPEED: rates.get(attributes[_ISPEED]), OSPEED: rates.get(attributes[_OSPEED])}
    modes.update((opcode, rate) for opcode, rate in speeds.items() if rate)
    return modes


def to_termios(modes: Mapping[int, int], attributes: List[Any], disable: int) -> List[Any]:
    """Returns a copy of `attributes` with `modes` set. Leaves out modes and values that this system does not have.

    Args:
        modes: values by opcode.
        attributes: what termios.tcgetattr returns.
        disable: the system's value of a special character that is switched off (_POSIX_VDISABLE).
    """
    changed = [*attributes[:_CC], list(attributes[_CC])]
    for opcode, name in CHARACTERS.items():
        index, value = getattr(termios, name, None), modes.get(opcode)
        if index is not None and value is not None and value <= DISABLED:
            changed[_CC][index] = bytes([disable if value == DISABLED else value])
    for field, names in enumerate(FLAGS):
        for opcode, name in names.items():
            mask, bits = _bits(name)
            if bits and opcode in modes:
                _set(changed, field, mask, bits, on=modes[opcode] != 0)
    for opcode, field in ((ISPEED, _ISPEED), (OSPEED, _OSPEED)):
        rate = modes.get(opcode)
        if rate and rate in _SPEEDS:  # a rate of 0 would hang up the line
            changed[field] = _SPEEDS[rate]
    return changed


def _set(attributes: List[Any], field: int, mask: int, bits: int, *, on: bool) -> None:
    if on:
        attributes[field] = attributes[field] & ~mask | bits
    elif mask != termios.CSIZE:  # CS7 and CS8 share a field: one is switched off by the other
        attributes[field] &= ~bits


def _bits(name: str) -> Tuple[int, int]:
    """Returns (mask, bits): the flag `name` of a terminal is set if `field & mask == bits`.

    For most flags, mask and bits are the same. CS7 and CS8 are two values of one field, so `mask` covers the whole
    field. If this system has no flag of that name, `bits` is 0.
    """
    bits = getattr(termios, name, _BITS.get(name, 0))
    return (termios.CSIZE if name.startswith("CS") else bits), bits


def _number(character: Any) -> int:
    return character if isinstance(character, int) else character[0]
