"""npm's mlogin, unmodified, new and old, opens sessions in jobs of a Manta with our reflector, agent and archive.

The long session goes through muskie and through the reflector's own front door, over http and over https. The others,
which do not depend on the way, go through muskie over http.
"""

from __future__ import annotations

import hashlib
import re
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import mantas
from tests.interop.mantas import LOGIN, NEW, OLD, Home, Mlogin, Place, door_place, make_home, muskie_place
from tests.terminals import Terminal
from tests.waiting import wait_until

pytestmark = mantas.needs

both_versions = pytest.mark.parametrize("version", [NEW, OLD])
BULK = 1 << 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user with an RSA key in PEM, the only form that the old client reads."""
    return make_home(tmp_path_factory.mktemp("user"), "-t", "rsa", "-b", "2048", "-m", "PEM")


@pytest.fixture(scope="module", params=[f"{d} {s}" for d in ("muskie", "door") for s in ("http", "https")])
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
    """Muskie over http, for tests that do not depend on the way."""
    with muskie_place(home) as place:
        yield place


@both_versions
def test_a_session_from_the_prompt_to_exit(place: Place, version: str) -> None:
    with place.mlogin(version, NODE_EXTRA_CA_CERTS=str(place.store.certificate)) as login:
        login.prompted()
        login.ask("echo $((6*7)), $MANTA_USER", f"42, {LOGIN}")
        login.ask("echo 'zażółć €😀' | rev", "😀€ ćłóżaz")
        check_resizing(login)
        check_escapes(login)
        check_every_byte(login)
        if version == NEW:
            check_a_further_client(place)
        login.screen.type("exit\r")
        login.screen.until("remote process exited")
        assert login.screen.status() == 0
        job = login.over()
    assert (job.cancelled, job.errors) == (False, [])
    assert_no_secret_is_logged(place, job_log=place.store.stderr(job))


def check_a_further_client(place: Place) -> None:
    """muskie drops the header field by which the agent says that it takes further clients."""
    done = place.exec("echo", "in the same job")
    if place.door:
        assert (done.returncode, done.stdout, done.stderr) == (0, "in the same job\n", "")
    else:
        assert (done.returncode, "takes one client only" in done.stderr) == (255, True)


def check_resizing(login: Mlogin) -> None:
    login.ask("stty size", "24 80")
    login.screen.resize(100, 30)
    login.ask('until [ "$(stty size)" = "30 100" ]; do sleep 0.02; done; echo resi""zed', "resized")


def check_escapes(login: Mlogin) -> None:
    for escape, answer in (("~?", "send the escape character"), ("~i", f"Job ID: {login.job_id}")):
        login.screen.type(escape)
        login.screen.until(answer)
    # Each escape sent an empty frame, which must not count as input.
    login.screen.type("~~x\b\b")
    login.ask("echo un''harmed", "unharmed")


def check_every_byte(login: Mlogin) -> None:
    turn_off_output_processing(login.screen)
    digest = login.ask(f"head -c {BULK} /dev/urandom >/tmp/bulk; sha256sum </tmp/bulk", "([0-9a-f]{64})").group(1)
    login.screen.type("stty raw -echo; printf 'BUL%s' K:; cat /tmp/bulk; printf ':KLU%s' B; stty sane\r")
    begin, end = login.screen.until("BULK:").end(), login.screen.until(":KLUB").start()
    data = login.screen.screen[begin:end]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (BULK, digest.decode())
    login.screen.until(mantas.PROMPT)


def turn_off_output_processing(screen: Terminal) -> None:
    """Turns off output processing: node's raw mode leaves it on, so the terminal would make CR LF of LF."""
    modes = screen.modes()
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(screen.slave, termios.TCSANOW, modes)


def assert_no_secret_is_logged(place: Place, job_log: str) -> None:
    assert "connected" in job_log
    for log in (job_log, str(place.store.requests()), place.reflector.raw_log):
        assert not re.search("signature[=:]|keyId=", log, re.IGNORECASE)


@both_versions
def test_a_command(plain: Place, version: str) -> None:
    with plain.mlogin(version, "-c", "tty; echo $TERM; exit 3") as login:
        login.created()
        login.screen.until(r"/dev/pts/\d+\r*\n.*xterm")
        login.screen.until("remote process exited")
        assert login.screen.status() == 0
        assert login.over().errors == []


@both_versions
def test_the_escape_ends_the_session(plain: Place, version: str) -> None:
    with plain.mlogin(version) as login:
        login.prompted()
        login.screen.type("sleep 1000\r~.")
        login.screen.until("cleaning up")
        assert login.screen.status() == 0
        assert login.over().cancelled
    wait_until(lambda: not plain.reflector.sessions(), "the end of the session")


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
def test_a_killed_client_leaves_nothing(plain: Place, version: str) -> None:
    with plain.mlogin(version) as login:
        login.prompted()
        login.screen.process.kill()
        assert login.over().errors == []


@pytest.mark.parametrize("patient", [True, False])
def test_a_job_that_queues(plain: Place, patient: bool) -> None:
    plain.store.hold()
    with plain.mlogin(NEW) as login:
        login.created()
        login.screen.until("waiting for session")
        assert login.job().state == "queued"
        if patient:
            plain.store.release()
            login.screen.until(mantas.PROMPT)
            login.screen.type("exit\r")
        else:
            login.screen.type("\3")
            login.screen.until("caught interrupt; aborting")
        assert login.screen.status() == (0 if patient else 1)
        assert login.over().cancelled != patient
    if not patient:
        plain.store.release()


def test_without_legacy_signatures_our_front_door_refuses_npms_mlogin(home: Home, tmp_path: Path) -> None:
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


def test_keepalive_keeps_a_silent_session_open_at_muskie(home: Home) -> None:
    with (
        muskie_place(home, "--keepalive", "0.6", timeouts={"wait_interval": 0.2}, idle_limit=3) as place,
        place.mlogin(NEW) as login,
    ):
        login.prompted()
        login.ask("sleep 5; echo still th''ere", "still there")
