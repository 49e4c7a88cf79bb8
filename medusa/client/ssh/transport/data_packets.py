"""Makes and takes the packets of SSH that hold the data of channels. asyncssh does so with all other packets.

A packet of asyncssh's costs about forty calls of Python, and six copies of its data. Here it costs a few of each.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from typing import Any

from asyncssh.constants import MSG_CHANNEL_DATA
from asyncssh.encryption import GCMEncryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medusa.client.ssh.transport.pipes import PipeTransport

_LENGTH = struct.Struct(">I")
"""The length of a packet, which is not encrypted."""

_HEAD = struct.Struct(">BBII")
"""What comes before the data: the length of the padding, the type, the channel's number, the length of the data."""

_BLOCK, _LEAST_PADDING, _MOST_PADDING = 16, 4, 19
"""Bytes. What is encrypted is a multiple of _BLOCK, by padding."""

_TAG = 16

_MAX_PACKET = 256 * 1024
"""Bytes. asyncssh refuses longer packets."""

_USED = [
    "_auth_complete",
    "_auth_final",
    "_channels",
    "_compressor",
    "_decompressor",
    "_inpbuf",
    "_kex_complete",
    "_packet",
    "_recv_encryption",
    "_recv_handler",
    "_recv_packet",
    "_recv_pkthdr",
    "_recv_seq",
    "_rekey_bytes",
    "_rekey_bytes_sent",
    "_rekey_seconds",
    "_rekey_time",
    "_send_encryption",
    "_send_seq",
    "_transport",
]
"""The attributes of asyncssh's connection that are used here. A version without one of them does all itself."""

_USED_OF_CIPHER = ["_iv", "_key", "_update_iv"]
_USED_OF_CHANNEL = [
    "_deliver_data",
    "_recv_buf",
    "_recv_paused",
    "_recv_state",
    "_recv_window",
    "_send_buf",
    "_send_chan",
    "_send_pktsize",
    "_send_state",
    "_send_window",
]
"""The same for the cipher of an encryption, and for channels."""


class _Decrypted:
    """Gives asyncssh the content of one packet that was decrypted before. It takes the place of a cipher."""

    def __init__(self, plain: bytes) -> None:
        self._plain = plain

    def decrypt_header(self, seq: int, first: bytes, size: int) -> tuple[bytes, bytes]:
        return first, first[:size]

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, size: int, mac: bytes) -> bytes:
        return self._plain


def _has(thing: object, names: list[str]) -> bool:
    return all(hasattr(thing, name) for name in names)


def _cipher(encryption: object) -> _Cipher | None:
    """Returns a cipher that does the work of `encryption`; None if that is asyncssh's alone."""
    if isinstance(encryption, GCMEncryption) and _has(getattr(encryption, "_cipher", None), _USED_OF_CIPHER):
        return _Cipher(encryption)
    return None


class _Cipher:
    """AES in GCM mode with the key and the counter of an encryption of asyncssh's, which uses both too."""

    def __init__(self, encryption: GCMEncryption) -> None:
        self.encryption = encryption
        self._counter: Any = encryption._cipher
        self._aead = AESGCM(self._counter._key)

    def encrypt(self, plain: bytes, length: bytes) -> bytes:
        data = self._aead.encrypt(self._counter._iv, plain, length)
        self._counter._update_iv()
        return data

    def decrypt(self, data: memoryview, length: memoryview) -> bytes:
        """Raises InvalidTag, and then leaves the counter as it was."""
        plain = self._aead.decrypt(self._counter._iv, data, length)
        self._counter._update_iv()
        return plain


