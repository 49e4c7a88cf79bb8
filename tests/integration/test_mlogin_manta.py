"""`mlogin --launcher manta`: sessions in jobs of a Manta, and that nothing is left of them there."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from tests.manta.stand_in import Job, Manta, manta, zones
from tests.reflectors import running
from tests.signing import Keys, allow, write_key
from tests.terminals import Terminal, assert_nothing_left, environment, mlogin, processes_of, run_alone, terminal
from tests.waiting import wait_until
from tests.zones import a_sleep

pytestmark = zones

LOGIN = "jill"

EAGER = Timeouts(poll_interval=0.1)
SHORT = Timeouts(poll_interval=0.1, url_lifetime=3, renewal_interval=0.25)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """A home directory with keys."""
    user = tmp_path_factory.mktemp("user")
    (user / ".ssh").mkdir()
    for name in ("rsa", "ed25519"):
        write_key(user / ".ssh" / name, keys[name])
    return user


class Place:
    """A Manta with a reflector, and a user of both."""

    def __init__(self, store: Manta, user: Path, keys: Keys) -> None:
        self.store = store
        self.user = user
        for kind in ("rsa", "ed25519"):
            store.add_key(LOGIN, keys[kind].line)
        store.add_archive(find_archive())
        self._key = keys["ed25519"].md5

    def environ(self, home: Path, **more: str) -> dict[str, str]:
        manta = {"MANTA_URL": self.store.url, "MANTA_USER": LOGIN, "MANTA_KEY_ID": self._key}
        environ = {**environment(home), **manta, "HOME": str(self.user), **more}
        return {name: value for name, value in environ.items() if name != "SSH_AUTH_SOCK" or name in more}

    def run(self, home: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return run_alone(command(*arguments, timeouts=EAGER), self.environ(home, **environ))

    @contextlib.contextmanager
    def terminal(self, home: Path, *arguments: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Iterator[Terminal]:
        with terminal(command(*arguments, timeouts=timeouts), self.environ(home)) as opened:
            yield opened

    def job(self, output: str | bytes) -> Job:
        """The job that mlogin's output names."""
        text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
        (job_id,) = set(re.findall("Manta job ([0-9a-f-]{36})", text))
        (job,) = [job for job in self.store.jobs() if job.id == job_id]
        return job

    def done(self, output: str | bytes) -> Job:
        """The same job, after its end."""
        wait_until(lambda: self.job(output).state == "done", "the job's end")
        return self.job(output)

    def configs(self) -> list[str]:
        return [name for name in self.store.objects(f"/{LOGIN}/stor") if name.startswith("medusa-config")]


