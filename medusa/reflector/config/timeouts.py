"""The times of a reflector that have no command line option."""

from __future__ import annotations

from medusa.directory.base import CONNECTIONS, TIMEOUT, TTL
from medusa.protocol.record import record


@record
class Timeouts:
    """The times of the reflector that have no command line option. Tests pass shorter times.

    All times are in seconds. A TIMEOUT is the time after which to give up. An INTERVAL is the time between two
    repetitions. A GRACE is the time between asking a process to end and killing it.

    Attributes:
        head_timeout: how long a request head, or a greeting, may take to arrive completely.
        answer_timeout: how long a peer may accept no byte of the answer to its request.
        linger_timeout: how long to go on reading after an answer. Without this time, a peer that is still sending could
            get a reset before it has read the answer.
        refusal_delay: the time from the arrival of a signed request to its refusal. It is the same for every reason,
            so a peer cannot learn the reason from the time.
        refusal_log_rate: a count, not a time: the maximum number of log lines in a minute about refusals of one kind to
            one source.
        refusal_log_rate_in_all: a count, not a time: the maximum number of log lines in a minute about all refusals.
        held_timeout: how long an agent without a client stays in the list of sessions after its last request. Such an
            agent is told to ask again. This time is longer than the time between two of its requests.
        wait_interval: the time between two `wait` messages to a client without an agent. The original Medusa's clients
            show each of them.
        call_interval: the time between two messages that ask an agent to dial for a client that has joined a session.
            The message is repeated until the agent has dialled.
        call_timeout: how long a client that has joined a session waits until the agent has dialled.
        home_timeout: how long an agent may be silent after it was asked, over its control connection, to dial for a
            client. After this time the connection counts as lost.
        close_timeout: how long a peer may take to answer a Close frame, or to hang up, before its connection is
            dropped.
        unread_timeout: how long a client may take to read its last bytes after its session is over, if a proxy of this
            process still holds these bytes.
        claim_ttl: how long a claim on a session is valid after it was made, and a lease after it was renewed.
        leased_claim_ttl: how long a claim that depends on a lease is valid after it was renewed, if the lease lasts. A
            claim of a reflector that was killed stays in the directory for so long, although its name is free.
        claim_move_age: how old a claim must be before another reflector may replace it because the owner cannot be
            connected to. So two reflectors that cannot reach each other do not take a session from each other again and
            again. A younger claim may be replaced only if the owner has certainly ended.
        reservation_ttl: how long a signature stays reserved if its request neither uses it nor gives it back.
        recall_timeout: how long no signature is accepted after a shared directory has lost all its entries. In this
            time each reflector tells the directory again which signatures were used. Each reflector checks every
            `claim_retry_interval` whether the directory has lost its entries.
        claim_retry_interval: the time between two attempts to reach a directory that does not answer.
        claim_release_timeout: how long a reflector that stops waits until the names of its last sessions are released.
        directory_timeout: how long a shared directory may take to accept a connection, and again to answer a request.
        directory_connections: a count, not a time: the maximum number of connections to a shared directory.
        connect_timeout: how long to try to connect to another reflector, including the TLS handshake.
        forward_answer_timeout: how long the reflector that owns a session may take to answer a forwarded peer. It may
            have to ask a slow directory first.
        query_timeout: how long it may take to connect to another reflector, send a question and receive the answer.
        handoff_timeout: how long to wait until another worker's full inbox has room. This is longer than the restart of
            a worker.
        handoff_answer_timeout: how long another worker may take to answer after it was sent a connection with TLS. This
            is long enough to notice and replace a worker that hangs, so that its successor can answer.
        status_timeout: how long another worker may take to answer a question, such as which sessions live in it.
        ready_interval: the time between two checks, for /readyz, that the directory and the other workers answer.
        worker_start_timeout: how long a worker may take from its start until it serves.
        worker_report_interval: the time between two reports by which a worker tells the supervisor that the worker's
            event loop runs.
        worker_silence_timeout: how long a worker may be without a report before it is killed and replaced.
        worker_grace: how long drained workers may take to end.
        worker_finish_timeout: how long a drained worker may take to pass on the last bytes of the connections that
            belong to sessions of other workers.
        publish_retry_interval: the time between a failure to publish the archive and the next attempt.
        publish_grace: how long the process that publishes the archive may take to end.
        drain_log_interval: the time between two log lines while the reflector drains.
        lag_interval: the time between two measurements of how late the event loop is.
    """

    head_timeout: float = 10.0
    answer_timeout: float = 10.0
    linger_timeout: float = 2.0
    refusal_delay: float = 0.2
    refusal_log_rate: int = 60
    refusal_log_rate_in_all: int = 600
    held_timeout: float = 30.0
    wait_interval: float = 2.0
    call_interval: float = 10.0
    call_timeout: float = 20.0
    home_timeout: float = 6.0
    close_timeout: float = 5.0
    unread_timeout: float = 3600.0
    claim_ttl: float = TTL
    leased_claim_ttl: float = 6 * 3600.0
    claim_move_age: float = 20.0
    reservation_ttl: float = 15.0
    recall_timeout: float = 6.0
    claim_retry_interval: float = 2.0
    claim_release_timeout: float = 3.0
    directory_timeout: float = TIMEOUT
    directory_connections: int = CONNECTIONS
    connect_timeout: float = 3.0
    forward_answer_timeout: float = 10.0
    query_timeout: float = 5.0
    handoff_timeout: float = 5.0
    handoff_answer_timeout: float = 20.0
    status_timeout: float = 1.0
    ready_interval: float = 1.0
    worker_start_timeout: float = 60.0
    worker_report_interval: float = 1.0
    worker_silence_timeout: float = 10.0
    worker_grace: float = 15.0
    worker_finish_timeout: float = 2.0
    publish_retry_interval: float = 5.0
    publish_grace: float = 1.0
    drain_log_interval: float = 5.0
    lag_interval: float = 1.0
