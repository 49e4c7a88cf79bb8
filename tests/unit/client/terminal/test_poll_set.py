from __future__ import annotations

import os
import select

from medusa.client.terminal.poll_set import PollSet


def test_what_is_wanted_changes_from_call_to_call() -> None:
    poll = PollSet()
    reader, writer = os.pipe()
    both = {reader: select.POLLIN, writer: select.POLLOUT}
    assert set(poll.wait(both)) == {writer}
    os.write(writer, b"x")
    assert set(poll.wait(both, 10)) == {reader, writer}
    assert set(poll.wait({reader: select.POLLIN})) == {reader}
    assert poll.wait({writer: 0, reader: 0}, -1) == {}
    os.close(reader)
    assert set(poll.wait({writer: select.POLLOUT})) == {writer}
    assert poll.wait({writer: 0}, 0) == {}  # it has been hung up
    os.close(writer)


def test_a_dict_that_its_owner_changes_is_seen_anew() -> None:
    poll = PollSet()
    reader, writer = os.pipe()
    wanted = {writer: 0}
    assert poll.wait(wanted, 0) == {}
    wanted[writer] = select.POLLOUT
    assert set(poll.wait(wanted)) == {writer}
    os.close(reader)
    os.close(writer)
