from __future__ import annotations

import pytest

from medusa.transports.dial import ConnectRefused, Target, parse_url


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://h/a", Target(False, "h", 80, "h", "/a")),
        ("http://h", Target(False, "h", 80, "h", "/")),
        ("wss://h", Target(True, "h", 443, "h", "/")),
        ("https://h:8443/a", Target(True, "h", 8443, "h:8443", "/a")),
        ("HTTPS://Host.Example/A", Target(True, "host.example", 443, "Host.Example", "/A")),
        ("ws://user:word@h:1/a", Target(False, "h", 1, "h:1", "/a")),
        ("ws://[::1]:8381/a", Target(False, "::1", 8381, "[::1]:8381", "/a")),
        ("ws://h/%2F%2e/../a//b;c?x=%00&y=a+%2B/?#f", Target(False, "h", 80, "h", "/%2F%2e/../a//b;c?x=%00&y=a+%2B/?")),
        ("ws://h?x", Target(False, "h", 80, "h", "/?x")),
        ("tcp://h:7/x", Target(False, "h", 7, "h:7", "/x")),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        *("", "h", "//h/a", "ftp://h/", "ws://", "ws:///a", "ws://:80/", "ws://h:x/", "ws://h:70000/", "ws://[::1/"),
        *(
            "ws://h:-1/",
            "ws://h/a b",
            "ws://h/é",
            "ws://h/\x7f",
            "ws://h/?\x1b",
            "ws://hé/",
            "ws://h h/",
            "ws://h\x85/",
        ),
        *("tcp://h/x", "tcp://h:0/x"),
    ],
)
def test_other_urls_are_refused_for_good(url: str) -> None:
    with pytest.raises(ConnectRefused) as caught:
        parse_url(url)
    assert (caught.value.status, caught.value.retryable) == (None, False)


def test_line_ends_in_a_url_reach_no_head() -> None:
    try:
        target = parse_url("ws://h\r\nX: y/a\r\nX: y")
    except ConnectRefused:
        return
    assert not {"\r", "\n"} & set(target.netloc + target.target)


@pytest.mark.parametrize(
    ("host", "where", "certified"),
    [
        ("h.example", "h.example:80", "h.example"),
        ("h.example.", "h.example.:80", "h.example"),
        ("192.0.2.1", "192.0.2.1:80", "192.0.2.1"),
        ("[fd00::1]", "[fd00::1]:80", "fd00::1"),
        ("[fe80::1%eth0]", "[fe80::1%eth0]:80", "fe80::1"),
        ("[fe80::1%25eth0]", "[fe80::1%eth0]:80", "fe80::1"),
    ],
)
def test_the_name_in_a_certificate_has_no_dot_at_its_end_and_no_zone(host: str, where: str, certified: str) -> None:
    target = parse_url(f"ws://{host}/")
    assert (target.where, target.certified, target.netloc) == (where, certified, host)
