from __future__ import annotations

import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from medusa.transports import tls
from medusa.transports.steps import run
from medusa.transports.tls import RECORD, Tls, TlsError, TlsSocket, TlsStream, stream_over
from tests.blocking import fill, read
from tests.links import CERTIFICATE, client_context, server_context, tcp_pair, tls_engines, tls_pair, unix_pair
from tests.waiting import MS, PATIENCE, wait_until

SHORT = 30 * MS


@pytest.fixture
def ends() -> Iterator[tuple[TlsSocket, TlsSocket]]:
    """The client's end, and the server's."""
    sockets = tls_pair(tcp_pair)
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.fixture
def streams(ends: tuple[TlsSocket, TlsSocket]) -> tuple[TlsStream, TlsStream]:
    near, far = stream_over(ends[0]), stream_over(ends[1])
    assert isinstance(near, TlsStream)
    assert isinstance(far, TlsStream)
    return near, far


def nothing(_: int) -> bytes:
    raise BlockingIOError


class TestEngine:
    def test_nothing_is_kept_of_what_was_read(self) -> None:
        """An idle link's memory: buffers that bulk made grow would never shrink."""
        client, server = tls_engines()
        for _ in range(3):
            wire = client.encrypt(bytes(1 << 17))
            assert len(server.receive(1 << 17, lambda _, wire=wire: wire)) == 1 << 17  # type: ignore[misc]
        assert server._fed.obj == client._fed.obj == b""

    def test_only_bulk_data_is_read_in_large_portions(self) -> None:
        client, server = tls_engines()
        asked: list[int] = []

        def recv(size: int) -> bytes:
            asked.append(size)
            return wire

        bulk, few = [bytes(RECORD)], [bytes(1000)]
        for written in (bulk, bulk, [b"x"] * 1000, bulk, few, few):
            wire = b"".join(map(client.encrypt, written))
            server.receive(1 << 17, recv)
        assert asked == [RECORD, 1 << 17, 1 << 17, RECORD, 1 << 17, RECORD]

    def test_data_before_a_broken_record_is_good(self) -> None:
        client, server = tls_engines()
        wire = client.encrypt(b"good") + b"\x17\x03\x03\x00\x20" + bytes(32)
        assert server.receive(100, lambda _: wire) == b"good"
        assert server.pending
        for _ in range(2):
            with pytest.raises(TlsError, match=r"^\[Errno \d+\] TLS: .*bad record mac"):
                server.receive(100, nothing)
        assert server.replies()

    def test_a_close_notify_and_a_fin_are_ends(self) -> None:
        client, server = tls_engines()
        wire = client.encrypt(b"last") + client.close() + b"junk"
        assert server.receive(100, lambda _: wire) == b"last"
        assert server.ended
        assert not server.pending
        assert server.receive(100, nothing) == b""
        client, server = tls_engines()
        assert server.receive(100, lambda _: b"") == b""
        assert server.ended

    def test_connections_that_share_buffers_get_their_own_bytes_only(self) -> None:
        """One of them sends a broken record, and another one more than is read at once."""
        shared = (ssl.MemoryBIO(), ssl.MemoryBIO())
        pairs = [tls_engines(shared) for _ in range(4)]
        chance = random.Random(7)
        wires = [client.encrypt(bytes([number]) * 100_000) for number, (client, _) in enumerate(pairs)]
        broken = pairs[3][0].encrypt(b"x")
        wires[3] = broken[:-1] + bytes([broken[-1] ^ 1]) + wires[3]
        received = [b""] * 4
        turns = [number for number in range(3) for _ in range(200)] + [3]
        chance.shuffle(turns)

        def recv(size: int) -> bytes:
            part, wires[turn] = wires[turn][: min(size, 1 + portion)], wires[turn][min(size, 1 + portion) :]
            if not part:
                raise BlockingIOError
            return part

        for turn in turns:
            client, server = pairs[turn]
            portion = chance.choice((3, 700, 20_000, 70_000))
            with suppress(BlockingIOError):
                if turn == 3:
                    portion = len(wires[3])
                    with pytest.raises(TlsError, match="bad record mac"):
                        server.receive(1 << 17, recv)
                else:
                    received[turn] += server.receive(chance.choice((1, 5000, 1 << 17)), recv)
                    answer = server.encrypt(b"%d" % turn)
                    assert client.receive(10, lambda _, answer=answer: answer) == b"%d" % turn  # type: ignore[misc]
            assert not shared[0].pending
            assert not shared[1].pending
        for number, (_, server) in enumerate(pairs[:3]):
            portion, turn = 1 << 20, number
            while len(received[number]) < 100_000:
                received[number] += server.receive(1 << 17, recv)
            assert received[number] == bytes([number]) * 100_000
        assert pairs[3][1].replies()

    def test_data_that_comes_with_the_end_of_the_handshake_is_kept(self) -> None:
        shared = (ssl.MemoryBIO(), ssl.MemoryBIO())
        client, server = Tls(client_context(), "localhost"), Tls(server_context(), buffers=shared)
        assert not client.handshake()
        server.handshake(client.replies())
        assert client.handshake(server.replies())
        assert server.handshake(client.replies() + client.encrypt(b"early"))
        assert not shared[0].pending
        assert server.pending
        assert server.receive(100, nothing) == b"early"