def command(*arguments: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Sequence[str]:
    return mlogin("--launcher", "manta", *arguments, timeouts=timeouts)


@pytest.fixture(scope="module")
def place(user: Path, keys: Keys) -> Iterator[Place]:
    with running() as reflector, manta(reflector_url=f"http://127.0.0.1:{reflector.port}") as store:
        yield Place(store, user, keys)
        assert "signature" not in reflector.raw_log


@contextlib.contextmanager
def holding(user: Path, keys: Keys) -> Iterator[Place]:
    """A Manta whose jobs wait until they are released. Its reflector closes waiting clients after a second."""
    with running("--wait-timeout", "1") as reflector:
        url = f"http://127.0.0.1:{reflector.port}"
        with manta(reflector_url=url, hold=True) as store:
            yield Place(store, user, keys)


@pytest.fixture(scope="module")
def queue(user: Path, keys: Keys) -> Iterator[Place]:
    """A Manta whose jobs are never released."""
    with holding(user, keys) as place:
        yield place


def test_a_session(place: Place, home: Path, keys: Keys) -> None:
    run = place.run(home, "-k", keys["rsa"].md5, "-c", "echo in $MANTA_JOB_ID; exit 7")
    job = place.done(run.stderr)
    assert (run.returncode, run.stdout) == (7, f"in {job.id}\n"), run.stderr
    assert (job.phase["type"], job.cancelled, job.errors) == ("reduce", False, [])
    assert run.stderr.endswith("mlogin: session complete\n")
    assert place.configs() == []
    assert "signature" not in place.store.stderr(job) + run.stderr


def test_a_session_by_tls(home: Path, user: Path, keys: Keys) -> None:
    with running() as reflector, manta(tls=True, reflector_url=f"http://127.0.0.1:{reflector.port}") as store:
        place = Place(store, user, keys)
        refused = place.run(home, "-q", "-c", "exit 7")
        assert refused.returncode == 255
        assert "certificate" in refused.stderr
        trusted = place.run(home, "-q", "-c", "exit 7", SSL_CERT_FILE=str(store.certificate))
        assert (trusted.returncode, trusted.stderr) == (7, "")
        unasked = place.run(home, "-q", "-c", "exit 7", "-i")
        assert (unasked.returncode, unasked.stderr) == (7, "")


def test_a_session_on_an_object_with_all_options(place: Place, home: Path) -> None:
    place.store.store(f"/{LOGIN}/stor/some dir/an object", b"its content")
    place.store.store("/joe/public/a tool", b"a tool's content")
    options = ["--disk", "8", "--memory", "1024", "--init", "echo prepared >/var/tmp/init", "--image", "13.3"]
    script = 'cat "$MANTA_INPUT_FILE"; echo; echo "$MANTA_INPUT_OBJECT"; cat "/assets/joe/public/a tool" /var/tmp/init'
    run = place.run(home, *options, "-s", "/joe/public/a tool", "-c", script, "~~/stor/some dir/an object")
    job = place.done(run.stderr)
    assert (job.phase["type"], job.inputs) == ("map", [f"/{LOGIN}/stor/some dir/an object"])
    assert {name: job.phase[name] for name in ("disk", "memory", "image")} == {
        "disk": 8,
        "memory": 1024,
        "image": "13.3",
    }
    assert run.stdout == f"its content\n/{LOGIN}/stor/some dir/an object\na tool's contentprepared\n", run.stderr


def test_the_escape_ends_a_session_on_a_terminal(place: Place, home: Path) -> None:
    # A command that ignores SIGHUP runs on for some seconds, so the job is cancelled before it ends by itself.
    long = a_sleep()
    with place.terminal(home, "-c", f"trap '' HUP; {long}; true") as opened:
        opened.until("waiting for Manta job")
        _wait_for_command(f"{long} ")
        assert not [line for line in processes_of(home).values() if "signature" in line or "keyId" in line]
        opened.type("\r~i")
        opened.until(f"as         account {LOGIN}, key ")
        opened.until("job        Manta job [0-9a-f-]{36}: ")
        opened.type("\r~.")
        assert opened.status() == 254
        assert opened.modes() == opened.modes_at_start
    assert place.done(opened.screen).cancelled
    assert place.configs() == []


def _wait_for_command(line: str) -> None:
    """Waits for a process with this command line; its NULs count as spaces."""

    def running() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if path.read_bytes().replace(b"\0", b" ") == line.encode():
                    return True
        return False

    wait_until(running, line)


def test_a_job_that_is_refused(place: Place, home: Path) -> None:
    before = len(place.store.jobs())
    run = place.run(home, "--memory", "3")
    assert run.returncode == 255
    assert re.search("^mlogin: no job: .*InvalidJob.*memory", run.stderr), run.stderr
    assert len(place.store.jobs()) == before


def test_the_stderr_of_a_failed_job_is_shown(place: Place, home: Path) -> None:
    place.store.store(f"/{LOGIN}/public/bad.sh", b"echo no python here >&2; exit 127")
    run = place.run(home, "--agent-object", "~~/public/bad.sh")
    assert run.returncode == 255
    assert "mlogin:   UserTaskError: user command exited with code 127\n" in run.stderr
    assert "mlogin:     no python here\n" in run.stderr
    assert place.configs() == []


def test_a_reflector_that_cannot_be_reached(place: Place, home: Path) -> None:
    """The job was created by then, and is cancelled."""
    run = place.run(home, "--reflector", "http://127.0.0.1:1")
    assert run.returncode == 255
    assert "cannot attach to http://127.0.0.1:1" in run.stderr
    wait_until(lambda: all(job.state == "done" for job in place.store.jobs()), "no job to be left")
    assert place.configs() == []


def test_sigkill_in_the_queue_leaves_nothing(queue: Place, home: Path) -> None:
    """The guard holds no key, but signed requests that undo everything."""
    with queue.terminal(home) as opened:
        opened.until("queued")
        assert len(queue.configs()) == 1
        opened.process.kill()
        opened.status()
        assert queue.done(opened.screen).cancelled
        wait_until(lambda: queue.configs() == [], "the config to go")
        assert_nothing_left(home)


def test_a_wait_longer_than_any_timeout(user: Path, keys: Keys, home: Path) -> None:
    """The first URL expires, and the reflector closes the waiting client more than once."""
    command = ["-c", "echo at last; exit 7"]
    with holding(user, keys) as place, place.terminal(home, *command, timeouts=SHORT) as opened:
        opened.until("no agent came in time.*; attaching again until the job has its turn")
        opened.until("Manta job [0-9a-f-]{36}: queued")
        master = f"/{LOGIN}/medusa/attach/"
        wait_until(lambda: len(place.store.requests("PUT", "medusa-config")) > 13, "3.25 s of renewals")
        assert len(place.store.requests("GET", master)) >= 2
        place.store.release()
        opened.until("at last\r\n")
        assert opened.status() == 7
        assert not place.done(opened.screen).cancelled
        assert place.configs() == []
    assert opened.screen.count(b"attaching again") == 1


def test_a_wait_at_the_reflectors_own_front_door(user: Path, keys: Keys, home: Path, tmp_path: Path) -> None:
    """Each attach there needs a new signature."""
    (tmp_path / "accounts").mkdir()
    allow(tmp_path / "accounts", LOGIN, keys["ed25519"])
    with (
        running("--wait-timeout", "1", "--accounts", str(tmp_path / "accounts")) as reflector,
        manta(hold=True) as store,
    ):
        place, own = Place(store, user, keys), f"http://127.0.0.1:{reflector.port}"
        with place.terminal(home, "--reflector", own, "-c", "echo at last; exit 7", timeouts=EAGER) as opened:
            wait_until(lambda: len(reflector.logged("attached", side="client")) > 2, "two more attaches")
            store.release()
            opened.until("at last\r\n")
            assert opened.status() == 7
        assert "signature" not in reflector.raw_log
        assert place.configs() == []


def test_nothing_is_left_if_the_user_stops_waiting(queue: Place, home: Path) -> None:
    with queue.terminal(home, timeouts=EAGER) as opened:
        opened.until("queued")
        assert len(queue.configs()) == 1
        opened.type(b"\x03")
        assert opened.status() == 130
        assert opened.modes() == opened.modes_at_start
    assert queue.done(opened.screen).cancelled
    assert queue.configs() == []


def test_nothing_is_left_after_a_wait_timeout_that_ends_while_the_job_is_created(queue: Place, home: Path) -> None:
    run = queue.run(home, "--wait-timeout", "0.01")
    assert run.returncode == 255
    assert "mlogin: no agent after " in run.stderr
    assert queue.done(run.stderr).cancelled
    assert queue.configs() == []
