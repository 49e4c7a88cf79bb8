"""The agent's times, all in seconds, in one record that is passed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds. `..._timeout`: give up after; `..._interval`: do again every; `..._grace`: between asking and killing.

    Attributes:
        keepalive_interval: of silence on the link before a ping. The reflector's default as well, and half of the
            silence after which the original's load balancer cuts a connection.
        leave_timeout: for the client to close the link after `exit` or `error`.
        close_timeout: for the reflector to answer a Close.
        hangup_grace: between SIGHUP and SIGKILL for what is left of a session.
        kill_timeout: for killed processes to vanish; one in an uninterruptible call may not.
        processes_interval: between two looks at the processes that are being ended.
        quiet_timeout: without output after which the terminal of an ended child is taken to be empty.
        drain_timeout: for reading that terminal, while the link takes data: a background process may write for ever.
        input_interval: between two attempts to write to a terminal, whose driver may not report that it takes input.
        reopen_interval: between two attempts to read a terminal that no process has open; the child may reopen it.
        url_timeout: for the command that prints a URL.
        log_timeout: for stderr to take a line that the user must see; a failed step may just have filled it.
        output_timeout: for the last output of a step that was asked to end; its reader may have stopped reading.
        terminal_interval: between two looks at the signals that a terminal's keys send.
    """

    keepalive_interval: float = 15.0
    leave_timeout: float = 5.0
    close_timeout: float = 1.0
    hangup_grace: float = 2.0
    kill_timeout: float = 1.0
    processes_interval: float = 0.02
    quiet_timeout: float = 0.2
    drain_timeout: float = 2.0
    input_interval: float = 0.05
    reopen_interval: float = 0.2
    url_timeout: float = 30.0
    log_timeout: float = 5.0
    output_timeout: float = 2.0
    terminal_interval: float = 0.1


DEFAULT_TIMEOUTS = Timeouts()
