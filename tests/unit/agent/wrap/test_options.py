from __future__ import annotations

import os
import uuid

import pytest

from agent.config.configuration import Config, ConfigError
from agent.wrap.options import HOLD, Options, client_command, first_line, parse
from medusa.transports.dial.headers import Headers

URL = "https://host/attach/x/slave?signature=secret"


def test_without_options_the_variables_count() -> None:
    options = parse([], {"MEDUSA_SIGNED_URL": URL})
    assert options == Options(HOLD, options.session, Config(URL))
    assert str(uuid.UUID(options.session)) == options.session
    options = parse([], {"MEDUSA_HOLD": "1.5", "MEDUSA_SESSION": "a", "MEDUSA_REFLECTOR": "http://h/"})
    assert options == Options(1.5, "a", Config("http://h/attach/a/slave"))
    options = parse([], {"MEDUSA_URL_COMMAND": "sign", "MEDUSA_SESSION": "a", "MEDUSA_INSECURE_TLS": "1"})
    assert options == Options(HOLD, "a", None, "sign", insecure_tls=True)


def test_an_option_wins_over_every_variable() -> None:
    environ = {"MEDUSA_HOLD": "1", "MEDUSA_SESSION": "a", "MEDUSA_URL_COMMAND": "sign", "MEDUSA_SIGNED_URL": URL}
    options = parse(["--hold", "2", "--session", "b", "--reflector", "http://h", "--insecure-tls"], environ)
    assert options == Options(2, "b", Config("http://h/attach/b/slave", insecure_tls=True))


def test_headers_go_with_every_way_to_dial() -> None:
    headers = Headers(("X-Front: a",), "print them")
    given = ["--header", "X-Front: a", "--header-command", "print them"]
    for words in (["--url-command", "sign"], ["--reflector", "http://h"], []):
        options = parse([*given, *words], {"MEDUSA_SIGNED_URL": URL, "MEDUSA_HEADER": "X-Other: b"})
        assert (options.config.headers if options.config else options.headers) == headers
    with pytest.raises(ConfigError, match="MEDUSA_HEADER: Host cannot be set"):
        parse([], {"MEDUSA_SIGNED_URL": URL, "MEDUSA_HEADER": "Host: b"})


def test_a_reflectors_variable_gives_way_to_a_signed_url() -> None:
    environ = {"MEDUSA_REFLECTOR": "http://h", "MEDUSA_SIGNED_URL": URL, "MEDUSA_SESSION": "a"}
    assert parse([], environ).config == Config(URL)


def test_without_a_session_nothing_need_say_where() -> None:
    assert parse(["--hold", "0"], {}).hold == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--hold x", "argument --hold: 'x' is not a number of seconds"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("--reflektor=http://u:hidden@h", "unrecognized arguments: --reflektor; did you mean --reflector?"),
        ("--reflector ftp://h", "--reflector: scheme is none of"),
        ("--reflector http://me@h", "--reflector: no user name, query or fragment may stand in it"),
        ("--session a/b", "--session: not an id of lower case letters"),
        ("", "no configuration: give --reflector URL, or --url-command COMMAND for a reflector with accounts; "),
        ("--url-command false --reflector http://r", "--url-command, --config and --reflector each say where to dial"),
        ("--config /c --reflector http://r", "--url-command, --config and --reflector each say where to dial"),
    ],
)
def test_wrong_options(words: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(words.split(), {}, "/no/assets")
    assert str(caught.value).startswith(reason)


def test_a_wrong_variable_is_named() -> None:
    for name in ("MEDUSA_HOLD", "MEDUSA_OUTPUT_WAIT"):
        with pytest.raises(ConfigError, match=f"{name}: '-1' is not a number of seconds"):
            parse([], {name: "-1"})


def test_how_long_output_waits() -> None:
    environ = {"MEDUSA_SIGNED_URL": URL, "MEDUSA_OUTPUT_WAIT": "5"}
    found = [
        parse([], {**environ, "MEDUSA_OUTPUT_WAIT": ""}),
        parse([], environ),
        parse(["--output-wait", "7"], environ),
    ]
    assert [options.output_wait for options in found] == [60, 5, 7]


def test_the_command_is_asked_for_the_url_of_the_session() -> None:
    options = Options(1.2, "a", None, 'echo "http://h/$MEDUSA_SESSION?$MEDUSA_HOLD"', insecure_tls=True)
    assert options.target(dict(os.environ), 10) == Config("http://h/a?2", insecure_tls=True)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo secret; exit 4", "the URL command ended with status 4"),
        ("kill -TERM $$", "the URL command ended with status 143"),
        ("no-such-program-here", "the URL command ended with status 127"),
        ("echo secret; exec >&-; sleep 1000", "the URL command did not end in 0 s"),
        ("sleep 1000", "the URL command did not end in 0 s"),
    ],
)
def test_a_command_that_fails(command: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        first_line(command, dict(os.environ), 10 if "status" in reason else 0.1)
    assert str(caught.value) == reason


def test_the_first_line_of_a_command() -> None:
    assert first_line("echo ' one '; echo two; head -c 9999 /dev/zero", dict(os.environ), 10) == "one"


@pytest.mark.parametrize(
    ("url", "command"),
    [
        (URL, "mlogin --reflector https://host --session x -a ''"),
        ("wss://h:1/p/jill/medusa/attach/a%2Fb/slave?s=t", "mlogin --reflector https://h:1/p --session a/b -a jill"),
        ("tcp://me:secret@h:1/", "a client at tcp://h:1/"),
    ],
)
def test_what_the_user_is_told_to_run(url: str, command: str) -> None:
    assert client_command(url) == command
