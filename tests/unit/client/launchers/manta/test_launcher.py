from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.keys.account import Account
from medusa.client.keys.keyfile import KeyFile
from medusa.client.launchers import polled
from medusa.client.launchers.base import JobState, Settings
from medusa.client.launchers.manta.launcher import MantaLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, Interrupted
from medusa.client.terminal.signals import Signals
from tests.signing import Key
from tests.unit.client.mantas import JOB, FakeApi, error, request
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    path = tmp_path_factory.mktemp("keys") / "key"
    path.write_bytes(Key("ed25519").pem())
    return Account("jill", None, KeyFile(path).signer())


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    api = FakeApi()
    monkeypatch.setattr("medusa.client.launchers.manta.api.MantaClient", lambda *arguments: api)
    monkeypatch.setattr(polled, "PERIOD", 0.01)
    return api


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def launcher(api: FakeApi, account: Account, told: list[str]) -> Iterator[MantaLauncher]:
    launcher = MantaLauncher(Settings(url="https://manta", account=account, tell=told.append), Ledger())
    with launcher:
        yield launcher
    if launcher._worker._thread.ident is not None:
        launcher._worker._thread.join(PATIENCE)
        assert not launcher._worker._thread.is_alive()


def test_a_job_from_its_creation_to_a_clean_end(launcher: MantaLauncher, api: FakeApi, told: list[str]) -> None:
    assert launcher.front_door == "https://manta"
    assert launcher.describe() == "Manta job"
    assert launcher.create() == JOB
    assert launcher.describe() == f"Manta job {JOB}"
    launcher.submit(request())
    wait_until(lambda: launcher.poll() == JobState(alive=True, words="queued"), "the queue")
    api.status = {"state": "running"}
    wait_until(lambda: launcher.poll() == JobState(alive=True, words="running"), "a look")
    launcher.joined()
    launcher.finish(5, clean=True)
    launcher.cancel()
    assert set(api.methods()[3:-1]) == {"job_status"}
    assert api.methods()[-1] == "delete_object"
    assert told == []


def test_a_url_without_a_scheme_is_https(api: FakeApi, account: Account) -> None:
    assert MantaLauncher(Settings(url="manta", account=account), Ledger()).front_door == "https://manta"


def test_an_unclean_end_cancels_the_job(launcher: MantaLauncher, api: FakeApi) -> None:
    launcher.create()
    launcher.submit(request())
    launcher.finish(5, clean=False)
    assert api.methods()[-2:] == ["cancel_job", "delete_object"]
    assert api.configs() == []


def test_no_job(launcher: MantaLauncher, api: FakeApi) -> None:
    api.errors["create_job"] = [error(503, "Busy"), error(403, "NoJobsForYou")]
    with pytest.raises(Failure, match=r"^no job: Busy: no$"):
        launcher.create()
    with pytest.raises(Failure, match=r"^no job: NoJobsForYou: no\n  asked for host manta by account jill, key "):
        launcher.create()
    launcher.cancel()
    assert api.methods() == ["create_job", "create_job"]


def test_a_job_that_ended_tells_why(launcher: MantaLauncher, api: FakeApi) -> None:
    api.status = {"state": "done", "stats": {"errors": 1}}
    api.job_error_list = [{"code": "TaskKilled", "message": "out of memory"}]
    launcher.create()
    launcher.submit(request())
    wait_until(lambda: not launcher.poll().alive, "the job's end")
    assert launcher.log_tail() == ["TaskKilled: out of memory"]


def test_a_bug_is_no_endless_wait(launcher: MantaLauncher, api: FakeApi) -> None:
    api.errors["job_status"] = ZeroDivisionError("a bug")
    launcher.create()
    launcher.submit(request())
    wait_until(lambda: not launcher.poll().alive, "the end of all hope")
    assert launcher.log_tail() == ["internal error: ZeroDivisionError('a bug')"]


def test_a_job_that_is_being_created_when_the_user_gives_up_is_cancelled(
    launcher: MantaLauncher, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up, create = threading.Event(), api.create_job

    def slowly(job: dict[str, object]) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        assert given_up.wait(PATIENCE)
        return create(job)

    monkeypatch.setattr(api, "create_job", slowly)
    with Signals() as signals, pytest.raises(Interrupted), signals.interruptible():
        launcher.create()
    given_up.set()
    launcher.cancel()
    assert api.methods() == ["create_job", "cancel_job"]


def test_a_manta_that_hangs_does_not_hold_the_user(
    launcher: MantaLauncher, api: FakeApi, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(polled, "CLOSE_PATIENCE", 0.01)
    monkeypatch.setattr(polled, "SLOW", 0.01)
    released, cancel = threading.Event(), api.cancel_job

    def slowly(job_id: str) -> None:
        assert released.wait(PATIENCE)
        cancel(job_id)

    monkeypatch.setattr(api, "cancel_job", slowly)
    launcher.create()
    told.clear()  # creating it may have taken long here
    launcher.cancel()
    assert told == [
        "waiting for the Manta to answer, for 0.01 s at the most",
        f"the Manta does not answer; see what became of job {JOB} by: mjob get {JOB}",
    ]
    released.set()
    launcher._worker._thread.join(PATIENCE)


def test_what_cannot_be_undone_is_told(launcher: MantaLauncher, api: FakeApi, told: list[str]) -> None:
    api.errors["cancel_job"] = error(503, "Busy")
    launcher.create()
    launcher.cancel()
    assert told == [f"job {JOB} is not cancelled (Busy: no); cancel it by: mjob cancel {JOB}"]


def test_what_it_cannot_do_without(account: Account) -> None:
    for settings in (Settings(url="https://manta"), Settings(account=account)):
        with pytest.raises(Failure, match="needs --url, --account and --key"):
            MantaLauncher(settings, Ledger())


def test_a_local_archive_is_refused_with_what_to_do(account: Account, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"--archive means nothing .* --agent-object"):
        MantaLauncher(Settings(archive=str(tmp_path), url="https://manta", account=account), Ledger())


@pytest.mark.parametrize("more", [{"url": "ftp://x"}, {"url": "https://manta", "object": "stor/x"}])
def test_what_cannot_be(account: Account, more: dict[str, str]) -> None:
    with pytest.raises(Failure):
        MantaLauncher(Settings(account=account, **more), Ledger())  # type: ignore[arg-type]


def test_who_asks_for_nothing_to_be_signed_does_not_wait_for_the_libraries_that_sign() -> None:
    script = "import sys, medusa.commands.mlogin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"cryptography", "paramiko", "requests"} & set(loaded)
