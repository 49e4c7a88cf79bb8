"""A Slurm of one node on loopback: munged, slurmctld and slurmd, without accounting database and cgroups.

Its only user also runs the daemons.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from medusa.client import processes
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_until

CPUS = 2

NODE = "node1"

_CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={place}/munge/socket
CredType=cred/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_resolution=60
PriorityType=priority/basic
MpiDefault=none
SwitchType=switch/none
KillWait=10
MinJobAge=600
ReturnToService=2
PrologFlags=Alloc
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={daemon} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
"""


class Slurm:
    """One cluster.

    Args:
        enter: the beginning of a command line that runs the rest on the cluster's machine, if that is another one.

    Attributes:
        environ: variables by which Slurm's commands find it.
    """

    def __init__(self, place: Path, enter: Sequence[str] = ()) -> None:
        self.place, self._enter = place, enter
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        controller, daemon = free_port(), free_port()
        for name in ("munge", "state", "spool"):
            (place / name).mkdir(mode=0o700)
        (place / "munge").chmod(0o755)
        names = {"host": socket.gethostname(), "user": getpass.getuser(), "place": place, "node": NODE, "cpus": CPUS}
        self.conf = place / "slurm.conf"
        self.conf.write_text(_CONF.format(controller=controller, daemon=daemon, **names))
        self.environ = {"SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        key, munge = self.place / "munge.key", self.place / "munge"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        files = [f"--{name}-file={munge}/{name}" for name in ("pid", "seed")]
        self._spawn("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket", *files)
        wait_until((munge / "socket").exists, "munged")
        self.start_controller()
        self._spawn("slurmd", "-D", "-N", NODE, "-f", str(self.conf))
        wait_until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "an idle node")

    def start_controller(self) -> None:
        self._spawn("slurmctld", "-D", "-f", str(self.conf))
        wait_until(lambda: self._run("scontrol", "ping").returncode == 0, "slurmctld")

    def stop_controller(self) -> None:
        daemon = self._daemons["slurmctld"]
        daemon.terminate()
        daemon.wait(PATIENCE)

    def stop(self) -> None:
        """Ends all jobs and the daemons."""
        with contextlib.suppress(Exception):
            self._run("scancel", "--user", getpass.getuser())
            wait_until(lambda: not self.jobs(), "the end of all jobs")
        for daemon in reversed(self._daemons.values()):
            processes.stop_group(daemon.pid, 5, daemon.poll)
        self._daemons.clear()

    def log(self) -> str:
        """The daemons' logs, for the report of a failed test."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self.place.glob("*.log")))

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        done = self._run(*command)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """All jobs that have not ended: id -> state."""
        lines = self.ask("squeue", "-h", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def show(self, job: str) -> dict[str, str]:
        """Slurm's record of a job."""
        shown = self.ask("scontrol", "show", "job", job).split()
        return dict(word.split("=", 1) for word in shown if "=" in word)

    def submit(self, script: str, *options: str) -> str:
        """Submits a job of another user; returns its id."""
        place = self.place / "spool"
        command = ["sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}"]
        return self._run(*command, cwd=place).stdout.strip()

    @contextlib.contextmanager
    def full(self) -> Iterator[str]:
        """Within the block, a job with this id occupies the whole node."""
        job = self.submit("sleep 1000", f"--ntasks={CPUS}", "--time=60")
        try:
            wait_until(lambda: self.jobs().get(job) == "RUNNING", "a full node")
            yield job
        finally:
            self.ask("scancel", job)

    def _run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.environ, "LC_ALL": "C"}
        return subprocess.run(
            [*self._enter, *command], env=environ, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE
        )

    def _spawn(self, name: str, *arguments: str) -> None:
        with open(self.place / f"{name}.out", "ab") as out:
            self._daemons[name] = subprocess.Popen(
                [*self._enter, name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
                cwd=self.place,
                start_new_session=True,
            )


@contextlib.contextmanager
def slurm(place: Path, enter: Sequence[str] = ()) -> Iterator[Slurm]:
    """A cluster that runs."""
    cluster = Slurm(place, enter)
    try:
        cluster.start()
        yield cluster
    except BaseException:
        print(cluster.log())
        raise
    finally:
        cluster.stop()
