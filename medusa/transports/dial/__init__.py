"""Opens a connected socket to the host of a URL, by way of a proxy if the environment names one.

errors    the error of a link that could not be opened
target    the parts of a URL that are needed to connect
lookup    the addresses of a host, in a time that is bounded
race      decides when to try which address, by RFC 8305 (Happy Eyeballs); no I/O
tcp       connects to a host: the first of its addresses that answers
proxy     the proxy that the environment variables name for a URL
answer    reads the answer to a request: the head of an HTTP response, or a line of raw TCP
headers   the header fields that a user adds to requests, from the command line, a file or a command
opening   does all of this in order: TCP, proxy and TLS

All of it runs in steps (see medusa/transports/steps.py): a loop can serve others meanwhile.
"""

from __future__ import annotations

from medusa.transports.dial.answer import read_answer, read_response, remaining
from medusa.transports.dial.errors import RETRYABLE, ConnectRefused, NoTls, Untrusted
from medusa.transports.dial.opening import CONNECT_TIMEOUT, NO_TLS, open_socket, open_steps
from medusa.transports.dial.target import SECURE, Target, is_raw, parse_url

__all__ = [
    "CONNECT_TIMEOUT",
    "NO_TLS",
    "RETRYABLE",
    "SECURE",
    "ConnectRefused",
    "NoTls",
    "Target",
    "Untrusted",
    "is_raw",
    "open_socket",
    "open_steps",
    "parse_url",
    "read_answer",
    "read_response",
    "remaining",
]
