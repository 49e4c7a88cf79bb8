"""The launcher `manta`, and with it the thread of PolledLauncher, against an API that answers what the test says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medusa.client.keys.account import Account
from medusa.client.keys.keyring import default_keys
from medusa.client.keys.ssh_config import KeyOptions
from medusa.client.launchers.base import JobState, Settings
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.launchers.manta.launcher import MantaLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, Interrupted
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from tests.signing import Keys, write_key
from tests.unit.client.launchers.manta.fake_api import JOB, FakeApi, error, request
from tests.waiting import PATIENCE, wait_until

EAGER = Timeouts(poll_interval=0.01)
HURRIED = Timeouts(poll_interval=0.01, close_timeout=0.01, slow_delay=0.01)

Make = Callable[[Timeouts], MantaLauncher]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    api = FakeApi()
    monkeypatch.setattr("medusa.client.launchers.manta.api.MantaClient", lambda *arguments: api)
    return api


@pytest.fixture
def said() -> list[str]:
    """Lines that the user sees."""
    return []


@pytest.fixture
def make(api: FakeApi, account: Account, said: list[str]) -> Iterator[Make]:
    """Makes a launcher; at the end of the test its thread must have ended."""
    made = []

    def make(timeouts: Timeouts) -> MantaLauncher:
        settings = Settings(url="https://manta", account=account, tell=said.append, timeouts=timeouts)
        made.append(MantaLauncher(settings, Ledger()))
        return made[-1]

    yield make
    for launcher in made:
        launcher.cancel()
        assert launcher._thread.join(PATIENCE)


@pytest.fixture
def launcher(make: Make) -> MantaLauncher:
    return make(EAGER)


def test_a_job_from_its_creation_to_a_clean_end(launcher: MantaLauncher, api: FakeApi, said: list[str]) -> None:
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
    assert said == []


def test_a_url_without_a_scheme_is_https(api: FakeApi, account: Account) -> None:
    assert MantaLauncher(Settings(url="manta", account=account), Ledger()).front_door == "https://manta"


def test_a_job_that_is_refused(launcher: MantaLauncher, api: FakeApi) -> None:
    api.errors["create_job"] = [error(503, "Busy"), error(403, "NoJobsForYou")]
    with pytest.raises(Failure, match=r"^no job: Busy: no$"):
        launcher.create()
    with pytest.raises(Failure, match=r"^no job: NoJobsForYou: no\n  asked for host manta by account jill, key "):
        launcher.create()
    launcher.cancel()
    assert api.methods() == ["create_job", "create_job"]


def test_a_bug_ends_a_job_with_a_reason(launcher: MantaLauncher, api: FakeApi) -> None:
    api.errors["job_status"] = ZeroDivisionError("bug")
    launcher.create()
    launcher.submit(request())
    wait_until(lambda: not launcher.poll().alive, "the job's end")
    assert launcher.log_tail() == ["internal error: ZeroDivisionError('bug')"]


def test_a_job_is_cancelled_if_the_user_gives_up_while_it_is_being_created(
    launcher: MantaLauncher, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up, create = threading.Event(), api.create_job

    def create_slowly(job: dict[str, object]) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        assert given_up.wait(PATIENCE)
        return create(job)

    monkeypatch.setattr(api, "create_job", create_slowly)
    with Signals() as signals, pytest.raises(Interrupted), signals.interruptible():
        launcher.create()
    given_up.set()
    launcher.cancel()
    assert api.methods() == ["create_job", "cancel_job"]


def test_a_manta_that_hangs_does_not_hold_up_the_user(
    make: Make, api: FakeApi, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    launcher = make(HURRIED)
    released, cancel = threading.Event(), api.cancel_job

    def cancel_slowly(job_id: str) -> None:
        assert released.wait(PATIENCE)
        cancel(job_id)

    monkeypatch.setattr(api, "cancel_job", cancel_slowly)
    launcher.create()
    said.clear()  # to create the job may have taken long, too
    launcher.cancel()
    assert said == [
        "waiting for the Manta to answer, for 0.01 s at the most",
        f"the Manta does not answer; see what became of job {JOB} by: mjob get {JOB}",
    ]
    released.set()


def test_one_key_after_another_until_one_is_accepted(
    api: FakeApi, make: Make, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_key(tmp_path / kind, keys[kind]) for kind in ("ed25519", "rsa")]
    account = Account("jill", None, default_keys(KeyOptions(None, files=tuple(files))))
    used = []

    def create_job(job: object) -> str:
        used.append(account.key_id.fingerprint)
        if len(used) == 1:
            raise MantaError("no", 403)
        return JOB

    monkeypatch.setattr(api, "create_job", create_job)
    launcher = MantaLauncher(Settings(url="https://manta", account=account, timeouts=EAGER), Ledger())
    try:
        assert launcher.create() == JOB
    finally:
        launcher.cancel()
        assert launcher._thread.join(PATIENCE)
    assert used == [keys["ed25519"].md5, keys["rsa"].md5]
    assert not account.another_key()


@pytest.mark.parametrize(
    ("given", "signs", "why"),
    [
        ({"url": "https://manta"}, False, "needs --url, --account and --key"),
        ({}, True, "needs --url, --account and --key"),
        ({"url": "ftp://x"}, True, "the URL of a Manta is"),
        ({"url": "https://manta", "object": "stor/x"}, True, "not a path in Manta"),
        ({"url": "https://manta", "archive": "/x"}, True, r"--archive means nothing .* --agent-object"),
    ],
)
def test_unusable_settings_are_refused(account: Account, given: dict[str, str], signs: bool, why: str) -> None:
    with pytest.raises(Failure, match=why):
        MantaLauncher(Settings(account=account if signs else None, **given), Ledger())  # type: ignore[arg-type]


def test_mlogin_does_not_load_the_libraries_that_only_signing_needs() -> None:
    script = "import sys, medusa.commands.mlogin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"cryptography", "paramiko", "requests"} & set(loaded)
