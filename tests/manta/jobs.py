"""The Jobs API as `mlogin` uses it: jobs of one phase, their input, state, errors and cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from tests.manta.http import Refusal, Request

HOLD_POLL = 0.02
PHASE_TYPES = ("map", "reduce", "storage-map")
OBJECT = re.compile(r"/[a-zA-Z][\w.@]+/(stor|public|jobs|reports)/.+")
MEMORY = (256, 512, 1024, 2048, 4096, 8192)
DISK = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SEMVER = re.compile(r"[~^=<>v\s]*\d+(\.(\d+|\*|x)){0,2}")

Run = Callable[["Job", "list[str]"], Awaitable["dict[str, Any] | None"]]
"""Runs one task of a job on these inputs; returns its error, or None."""


class Job:
    """A job in any state."""

    def __init__(self, login: str, job: dict[str, Any]) -> None:
        self.id, self.login = str(uuid.uuid4()), login
        self.name, self.phase = job.get("name", ""), job["phases"][0]
        self.state, self.cancelled, self.input_done = "queued", False, False
        self.inputs: list[str] = []
        self.errors: list[dict[str, Any]] = []
        self._tasks_done = 0
        self._changed = asyncio.Event()

    def add(self, keys: list[str]) -> None:
        self._check_open()
        self.inputs += keys
        self._changed.set()

    def end_input(self) -> None:
        self._check_open()
        self.input_done = True
        self._changed.set()

    def _check_open(self) -> None:
        if self.input_done or self.state == "done":
            raise Refusal(409, "InvalidJobState", f"job {self.id} takes no more input")

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def task_done(self, error: dict[str, Any] | None) -> None:
        self._tasks_done += 1
        if error is not None:
            self.errors.append({"phaseNum": "0", "what": f"phase 0: {self.phase['type']}", **error})

    def status(self) -> dict[str, Any]:
        """The answer to `live/status`."""
        tasks = 1 if self.phase["type"] == "reduce" else len(self.inputs)
        stats = {"errors": len(self.errors), "outputs": 0, "retries": 0, "tasks": tasks, "tasksDone": self._tasks_done}
        found = {"id": self.id, "name": self.name, "state": self.state, "cancelled": self.cancelled}
        return {**found, "inputDone": self.input_done, "phases": [self.phase], "stats": stats}


class Jobs:
    """All jobs. `run` runs a task.

    Attributes:
        held: jobs stay queued.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.held = False
        self._jobs: dict[str, Job] = {}
        self._drivers: dict[str, asyncio.Task[None]] = {}

    async def create(self, request: Request, login: str) -> None:
        job = Job(login, _checked(await request.body()))
        self._jobs[job.id] = job
        self._drivers[job.id] = asyncio.create_task(self._drive(job))
        request.answer(201, {"Location": f"/{login}/jobs/{job.id}"})

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def find(self, login: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.login != login:
            raise Refusal(404, "JobNotFound", f"{job_id} was not found")
        return job

    async def answer(self, request: Request, job: Job, what: str) -> None:
        """Answers a request; `what` is the part of the path after the job's id, such as `live/status`."""
        if (request.method, what) == ("GET", "live/status"):
            request.answer_json(200, job.status())
        elif (request.method, what) == ("GET", "live/err"):
            lines = b"".join(json.dumps(error).encode() + b"\n" for error in job.errors)
            request.answer(200, {"Content-Type": "application/x-json-stream; type=job-error"}, lines)
        elif (request.method, what) == ("POST", "live/in"):
            job.add(_keys(await request.body()))
            if request.query == "end=true":
                job.end_input()
            request.answer(204)
        elif (request.method, what) == ("POST", "live/in/end"):
            job.end_input()
            request.answer(202)
        elif (request.method, what) == ("POST", "live/cancel"):
            await self._cancel(job)
            request.answer(202)
        else:
            raise Refusal(404, "ResourceNotFound", f"{request.path} does not exist")

    async def _cancel(self, job: Job) -> None:
        if job.state == "done":
            raise Refusal(409, "InvalidJobState", f"job {job.id} is done")
        job.cancelled = job.input_done = True
        await _stop(self._drivers[job.id])
        job.state = "done"

    async def stop(self) -> None:
        """Ends all jobs that run."""
        for driver in self._drivers.values():
            await _stop(driver)

    async def _drive(self, job: Job) -> None:
        """Runs a job, from the queue to the end of all its tasks."""
        while self.held:
            await asyncio.sleep(HOLD_POLL)
        job.state = "running"
        tasks: list[asyncio.Task[None]] = []
        try:
            while not job.input_done:
                if job.phase["type"] != "reduce":
                    tasks += [self._start(job, [key]) for key in job.inputs[len(tasks) :]]
                await job.changed()
            left = [job.inputs] if job.phase["type"] == "reduce" else [[key] for key in job.inputs[len(tasks) :]]
            tasks += [self._start(job, keys) for keys in left]
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                await _stop(task)
        job.state = "done"

    def _start(self, job: Job, keys: list[str]) -> asyncio.Task[None]:
        async def run() -> None:
            job.task_done(await self._run(job, keys))

        return asyncio.create_task(run())


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _keys(body: bytes) -> list[str]:
    keys = [line for line in body.decode().splitlines() if line]
    for key in keys:
        if not OBJECT.fullmatch(key):
            raise Refusal(400, "InvalidArgument", f"{key} is no path of an object")
    return keys


def _checked(body: bytes) -> dict[str, Any]:
    """The description of a job, with only what Manta accepts."""
    try:
        job = json.loads(body)
    except ValueError:
        raise Refusal(400, "InvalidJob", "the job is not JSON") from None
    _demand(isinstance(job, dict) and set(job) <= {"name", "phases"}, "an object with name and phases")
    _demand(isinstance(job.get("name", ""), str), "name: a string")
    phases = job.get("phases")
    _demand(isinstance(phases, list) and len(phases) > 0, "phases: a list that is not empty")
    _demand(len(phases) == 1, "one phase: this Manta runs no others")
    _check_phase(phases[0])
    phases[0].setdefault("type", "map")
    assert isinstance(job, dict)
    return job


def _check_phase(phase: Any) -> None:
    _demand(isinstance(phase, dict), "a phase: an object")
    unknown = set(phase) - {"exec", "type", "assets", "memory", "disk", "init", "image", "count"}
    _demand(not unknown, f"a phase has no {', '.join(sorted(unknown))}")
    _demand(isinstance(phase.get("exec"), str) and bool(phase["exec"]), "exec: a command")
    _demand(phase.get("type", "map") in PHASE_TYPES, f"type: one of {', '.join(PHASE_TYPES)}")
    assets = phase.get("assets", [])
    paths = isinstance(assets, list) and all(isinstance(path, str) and OBJECT.fullmatch(path) for path in assets)
    _demand(paths, "assets: paths of objects")
    _demand(phase.get("memory", MEMORY[0]) in MEMORY, f"memory: one of {MEMORY}")
    _demand(phase.get("disk", DISK[0]) in DISK, f"disk: one of {DISK}")
    _demand(isinstance(phase.get("init", ""), str), "init: a script")
    image = phase.get("image", "1")
    _demand(isinstance(image, str) and bool(SEMVER.fullmatch(image)), "image: a version")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise Refusal(400, "InvalidJob", f"job is invalid: {what}")
