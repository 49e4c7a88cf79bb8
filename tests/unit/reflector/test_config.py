from __future__ import annotations

import math

import pytest

from medusa.reflector.config import ConfigError, ReflectorConfig, Timeouts, verify


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_needs_no_leave(address: str) -> None:
    verify(ReflectorConfig(bind_ip=address))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "192.0.2.1", "2001:db8::1", "169.254.1.1"])
def test_other_addresses_need_a_trusted_network(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^bind-ip: .* --trusted-network"):
        verify(ReflectorConfig(bind_ip=address))
    verify(ReflectorConfig(bind_ip=address, trusted_network=True))
    verify(ReflectorConfig(bind_ip=address, accounts="dir"))


@pytest.mark.parametrize("bad", ["localhost", "", "127.0.0.1:80", "127.1", "\x1b[2J"])
def test_what_is_not_an_address(bad: str) -> None:
    with pytest.raises(ConfigError, match="not an IP address") as caught:
        verify(ReflectorConfig(bind_ip=bad))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("port", [0, 1, 65535], [-1, 65536]),
        ("raw_port", [None, 0, 1, 65535], [-1, 65536]),
        ("wait_timeout", [0.001, 1, 1e9], [0, -1, math.nan, math.inf, 1e10]),
        ("keepalive", [0.001, 1, 1e9], [0, -1, math.nan, math.inf, 1e10]),
        ("drain_timeout", [0, 1, 1e9], [-0.1, math.nan, math.inf, 1e10]),
        ("write_stall", [0, 1, 1e9], [-0.1, math.nan, math.inf, 1e10]),
        ("idle_timeout", [0, 1, 1e9], [-0.1, math.nan, math.inf, 1e10]),
        ("max_duration", [0, 1, 1e9], [-0.1, math.nan, math.inf, 1e10]),
        ("max_sessions", [0, 1], [-1]),
        ("max_sessions_per_login", [None, 0, 1], [-1]),
        ("max_sessions_per_address", [None, 0, 1], [-1]),
        ("max_waiting_per_login", [0, 1], [-1]),
        ("max_waiting_per_address", [0, 1], [-1]),
        ("max_connects_per_minute", [0, 1], [-1]),
        ("max_message", [1, 1 << 30, (1 << 48) - 1], [0, -1, 1 << 48]),
    ],
)
def test_bounds(name: str, good: list[float | None], bad: list[float]) -> None:
    for value in good:
        verify(ReflectorConfig(**{name: value}))  # type: ignore[arg-type]
    for value in bad:
        with pytest.raises(ConfigError, match="^" + name.replace("_", "-") + ": "):
            verify(ReflectorConfig(**{name: value}))  # type: ignore[arg-type]


def test_raw_tcp_stays_on_loopback_unless_the_network_is_trusted() -> None:
    verify(ReflectorConfig(raw_port=0, accounts="a"))
    verify(ReflectorConfig(bind_ip="0.0.0.0", raw_port=0, accounts="a", trusted_network=True))
    with pytest.raises(ConfigError, match=r"^raw-port: "):
        verify(ReflectorConfig(bind_ip="0.0.0.0", raw_port=0, accounts="a"))


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls-key"), ("tls_key", "tls-cert")])
def test_a_certificate_and_its_key_come_together(given: str, missing: str) -> None:
    verify(ReflectorConfig(tls_cert="a", tls_key="b"))
    with pytest.raises(ConfigError, match="^%s: missing" % missing):
        verify(ReflectorConfig(**{given: "a"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lonely",
    [
        {"admins": ("alice",)},
        {"no_forwarding": ("alice",)},
        {"proxy_protocol": True},
        {"front_door_only": True},
        {"legacy_signatures": True},
    ],
)
def test_what_does_nothing_alone(lonely: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="^" + next(iter(lonely)).replace("_", "-") + ": "):
        verify(ReflectorConfig(**lonely))  # type: ignore[arg-type]
    verify(ReflectorConfig(accounts="dir", trusted_proxy=("10.0.0.0/8",), **lonely))  # type: ignore[arg-type]


def test_a_worker_that_hangs_is_replaced_before_others_give_up() -> None:
    assert Timeouts().handoff_answer_timeout > 1.5 * Timeouts().worker_silence_timeout


class TestSite:
    SHARED = "redis://user:secret@redis.example"

    def test_needs_a_secret(self) -> None:
        with pytest.raises(ConfigError, match=r"^site-secret-file: missing") as caught:
            verify(ReflectorConfig(directory=self.SHARED))
        assert "secret@" not in str(caught.value)
        verify(ReflectorConfig(directory=self.SHARED, site_secret_file="file"))

    @pytest.mark.parametrize("address", ["0.0.0.0", "::"])
    def test_an_address_that_is_everywhere_cannot_be_told(self, address: str) -> None:
        config = {"bind_ip": address, "accounts": "dir", "directory": self.SHARED, "site_secret_file": "file"}
        with pytest.raises(ConfigError, match=r"^advertise: missing"):
            verify(ReflectorConfig(**config))  # type: ignore[arg-type]
        verify(ReflectorConfig(**config, advertise="a.example"))  # type: ignore[arg-type]
        verify(ReflectorConfig(bind_ip=address, accounts="dir"))

    @pytest.mark.parametrize(
        ("config", "address"),
        [
            (ReflectorConfig(), "http://127.0.0.1:5"),
            (ReflectorConfig(bind_ip="::1"), "http://[::1]:5"),
            (ReflectorConfig(bind_ip="0.0.0.0", advertise="a.example", tls_cert="c"), "https://a.example:5"),
            (ReflectorConfig(advertise="[2001:db8::1]:80"), "http://[2001:db8::1]:80"),
            (ReflectorConfig(advertise="2001:db8::1"), "http://[2001:db8::1]:5"),
        ],
    )
    def test_what_is_told(self, config: ReflectorConfig, address: str) -> None:
        assert config.address(5) == address

    @pytest.mark.parametrize("setting", [{"advertise": "a.example"}, {"site_secret_file": "file"}])
    def test_what_means_nothing_without_a_shared_directory(self, setting: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match=f"^{next(iter(setting)).replace('_', '-')}: other reflectors find"):
            verify(ReflectorConfig(**setting))  # type: ignore[arg-type]

    @pytest.mark.parametrize("bad", ["", "a b", "http://a:5", "a:", "a:123456", "::g", "a:x", "a/b"])
    def test_what_is_no_address(self, bad: str) -> None:
        with pytest.raises(ConfigError, match=r"^advertise: .* HOST or HOST:PORT"):
            verify(ReflectorConfig(advertise=bad))
