"""npm's mlogin, unmodified, new and old, logs in to a job through a Manta: our reflector, our agent and our archive.

Once muskie stands before the reflector's `/attach/`, once the reflector's own front door is in its place; over http,
and over https that is verified (the whole session) or not (the short ones).
"""

from __future__ import annotations

import hashlib
import re
import termios
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.interop import mantas
from tests.interop.mantas import LOGIN, NEW, OLD, Home, Mlogin, Place, door_place, make_home, muskie_place
from tests.manta.stand_in import ARCHIVE
from tests.terminals import Terminal
from tests.waiting import wait_until

pytestmark = mantas.needs

both_versions = pytest.mark.parametrize("version", [NEW, OLD])
BULK = 1 << 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The old client reads no other form of a key than this."""
    return make_home(tmp_path_factory.mktemp("user"), "-t", "rsa", "-b", "2048", "-m", "PEM")


def _grouped(name: str) -> ParameterSet:
    return pytest.param(name, marks=pytest.mark.xdist_group(name))


@pytest.fixture(scope="module", params=[_grouped(f"{d} {s}") for d in ("muskie", "door") for s in ("http", "https")])
def place(request: pytest.FixtureRequest, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    door, scheme = request.param.split()
    if door == "muskie":
        opened = muskie_place(home, tls=scheme == "https")
    else:
        opened = door_place(home, tmp_path_factory.mktemp("door") / "accounts", tls=scheme == "https")
    with opened as place:
        yield place


@pytest.fixture(scope="module")
def plain(home: Home) -> Iterator[Place]:
    """Muskie by http, for what does not depend on the way."""
    with muskie_place(home) as place:
        yield place


@both_versions
def test_a_session_from_the_prompt_to_exit(place: Place, version: str) -> None:
    with place.mlogin(version, NODE_EXTRA_CA_CERTS=str(place.store.certificate)) as login:
        login.prompted()
        login.ask("echo $((6*7)), $MANTA_USER", f"42, {LOGIN}")
        login.ask("echo 'zażółć €😀' | rev", "😀€ ćłóżaz")
        follows_the_window(login)
        answers_escapes(login)
        passes_every_byte(login)
        login.screen.type("exit\r")
        login.screen.until("remote process exited")
        assert login.screen.status() == 0
        job = login.over()
    assert (job.cancelled, job.errors) == (False, [])
    assert_no_secret_is_told(place, job_log=place.store.stderr(job))


def follows_the_window(login: Mlogin) -> None:
    login.ask("stty size", "24 80")
    login.screen.resize(100, 30)
    login.ask('until [ "$(stty size)" = "30 100" ]; do sleep 0.02; done; echo resi""zed', "resized")


def answers_escapes(login: Mlogin) -> None:
    for escape, answer in (("~?", "send the escape character"), ("~i", f"Job ID: {login.job_id}")):
        login.screen.type(escape)
        login.screen.until(answer)
    # Each of them sent an empty frame, which is no input.
    login.screen.type("~~x\b\b")
    login.ask("echo un''harmed", "unharmed")


def passes_every_byte(login: Mlogin) -> None:
    take_output_as_it_is(login.screen)
    digest = login.ask(f"head -c {BULK} /dev/urandom >/tmp/bulk; sha256sum </tmp/bulk", "([0-9a-f]{64})").group(1)
    login.screen.type("stty raw -echo; printf 'BUL%s' K:; cat /tmp/bulk; printf ':KLU%s' B; stty sane\r")
    begin, end = login.screen.until("BULK:").end(), login.screen.until(":KLUB").start()
    data = login.screen.screen[begin:end]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (BULK, digest.decode())
    login.screen.until(mantas.PROMPT)


def take_output_as_it_is(screen: Terminal) -> None:
    """node's raw mode still has the user's terminal make CR LF of LF."""
    modes = screen.modes()
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(screen.slave, termios.TCSANOW, modes)


def assert_no_secret_is_told(place: Place, job_log: str) -> None:
    assert "connected" in job_log
    for log in (job_log, place.store.log.read_text(), place.reflector.raw_log):
        assert not re.search("signature[=:]|keyId=", log, re.IGNORECASE)


@both_versions
def test_a_command(place: Place, version: str) -> None:
    with place.mlogin(version, "-i", "-c", "tty; echo $TERM; exit 3") as login:
        login.created()
        login.screen.until(r"/dev/pts/\d+\r*\n.*xterm")
        login.screen.until("remote process exited")
        assert login.screen.status() == 0
        assert login.over().errors == []


@both_versions
def test_the_escape_that_leaves(place: Place, version: str) -> None:
    with place.mlogin(version, MANTA_TLS_INSECURE="1") as login:
        login.prompted()
        login.screen.type("sleep 1000\r~.")
        login.screen.until("cleaning up")
        assert login.screen.status() == 0
        assert login.over().cancelled
    wait_until(lambda: not place.reflector.sessions(), "the end of the session")


@both_versions
def test_an_object_is_the_jobs_input(plain: Place, version: str) -> None:
    name = f"/{LOGIN}/stor/some object"
    plain.store.store(name, b"what stands in it\n")
    with plain.mlogin(version, "-c", 'cat "$MANTA_INPUT_FILE"; echo "($MANTA_INPUT_OBJECT)"', name) as login:
        login.created()
        login.screen.until(r"what stands in it\r*\n")
        login.screen.until(re.escape(f"({name})"))
        assert login.screen.status() == 0
        job = login.over()
    assert (job.phase["type"], job.inputs) == ("map", [name])


@both_versions
def test_a_directory_is_refused(plain: Place, version: str) -> None:
    before = len(plain.store.jobs())
    with plain.mlogin(version, f"/{LOGIN}/stor") as login:
        login.screen.until("only works on objects, not directories")
        assert login.screen.status() == 1
    assert len(plain.store.jobs()) == before


def test_an_object_that_is_not_there_is_refused(plain: Place) -> None:
    before = len(plain.store.jobs())
    with plain.mlogin(NEW, f"/{LOGIN}/stor/nothing") as login:
        login.screen.until("ERROR")
        assert login.screen.status() == 1
    assert len(plain.store.jobs()) == before


@both_versions
def test_a_killed_client_leaves_nothing(plain: Place, version: str) -> None:
    with plain.mlogin(version) as login:
        login.prompted()
        login.screen.process.kill()
        assert login.over().errors == []


def test_a_job_that_queues(home: Home) -> None:
    with muskie_place(home) as place:
        place.store.hold()
        with place.mlogin(NEW) as login:
            login.created()
            login.screen.until("waiting for session")
            assert login.job().state == "queued"
            place.store.release()
            login.screen.until(mantas.PROMPT)
            login.screen.type("exit\r")
            assert login.screen.status() == 0
        place.store.hold()
        with place.mlogin(NEW) as login:
            login.created()
            login.screen.until("waiting for session")
            login.screen.type("\3")
            login.screen.until("caught interrupt; aborting")
            assert login.screen.status() == 1
            assert login.over().cancelled


def test_another_key_than_the_accounts_opens_nothing(plain: Place, tmp_path: Path) -> None:
    stranger = make_home(tmp_path / "stranger", "-t", "ed25519")
    environ = {"HOME": str(stranger.directory), "MANTA_KEY_ID": stranger.fingerprint}
    before = len(plain.store.jobs())
    with plain.mlogin(NEW, **environ) as login:
        login.screen.until(f"ERROR: /{LOGIN}/keys/{stranger.fingerprint} does not exist")
        assert login.screen.status() == 1
    assert len(plain.store.jobs()) == before


def test_our_front_door_wants_more_than_the_date_signed(home: Home, tmp_path: Path) -> None:
    with door_place(home, tmp_path / "accounts", legacy=False) as place, place.mlogin(NEW) as login:
        login.created()
        login.screen.until("ERROR: Server did not Upgrade")
        assert login.screen.status() == 1
        assert login.over().cancelled


@pytest.mark.parametrize("kind", ["-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 521"])
def test_other_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    home = make_home(tmp_path / "user", *kind.split())
    with door_place(home, tmp_path / "accounts") as place, place.mlogin(NEW, "-c", "echo we''lcome") as login:
        login.created()
        login.screen.until("welcome")
        assert login.screen.status() == 0
        login.over()


def test_a_certificate_that_nobody_vouches_for_ends_it(home: Home) -> None:
    with muskie_place(home, tls=True) as place, place.mlogin(NEW) as login:
        login.screen.until("ERROR: .*self.signed")
        assert login.screen.status() == 1
        assert place.store.jobs() == []


def test_a_job_without_its_archive_tells_why(home: Home) -> None:
    with muskie_place(home) as place:
        place.store.path(ARCHIVE).unlink()
        with place.mlogin(NEW) as login:
            login.created()
            login.screen.until(f'IN-JOB ERROR: TaskInitError: could not load object: "{ARCHIVE}"')
            login.screen.status()
            login.over()


def test_a_silent_session_outlives_muskies_patience(home: Home) -> None:
    with quick_to_lose_patience(home, keepalive=1.5) as place, place.mlogin(NEW) as login:
        login.prompted()
        login.ask("sleep 8; echo still th''ere", "still there")


def test_without_keepalive_it_does_not(home: Home) -> None:
    with quick_to_lose_patience(home, keepalive=60) as place, place.mlogin(NEW) as login:
        login.prompted()
        login.screen.type("sleep 30; echo still th''ere\r")
        login.screen.status()
        assert b"still there" not in login.screen.screen
        login.over()


def quick_to_lose_patience(home: Home, keepalive: float) -> AbstractContextManager[Place]:
    timeouts = {"wait_interval": 0.2}
    return muskie_place(home, "--keepalive", str(keepalive), timeouts=timeouts, idle_limit=5)
