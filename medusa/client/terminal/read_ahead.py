"""Reads the terminal in a thread while mlogin waits for something else, even while mlogin is in a blocking call."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator

from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.tty import Terminal

_READ_SIZE = 4096

BUSY_INTERVAL = 0.2
"""Seconds between two calls of `busy`, while another program asks the user a question on the terminal."""


@contextlib.contextmanager
def read_ahead(terminal: Terminal, take: Callable[[bytes], bool], busy: Callable[[], bool]) -> Iterator[None]:
    """Context manager: in its `with` block, a thread reads what the user types, after each Enter and after each dot.

    The terminal still shows what is typed, and Control-C still sends SIGINT. The thread reads nothing while mlogin is
    in the background, or while another program of the pipeline uses the terminal. When mlogin may read again, call
    `terminal.make_attentive`: the thread reads only after this call.

    Args:
        take: a function, called in the thread with the bytes that were read, or with b"" if the user has typed the
            character that ends the input. It returns False to end the reading.
        busy: a function that returns True while another program asks the user a question on the terminal. Meanwhile
            the thread reads nothing.
    """
    if not terminal.is_tty:
        yield
        return
    terminal.make_attentive()
    reader, writer = os.pipe()
    thread = threading.Thread(target=_read, args=(terminal, take, busy, reader), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)


def _read(terminal: Terminal, take: Callable[[bytes], bool], busy: Callable[[], bool], stop: int) -> None:
    """Reads the terminal and passes the bytes to `take`, until one of three things happens.

    They are: `take` returns False, the terminal is gone, or the other end of the pipe `stop` is closed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread handles signals
    poll = PollSet()

    def waits() -> bool:
        return busy() or not terminal.attentive or terminal.asked_by_another

    while True:
        ready = poll.wait({stop: select.POLLIN, terminal.fileno(): 0 if waits() else select.POLLIN}, BUSY_INTERVAL)
        if stop in ready:
            return
        if not ready or waits():
            continue
        data = terminal.read(_READ_SIZE)
        if data is not None and (terminal.gone or not take(data)):
            return
