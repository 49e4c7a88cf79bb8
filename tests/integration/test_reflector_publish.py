"""`medusa reflector --publish URL`: it runs beside the service, tries again after errors, and ends with the service."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medusa.client.archive import CARRIED
from tests.reflectors import Reflector, running
from tests.stores import Reply, Store, store
from tests.waiting import wait_until

FAST = {"publish_retry_interval": 0.1}


@pytest.fixture
def server() -> Iterator[Store]:
    with store() as running_store:
        yield running_store


def publisher(reflector: Reflector) -> int | None:
    """The process id of the reflector's publisher, which is its only child."""
    pid = reflector.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def told(reflector: Reflector, msg: str) -> dict[str, Any]:
    return wait_until(lambda: reflector.logged(msg), msg)[0]


def test_at_start(server: Store) -> None:
    with running("--publish", server.url.replace("://", "://user:geheim@") + "/agent.sh?geheim") as reflector:
        entry = told(reflector, "archive published")
        assert entry["url"] == f"{server.url}/agent.sh"
        assert (entry["bytes"], len(entry["sha256"])) == (CARRIED.stat().st_size, 64)
        assert server.objects == {"/agent.sh": CARRIED.read_bytes()}
        wait_until(lambda: publisher(reflector) is None, "the publisher's end")
        assert "geheim" not in reflector.raw_log


def test_a_file_named_from_where_the_reflector_was_started(tmp_path: Path) -> None:
    with running("--publish", os.path.relpath(tmp_path / "a:b.sh")) as reflector:
        assert told(reflector, "archive published")["url"] == str(tmp_path / "a:b.sh")
    assert (tmp_path / "a:b.sh").read_bytes() == CARRIED.read_bytes()


def test_a_store_that_comes_up_later() -> None:
    with socket.socket() as holder:  # bound, but not listening: no other program gets the port before the store has it
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with running("--publish", f"http://127.0.0.1:{port}/agent.sh", timeouts=FAST) as reflector:
            entry = told(reflector, "archive not published")
            assert entry["level"] == 40
            assert entry["reason"].endswith("; next try in 0.1 s")
            with reflector.pair() as (client, agent):  # the service does not wait for it
                client.binary(b"x")
                agent.expect(2, b"x")
            holder.close()
            with store(port) as late:
                told(reflector, "archive published")
                assert list(late.objects) == ["/agent.sh"]


def test_an_error_that_stays_is_logged_once() -> None:
    with running("--publish", "nonsense://x", timeouts=FAST) as reflector:
        assert "no kind of store" in told(reflector, "archive not published")["reason"]
        wait_until(lambda: publisher(reflector) is None, "the publisher's end")
        assert len(reflector.logged("archive not published")) == 1
        assert reflector.get("/healthz").status == 200


def test_the_url_is_in_no_command_line_of_the_publisher(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies = [Reply(500)] * 10_000
    monkeypatch.setenv("MEDUSA_PUBLISH", f"{server.url}/agent.sh?geheim")
    with running(timeouts=FAST) as reflector:
        told(reflector, "archive not published")
        pid = publisher(reflector)
        assert b"publish" in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"geheim" not in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize("how", ["drained", "killed", "stopped while it starts"])
def test_it_ends_with_the_reflector(server: Store, how: str) -> None:
    server.replies = [Reply(500)] * 10_000
    with running("--publish", f"{server.url}/agent.sh", timeouts=FAST, check=False) as reflector:
        if how != "stopped while it starts":
            told(reflector, "archive not published")
        pid = publisher(reflector)
        assert pid is not None
        reflector.signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        reflector.process.wait()
        wait_until(lambda: gone(pid), "the publisher's end")


def test_a_publisher_that_is_killed_is_logged(server: Store) -> None:
    server.replies = [Reply(500)] * 10_000
    with running("--publish", f"{server.url}/agent.sh", timeouts=FAST, check=False) as reflector:
        told(reflector, "archive not published")
        pid = publisher(reflector)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: reflector.logged("archive not published", level=50), "word of it")
        assert reflector.get("/healthz").status == 200
