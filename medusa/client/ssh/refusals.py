"""Tells the user's ssh client, in the codes of SSH, why the agent has refused something."""

from __future__ import annotations

import asyncssh

from medusa.client.aio.errors import ChannelError

_CODES = {
    "forbidden": asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    "not-permitted": asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    "limit": asyncssh.OPEN_RESOURCE_SHORTAGE,
    "unsupported": asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE,
    "unknown-kind": asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE,
}
"""Code of the agent's REFUSED -> code of SSH. All others mean that the connection has failed."""

NO_STATUS = 255
"""The exit status that stands for none: the command was not started, or nobody knows how it ended. ssh(1) uses the same
number for its own errors."""

_STATUSES = {"not-found": 127, "not-executable": 126}
"""Code of the agent's REFUSED -> exit status of the command, as in shells."""


def open_error(error: ChannelError) -> asyncssh.ChannelOpenError:
    """Returns what asyncssh is to answer to the client that wants to open a channel."""
    return asyncssh.ChannelOpenError(_CODES.get(error.code, asyncssh.OPEN_CONNECT_FAILED), str(error))


def exit_status(error: ChannelError) -> int:
    """Returns the exit status to tell for a command that was not started, or whose channel has ended too early."""
    return _STATUSES.get(error.code, NO_STATUS)
