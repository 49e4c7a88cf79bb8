from __future__ import annotations

import os
import subprocess
import sys

import pytest
from structlog.types import EventDict

from medusa.directory import BrokenEntry, Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.protocol.record import replace
from medusa.reflector.cluster.lease import AddressLease, AddressTaken, Holder
from tests.waiting import Clock

ADDRESS = "http://127.0.0.1:1"
HERE = Holder.of_this_process()
ELSEWHERE = replace(HERE, run="other", boot="of another host")


def ended() -> Holder:
    """A reflector that ran on this host."""
    code = "from medusa.reflector.cluster.lease import Holder; print(Holder.of_this_process().text())"
    holder = Holder.read(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode())
    assert holder is not None
    return holder


class TestHolder:
    def test_is_read_as_it_was_written(self) -> None:
        assert Holder.read(HERE.text()) == HERE
        assert Holder.of_this_process() != HERE, "each start is another"

    @pytest.mark.parametrize(
        "text", ["", "x", "[]", "{}", "[" * 100_000, '{"pid": 1}', HERE.text().replace("pid", "x")]
    )
    def test_another_form(self, text: str) -> None:
        assert Holder.read(text) is None

    @pytest.mark.parametrize("pid", [0, -1, "1", None, 1.5])
    def test_a_pid_that_is_none(self, pid: object) -> None:
        assert Holder.read(replace(HERE, pid=pid).text()) is None

    def test_is_known_to_have_died_only_if_it_was_on_this_host_and_has_ended(self) -> None:
        dead = ended()
        assert dead.has_died()
        assert replace(HERE, started="1").has_died(), "another process has its id by now"
        for alive in (HERE, replace(HERE, pid=1, started=""), replace(HERE, started="")):
            assert not alive.has_died()
        for unknown in (replace(dead, boot=""), replace(dead, boot="x"), replace(dead, space="x")):
            assert not unknown.has_died()

    def test_a_zombie_has_died(self) -> None:
        with subprocess.Popen(["true"]) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert replace(HERE, pid=process.pid, started="1").has_died()


class Directory(MemoryDirectory):
    """Can be away, or have a broken entry."""

    failure: Exception | None = None

    def claim(self, session_id: str, owner: Owner, ttl: float = 60, lease: str = "") -> Claim:
        if self.failure is not None:
            raise self.failure
        return super().claim(session_id, owner, ttl, lease)


@pytest.fixture
def directory(clock: Clock) -> Directory:
    return Directory(clock)


def lease(directory: MemoryDirectory, holder: Holder = HERE, address: str = ADDRESS) -> AddressLease:
    return AddressLease(directory, address, holder, 60)


@pytest.mark.parametrize("holder", [replace(HERE, run="other"), ELSEWHERE, replace(HERE, pid=1, boot="", run="other")])
def test_a_second_reflector_of_an_address_is_refused(directory: Directory, holder: Holder) -> None:
    lease(directory, holder).take()
    words = "process %d on host %s has the address %s in this directory" % (holder.pid, holder.host, ADDRESS)
    with pytest.raises(AddressTaken, match=words):
        lease(directory).take()
    lease(directory, address="http://127.0.0.1:2").take()


def test_workers_share_it(directory: Directory) -> None:
    one, two = lease(directory), lease(directory)
    one.take()
    two.take()
    assert not one.keep()
    assert not two.keep()
    one.release()
    two.release()
    lease(directory, ELSEWHERE).take()


def test_it_is_taken_over_from_a_process_of_this_host_that_has_died(
    directory: Directory, logs: list[EventDict]
) -> None:
    lease(directory, ended()).take()
    lease(directory).take()
    assert [entry["event"] for entry in logs] == ["address taken over"]


def test_it_is_free_after_its_time(directory: Directory, clock: Clock) -> None:
    lease(directory, ELSEWHERE).take()
    clock.now += 61
    lease(directory).take()


def test_it_is_kept(directory: Directory, clock: Clock) -> None:
    held = lease(directory)
    held.take()
    for _ in range(3):
        clock.now += 50
        assert not held.keep()
    clock.now += 61
    assert held.keep(), "the directory had forgotten it"
    assert not held.keep()


def test_another_has_it_meanwhile(directory: Directory, clock: Clock, logs: list[EventDict]) -> None:
    held, other = lease(directory), lease(directory, ELSEWHERE)
    held.take()
    clock.now += 61
    other.take()
    for _ in range(2):
        assert not held.keep()
        assert "has the address" in held.displaced
    other.release()
    assert held.keep()
    assert held.displaced == ""
    assert [entry["event"] for entry in logs] == ["address lost", "address regained"]


@pytest.mark.parametrize("failure", [DirectoryError("away"), BrokenEntry("not ours")])
def test_without_an_answer_it_is_taken_later(directory: Directory, failure: Exception) -> None:
    directory.failure, held = failure, lease(directory)
    for ask in (held.take, held.keep):
        if isinstance(failure, BrokenEntry):
            ask()
        else:
            with pytest.raises(DirectoryError):
                ask()
    assert not held.held
    directory.failure = None
    assert held.keep()
    assert held.held
    assert not held.keep()
    with pytest.raises(AddressTaken):
        lease(directory, ELSEWHERE).take()


def test_after_its_release_it_is_not_taken_again(directory: Directory) -> None:
    held = lease(directory)
    held.take()
    held.release()
    assert not held.keep()
    lease(directory, ELSEWHERE).take()


@pytest.mark.parametrize("asked", ["renew", "claim"])
def test_its_release_while_it_is_kept(directory: Directory, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """The directory answers only after the release. The next reflector at the address must not be refused."""
    held = lease(directory)
    held.take()
    if asked == "claim":
        assert held._claim is not None
        directory.release(held._claim)
    real = getattr(directory, asked)

    def slow(*args: object) -> object:
        held.release()
        return real(*args)

    monkeypatch.setattr(directory, asked, slow)
    assert not held.keep()
    assert not held.held
    lease(directory, ELSEWHERE).take()


def test_a_broken_entry_is_logged_once(directory: Directory, clock: Clock, logs: list[EventDict]) -> None:
    held = lease(directory)
    for times in (1, 2):
        directory.failure = BrokenEntry("not ours")
        for _ in range(3):
            assert not held.keep()
        assert [entry["event"] for entry in logs] == ["entry broken"] * times
        directory.failure = None
        assert held.keep()
        clock.now += 61
