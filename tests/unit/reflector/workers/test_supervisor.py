"""The supervisor with programs that a test writes, for what real workers do not do."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.types import EventDict

from medusa.reflector.config import ConfigError, ReflectorConfig, Timeouts
from medusa.reflector.hangup import Hangup
from medusa.reflector.workers.service_manager import NoManager
from medusa.reflector.workers.supervisor import ORDERS, Supervisor
from medusa.reflector.workers.task import DRAIN, RELOAD
from tests.waiting import wait_until

SERVE = """
import json, sys
task = json.loads(sys.stdin.readline())
print("listening here", flush=True)
"""
OBEY = (
    SERVE
    + """
for line in sys.stdin:
    if line == "drain\\n":
        print("drained", flush=True)
"""
)
Program = Callable[[str], str]
CONFIG = ReflectorConfig()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Writes a worker's program; returns the name of its module."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    numbers = itertools.count()

    def make(lines: str) -> str:
        name = f"made_up_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(lines)
        return name

    return make


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The supervisor keeps its handlers: it expects its process to exit."""
    before = {number: signal.getsignal(number) for number in ORDERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def supervise(
    program: str,
    on_listening: Callable[[], object] = lambda: None,
    workers: int = 2,
    config: ReflectorConfig = CONFIG,
    prepare: Callable[[Supervisor], object] = lambda _: None,
) -> tuple[int, list[str]]:
    """Returns the exit status and what was announced; once all serve, `on_listening` is called in a thread."""
    announced: list[str] = []
    threads: list[threading.Thread] = []

    def announce(urls: str) -> None:
        announced.append(urls)
        threads.append(threading.Thread(target=on_listening))
        threads[0].start()

    listeners = {"http": socket.create_server(("127.0.0.1", 0))}
    try:
        supervisor = Supervisor(config, workers, listeners, ("json", "info"), announce, program=program)
        prepare(supervisor)
        status = supervisor.run()
    finally:
        for thread in threads:
            thread.join()
    assert listeners["http"].fileno() == -1
    return status, announced


def signals(*numbers: int) -> Callable[[], None]:
    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def test_announces_once_and_drains(program: Program, logs: list[EventDict]) -> None:
    assert supervise(program(OBEY), signals(signal.SIGTERM)) == (0, ["here"])
    assert [entry["event"] for entry in logs] == ["worker serves"] * 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("print('failed tls-cert: no such file', flush=True)", "^tls-cert: no such file$"),
        ("raise SystemExit(3)", "worker [12] ended while it started: status 3"),
        ("import os; os.kill(os.getpid(), 9)", "worker [12] ended while it started: signal SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "worker [12] ended while it started: signal 40"),
    ],
)
def test_a_worker_that_cannot_start_is_not_tried_again(program: Program, lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        supervise(program(lines))


def test_a_worker_that_does_not_start_in_time(program: Program) -> None:
    quick = ReflectorConfig(timeouts=Timeouts(worker_start_timeout=0.1))
    with pytest.raises(ConfigError, match=r"^it did not answer for \d+ s$"):
        supervise(program("import time\ntime.sleep(1000)"), config=quick)


def test_a_worker_that_hangs_is_replaced(program: Program, logs: list[EventDict]) -> None:
    """It is silent because the test says so: on a loaded machine, any worker may report nothing for seconds."""
    supervisors: list[Supervisor] = []

    def hang() -> None:
        first = supervisors[0]._workers[1]

        def is_replaced() -> bool:
            first.heard = first.started - 2000
            return len([entry for entry in logs if entry["event"] == "worker serves"]) == 3

        try:
            wait_until(is_replaced)
        finally:
            signals(signal.SIGTERM)()

    patient = ReflectorConfig(timeouts=Timeouts(worker_silence_timeout=1000))
    assert supervise(program(OBEY), hang, config=patient, prepare=supervisors.append) == (0, ["here"])
    (hangs,) = [entry for entry in logs if entry["event"] == "worker hangs"]
    (end,) = ended(logs)
    assert (hangs["worker"], end["worker"], end["signal"], end["next_start_s"]) == (1, 1, "SIGKILL", 0)


def test_what_the_service_manager_is_told(program: Program) -> None:
    """Also that the end of the terminal drains, however many signals come of it."""
    told: list[bytes] = []

    class Manager(NoManager):
        def ordered(self, order: bytes) -> None:
            told.append(order)

        def beat(self) -> None:
            told.append(b"beat")

    there = [True]

    def prepare(supervisor: Supervisor) -> None:
        supervisor.manager, supervisor.hangup = Manager(), Hangup(lambda: there[0])

    def end_terminal() -> None:
        signals(signal.SIGHUP)()
        wait_until(lambda: RELOAD in told)
        there[0] = False
        signals(signal.SIGHUP, signal.SIGHUP)()

    assert supervise(program(OBEY), end_terminal, prepare=prepare) == (0, ["here"])
    assert told[0] == b"beat"
    assert [order for order in told if order != b"beat"] == [RELOAD, DRAIN]


def test_a_worker_that_cannot_start_ends_those_that_can(program: Program) -> None:
    """The leak check makes sure that none is left."""
    fails = SERVE.replace("print(", "if task['number'] == 2: sys.exit(print('failed no', flush=True))\nprint(")
    with pytest.raises(ConfigError, match=r"^no$"):
        supervise(program(fails + "sys.stdin.read()"))


def test_a_worker_that_keeps_dying_is_restarted_later_and_later(
    program: Program, logs: list[EventDict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves once; as long as a file exists it does not serve again."""
    reason = tmp_path / "reason"
    lines = "import os\n" + SERVE.replace("print(", f"if os.path.exists({str(reason)!r}): sys.exit('no')\nprint(")
    dies = lines + "if task['number'] == 1: sys.stdin.readline(); sys.exit(7)\n" + OBEY.removeprefix(SERVE)

    def spoil() -> None:
        reason.write_text("")
        os.kill(os.getpid(), signal.SIGHUP)  # the first worker ends at any order
        wait_until(lambda: len(ended(logs)) >= 4)
        reason.unlink()
        wait_until(lambda: len([entry for entry in logs if entry["event"] == "worker serves"]) == 3)
        signals(signal.SIGTERM, signal.SIGINT)()

    status, announced = supervise(program(dies), spoil)
    assert status in (128 + signal.SIGTERM, 128 + signal.SIGINT), "whichever came last"
    assert announced == ["here"]
    assert [entry["next_start_s"] for entry in ended(logs)[:4]] == [0, 0.1, 0.2, 0.4]
    assert [entry["status"] for entry in ended(logs)[:2]] == [7, 1]


def ended(logs: list[EventDict]) -> list[EventDict]:
    return [entry for entry in logs if entry["event"] == "worker ended"]


def test_a_drain_does_not_wait_for_a_worker_that_cannot_be_replaced(program: Program, logs: list[EventDict]) -> None:
    fails = SERVE.replace("print(", "if task['draining']: sys.exit('no')\nprint(")
    fails += "if task['number'] == 1: sys.stdin.readline(); sys.exit(7)\n" + OBEY.removeprefix(SERVE)
    assert supervise(program(fails), signals(signal.SIGTERM)) == (0, ["here"])
    assert [(entry["status"], "next_start_s" in entry) for entry in ended(logs)] == [(7, True), (1, False)]


def test_the_system_has_no_room_for_a_worker(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(ConfigError, match="Resource temporarily unavailable"):
        supervise(program(OBEY))


def test_the_system_has_no_room_for_mailboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", refuse)
    with pytest.raises(ConfigError, match="workers: no mailboxes for 2: Too many open files"):
        Supervisor(ReflectorConfig(), 2, {}, ("json", "info"), lambda _: None)


def test_workers_that_do_not_end_are_killed(program: Program) -> None:
    quick = ReflectorConfig(timeouts=Timeouts(worker_grace=0.1))
    stays = OBEY + "import time\ntime.sleep(1000)"
    assert supervise(program(stays), signals(signal.SIGTERM), config=quick) == (0, ["here"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_all_serve_stops_at_once(program: Program, number: signal.Signals) -> None:
    lines = f"import os, time\nos.kill(os.getppid(), {int(number)})\ntime.sleep(1000)"
    assert supervise(program(lines), workers=1) == (128 + number, [])


def test_one_worker_publishes_and_each_has_its_own_channel(program: Program, tmp_path: Path) -> None:
    write = f"open({str(tmp_path)!r} + '/task%d' % task['number'], 'w').write(json.dumps(task))\n"
    module_name = program(OBEY.replace("for line", write + "for line"))
    listeners = {"http": socket.create_server(("127.0.0.1", 0)), "raw": socket.create_server(("127.0.0.1", 0))}
    config = ReflectorConfig(publish="s3://bucket/key")
    stop = signals(signal.SIGTERM)
    assert Supervisor(config, 3, listeners, ("json", "info"), lambda _: stop(), program=module_name).run() == 0
    tasks = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("task*"))]
    assert [task["config"]["publish"] for task in tasks] == ["s3://bucket/key", None, None]
    assert len({task["key"] for task in tasks}) == 1
    assert len({task["inbox"] for task in tasks}) == 3
    for task in tasks:
        assert sorted(task["outboxes"]) == sorted({"1", "2", "3"} - {str(task["number"])})
        assert sorted(task["listeners"]) == ["http", "raw"]
