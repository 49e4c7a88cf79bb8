"""What becomes of a connection when there are too many: it is closed at once, counted and logged."""

from __future__ import annotations

import gevent.socket
import pytest
from structlog.types import EventDict

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.doorkeeper import Doorkeeper
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.net import fd_limit
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP
from medusa.reflector.relay.budget import Budget
from tests.links import unix_pair
from tests.waiting import PATIENCE

CONFIG = ReflectorConfig(max_startups=(2, 100, 2), per_source_max_startups=1, trusted_proxy=("192.0.2.80",))
HERE, PROXY = ("192.0.2.1", 4711), ("192.0.2.80", 4711)


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    metrics = Metrics()
    return Doorkeeper(CONFIG, metrics, RefusalLog(CONFIG, metrics), Budget())


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_peer_that_is_dropped_reads_why(doorkeeper: Doorkeeper, logs: list[EventDict], sent: bytes) -> None:
    first = doorkeeper.admit(None, HERE)
    assert first is not None
    peer, accepted = unix_pair()
    with peer:
        peer.sendall(sent)
        assert doorkeeper.admit(gevent.socket.socket(fileno=accepted.detach()), HERE, b"sorry") is None
        peer.settimeout(PATIENCE)
        assert [peer.recv(100), peer.recv(100)] == [b"sorry", b""]
    assert [(entry["event"], entry["client"]) for entry in logs] == [("connection dropped", HERE[0])]
    first.end()
    assert doorkeeper.admit(None, HERE) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", PROXY[0]])
def test_loopback_and_proxies_are_counted_in_all_only(doorkeeper: Doorkeeper, host: str) -> None:
    assert all(doorkeeper.admit(None, (host, 1)) is not None for _ in range(2))
    peer, accepted = unix_pair()
    with peer:
        assert doorkeeper.admit(gevent.socket.socket(fileno=accepted.detach()), (host, 1)) is None


def test_a_network_of_ipv6_is_one_source(doorkeeper: Doorkeeper) -> None:
    assert doorkeeper.admit(None, ("2001:db8::1", 1, 0, 0)) is not None
    peer, accepted = unix_pair()
    with peer:
        sock = gevent.socket.socket(fileno=accepted.detach())
        assert doorkeeper.admit(sock, ("2001:db8::2", 1, 0, 0)) is None
    assert doorkeeper.admit(None, ("2001:db8:0:1::1", 1, 0, 0)) is not None


@pytest.mark.parametrize(("reserved", "taken"), [(10**6, True), (0, False)])
def test_a_connection_of_another_worker_needs_room(
    doorkeeper: Doorkeeper, monkeypatch: pytest.MonkeyPatch, reserved: int, taken: bool
) -> None:
    monkeypatch.setattr(fd_limit, "first_reserved", lambda: reserved)
    peer, sock = unix_pair()
    with peer, gevent.socket.socket(fileno=sock.detach()) as accepted:
        connection = Accepted(HTTP, accepted, HERE)
        assert doorkeeper.take_over(connection) is taken
        connection.identified()


def test_a_client_that_a_proxy_names_has_its_own_share_of_the_memory() -> None:
    metrics, budget = Metrics(), Budget()
    doorkeeper = Doorkeeper(CONFIG, metrics, RefusalLog(CONFIG, metrics), budget)
    startup = doorkeeper.admit(None, PROXY)
    assert startup is not None
    startup.hold(10_000)
    proxy, client = budget.share(address=PROXY[0]), budget.share(address=HERE[0])
    held = proxy.used
    assert held > 0
    doorkeeper.name_client(Accepted(HTTP, None, HERE, startup=startup))
    assert (proxy.used, client.used) == (0, held)
    startup.end()
    assert (client.used, budget.used) == (0, 0)
