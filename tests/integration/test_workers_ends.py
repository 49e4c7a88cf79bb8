"""What ends when one of several processes is killed or stopped, and what is started in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.integration.test_reflector_process import GOING, refused
from tests.links import CERTIFICATE
from tests.peers import LINKUP, TEXT, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, PATIENCE, wait_until
from tests.witnesses import Witness
from tests.workers import ask, gone, homes, pairs_everywhere, pids, stopped

WORKERS = ("--workers", "2")


def back(reflector: Reflector, number: int, killed: int) -> dict[int, int]:
    """The workers' pids, when another one has the place of the one that was killed."""
    return wait_until(lambda: found if (found := pids(reflector)).get(number, killed) != killed else {})


class TestAWorkerThatIsKilled:
    def test_takes_its_own_sessions_along_and_no_others(self) -> None:
        with running(*WORKERS, check=False) as reflector, pairs_everywhere(reflector, 2) as pairs:
            killed = pids(reflector)[1]
            os.kill(killed, signal.SIGKILL)
            for client, agent in pairs[1]:
                for end in (client, agent):
                    assert end.until_fin() == b""
            for pair in pairs[2]:
                Witness(*pair).check()
            assert back(reflector, 1, killed)[2] == reflector.logged("worker serves", worker=2)[0]["worker_pid"]
            with pairs_everywhere(reflector) as newer:
                for pair in [*newer[1], *newer[2], *pairs[2]]:
                    Witness(*pair).check()
            (entry,) = reflector.logged("worker ended")
            assert (entry["worker"], entry["signal"], entry["next_start_s"]) == (1, "SIGKILL", 0)

    def test_connections_on_their_way_to_it_reach_the_next_one(self) -> None:
        """It is suspended first, so that they wait in its inbox."""
        with running(*WORKERS, check=False) as reflector, contextlib.ExitStack() as stack:
            killed = pids(reflector)[1]
            with stopped(killed):
                requests = [upgrade(f"/attach/{new_id()}/master") for _ in range(24)]
                peers = [stack.enter_context(reflector.open(request)) for request in requests]
                wait_until(lambda: len(reflector.sessions(whole=False)) + told(reflector, "handed_over") == len(peers))
                assert told(reflector, "handed_over") > 0
                os.kill(killed, signal.SIGKILL)
            for peer in peers:
                assert peer.head().status == 101
            back(reflector, 1, killed)
            assert len(reflector.sessions()) == len(peers)

    def test_that_hangs_is_replaced(self) -> None:
        """Nobody waits for it for ever, and /readyz says that it does not answer."""
        times = {"worker_silence_timeout": 3000 * MS, "worker_report_interval": 100 * MS, "ready_interval": 0.05}
        with running(*WORKERS, timeouts=times, check=False) as reflector, contextlib.ExitStack() as stack:
            hangs = pids(reflector)[1]
            with stopped(hangs):
                wait_until(lambda: reflector.get("/readyz").rest == b"worker 1 does not answer\n")
                requests = [upgrade(f"/attach/{new_id()}/master") for _ in range(8)]
                peers = [stack.enter_context(reflector.open(request)) for request in requests]
                for peer in peers:
                    assert peer.head().status == 101
                back(reflector, 1, hangs)
            assert wait_until(lambda: reflector.get("/readyz").status == 200)
            (entry,) = reflector.logged("worker hangs")
            assert (entry["worker"], entry["worker_pid"]) == (1, hangs)


def told(reflector: Reflector, what: str) -> int:
    """A field of worker 2's status; worker 2 answers while the other one is suspended."""
    (worker,) = [worker for worker in ask(reflector) if worker["worker"] == 2]
    return int(worker[what])


