"""All timeouts and intervals of mlogin, in seconds, in one record.

Times that are a part of a protocol are not here.

The last word of a name says what the time means:

_timeout   mlogin gives up after this time.
_interval  mlogin waits this long before it does the same thing again.
_grace     a process or job has this long to end by itself before it is killed.
_delay     mlogin does something once, after this time.
_lifetime  a URL is valid for this long.
"""

from __future__ import annotations

from medusa.protocol.record import field, record

FAREWELL_TIMEOUT = 30.0
"""Seconds in which the guard process tries to tell an agent that mlogin does not come back."""


@record
class SlurmTimeouts:
    """The times of the Slurm launcher, in seconds.

    Attributes:
        command_timeout: time for one command of Slurm to end. The command itself retries while Slurm's controller does
            not answer.
        end_grace: time for a job to end by itself after its session, before it is cancelled.
        end_interval: during `end_grace`, the time between two checks of the job.
    """

    command_timeout: float = 30.0
    end_grace: float = 5.0
    end_interval: float = 0.2


@record
class MantaTimeouts:
    """The times of the Manta launcher, in seconds.

    Attributes:
        connect_timeout: time for a TCP connection and its TLS handshake.
        silence_timeout: time for the first bytes of an answer to arrive, and then for each further part of it.
        answer_timeout: time for the whole answer to arrive.
        retry_intervals: the wait before each retry of a request that had a temporary failure.
    """

    connect_timeout: float = 10.0
    silence_timeout: float = 60.0
    answer_timeout: float = 300.0
    retry_intervals: tuple[float, ...] = (0.5, 1.0, 2.0)


@record
class KubernetesTimeouts:
    """The times of the Kubernetes launcher, in seconds.

    Attributes:
        connect_timeout: time for a TCP connection to the API server and its TLS handshake.
        answer_timeout: time for the API server's answer.
        url_lifetime: how long the agent's URL is valid. A node reads the URL before it pulls the image, and that pull
            can take minutes.
        renewal_interval: how often a waiting job gets a new config with a new URL for the agent.
        last_words_timeout: time for the API server to report how a pod ended, after its session was cut off. A node
            reports it about a second late.
        last_words_interval: during `last_words_timeout`, the time between two checks of the pod.
        close_timeout: how long mlogin tries to delete the job while the API server does not answer.
        guard_timeout: how long the guard process tries to delete the job while the API server does not answer.
        retry_interval: time between two tries to delete the job.
        stdin_timeout: time for a container to report that it has read the agent's archive from its standard input.
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


@record
class SshTimeouts:
    """The times of the ssh launcher, in seconds.

    Attributes:
        command_timeout: time for a command on the host, over the ssh connection that is already open.
        end_timeout: time for the command on the host that ends the job. It is short because the user waits for it.
        last_words_timeout: time for the last output of the `ssh` program to appear on the screen.
        pid_timeout: time for the host to report the process id of the agent.
    """

    command_timeout: float = 20.0
    end_timeout: float = 5.0
    last_words_timeout: float = 3.0
    pid_timeout: float = 3.0


@record
class Timeouts:
    """The times of mlogin, in seconds.

    Attributes:
        reflector_start_timeout: time for the embedded reflector to start to listen. Python starts slowly on busy
            machines.
        reflector_stop_grace: time for the embedded reflector to end by itself, before it is killed. Its session has
            ended by then, so that nothing is lost.
        reconnect_interval: the wait before each try to attach again.
        reconnect_timeout: how long mlogin tries to attach again while a job waits to run and the reflector cannot be
            reached. It is longer than 60 seconds: several reflectors may keep their sessions in one shared directory.
            If one of them is killed, another one takes over its sessions only after 60 seconds.
        end_of_input_interval: after the user's input has ended, mlogin sends Control-D. It sends a second one after
            this time; each further wait is twice as long. One Control-D is not enough: a shell loses it if the shell
            changes the modes of its terminal at that moment, and each further program that reads the terminal needs its
            own.
        end_of_input_longest_interval: the longest wait between two Control-D.
        attention_timeout: the session counts as in use until this time has passed since the last byte that the user
            typed or was shown.
        ask_interval: while the session is in use, mlogin sends a ping after the reflector has sent nothing for so long.
        silence_timeout: if the reflector has sent nothing for this time, mlogin tells the user so.
        foreground_interval: time between two checks whether mlogin has come to the foreground of its terminal. Not
            every shell tells it by a signal.
        disconnect_timeout: time for the reflector to answer mlogin's Close message, if the user disconnects or a signal
            ends mlogin. Without an answer the link counts as dead. Then mlogin exits at once, and its guard process
            ends the job.
        disconnect_grace: time for a job to end by itself after mlogin has ended the session, such as because of a
            signal. It replaces `job_end_grace` in this case, and is short because the user waits for it.
        answer_timeout: time for the agent to answer the offer of a stream, if mlogin cannot do without one.
        second_signal_delay: mlogin ignores a SIGINT or SIGTERM that comes within this time after the same signal. Some
            programs, such as timeout(1), send a signal twice. This is used for commands on pipes.
        undo_timeout: time for the terminal to take the bytes that undo what a lost session has switched on in the
            terminal.
        walltime_interval: time between two checks of the job's remaining time, which the job system may change.
        job_end_grace: time for a job to end by itself after its session.
        kill_grace: time between SIGTERM and SIGKILL to a job's processes on this machine.
        poll_interval: time between two questions to a job system.
        slow_delay: after this wait for the job system, the user is told what mlogin waits for.
        close_timeout: time for a job system to remove the job. It is short because the user waits for it.
        url_lifetime: how long the agent's signed URL is valid, the same as in the original Medusa.
        renewal_interval: how often a waiting job gets a new config with a new URL for the agent. It is half of
            `url_lifetime`, so that the agent always has at least the other half to attach.
        slurm: the times of the Slurm launcher.
        manta: the times of the Manta launcher.
        kubernetes: the times of the Kubernetes launcher.
        ssh: the times of the ssh launcher.
    """

    reflector_start_timeout: float = 20.0
    reflector_stop_grace: float = 0.5
    reconnect_interval: float = 1.0
    reconnect_timeout: float = 120.0
    end_of_input_interval: float = 1.0
    end_of_input_longest_interval: float = 60.0
    ask_interval: float = 2.0
    attention_timeout: float = 60.0
    silence_timeout: float = 6.0
    foreground_interval: float = 0.2
    disconnect_timeout: float = 0.3
    disconnect_grace: float = 0.5
    answer_timeout: float = 30.0
    second_signal_delay: float = 0.1
    undo_timeout: float = 0.5
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
