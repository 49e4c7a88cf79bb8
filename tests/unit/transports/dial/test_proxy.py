from __future__ import annotations

import base64

import pytest

from medusa.transports.dial import ConnectRefused, parse_url
from medusa.transports.dial.proxy import Proxy, bypassed, proxy_for

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        *(("10.0.0.0/8", host, True) for host in ("10.0.0.1", "10.255.1.2", "::ffff:10.1.2.3")),
        *(("10.0.0.0/8", host, False) for host in ("11.0.0.1", "ten.example", "a::1")),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("10.0.0.0/255.0.0.0", "10.9.9.9", True),
        ("10.0.0.0/33", "10.9.9.9", False),
        ("0.0.0.0/0", "192.0.2.1", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("2.3", "10.1.2.3", False),
        ("fd00::/8", "fd12:3::4", True),
        ("[fd00::]/8", "fd12:3::4", True),
        ("fd00::/8", "fe80::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("[::1]", "::1", True),
        ("[::1]:8381", "::1", True),
        ("[::1]:80", "::1", False),
        ("127.0.0.1:8381", "127.0.0.1", True),
        ("127.0.0.1:80", "127.0.0.1", False),
        *(("example.com", host, True) for host in ("example.com", "a.b.example.com", "EXAMPLE.COM", "example.com.")),
        *(("example.com", host, False) for host in ("notexample.com", "example.com.evil", "com")),
        *((entry, "a.example.com", True) for entry in (".example.com", "*.example.com", "EXAMPLE.com.", ".com")),
        *((entry, "example.com", True) for entry in (".example.com", "*.example.com", "example.com:8381")),
        ("example.com:80", "example.com", False),
        ("*", "anything", True),
        ("a, *", "::1", True),
        ("a , b\t10.0.0.0/8,,c", "10.1.1.1", True),
        ("a b c", "b", True),
        *((entry, "b", False) for entry in ("", ",", " ", ".", "*.", ":8381", "a", "ab", "b.c", "[", "/8")),
    ],
)
def test_which_hosts_need_no_proxy(no_proxy: str, host: str, direct: bool) -> None:
    assert bypassed(host, 8381, no_proxy) is direct


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "url", "host"),
    [
        ({"http_proxy": "p"}, "ws://h/", "p"),
        ({"HTTP_PROXY": "p"}, "http://h/", "p"),
        ({"http_proxy": "p"}, "tcp://h:1/", "p"),
        ({"http_proxy": "p"}, "wss://h/", None),
        ({"https_proxy": "p"}, "wss://h/", "p"),
        ({"http_proxy": "p", "HTTP_PROXY": "q"}, "ws://h/", "p"),
        ({"all_proxy": "p"}, "ws://h/", "p"),
        ({"ALL_PROXY": "p"}, "https://h/", "p"),
        ({"ALL_PROXY": "p", "https_proxy": "q"}, "wss://h/", "q"),
        ({"ALL_PROXY": "p", "https_proxy": ""}, "wss://h/", "p"),
        ({"ALL_PROXY": "p", "NO_PROXY": "h"}, "wss://h/", None),
        ({"ALL_PROXY": "socks5://p", "no_proxy": "h"}, "wss://h/", None),
        ({"HTTP_PROXY": "p", "REQUEST_METHOD": "GET"}, "ws://h/", None),  # a web server made it of a header, Proxy
        ({}, "ws://h/", None),
    ],
)
def test_which_variable_names_the_proxy(
    environ: pytest.MonkeyPatch, variables: dict[str, str], url: str, host: str | None
) -> None:
    for name, value in variables.items():
        environ.setenv(name, value)
    found = proxy_for(parse_url(url))
    assert (found.host if found else None) == host


@pytest.mark.parametrize(
    ("url", "where", "login"),
    [
        ("h", "h:80", None),
        ("h:3128", "h:3128", None),
        ("HTTP://H:3128/", "h:3128", None),
        ("http://[::1]:3128", "[::1]:3128", None),
        ("[fd00::1]", "[fd00::1]:80", None),
        ("http://u:w@h:1", "h:1", "u:w"),
        ("u:w@h:1", "h:1", "u:w"),
        ("http://u@h", "h:80", "u:"),
        ("http://:w@h", "h:80", ":w"),
        ("http://u%40x:p%3a%2f%C3%A9@[::1]:1", "[::1]:1", "u@x:p:/\u00e9"),
        ("http://a@b:c@h:1", "h:1", "a@b:c"),
    ],
)
def test_what_a_proxys_url_says(environ: pytest.MonkeyPatch, url: str, where: str, login: str | None) -> None:
    environ.setenv("http_proxy", url)
    found = proxy_for(parse_url("ws://far.example/"))
    assert isinstance(found, Proxy)
    authorization = "" if login is None else "Basic " + base64.b64encode(login.encode()).decode()
    assert (found.where, found.authorization) == (where, authorization)


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "url",
    [
        *("socks5://h:1", "socks://h:1", "https://h:1", "http://", "http://h:x", "http://[::1", "http://h:70000"),
        *("http://u:sec/ret@h:1", "http://u:12#sec-ret@h:1", "http://u:1?sec-ret@h:1"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error(environ: pytest.MonkeyPatch, variable: str, url: str) -> None:
    environ.setenv(variable, url)
    with pytest.raises(ConnectRefused, match=f"the proxy in {variable.upper()} is not an http:// URL") as caught:
        proxy_for(parse_url("wss://h/"))
    assert not caught.value.retryable
    assert "ret@" not in str(caught.value)