class DataPackets(asyncio.Protocol):
    """Passes bytes between a transport and asyncssh's connection, and does asyncssh's work for the data of channels.

    It does so while the cipher is AES in GCM mode and no keys are exchanged. asyncssh does the rest. After each packet
    the counters of the connection and the windows of the channels are as asyncssh would leave them, so that asyncssh
    can do the next one.
    """

    def __init__(self, transport: PipeTransport) -> None:
        self.transport = transport
        self._conn: Any = None
        self._known = False  # True if this version of asyncssh has all of _USED
        self._channels_known: bool | None = None  # the same for channels; None before the first one
        self._rest = b""  # the beginning of a packet
        self._sending: _Cipher | None = None
        self._receiving: _Cipher | None = None

    def start(self, conn: asyncio.Protocol) -> None:
        """Begins to pass bytes to and from asyncssh's connection."""
        self._conn = conn
        self._known = _has(conn, _USED)
        self.transport.start(self)

    @property
    def full(self) -> bool:
        """True if so many bytes wait to be written that no more should be added."""
        return self.transport.full

    def _knows(self, chan: object) -> bool:
        """Returns True if channels of this version of asyncssh have all that is used here."""
        if self._channels_known is None:
            self._channels_known = _has(chan, _USED_OF_CHANNEL)
        return self._channels_known

    # ------------------------------------------------------------------ to the client

    def write(self, chan: Any, data: bytes, datatype: int | None) -> None:
        """Sends `data` on a channel of asyncssh's, which keeps what its window does not take.

        Raises:
            BrokenPipeError: the channel is closing.
        """
        sent = self._send(chan, memoryview(data)) if datatype is None else 0
        if sent < len(data):
            chan.write(memoryview(data)[sent:], datatype)

    def _send(self, chan: Any, data: memoryview) -> int:
        """Sends the first bytes of `data`, as many as the window takes. Returns their number; 0 if asyncssh must."""
        conn = self._conn
        cipher = self._sending_cipher()
        if cipher is None or not self._knows(chan) or chan._send_state != "open" or chan._send_buf:
            return 0
        at, most, padding = 0, chan._send_pktsize, os.urandom(_MOST_PADDING)
        pieces: list[bytes] = []
        while at < len(data) and chan._send_window > 0 and conn._rekey_bytes_sent < conn._rekey_bytes:
            part = data[at : at + min(most, chan._send_window)]
            size = len(part)
            padded = -(_HEAD.size + size) % _BLOCK
            padded += _BLOCK if padded < _LEAST_PADDING else 0
            plain = b"".join((_HEAD.pack(padded, MSG_CHANNEL_DATA, chan._send_chan, size), part, padding[:padded]))
            length = _LENGTH.pack(len(plain))
            pieces += (length, cipher.encrypt(plain, length))
            conn._send_seq = (conn._send_seq + 1) & 0xFFFFFFFF
            conn._rekey_bytes_sent += len(plain)
            chan._send_window -= size
            at += size
        self.transport.writelines(pieces)
        return at

    def _sending_cipher(self) -> _Cipher | None:
        """Returns the cipher with which packets are sent now; None if asyncssh must send them."""
        conn = self._conn
        if not self._known:
            return None
        found = conn._send_encryption
        due = conn._rekey_seconds and time.monotonic() >= conn._rekey_time
        if not (conn._kex_complete and conn._auth_complete) or due or conn._compressor or conn._transport is None:
            return None
        if self._sending is None or self._sending.encryption is not found:
            self._sending = _cipher(found)
        return self._sending

    # ------------------------------------------------------------------ from the client

    def data_received(self, data: bytes) -> None:
        conn, at = self._conn, 0
        data = self._rest + data
        while at < len(data) and (cipher := self._receiving_cipher()) is not None:
            if conn._packet or conn._inpbuf:  # asyncssh has begun to take a packet
                data, at = conn._packet + conn._inpbuf + data[at:], 0
                conn._packet = conn._inpbuf = b""
                conn._recv_handler = conn._recv_pkthdr
            size = self._take(cipher, memoryview(data)[at:])
            if not size:
                break
            at += size
        self._rest = b"" if conn._transport is None else data[at:]
        if self._rest and self._receiving_cipher() is None:
            data, self._rest = self._rest, b""
            conn.data_received(data)

    def _receiving_cipher(self) -> _Cipher | None:
        """Returns the cipher with which the next packet was sent; None if asyncssh must take it."""
        conn = self._conn
        if not self._known:
            return None
        found, ready = conn._recv_encryption, conn._recv_handler in (conn._recv_pkthdr, conn._recv_packet)
        if not (conn._auth_complete and ready) or conn._decompressor or conn._transport is None:
            return None
        if self._receiving is None or self._receiving.encryption is not found:
            self._receiving = _cipher(found)
        return self._receiving

    def _take(self, cipher: _Cipher, data: memoryview) -> int:
        """Takes the packet at the beginning of `data`. Returns its size; 0 if it has not arrived as a whole."""
        length = data[: _LENGTH.size]
        if len(length) < _LENGTH.size:
            return 0
        size = int.from_bytes(length, "big")
        whole: int = _LENGTH.size + size + _TAG
        try:
            if size > _MAX_PACKET:
                raise InvalidTag
            if whole > len(data):
                return 0
            plain = cipher.decrypt(data[_LENGTH.size : whole], length)
        except InvalidTag:
            self._conn.data_received(bytes(data))  # asyncssh finds out what is wrong, and says so
            return len(data)
        if not self._deliver(plain):
            self._pass_on(bytes(data[:whole]), plain)
        return whole

    def _deliver(self, plain: bytes) -> bool:
        """Gives data to the session that they are for. Returns False if asyncssh must take this packet."""
        conn = self._conn
        if len(plain) < _HEAD.size:
            return False
        padded, kind, number, size = _HEAD.unpack_from(plain)
        if kind != MSG_CHANNEL_DATA or _HEAD.size + size + padded != len(plain) or not size:
            return False
        chan = conn._channels.get(number)
        if chan is None or not self._knows(chan):
            return False
        if chan._recv_state != "open" or chan._send_state in ("close_pending", "closed"):
            return False
        if chan._recv_paused or chan._recv_buf or size > chan._recv_window:
            return False
        conn._recv_seq = (conn._recv_seq + 1) & 0xFFFFFFFF
        conn._auth_final = True
        chan._recv_window -= size
        try:
            chan._deliver_data(plain[_HEAD.size : _HEAD.size + size], None)
        except Exception:  # noqa: BLE001 - asyncssh ends the connection, and says why, as for its own packets
            conn.internal_error()
        return True

    def _pass_on(self, packet: bytes, plain: bytes) -> None:
        """Gives a packet that was decrypted to asyncssh."""
        conn = self._conn
        before = conn._recv_encryption
        conn._recv_encryption = given = _Decrypted(plain)
        conn.data_received(packet)
        if conn._recv_encryption is given:  # it changes with new keys
            conn._recv_encryption = before

    # ------------------------------------------------------------------ the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._conn.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._conn.connection_lost(exc)

    def eof_received(self) -> bool | None:
        ended: bool | None = self._conn.eof_received()
        return ended
