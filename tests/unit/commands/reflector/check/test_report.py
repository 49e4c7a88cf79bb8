from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.commands.reflector.check.audiences import (
    ACCOUNTS,
    ADMINS,
    EVERYONE,
    MONITORS,
    OPEN,
    SIGNED,
    THIS_HOST,
    addresses,
    audiences,
)
from medusa.commands.reflector.check.report import Report, examine, lines
from medusa.reflector.config import ReflectorConfig
from tests.certificates import Certified
from tests.signing import Key

ALL = "0.0.0.0"
LOCAL = ["/attach/", "/status", "/sessions", "/metrics"]


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, {EVERYONE: [*OPEN], THIS_HOST: LOCAL}),
        ({"trusted_network": True, "bind_ip": ALL}, {EVERYONE: [*OPEN, *LOCAL]}),
        (
            {"accounts": "x", "bind_ip": ALL, "admins": ("alice",)},
            {
                EVERYONE: [*OPEN],
                THIS_HOST: LOCAL,
                ACCOUNTS: [*SIGNED],
                ADMINS: ["/status", "/sessions", "/metrics"],
            },
        ),
        ({"accounts": "x", "front_door_only": True}, {EVERYONE: [*OPEN], ACCOUNTS: [*SIGNED]}),
        (
            {"accounts": "x", "front_door_only": True, "metrics_from": ("10.0.0.0/8",)},
            {EVERYONE: [*OPEN], MONITORS: ["/metrics"], ACCOUNTS: [*SIGNED]},
        ),
        ({"no_status": True}, {EVERYONE: [*OPEN], THIS_HOST: ["/attach/", "/metrics"]}),
        ({"raw_port": 1}, {EVERYONE: [*OPEN], THIS_HOST: [*LOCAL, "raw TCP"]}),
        (
            {"raw_port": 1, "accounts": "x"},
            {EVERYONE: [*OPEN], THIS_HOST: LOCAL, ACCOUNTS: [*SIGNED, "raw TCP"]},
        ),
    ],
)
def test_what_is_served_to_whom(settings: dict[str, Any], served: dict[str, list[str]]) -> None:
    assert audiences(ReflectorConfig(**settings)) == served


def test_addresses() -> None:
    assert addresses(ReflectorConfig(bind_ip="::1", port=0, raw_port=7)) == ["http://[::1]:PORT", "tcp://[::1]:7"]
    assert addresses(ReflectorConfig(tls_cert="x")) == ["https://127.0.0.1:8381"]


def examined(config_file: Path | None = None, **settings: Any) -> Report:
    config = ReflectorConfig(**{"archive": "agent.sh", **settings})
    file = None if config_file is None else str(config_file)
    return examine(config, SimpleNamespace(config=file), ["reflector"])


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"trusted_network": True, "bind_ip": ALL}, "unsafe", "trusted-network: everyone who reaches 0.0.0.0 may"),
        ({"trusted_network": True, "bind_ip": ALL, "raw_port": 1}, "unsafe", "raw-port: raw TCP is not encrypted"),
        ({"trusted_network": True, "bind_ip": ALL, "max_held": 0}, "unsafe", "max-held: no limit"),
        ({"trusted_network": True, "bind_ip": ALL, "max_startups": (0, 0, 0)}, "unsafe", "max-startups: no limit"),
        ({"trusted_proxy": ("10.0.0.1", "::/0")}, "unsafe", "trusted-proxy: ::/0 is every address"),
        ({"metrics_from": ("10.0.0.1", "0.0.0.0/0")}, "unsafe", "metrics-from: 0.0.0.0/0 is every address"),
        ({"raw_port": 8381}, "wrong", "raw-port: 8381 is the port for HTTP"),
        ({"publish": "http://h/agent.sh"}, "unsafe", "publish: without TLS"),
        ({"bind_ip": ALL}, "wrong", "bind-ip: 0.0.0.0 is not a loopback address"),
        ({"bind_ip": "x"}, "wrong", "bind-ip: 'x' is not an IP address"),
        ({"accounts": "/none"}, "wrong", "accounts: /none: No such file or directory"),
        ({"tls_cert": "/none", "tls_key": "/none"}, "wrong", "tls-cert: cannot read '/none'"),
        ({"directory": "carrier:"}, "wrong", "directory: unknown directory 'carrier'"),
        ({"directory": "redis://:secret@h:x"}, "wrong", "directory: the URL has a part"),
        ({"directory": "redis://192.0.2.1"}, "wrong", "site-secret-file: missing"),
        ({"directory": "redis://192.0.2.1"}, "unsafe", "directory: the way to redis://192.0.2.1 is not encrypted"),
        ({"directory": "rediss://192.0.2.1"}, "unsafe", "directory: no password for rediss://192.0.2.1"),
        ({"publish": "/none/agent.sh"}, "wrong", "publish: /none: there is no such directory"),
        ({"publish": "carrier://h/x?secret"}, "wrong", "publish: carrier:// is no kind of store"),
        ({"archive": None}, "advice", "/agent.sh: 404"),
    ],
)
def test_what_is_wrong_or_unsafe(settings: dict[str, Any], kind: str, words: str) -> None:
    report = examined(**settings)
    assert any(text.startswith(words) for text in getattr(report, kind)), (report.wrong, report.unsafe, report.advice)
    assert report.status == (0 if kind == "advice" else 1)
    assert "secret@" not in "\n".join(lines(report))
    assert "?secret" not in "\n".join(lines(report))


