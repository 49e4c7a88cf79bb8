"""How a Manta is reached: repeated requests, limits, TLS, proxies, and URLs that are refused."""

from __future__ import annotations

import socket

import pytest

from medusa.client.launchers.manta.api import MantaClient
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.timeouts import DEFAULT_TIMEOUTS, MantaTimeouts
from tests.links import CERTIFICATE
from tests.stores import Reply, Store, hang_up, store
from tests.unit.client.launchers.manta.clients import SIGNATURE, Account, client, failure


def test_a_temporary_failure_is_tried_again(server: Store) -> None:
    naps: list[float] = []
    server.replies = [Reply(503), hang_up, Reply(502)]
    manta = client(server.url, naps)
    manta.put_object("/p/x", b"x", "text/plain")
    assert server.objects == {"/p/x": b"x"}
    assert len(server.seen) == 4
    assert naps == list(DEFAULT_TIMEOUTS.manta.retry_intervals)


def test_a_request_that_may_take_effect_twice_is_not_tried_again(server: Store) -> None:
    server.replies = [hang_up, Reply(204)]
    manta = client(server.url)
    with pytest.raises(MantaError, match=r"POST /poseidon/jobs/1/live/in: 127\.0\.0\.1:\d+: Remote end closed"):
        manta.add_job_key("1", "/p/x")
    assert len(server.seen) == 1
    server.replies = [hang_up, Reply(202)]
    manta.cancel_job("1")


def test_an_answer_has_limits_of_size_and_time(server: Store) -> None:
    def get(manta: MantaClient) -> bytes:
        return manta.get_object("/p/x")

    assert "more than 100000 bytes" in str(failure(server, Reply(200, bytes(100_001)), get, max_answer=100_000))
    at_once = MantaTimeouts(answer_timeout=0.0)
    assert "no end of the answer" in str(failure(server, Reply(200, b"x"), get, timeouts=at_once))


def test_a_cut_answer_is_an_error(server: Store) -> None:
    cut = Reply(200, b"x", (("Content-Length", "2"), ("Connection", "close")))
    assert "GET /p/x" in str(failure(server, cut, lambda manta: manta.get_object("/p/x")))
    assert len(server.seen) == 4


def test_a_refused_connection_is_tried_again() -> None:
    naps: list[float] = []
    with socket.socket() as bound:  # it never listens
        bound.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % bound.getsockname()[1]
        manta = client(url, naps)
        with pytest.raises(MantaError) as caught:
            manta.create_job({})
    assert str(caught.value) == f"POST /poseidon/jobs: {url[7:]}: Connection refused"
    assert (caught.value.status, len(naps)) == (None, 3)


def test_an_error_of_our_own_is_not_tried_again(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Account):
        def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
            return [("Authorization", f"{SIGNATURE}\n")]

    naps: list[float] = []
    with pytest.raises(MantaError) as caught:
        MantaClient(server.url, Careless(), sleep=naps.append).get_object("/p/x")
    assert SIGNATURE not in str(caught.value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexist/ca.pem")
    with pytest.raises(MantaError, match="/nonexist/ca\\.pem"):
        client("https://127.0.0.1:1", naps).get_object("/p/x")
    assert naps == []


def test_a_silent_manta_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        naps: list[float] = []
        url = "http://127.0.0.1:%d" % silent.getsockname()[1]
        manta = client(url, naps, timeouts=MantaTimeouts(silence_timeout=0.05))
        with pytest.raises(MantaError, match="timed out"):
            manta.get_object("/p/x")
    assert naps == []


def test_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    with store(tls=True) as server:
        manta = client(server.url, naps)
        with pytest.raises(MantaError, match=r"not accepted: self-signed .*; -i or"):
            manta.put_object("/p/x", b"x", "text/plain")
        assert (server.seen, naps) == ([], [])
        manta = client(server.url, insecure_tls=True)
        manta.put_object("/p/x", b"x", "text/plain")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        manta = client(server.url)
        assert manta.get_object("/p/x") == b"x"
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        manta = client(server.url)
        assert manta.get_object("/p/x") == b"x"


def test_a_proxy_is_used_and_its_password_never_shown(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies = [Reply(200, b"by proxy")]
    monkeypatch.setenv("http_proxy", f"http://u:secret@{server.url[7:]}")
    manta = client("http://manta.invalid")
    assert manta.get_object("/p/x") == b"by proxy"
    (seen,) = server.seen
    assert seen.target == "http://manta.invalid/p/x"
    assert seen.headers["authorization"].endswith(" GET /p/x manta.invalid")
    for broken in ("http://u:secret@127.0.0.1:1", "http://u:secret@[", "http://u:secret@:x"):
        monkeypatch.setenv("http_proxy", broken)
        manta = client("http://manta.invalid")
        with pytest.raises(MantaError) as caught:
            manta.get_object("/p/x")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://h", "http://", "http://h:x", "http://u:secret@h", "http://h/p", "http://h?q", "http://[", "http://é"],
)
def test_a_url_that_is_not_a_mantas_is_refused(url: str) -> None:
    with pytest.raises(MantaError) as caught:
        MantaClient(url, None)
    assert "secret" not in str(caught.value)


def test_a_bare_host_is_asked_by_https(server: Store) -> None:
    manta = client(server.url[7:])
    with pytest.raises(MantaError, match="GET /p/x"):
        manta.get_object("/p/x")
    assert server.seen == []
