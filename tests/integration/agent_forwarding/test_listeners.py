"""Listeners in the job: an agent accepts connections and forwards them to its client."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from agent.timeouts import Timeouts
from tests.integration.agent_forwarding.targets import Target, closed, everything, listener
from tests.streamclients import StreamClient
from tests.waiting import PATIENCE, wait_until

AGENT_TIMEOUTS = Timeouts(listener_interval=0.05)


def test_a_port_in_use(stream: StreamClient, tcp: Target) -> None:
    port = tcp.fields["port"]
    assert stream.open("listen", port=port).refusal() == ("in-use", f"127.0.0.1:{port}: Address already in use")


def test_too_many_listeners(stream: StreamClient) -> None:
    runs = [stream.open("listen") for _ in range(65)]
    assert runs.pop().refusal() == ("limit", "no more than 64 listeners")
    assert len({run.started().opened["port"] for run in runs}) == 64  # type: ignore[index]


def test_a_listener(stream: StreamClient) -> None:
    run, where = listener(stream)
    assert where["host"] == "127.0.0.1"
    hosts = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    pairs = []
    for address in hosts:
        peer = socket.create_connection((address, where["port"]), PATIENCE)
        stream.until(lambda: stream.offered)
        host, port = peer.getsockname()[:2]
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        assert stream.offered[0][1] == {"listener": run.channel.number, "peer": name, "check": "crc32"}
        (accepted,) = stream.accept()
        pairs.append((peer, accepted))
        peer.sendall(b"one")
        peer.shutdown(socket.SHUT_WR)
        stream.until(lambda: accepted.channel.readers[0].complete)  # noqa: B023
        assert accepted.output[0] == b"one"
    run.channel.close()
    stream.pump()
    for peer, accepted in pairs:
        accepted.give(b"two")  # the connections of a listener that has ended go on
        accepted.end()
        with peer:
            assert everything(peer) == b"two"
        assert closed(accepted) == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", where["port"]))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_client_that_refuses(stream: StreamClient) -> None:
    _, where = listener(stream, host="localhost")
    with socket.create_connection(("127.0.0.1", where["port"]), PATIENCE) as peer:
        stream.until(lambda: stream.offered)
        stream.offered.pop()[0].refuse("refused", "nothing is there")
        stream.pump()
        with pytest.raises(ConnectionResetError):
            everything(peer)


def test_a_listener_at_a_path(stream: StreamClient, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    run, where = listener(stream, path=str(path))
    assert where == {"path": str(path)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        (accepted,) = stream.accept()
        peer.sendall(b"x")
        peer.shutdown(socket.SHUT_WR)
        accepted.end()
        assert closed(accepted) == ""
    assert accepted.output[0] == b"x"
    run.channel.close()
    stream.pump()
    wait_until(lambda: not path.exists())


def test_a_listener_that_dies(stream: StreamClient, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    run, _ = listener(stream, path=str(path))
    path.unlink()
    assert closed(run) == "lost"
    assert run.closed.words == f"{path}: its file was removed"
