from __future__ import annotations

import json

import pytest

from medusa.protocol import control
from medusa.protocol.control import (
    MESSAGES,
    Call,
    Control,
    Error,
    Exit,
    Kept,
    Linkup,
    Notice,
    Resize,
    Start,
    Started,
    StreamAnswer,
    Ticket,
    Wait,
    build,
    parse,
)
from medusa.protocol.resume.offer import StreamOffer

EVERY = [
    Wait(),
    Wait("killed"),
    Linkup(),
    Notice("the session ends in 60 s"),
    Start("/tmp", "xterm", 80, 25, "/bin/sh", ("-c", "echo é")),
    Start(),
    Start(modes="030000000800", env={"LANG": "de_DE.UTF-8", "ODD": "\udcff"}, named=("PATH",)),
    Start(stream=StreamOffer(32 * "a")),
    Start(stream=StreamOffer(32 * "0", resume=True, received=7, keep=0, stays=True)),
    Call(32 * "b"),
    Ticket("1.a-B_c"),
    Kept(),
    Kept("detached"),
    Kept("hold", 31536000),
    Kept("parked", 60, "status 3"),
    StreamAnswer(32 * "a", 0, 32 * "c", ("call",)),
    StreamAnswer(32 * "a", 7, 32 * "c", (), gone=True, message=1 << 18),
    Resize(0, 65535),
    Started(1),
    Error("no such file"),
    Exit(),
    Exit(status=255),
    Exit(signal="SIGKILL"),
]


@pytest.mark.parametrize("message", EVERY, ids=repr)
def test_what_is_built_is_parsed(message: Control) -> None:
    assert parse(build(message)) == message


def test_every_message_of_the_table_is_among_them() -> None:
    assert {type(message) for message in EVERY} == set(MESSAGES.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('medusa:{"type":"wait"}', Wait()),
        ('medusa:{"type":"wait","outcome":"killed"}', Wait("killed")),
        ('medusa:{"type":"linkup"}', Linkup()),
        ('mlogin:{"type":"resize","columns":80,"lines":25}', Resize(80, 25)),
        ('mlogin:{"type":"exit"}', Exit()),
        ('mlogin:{"type":"kept","what":"parked","seconds":3600}', Kept("parked", 3600)),
    ],
)
def test_the_bytes_are_those_of_the_original(text: str, message: Control) -> None:
    assert build(message) == text
    assert parse(text) == message


def test_the_originals_start() -> None:
    text = (
        'mlogin:{"type":"start","cwd":"/","term":"xterm","columns":100,"lines":40,'
        '"command":"/usr/bin/ctrun","arguments":["-i","core","-l","child","/bin/bash","--norc"]}'
    )
    arguments = ("-i", "core", "-l", "child", "/bin/bash", "--norc")
    assert parse(text) == Start("/", "xterm", 100, 40, "/usr/bin/ctrun", arguments)


def test_more_fields_than_known_are_ignored() -> None:
    assert parse('medusa:{"type":"wait","state":"queued","reason":1}') == Wait()
    assert parse('mlogin:{"type":"started","pid":7,"protocol":2}') == Started(7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ping",
        "hello",
        '{"type":"wait"}',
        "medusa:",
        "medusa:{",
        "medusa:[]",
        'medusa:"wait"',
        "medusa:{}",
        'medusa:{"type":1}',
        'medusa:{"type":["wait"]}',
        'medusa:{"type":"nothing"}',
        'medusa:{"type":"start"}',
        'mlogin:{"type":"wait"}',
        'MEDUSA:{"type":"wait"}',
        ' medusa:{"type":"wait"}',
        'mlogin:{"type":"resize"}',
        'mlogin:{"type":"error"}',
        "mlogin:" + "[" * 100_000,
        "mlogin:" + '{"type":"started","pid":' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_control_message_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("columns", ["80", 80.0, True, -1, None, [80], 1 << 54]),
        ("command", [1, None, "a\0b", "\ud800"]),
        ("cwd", [1, "\0"]),
        ("arguments", ["ls", [1], [["ls"]], ["a\0"], {"0": "ls"}, None]),
    ],
)
def test_fields_of_the_wrong_type_spoil_a_start(field: str, bad: list[object]) -> None:
    for value in bad:
        assert parse("mlogin:" + json.dumps({"type": "start", field: value})) is None, value