class TestStopping:
    def test_with_no_sessions_it_ends_at_once(self) -> None:
        with running(*WORKERS, "--drain-timeout", "60") as reflector:
            reflector.signal(signal.SIGINT)
            assert reflector.process.wait(PATIENCE) == 0
            for msg in ("draining", "stopped"):
                assert sorted(entry["worker"] for entry in reflector.logged(msg)) == [1, 2]

    def test_drains(self) -> None:
        """A worker without sessions stays until the others have drained, to answer their questions."""
        waiting = new_id()
        with running(*WORKERS, "--drain-timeout", "60") as reflector:
            with reflector.pair() as pair, reflector.attach(waiting, "master") as late:
                wait_until(lambda: len(homes(reflector)) == 2)
                reflector.signal(signal.SIGTERM)
                wait_until(lambda: len(reflector.logged("draining")) == 2)
                for _ in range(8):
                    answer = reflector.ask(upgrade(f"/attach/{new_id()}/master"))
                    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                Witness(*pair).check()
                with reflector.attach(waiting, "slave") as agent:
                    late.linked()
                    agent.expect(TEXT, LINKUP)
                    Witness(late, agent).check()
                    assert reflector.process.poll() is None
            assert reflector.process.wait(PATIENCE) == 0

    def test_ends_what_is_left_after_the_drain_timeout(self) -> None:
        with running(*WORKERS, "--drain-timeout", "0.2") as reflector, pairs_everywhere(reflector) as pairs:
            reflector.signal(signal.SIGTERM)
            for found in pairs.values():
                for client, agent in found:
                    assert (client.closed(), agent.closed()) == (GOING, GOING)
            assert reflector.process.wait(PATIENCE) == 0
            assert {entry["outcome"] for entry in reflector.logged("session ended")} == {"shut_down"}

    def test_a_worker_that_dies_while_draining_is_replaced_by_one_that_drains(self) -> None:
        with running(*WORKERS, "--drain-timeout", "60", check=False) as reflector:
            with pairs_everywhere(reflector) as pairs:
                killed = pids(reflector)[1]
                reflector.signal(signal.SIGTERM)
                wait_until(lambda: len(reflector.logged("draining")) == 2)
                os.kill(killed, signal.SIGKILL)
                back(reflector, 1, killed)
                for _ in range(8):
                    assert reflector.ask(upgrade(f"/attach/{new_id()}/master")).status == 503
                Witness(*pairs[2][0]).check()
            assert reflector.process.wait(PATIENCE) == 0

    def test_a_second_signal_stops_hard(self) -> None:
        with running(*WORKERS, "--drain-timeout", "60", check=False) as reflector, pairs_everywhere(reflector) as pairs:
            workers = pids(reflector)
            reflector.signal(signal.SIGTERM)
            wait_until(lambda: len(reflector.logged("draining")) == 2)
            reflector.signal(signal.SIGTERM)
            assert reflector.process.wait(PATIENCE) == 128 + signal.SIGTERM
            assert all(map(gone, workers.values()))
            assert pairs[1][0][0].until_fin() == b""

    def test_signals_to_everybody_are_for_the_supervisor(self) -> None:
        """As a service manager sends them, to each process that there is."""
        with running(*WORKERS, "--drain-timeout", "60") as reflector:
            with reflector.pair() as pair:
                for pid in [*pids(reflector).values(), reflector.process.pid]:
                    os.kill(pid, signal.SIGTERM)
                wait_until(lambda: len(reflector.logged("draining")) == 2)
                Witness(*pair).check()
            assert reflector.process.wait(PATIENCE) == 0

    def test_the_lifeline(self) -> None:
        theirs, ours = os.pipe()
        with running(*WORKERS, "--lifeline", str(theirs), pass_fds=[theirs], check=False) as reflector:
            os.close(theirs)
            workers = pids(reflector)
            with reflector.pair() as pair:
                os.write(ours, b"what comes on it means nothing")
                Witness(*pair).check()
                os.close(ours)
                assert reflector.process.wait(PATIENCE) == 0
                assert pair[0].until_fin() == b""
            assert all(map(gone, workers.values()))

    def test_a_supervisor_that_is_killed_leaves_nothing(self) -> None:
        with running(*WORKERS, check=False) as reflector, reflector.pair() as (client, agent):
            workers = pids(reflector)
            reflector.signal(signal.SIGKILL)
            for end in (client, agent):
                assert end.until_fin() == b""
            wait_until(lambda: all(map(gone, workers.values())))


def test_sighup_reaches_all_workers(tmp_path: Path) -> None:
    live = tmp_path / "live.pem"
    shutil.copy(CERTIFICATE, live)
    live.chmod(0o600)
    with running(*WORKERS, "--tls-cert", str(live), "--tls-key", str(live)) as reflector, reflector.pair() as pair:
        assert len(reflector.logged("certificate loaded")) == 2
        reflector.signal(signal.SIGHUP)
        wait_until(lambda: len(reflector.logged("certificate loaded")) == 4)
        Witness(*pair).check()


class TestSettings:
    @pytest.mark.parametrize("count", ["257", "1.5"])
    def test_a_number_that_is_none(self, count: str) -> None:
        status, text = refused(f"--workers={count}")
        assert status == 2
        assert "is not a number from 1 to 256, 0 or auto" in text

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--bind-ip", "0.0.0.0"], "--trusted-network"),
            (["--bind-ip", "192.0.2.1", "--trusted-network", "--port", "0"], "cannot assign requested address"),
            (["--port", "0", "--accounts", "/nowhere/at/all"], "accounts: /nowhere/at/all: No such file"),
            (["--port", "0", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "tls-cert: cannot read '/nowhere'"),
        ],
    )
    def test_that_cannot_be_used(self, arguments: list[str], words: str) -> None:
        """It is logged once, without another line, whichever process finds it."""
        status, text = refused(*WORKERS, *arguments)
        assert status == 1
        assert words in text
        assert text.count("\n") == 1

    def test_relative_paths(self) -> None:
        relative = os.path.relpath(CERTIFICATE, Path(__file__).parents[2])
        with running(*WORKERS, "--tls-cert", relative, "--tls-key", relative) as reflector, reflector.pair() as pair:
            Witness(*pair).check()
