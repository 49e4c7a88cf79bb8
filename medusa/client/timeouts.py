"""All times of mlogin that are not a part of a protocol, in seconds, as one record that is passed down from `main`.

A name ends in `_timeout` if mlogin gives up after that time, in `_interval` if it does something again that often, in
`_grace` if something gets that time to end by itself before it is killed, and in `_delay` if mlogin does something
once after that time.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SlurmTimeouts:
    """Attributes:
    command_timeout: for one command of Slurm; while a controller is away, the command itself keeps trying.
    end_grace: for a job to end by itself after its session, before it is cancelled.
    end_interval: between two questions about the job in that time.
    """

    command_timeout: float = 30.0
    end_grace: float = 5.0
    end_interval: float = 0.2


@dataclass(frozen=True)
class MantaTimeouts:
    """Attributes:
    connect_timeout: for a TCP connection and its TLS handshake.
    silence_timeout: between two pieces of an answer, and before the first.
    answer_timeout: for the whole answer.
    retry_intervals: before each further try of a request that failed in passing.
    """

    connect_timeout: float = 10.0
    silence_timeout: float = 60.0
    answer_timeout: float = 300.0
    retry_intervals: tuple[float, ...] = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class KubernetesTimeouts:
    """Attributes:
    connect_timeout: for a TCP connection to the API server and its TLS handshake.
    answer_timeout: for the API server's answer.
    url_lifetime: for which the agent's URL is valid; its node reads it before it pulls the image, which can take
        minutes.
    renewal_interval: between two configs of a waiting job.
    last_words_timeout: for a pod to say how it ended, if its session was cut off; a node reports it a second later.
    last_words_interval: between two questions about the pod in that time.
    close_timeout: for deleting the job if the API server does not answer.
    guard_timeout: the same for the guard process.
    retry_interval: between two tries to delete.
    stdin_timeout: for a container to say that it has read the agent's archive.
    """

    connect_timeout: float = 5.0
    answer_timeout: float = 10.0
    url_lifetime: float = 900.0
    renewal_interval: float = 300.0
    last_words_timeout: float = 3.0
    last_words_interval: float = 0.3
    close_timeout: float = 15.0
    guard_timeout: float = 50.0
    retry_interval: float = 1.0
    stdin_timeout: float = 15.0


@dataclass(frozen=True)
class SshTimeouts:
    """Attributes:
    command_timeout: for the host's answer to a command through the open connection.
    end_timeout: the same at the end, while the user waits.
    last_words_timeout: until the last output of `ssh` is on the screen.
    pid_timeout: until the host has named the agent's process.
    """

    command_timeout: float = 20.0
    end_timeout: float = 5.0
    last_words_timeout: float = 3.0
    pid_timeout: float = 3.0


@dataclass(frozen=True)
class Timeouts:
    """Attributes:
    reflector_start_timeout: for mlogin's own reflector to say where it listens; interpreters start slowly on busy
        machines.
    reflector_stop_grace: for mlogin's own reflector to end by itself, before it is killed.
    reconnect_interval: before each try to attach again: a signature is good for one use, and its date counts seconds.
    reconnect_timeout: for which a reflector may be away while a job waits to run. If several reflectors share a
        directory, the others release the sessions of one that was killed after 60.
    end_of_input_interval: between the first two Control-D that say that the input has ended; doubled each time. One
        that arrives while a shell changes the modes of its terminal is lost, and input that has ended has also ended
        for the next reader.
    end_of_input_longest_interval: the limit of that doubling.
    walltime_interval: between two looks at the job's remaining time, which the job system may change.
    job_end_grace: for a job to end by itself after its session.
    kill_grace: between SIGTERM and SIGKILL to a job's processes on this machine.
    poll_interval: between two questions to a job system.
    slow_delay: after which the user is told that mlogin waits for the job system.
    close_timeout: for a job system to remove the job; one that is away must not hold up the user.
    url_lifetime: for which an agent's signed URL is valid, as in the original.
    renewal_interval: between two configs of a waiting job. Half of `url_lifetime`: whenever the job starts, the agent
        has that long to attach.
    slurm, manta, kubernetes, ssh: of the launcher with that name.
    """

    reflector_start_timeout: float = 20.0
    reflector_stop_grace: float = 3.0
    reconnect_interval: float = 1.0
    reconnect_timeout: float = 120.0
    end_of_input_interval: float = 1.0
    end_of_input_longest_interval: float = 60.0
    walltime_interval: float = 5.0
    job_end_grace: float = 5.0
    kill_grace: float = 3.0
    poll_interval: float = 5.0
    slow_delay: float = 5.0
    close_timeout: float = 20.0
    url_lifetime: float = 300.0
    renewal_interval: float = 150.0
    slurm: SlurmTimeouts = field(default_factory=SlurmTimeouts)
    manta: MantaTimeouts = field(default_factory=MantaTimeouts)
    kubernetes: KubernetesTimeouts = field(default_factory=KubernetesTimeouts)
    ssh: SshTimeouts = field(default_factory=SshTimeouts)


DEFAULT_TIMEOUTS = Timeouts()