@pytest.mark.parametrize(("sent", "taken"), [(0, 0), (65535, 65535), (65536, 65535), (1 << 53, 65535)])
def test_a_window_fits_into_the_kernels_structure(sent: int, taken: int) -> None:
    assert parse(f'mlogin:{{"type":"resize","columns":{sent},"lines":1}}') == Resize(taken, 1)
    assert control.MAX_WINDOW == 65535


@pytest.mark.parametrize(("status", "legal"), [(0, True), (255, True), (256, False), (-1, False)])
def test_a_status_is_one_byte(status: int, legal: bool) -> None:
    assert parse(f'mlogin:{{"type":"exit","status":{status}}}') == (Exit(status) if legal else None)


def test_bytes_of_a_command_line_that_are_not_utf_8_survive() -> None:
    message = Start(command=b"\xff\xfe".decode("utf-8", "surrogateescape"))
    build(message).encode("utf-8")
    assert parse(build(message)) == message


@pytest.mark.parametrize(
    "offer",
    [
        None,
        [],
        {},
        {"version": 2, "id": 32 * "a"},
        {"version": 1, "id": 32 * "A"},
        {"version": 1, "id": 31 * "a"},
        {"version": 1, "id": 7},
        {"version": 1, "id": 32 * "a", "security": "tls"},
        {"version": 1, "id": 32 * "a", "received": -1},
        {"version": 1, "id": 32 * "a", "received": 1 << 63},
        {"version": 1, "id": 32 * "a", "keep": -1},
        {"version": 1, "id": 32 * "a", "keep": 31536001},
        {"version": 1, "id": 32 * "a", "keep": 1.5},
        {"version": 1, "id": 32 * "a", "number": -1},
        {"version": 1, "id": 32 * "a", "message": 131_071},
        {"version": 1, "id": 32 * "a", "message": "262144"},
    ],
    ids=repr,
)
def test_an_offer_of_a_stream_that_is_not_understood_counts_as_none(offer: object) -> None:
    assert parse("mlogin:" + json.dumps({"type": "start", "stream": offer})) == Start()


@pytest.mark.parametrize(("given", "kept"), [({}, 3600), ({"keep": 0}, 0), ({"keep": 31536000}, 31536000)], ids=repr)
def test_an_offer_says_how_long_the_stream_is_kept(given: dict[str, int], kept: int) -> None:
    offer = {"version": 1, "id": 32 * "a", **given}
    start = parse("mlogin:" + json.dumps({"type": "start", "stream": offer}))
    assert isinstance(start, Start)
    assert start.stream is not None
    assert start.stream.keep == kept


@pytest.mark.parametrize("ticket", ["", "a b", "a:b", 513 * "a", 7, None], ids=repr)
def test_a_wrong_ticket_is_no_message(ticket: object) -> None:
    assert parse("medusa:" + json.dumps({"type": "ticket", "ticket": ticket})) is None
    assert parse('medusa:{"type":"ticket","ticket":"1.a-B_c"}') == Ticket("1.a-B_c")


@pytest.mark.parametrize(
    "wrong",
    [{"what": "love"}, {"what": ["hold"]}, {"what": {}}, {"seconds": -1}, {"seconds": 31536001}, {"seconds": 1.5}],
    ids=repr,
)
def test_a_session_is_not_kept_for_anything_or_for_ever(wrong: dict[str, object]) -> None:
    assert parse("mlogin:" + json.dumps({"type": "kept", "what": "hold", "seconds": 1, **wrong})) is None
    assert parse('mlogin:{"type":"kept","what":"hold","seconds":null}') == Kept("hold")


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 32 * "a", "received": 0},
        {"id": "a", "received": 0, "incarnation": 32 * "b"},
        {"id": 32 * "a", "received": -1, "incarnation": 32 * "b"},
        {"id": 32 * "a", "received": 0, "incarnation": 32 * "b", "version": 2},
    ],
    ids=repr,
)
def test_a_wrong_answer_about_a_stream_is_none(answer: dict[str, object]) -> None:
    assert parse("mlogin:" + json.dumps({"type": "stream", **answer})) is None
