"""The reflector as a program: signals, lifeline, settings that it refuses, what it writes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.peers import LINKUP, TEXT, close_frame, upgrade
from tests.reflectors import OF_THE_MACHINE, ROOT, command, new_id, running
from tests.waiting import PATIENCE, wait_until
from tests.witnesses import Witness

CLOSE_SOON = {"close_timeout": 0.3}
GOING = (1001, "the reflector is shutting down")
HARMLESS = (*("L", "M", "N", "P", "S"), "Zs")


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_with_no_sessions_it_ends_at_once(self, number: signal.Signals) -> None:
        with running("--drain-timeout", "60") as reflector:
            reflector.signal(number)
            assert reflector.process.wait(PATIENCE) == 0
            assert [entry["msg"] for entry in reflector.log] == ["draining", "stopped"]

    def test_drains(self) -> None:
        waiting = new_id()
        with running("--drain-timeout", "60") as reflector:
            with reflector.pair() as (client, agent), reflector.attach(waiting, "master") as late:
                reflector.signal(signal.SIGTERM)
                wait_until(lambda: reflector.get("/healthz").json()["draining"])
                answer = reflector.ask(upgrade(f"/attach/{new_id()}/master"))
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert answer.headers["connection"] == "close"
                Witness(client, agent).check()
                with reflector.attach(waiting, "slave") as late_agent:
                    late.linked()
                    late_agent.expect(TEXT, LINKUP)
                    Witness(late, late_agent).check()
                    assert reflector.process.poll() is None
            assert reflector.process.wait(PATIENCE) == 0
            assert {entry["outcome"] for entry in reflector.logged("session ended")} == {"lost"}

    def test_does_not_wait_for_peers_that_do_not_answer_or_read(self) -> None:
        with (
            running("--drain-timeout", "0", timeouts=CLOSE_SOON) as reflector,
            reflector.pair() as (_, agent),
            reflector.pair(),
            reflector.open(b"GET") as half,
        ):
            while agent.writable():
                agent.binary(bytes(60_000))
            reflector.signal(signal.SIGTERM)
            assert reflector.process.wait(PATIENCE) == 0
            assert half.until_fin() == b""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_stops_hard(self, number: signal.Signals) -> None:
        with running("--drain-timeout", "60", check=False) as reflector, reflector.pair() as (client, _):
            reflector.signal(signal.SIGTERM)
            wait_until(lambda: reflector.logged("draining"))
            reflector.signal(number)
            assert reflector.process.wait(PATIENCE) == 128 + number
            assert client.until_fin() == b""

    def test_the_lifeline(self) -> None:
        theirs, ours = os.pipe()
        with running("--lifeline", str(theirs), pass_fds=[theirs], check=False) as reflector:
            os.close(theirs)
            with reflector.pair() as (client, agent):
                os.write(ours, b"what comes on it means nothing")
                Witness(client, agent).check()
                os.close(ours)
                assert reflector.process.wait(PATIENCE) == 0
                assert client.until_fin() == b""


def refused(*arguments: str) -> tuple[int, str]:
    """The status and the words of a reflector that does not start."""
    process = subprocess.run(
        command(arguments),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.stdout == b""
    text = process.stderr.decode()
    assert "Traceback" not in text
    assert text.startswith("medusa reflector: ")
    return process.returncode, text


class TestSettings:
    @pytest.mark.parametrize(
        ("arguments", "expected", "words"),
        [
            (["--directory", "carrier-pigeon://x"], 1, "unknown directory 'carrier-pigeon'"),
            (["--lifeline", "77"], 1, "lifeline: 77 is not an open descriptor"),
            (["--allow-origin", "https://a.example/path"], 2, "is not an origin"),
            (["--public-host", "https://a.example"], 2, "'https://a.example' is not a host"),
        ],
    )
    def test_that_cannot_be_used(self, arguments: list[str], expected: int, words: str) -> None:
        status, text = refused(*arguments)
        assert status == expected
        assert words in text

    def test_the_originals_config_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"bind_ip": "127.0.0.1", "port": 0, "wait_timeout": 0.3, "log_format": "json"}))
        monkeypatch.setenv("CONFIG_FILE", str(file))
        with running() as reflector, reflector.attach(new_id(), "master") as client:
            assert client.closed()[1] == "no agent came in time"


def is_harmless(text: str) -> bool:
    return all(unicodedata.category(c).startswith(HARMLESS) for line in text.splitlines() for c in line)


class TestLog:
    def test_bytes_from_the_network_are_escaped(self) -> None:
        evil = "\x1b[2J\u009b31m\u202e\r\nforged=1 session ended\u2028\x00\x7f\u200b"
        session = new_id()
        with running(check=False) as reflector:
            with reflector.pair(session) as (client, agent):
                client.send(close_frame(1000, evil))
                assert agent.closed() == (1000, evil), "the other side gets it as it is"
            for target in ("/\x1b[2J", "/%1b[2J", "/attach/%0a%1b/master", "/\u009b", "/x\ry"):
                reflector.ask(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
            wait_until(lambda: reflector.raw_log.count("request refused") == 5)
            lines = [line for line in reflector.raw_log.splitlines() if OF_THE_MACHINE not in line]
            assert len(lines) == 2 + 5
            assert is_harmless("\n".join(lines))
            (ended,) = [line for line in lines if "session ended" in line and session in line]
            assert "\\x1b[2J" in ended.replace("\\\\", "\\")

    def test_holds_no_secrets(self) -> None:
        session, query = new_id(), "?expires=1&signature=c2VjcmV0"
        with running() as reflector:
            for role, status in (("master", 101), ("nothing", 404)):
                data = upgrade(f"/attach/{session}/{role}{query}", authorization='Signature signature="c2VjcmV0"')
                with reflector.open(data) as peer:
                    assert peer.head().status == status
            wait_until(lambda: reflector.logged("request refused", path=f"/attach/{session}/nothing"))
            assert "c2VjcmV0" not in reflector.raw_log


class TestScarcity:
    def test_the_limit_of_descriptors_is_raised_and_told_of_where_it_is_low(self) -> None:
        with running(limits=(256, 600)) as reflector:
            assert resource.prlimit(reflector.process.pid, resource.RLIMIT_NOFILE) == (600, 600)
            (entry,) = [json.loads(line) for line in reflector.raw_log.splitlines() if OF_THE_MACHINE in line]
        assert (entry["level"], entry["limit"], entry["pairs"]) == (40, 600, 268)

    def test_no_descriptors_left(self) -> None:
        """Live sessions go on, and new connections are served when there is room again."""
        with running() as reflector, reflector.pair() as (client, agent):
            used = reflector.descriptors()
            resource.prlimit(reflector.process.pid, resource.RLIMIT_NOFILE, (used + 3, used + 100))
            crowd = [reflector.open() for _ in range(6)]
            wait_until(lambda: reflector.logged("accepting paused", error="Too many open files"))
            Witness(client, agent).check()
            for peer in crowd:
                peer.close()
            assert reflector.get("/healthz").status == 200
            Witness(client, agent).check()
            wait_until(lambda: reflector.logged("accepting again"))
            assert len(reflector.logged("accepting paused")) == len(reflector.logged("accepting again")) == 1
            assert [entry for entry in reflector.log if entry["level"] >= 50] == []