def test_an_account_file_with_the_name_of_a_key_file(tmp_path: Path, key: Key) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "alice.pub").write_bytes(key.line)
    advice = f"accounts: {tmp_path}/alice.pub is for an account `alice.pub`; a file is named after its account"
    assert advice in examined(accounts=str(tmp_path)).advice


def test_files(tmp_path: Path, key: Key) -> None:
    """Accounts and their users, the certificate, the site's secret: all in order, then open to others."""
    accounts, certificate, secret, config = (tmp_path / name for name in ("accounts", "cert", "secret", "config"))
    (accounts / "alice.users").mkdir(mode=0o755, parents=True)
    for name in ("alice", "alice.users/ci"):
        (accounts / name).write_bytes(key.line)
    (accounts / "bob").write_text("no key\n")
    Certified("r", names=["r.example", "*.wild.example"]).write(certificate)
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    config.touch(0o600)
    settings = {
        "bind_ip": ALL,
        "accounts": str(accounts),
        "admins": ("alice", "carol"),
        "no_forwarding": ("alice", "*", "dave"),
        "public_host": ("r.example:8381", "a.wild.example", "other.example"),
        "tls_cert": str(certificate),
        "tls_key": str(certificate),
        "directory": "rediss://:word@redis.example",
        "site_secret_file": str(secret),
        "advertise": "r.example",
    }
    report = examined(config, **settings)
    rows = dict(report.rows)
    assert rows["account alice"] == rows["account alice, user ci"] == f"{rows['account alice'].split()[0]} {key.sha256}"
    assert rows["account bob"] == "no key"
    assert rows["forwarding forbidden"] == "alice, *, dave"
    assert rows["certificate"] == f"{certificate}: r.example, *.wild.example"
    assert rows["directory"] == "rediss://redis.example (not asked whether it answers)"
    assert rows["for other reflectors"] == "https://r.example:8381"
    assert report.wrong == []
    assert report.unsafe == [
        f"key ignored: file {accounts}/bob, line 1, reason options before a key are not understood"
    ]
    assert [text.partition(":")[0] for text in report.advice] == [
        *("front-door-only", "admins", "no-forwarding"),
        *["tls-cert"] * 2,
    ]
    assert report.advice[1:] == [
        "admins: carol has no key",
        "no-forwarding: dave has no key",
        f"tls-cert: {certificate} expires in 1 days",
        f"tls-cert: {certificate} is not for other.example",
    ]
    for path in (certificate, secret, config, accounts / "alice"):
        path.chmod(0o666)
    report = examined(config, **settings)
    assert report.wrong == [f"site-secret-file: {secret}: others may read it; make its mode 600"]
    begins = (
        f"{config}: others",
        "account ignored: others",
        "key ignored",
        "private key open to others",
        "config file",
    )
    assert [any(text.startswith(begin) for text in report.unsafe) for begin in begins] == [True] * 5
