"""Runs one pair of a session: a client, and the agent that it waits for and is then linked to.

deadlines     decides what is due, and when to check again
driver        carries out what the state machine asks for
link_checks   decides which peers need a ping, do not finish a message, or are lost
messages      sends the messages of the reflector itself: to wait, the link-up, notices
plain_client  answers an agent in place of a client that uses raw TCP without frames
runner        processes events one after another, and checks the deadlines
sides         the connections of the client and of the agent
time_limits   limits how long a linked session may be idle, may last, and may go on while the reflector stops
usage         logs when a session or a pair starts, and a record when it has ended
"""

from __future__ import annotations
