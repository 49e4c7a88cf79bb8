from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from agent.config.configuration import Config, ConfigError, load
from agent.timeouts import Timeouts
from agent.wrap.hold import Target, lifetime
from agent.wrap.options import Options
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.headers import Headers

LINK = cast("Transport", object())
PLAIN = "http://h/attach/x/slave"


class World:
    """A URL command, and a reflector that answers each dial by a status, or by a link if it is None."""

    command = "print"

    def __init__(self, *answers: int | None, printed: list[str | None] | None = None) -> None:
        self.answers, self.printed = list(answers), printed or [f"{PLAIN}?signature={n}" for n in range(9)]
        self.dialled: list[str] = []

    def target(self, environ: object, timeout: float) -> Config:
        url = self.printed.pop(0)
        if url is None:
            raise ConfigError("the URL command ended with status 1")
        return Config(url)

    def connector(
        self, url: str, insecure_tls: bool, timeout: float, headers: Headers, holding: object
    ) -> Callable[[], Transport]:
        def dial() -> Transport:
            self.dialled.append(url.rpartition("=")[2])
            status = self.answers.pop(0)
            if status is not None:
                raise ConnectRefused("no", status, retryable=status == 404)
            return LINK

        return dial

    def start(self) -> Target:
        return Target(cast("Options", self), {}, Timeouts(), self.connector)


def attempts(target: Target, count: int) -> list[str]:
    """What becomes of each attempt: `linked`, or the refusal; after a link, the session ends at once."""
    seen = []
    for _ in range(count):
        try:
            target.attempt(9)
            seen.append("linked")
            assert target.renew()
        except ConnectRefused as refused:
            seen.append(f"{refused.status}{'' if refused.retryable else ' for good'}")
    return seen


@pytest.mark.parametrize(
    ("answers", "seen", "dialled"),
    [
        ((None, None, None), ["linked"] * 3, "012"),  # each session has a URL of its own
        ((404, 404, None, 404, None), ["404", "404", "linked", "404", "linked"], "00011"),
        ((404, 403, None), ["404", "linked"], "001"),  # it has expired, or an attempt that broke off has used it
        ((404, 403, 403), ["404", "403 for good"], "001"),
        ((403,), ["403 for good"], "0"),
        ((404, 401, 404, None), ["404", "404", "linked"], "0011"),
        ((None, 409, 409, None), ["linked", "409", "409", "linked"], "0111"),  # the last session is being closed
    ],
)
def test_a_url_is_printed_again_when_it_is_needed(
    answers: tuple[int | None, ...], seen: list[str], dialled: str
) -> None:
    world = World(*answers)
    assert attempts(world.start(), len(seen)) == seen
    assert "".join(world.dialled) == dialled


def test_a_url_command_that_fails_later_is_tried_again() -> None:
    world = World(None, None, printed=["http://h?signature=0", None, "http://h?signature=0", "http://h?signature=1"])
    assert attempts(world.start(), 4) == ["linked", "None", "None", "linked"]
    assert world.dialled == ["0", "1"]


@pytest.mark.parametrize(("url", "more"), [(PLAIN, True), (PLAIN + "?signature=a", False)])
def test_without_a_command_a_signed_url_is_for_one_session(url: str, more: bool) -> None:
    target = Target(Options(9, "x", Config(url)), {}, Timeouts(), World(None).connector)
    assert target.once is not more
    target.attempt(9)
    assert target.renew() is more


def test_a_file_with_a_new_url_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "config"
    for number in range(3):
        file.write_text(json.dumps({"signed_url": f"{PLAIN}?signature={min(number, 1)}"}))
        if number == 0:
            target = Target(Options(9, "x", load(str(file))), {}, Timeouts())
            continue
        assert target.renew() is (number == 1)
    file.unlink()
    assert not target.renew()


@pytest.mark.parametrize(("after", "left"), [(100, 100), (-1, math.inf), (None, math.inf)])
def test_how_long_a_url_is_valid(after: float | None, left: float) -> None:
    url = PLAIN if after is None else f"{PLAIN}?expires={time.time() + after:.0f}&signature=a"
    assert lifetime(url) == pytest.approx(left, abs=2)