class TestSocket:
    def test_it_behaves_like_a_socket(self, ends: tuple[TlsSocket, TlsSocket]) -> None:
        client, server = ends
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert server.recv(5) + server.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
        server.sendall(bytes(100_000))
        received = 0
        while received < 100_000:
            received += len(client.recv(65536))
        server.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""
        client.sendall(b"too late")
        assert server.recv(100)
        client.close()
        while server.recv(100):
            pass

    def test_a_handshake_has_no_more_time_than_it_is_given(self) -> None:
        near, far = unix_pair()
        near.setblocking(False)
        with near, far, pytest.raises(socket.timeout):
            run(TlsSocket(near, Tls(client_context(), "localhost")).handshake_steps(time.monotonic()))

    def test_an_empty_variable_takes_no_authority_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        defaults = ssl.get_default_verify_paths()._replace(openssl_cafile=str(CERTIFICATE))
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: defaults)
        monkeypatch.setenv("SSL_CERT_DIR", "")
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        assert not tls.client_context().get_ca_certs()
        monkeypatch.setenv("SSL_CERT_FILE", "")
        assert tls.client_context().get_ca_certs()

    def test_a_certificate_that_is_not_trusted(self) -> None:
        near, far = unix_pair()
        failures: list[BaseException] = []

        def serve() -> None:
            try:
                TlsSocket(far, Tls(server_context())).handshake()
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=serve)
        with near, far:
            thread.start()
            with pytest.raises(ssl.SSLCertVerificationError):
                TlsSocket(near, Tls(ssl.create_default_context(), "localhost")).handshake()
            thread.join(PATIENCE)
        assert [str(error) for error in failures] == ["[Errno 71] TLS: tlsv1 alert unknown ca"]

    @pytest.mark.parametrize(
        ("sent", "text"),
        [(b"HTTP/1.1 400 x\r\n\r\n", "does not speak TLS"), (b"", "in the middle"), (b"\x16\x03\x01", "in the middle")],
    )
    def test_a_peer_without_tls(self, sent: bytes, text: str) -> None:
        near, far = unix_pair()
        with near, far:
            far.sendall(sent)
            far.shutdown(socket.SHUT_WR)
            with pytest.raises(TlsError, match=text):
                TlsSocket(near, Tls(client_context(), "localhost")).handshake()

    def test_a_peer_that_sends_records_and_no_data(
        self, ends: tuple[TlsSocket, TlsSocket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one that asks for new keys on and on: recv would not end while there is something to read."""
        _, server = ends
        monkeypatch.setattr(Tls, "receive", lambda _, size, recv: recv(RECORD)[:0])
        monkeypatch.setattr(server, "sock", Endless())
        with pytest.raises(TlsError, match="without data"):
            server.recv(RECORD)


class Endless:
    """A socket with always something to read."""

    def recv(self, size: int) -> bytes:
        return bytes(size)


class TestStream:
    def test_bytes_that_are_passed_again_are_sent_once(self, streams: tuple[TlsStream, TlsStream]) -> None:
        near, far = streams
        data = os.urandom(3 << 20)
        sent, refused, received = 0, 0, b""
        while len(received) < len(data):
            try:
                sent += near.send(memoryview(data)[sent:]) if sent < len(data) else 0
            except BlockingIOError:
                refused += 1
                received += read(far, 10_000)
            if sent == len(data):
                received += read(far, len(data) - len(received))
        assert refused
        assert received == data

    def test_wait_returns_at_once_if_plaintext_is_pending(self, streams: tuple[TlsStream, TlsStream]) -> None:
        near, far = streams
        near.send(b"together")
        assert read(far, 1) == b"t"
        assert far.pending
        far.wait(True, False, None)
        assert far.recv(100) == b"ogether"
        assert not far.pending

    def test_an_end_after_data_that_the_peer_does_not_read(self, streams: tuple[TlsStream, TlsStream]) -> None:
        near, far = streams
        fill(near)
        near.shutdown()
        with pytest.raises(BrokenPipeError):
            near.send(b"never in plain")
        received = 0

        def over() -> bool:
            nonlocal received
            try:
                data = far.recv(1 << 17)
            except BlockingIOError:
                far.wait(True, False, SHORT)
                return False
            received += len(data)
            assert not data.strip(b"\0")
            return not data

        wait_until(over)
        assert received

    def test_a_peer_that_wants_answers_and_reads_none(
        self, streams: tuple[TlsStream, TlsStream], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        near, _ = streams
        fill(near)
        assert near._tls is not None
        answer = near._tls.encrypt(bytes(1000))
        monkeypatch.setattr(Tls, "replies", lambda _: answer)

        def broke() -> bool:
            with suppress(BlockingIOError):
                near.recv(10)
            return False

        with pytest.raises(TlsError, match="new keys"):
            wait_until(broke)
        assert len(near._unsent) < tls.MAX_WAITING + 2 * len(answer)

    def test_a_few_answers_may_wait_behind_the_longest_piece_of_data(
        self, streams: tuple[TlsStream, TlsStream], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        near, _ = streams
        fill(near)
        assert near._tls is not None
        longest = near._tls.encrypt(bytes(tls.CHUNK + RECORD))
        near._unsent = memoryview(longest)
        monkeypatch.setattr(Tls, "replies", lambda _: b"k" * 27)
        for _ in range(10):
            near._reply(near._tls)
        assert len(near._unsent) == len(longest) + 270
