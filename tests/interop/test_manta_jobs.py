"""The stand-in for Manta runs jobs: its API, its zones, and their ends."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.interop.manta_users import STOR, User
from tests.manta.stand_in import Job, Manta, manta, zones
from tests.reflectors import new_id
from tests.signing import Key
from tests.waiting import wait_until
from tests.zones import a_sleep


def job_of(store: Manta, job_id: str) -> Job:
    """The job at its end."""
    wait_until(lambda: [job for job in store.jobs() if (job.id, job.state) == (job_id, "done")], "the job's end")
    return next(job for job in store.jobs() if job.id == job_id)


BAD_JOBS: dict[str, object] = {
    "no object": [],
    "no phases": {"phases": []},
    "an unknown type": {"phases": [{"exec": "true", "type": "shuffle"}]},
    "no exec": {"phases": [{"type": "map"}]},
    "an asset that is no path": {"phases": [{"exec": "true", "assets": ["agent.sh"]}]},
    "assets that are no list": {"phases": [{"exec": "true", "assets": "/jill/stor/x"}]},
    "an odd size of memory": {"phases": [{"exec": "true", "memory": 1000}]},
    "a string for a number": {"phases": [{"exec": "true", "disk": "2"}]},
    "an image that is no version": {"phases": [{"exec": "true", "image": "latest"}]},
    "init that is no string": {"phases": [{"exec": "true", "init": ["true"]}]},
    "an unknown field": {"phases": [{"exec": "true", "asset": []}]},
}


@pytest.mark.parametrize("name", BAD_JOBS)
def test_a_bad_job(store: Manta, jill: User, name: str) -> None:
    before = len(store.jobs())
    assert jill.refused("POST", "/jill/jobs", json.dumps(BAD_JOBS[name]).encode()) == (400, "InvalidJob")
    assert len(store.jobs()) == before


def test_jobs_are_their_owners(jill: User, nobody: User) -> None:
    body = json.dumps({"name": "a job", "phases": [{"exec": "true", "type": "reduce"}]}).encode()
    assert jill.refused("POST", "/bob/jobs", body) == (403, "AuthorizationFailed")
    assert nobody.refused("POST", "/jill/jobs", body) == (401, "AuthorizationRequired")
    assert jill.refused("POST", "/jill/jobs", b"{") == (400, "InvalidJob")


def test_the_state_of_a_job_allows_or_refuses(store: Manta, jill: User) -> None:
    path = f"/jill/jobs/{jill.create_job()}/live"
    status = json.loads(jill.ask("GET", f"{path}/status").body)
    assert (status["state"], status["inputDone"], status["cancelled"]) == ("running", False, False)
    assert jill.refused("POST", f"{path}/in", b"not a path") == (400, "InvalidArgument")
    assert jill.ask("POST", f"{path}/cancel").status == 202
    status = json.loads(jill.ask("GET", f"{path}/status").body)
    assert (status["state"], status["cancelled"]) == ("done", True)
    for what in ("in", "in/end", "cancel"):
        assert jill.refused("POST", f"{path}/{what}") == (409, "InvalidJobState"), what
    assert jill.refused("GET", f"/jill/jobs/{new_id()}/live/status") == (404, "JobNotFound")


@zones
def test_input_ends_once(store: Manta, jill: User) -> None:
    job = jill.run_job()
    assert jill.refused("POST", f"/jill/jobs/{job}/live/in", b"/jill/stor/x") == (409, "InvalidJobState")
    assert jill.refused("POST", f"/jill/jobs/{job}/live/in/end") == (409, "InvalidJobState")
    assert job_of(store, job).errors == []


@zones
def test_a_zone(store: Manta, jill: User) -> None:
    store.store("/bob/public/tool", b'#!/bin/bash\ntty; id -u; echo "$1"; cat "$MANTA_INPUT_FILE" -; echo >/tmp/x\n')
    store.store(f"{STOR}/two words", b"input\n")
    script = "/assets/bob/public/tool hello && env -0 | sort -z >&2 && : >>$MANTA_INPUT_FILE"
    job = job_of(store, jill.run_job(f"{STOR}/two words", exec=script, type="map", assets=["/bob/public/tool"]))
    assert store.stdout(job) == "not a tty\n0\nhello\ninput\ninput\n"
    told = dict(line.split("=", 1) for line in store.stderr(job).split("\0")[:-1])
    assert set(told) - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "HOME", "PATH", "MANTA_USER", "MANTA_URL", "MANTA_JOB_ID", "MANTA_NO_AUTH", "MANTA_OUTPUT_BASE",
        "MANTA_INPUT_FILE", "MANTA_INPUT_OBJECT",
    }  # fmt: skip
    assert (told["MANTA_USER"], told["MANTA_JOB_ID"]) == ("jill", job.id)
    assert (told["MANTA_INPUT_OBJECT"], told["MANTA_INPUT_FILE"]) == (f"{STOR}/two words", f"/manta{STOR}/two words")
    # The last command: nobody writes to an input.
    assert [error["code"] for error in job.errors] == ["UserTaskError"]


@zones
def test_the_store_answers_a_zone_without_authentication_as_the_jobs_owner(store: Manta, jill: User) -> None:
    store.store(f"{STOR}/doomed", b"")
    store.store("/bob/stor/safe", b"")
    # bash's own way to a socket: the zone need not have a program for it.
    ask = 'exec 3<>/dev/tcp/127.0.0.1/${MANTA_URL##*:}; printf "DELETE %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3; head -1 <&3'
    script = f"ask() {{ {ask}; }}; ask {STOR}/doomed; ask {STOR}/doomed; ask /bob/stor/safe"
    job = job_of(store, jill.run_job(exec=script))
    answers = [line.partition(" ")[2] for line in store.stdout(job).splitlines() if line]
    assert answers == ["204 No Content", "404 Not Found", "403 Forbidden"]
    store.path("/bob/stor/safe").unlink()


JOB_ERRORS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "a status": ({"exec": "exit 7"}, [], "UserTaskError: user command exited with code 7"),
    "a signal": ({"exec": "kill -9 $$"}, [], "UserTaskError: user command killed by signal 9"),
    "init": ({"exec": "true", "init": "false"}, [], "TaskInitError: init script failed"),
    "an asset": ({"exec": "true", "assets": ["/jill/stor/nothing"]}, [], "TaskInitError: could not load"),
    "another's asset": ({"exec": "true", "assets": ["/bob/stor/x"]}, [], "AuthorizationError: permission denied"),
    "an input": ({"exec": "true", "type": "map"}, ["/jill/stor/nothing"], "ResourceNotFoundError: could not load"),
}


@zones
@pytest.mark.parametrize("name", JOB_ERRORS)
def test_a_job_that_fails(store: Manta, jill: User, name: str) -> None:
    phase, inputs, said = JOB_ERRORS[name]
    job = jill.run_job(*inputs, **phase)
    job_of(store, job)
    (error,) = [json.loads(line) for line in jill.ask("GET", f"/jill/jobs/{job}/live/err").body.splitlines()]
    assert f"{error['code']}: {error['message']}".startswith(said)
    assert json.loads(jill.ask("GET", f"/jill/jobs/{job}/live/status").body)["stats"]["errors"] == 1


@zones
def test_a_cancelled_job_leaves_nothing(store: Manta, jill: User) -> None:
    apart, inside = a_sleep(), a_sleep()
    job = jill.run_job(init="exit 0", exec=f"setsid {apart} & {inside}")
    wait_until(lambda: {apart, inside} <= running_commands(), "the job's processes")
    assert jill.ask("POST", f"/jill/jobs/{job}/live/cancel").status == 202
    assert job_of(store, job).cancelled
    wait_until(lambda: not {apart, inside} & running_commands(), "the end of the job's processes")
    assert store.zone_processes() == []


def running_commands() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_text("utf-8", "replace").rstrip("\0").replace("\0", " "))
    return found


@zones
def test_a_killed_manta_takes_its_zones_along(key: Key) -> None:
    long, ran = a_sleep(), False
    with contextlib.suppress(AssertionError), manta() as store:
        store.add_key("jill", key.line)
        User(store.url, key).run_job(exec=long)
        ran = wait_until(lambda: long in running_commands(), "the job's processes")
        store.process.send_signal(signal.SIGKILL)
    # Out here no failure is suppressed.
    assert ran
    wait_until(lambda: long not in running_commands(), "the end of the job's processes")


@zones
def test_held_jobs_are_queued(key: Key) -> None:
    with manta(hold=True) as store:
        store.add_key("jill", key.line)
        user = User(store.url, key)
        job = user.run_job()
        assert json.loads(user.ask("GET", f"/jill/jobs/{job}/live/status").body)["state"] == "queued"
        cancelled = user.create_job()
        assert user.ask("POST", f"/jill/jobs/{cancelled}/live/cancel").status == 202
        assert job_of(store, cancelled).cancelled
        store.release()
        assert not job_of(store, job).cancelled
