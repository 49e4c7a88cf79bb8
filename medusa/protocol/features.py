"""Names the features that a peer may announce when it attaches, and the header fields that belong to them.

A feature is something that the peer understands beyond part 1 of docs/protocol.md.
"""

from __future__ import annotations

HEADER = "Medusa-Features"
"""The header field of an attach request that lists the features, separated by commas.

On raw TCP, the word `features=` in the greeting lists them instead.
"""

NOTICE = "notice"
"""The feature of a client that shows the reflector's notices at any time, also while it waits for its agent."""

CALL = "call"
"""The feature of an agent that dials once more for each client that joins its session. See control.Call."""

JOIN = "Medusa-Join"
"""The header field, with the value 1, of a client that joins a session of other clients. On raw TCP: word `join=1`."""

LEG = "Medusa-Leg"
"""The header field of an agent that connects because of a Call message. Its value is the `leg` of this message.

On raw TCP: the word `leg=`.
"""

HOLD = "hold"
"""The feature of a peer that comes back after the loss of its link, with the ticket that the reflector has given it."""

KEPT = "Medusa-Hold"
"""The header field in which an agent says for how many seconds its session lives on after the loss of its link.

A reflector that gives the agent a ticket answers with the same field: the seconds that it grants. On raw TCP: the word
`hold=`.
"""

TICKET = "Medusa-Ticket"
"""The header field with a ticket: in a reflector's answer that gives one, and in the request of a peer that returns.

On raw TCP: the word `ticket=`, which follows `OK` in the answer.
"""

INCARNATION = "Medusa-Incarnation"
"""The header field in which an agent names its process, so that it is known when it comes back.

The value has 32 hexadecimal digits, the same as in control.StreamAnswer. On raw TCP: the word `incarnation=`.
"""

FORBID = "Medusa-Forbid"
"""The header field in which a reflector tells an agent what the site forbids it for the session's login: FORWARDING.

On raw TCP: the word `forbid=`, which follows `OK` in the answer.
"""

FORWARDING = "forwarding"
"""The value of FORBID that forbids the agent to forward connections."""

ABOUT = "Medusa-About"
"""The header field by which a peer describes itself for lists of sessions. On raw TCP: the word `about=`.

The value is written as in the query of a URL (`name=train&host=gpu01`). A client sends `name`, the name that the user
has given the session. An agent sends `host`, the name of its machine, and, if it knows them, `job`, such as
`slurm 4711`, and `until`, the time at which its job ends, in seconds since 1970.
"""
