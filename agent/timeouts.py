"""The agent's timeouts and intervals, in one record that the functions get as an argument."""

from __future__ import annotations

from medusa.protocol.record import record


@record
class Timeouts:
    """The agent's times, all in seconds.

    After a `..._timeout`, the agent gives up. After an `..._interval`, it tries or checks again. A `..._grace` is the
    time that processes or clients have for something, before the agent goes on.

    Attributes:
        keepalive_interval: silence on the link before a ping is sent. The reflector has the same default. It is half of
            30 s: after this time, some load balancers cut a silent connection.
        doubt_timeout: silence of a client that has not acknowledged all bytes, after which the home link is checked.
        home_timeout: time for the reflector to answer a ping on the home link.
        leave_timeout: time for the client to close the link after `exit` or `error`.
        close_timeout: time for the reflector to answer a Close.
        hangup_grace: time between SIGHUP and SIGKILL for the processes that are left of a session.
        kill_timeout: time for killed processes to vanish. A process in an uninterruptible call may live longer.
        processes_interval: time between two checks of the processes that are being ended.
        left_interval: the least time between two looks whether background processes of ended commands have ended.
        quiet_timeout: time without output after which the terminal of an ended child counts as empty.
        drain_timeout: the longest time for which the terminal of an ended child is read. It is limited because a
            background process may write for ever. Time while the link accepts no data does not count.
        input_interval: time between two attempts to write to a terminal. It is needed because some terminals do not
            report that they accept input again.
        parted_timeout: time that the output of a terminal waits for a client whose link was lost.
        redraw_grace: time for which a terminal has another size, so that programs notice it.
        detach_grace: time for a terminal to accept the last input of a client that leaves.
        reopen_interval: time between two attempts to read a terminal that no process has open. The child may open it
            again.
        dial_timeout: time to connect to the target of a forwarded connection, with the lookup of its name. The client
            gives up after 30 s.
        listener_interval: time after which a listener that could accept nothing tries again, and between two checks
            whether the file of a unix socket is still there.
        url_timeout: time for the command that prints a URL.
        log_timeout: time for stderr to accept a line that the user must see. The output of a failed
            step may have filled the pipe.
        output_timeout: time to pass on the last output of a step that was asked to end. The time is limited because the
            program that reads the output may have stopped.
        terminal_interval: time between two checks for signals that the keys of a terminal send.
        signals_interval: time between two checks for signals that a handler cannot take. It is long, because each check
            delays the step a little. If the step is a part of a program on many machines, that delays all its parts.
    """

    keepalive_interval: float = 15.0
    doubt_timeout: float = 2.0
    home_timeout: float = 6.0
    leave_timeout: float = 5.0
    close_timeout: float = 1.0
    hangup_grace: float = 2.0
    kill_timeout: float = 1.0
    processes_interval: float = 0.02
    left_interval: float = 5.0
    quiet_timeout: float = 0.2
    drain_timeout: float = 2.0
    input_interval: float = 0.05
    parted_timeout: float = 60.0
    redraw_grace: float = 0.1
    detach_grace: float = 1.0
    reopen_interval: float = 0.2
    dial_timeout: float = 20.0
    listener_interval: float = 1.0
    url_timeout: float = 30.0
    log_timeout: float = 5.0
    output_timeout: float = 2.0
    terminal_interval: float = 0.1
    signals_interval: float = 0.5


DEFAULT_TIMEOUTS = Timeouts()
