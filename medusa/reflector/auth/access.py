"""Decides whether a peer may use a resource. The decision is in one table. No I/O.

Each row is for one resource. A resource with an option of its own has a second row, for a reflector with that option.
To find the column: take the first one if --front-door-only is given, else the second one if --trusted-network is given.
If neither is given, take the column for the place of the peer (the last three). Each cell is an Outcome: "allowed", or
the reason of a refusal. "nothing" means the answer 404, as if there were no such path:

| resource                     | --front-door-only | --trusted-network | this host | other name | elsewhere |
|------------------------------|-------------------|-------------------|-----------|------------|-----------|
| ATTACH: /attach/...          | nothing           | allowed           | allowed   | allowed    | not local |
| RAW_ATTACH: greeting         | nothing           | allowed           | allowed   | allowed    | not local |
| RAW_ATTACH, --accounts       | nothing           | allowed           | unsigned  | unsigned   | unsigned  |
| METRICS: /metrics            | nothing           | allowed           | allowed   | other host | not local |
| SESSIONS: /status, /sessions | nothing           | allowed           | allowed   | other host | not local |
| SESSIONS, --no-status        | nothing           | nothing           | nothing   | other host | not local |
| ENDING: DELETE /sessions/ID  | nothing           | allowed           | allowed   | other host | not local |

"This host": the peer has a loopback address, and no proxy has forwarded the request. "Other name": the same, but the
Host header has a name other than localhost. METRICS, SESSIONS and ENDING refuse a request with such a name. If they
did not, the owner of a web site could make the site's name an alias of this host. Then a page of the site, in a browser
on this host, could read the answer.

ENDING is for sessions of no account. A peer that knows the id of such a session can attach to it, so it may also end
it. Therefore --no-status, which hides the ids, does not forbid ENDING.

A raw greeting has no header by which a proxy on this host could be recognised. So with --accounts, a loopback address
does not prove that the peer is on this host.

Three rules come before the table, in this order:

- METRICS is allowed for the addresses that --metrics-from names; see `is_monitor`.
- METRICS, SESSIONS, ENDING: if --accounts is given and the request has an Authorization header, its signature decides.
  It must be the signature of an account that --admins names.
- SIGNED_ATTACH (/LOGIN/medusa/attach/...): if --accounts is given, the signature decides. It must be the signature of
  the account LOGIN, or of one of its users. Without --accounts, the request is refused.

Every peer may use everything else (/healthz, /readyz, /agent.sh).
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import urllib.parse

from medusa.protocol.attach_path import NO_ACCOUNTS
from medusa.reflector.auth.denials import denied
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import is_forwarded, is_loopback, within
from medusa.reflector.net.listen import HTTP
from medusa.reflector.refusal import NOTHING_HERE, Refusal


class Resource(enum.IntEnum):
    """A resource that not every peer may use. The table at the top of this module has its path."""

    ATTACH = enum.auto()
    RAW_ATTACH = enum.auto()
    SIGNED_ATTACH = enum.auto()
    METRICS = enum.auto()
    SESSIONS = enum.auto()
    ENDING = enum.auto()


class Place(enum.IntEnum):
    """Where a peer is, as seen from the host of this reflector. The value is the index of a column in `_TABLE`."""

    THIS_HOST = 2
    OTHER_NAME = 3  # this host, but the Host header has a name other than localhost
    ELSEWHERE = 4


class Outcome(enum.Enum):
    """The result of `decide`: the peer may use the resource, or its signature decides, or the reason for a refusal."""

    ALLOWED = enum.auto()
    BY_SIGNATURE = enum.auto()  # the request's signature decides
    NOTHING = enum.auto()  # 404, as if there were no such path
    NO_ACCOUNTS = enum.auto()
    NOT_LOCAL = enum.auto()
    OTHER_HOST = enum.auto()
    UNSIGNED = enum.auto()


_ALLOWED, _NOTHING, _NOT_LOCAL = Outcome.ALLOWED, Outcome.NOTHING, Outcome.NOT_LOCAL
_OTHER_HOST, _UNSIGNED = Outcome.OTHER_HOST, Outcome.UNSIGNED

FRONT_DOOR_ONLY, TRUSTED_NETWORK = 0, 1
"""The indexes of two columns in `_TABLE`: the one for --front-door-only, and the one for --trusted-network."""

_TABLE: dict[tuple[Resource, bool], tuple[Outcome, Outcome, Outcome, Outcome, Outcome]] = {
    # (resource, True if its own option is given): front door only, trusted network, this host, other name, elsewhere
    (Resource.ATTACH, False): (_NOTHING, _ALLOWED, _ALLOWED, _ALLOWED, _NOT_LOCAL),
    (Resource.RAW_ATTACH, False): (_NOTHING, _ALLOWED, _ALLOWED, _ALLOWED, _NOT_LOCAL),
    (Resource.RAW_ATTACH, True): (_NOTHING, _ALLOWED, _UNSIGNED, _UNSIGNED, _UNSIGNED),
    (Resource.METRICS, False): (_NOTHING, _ALLOWED, _ALLOWED, _OTHER_HOST, _NOT_LOCAL),
    (Resource.SESSIONS, False): (_NOTHING, _ALLOWED, _ALLOWED, _OTHER_HOST, _NOT_LOCAL),
    (Resource.SESSIONS, True): (_NOTHING, _NOTHING, _NOTHING, _OTHER_HOST, _NOT_LOCAL),
    (Resource.ENDING, False): (_NOTHING, _ALLOWED, _ALLOWED, _OTHER_HOST, _NOT_LOCAL),
}


def decide(
    resource: Resource, place: Place, config: ReflectorConfig, *, signed: bool = False, monitor: bool = False
) -> Outcome:
    """Returns whether a peer at `place` may use `resource`, as an Outcome.

    Args:
        signed: True if the request has an Authorization header.
        monitor: True if the request comes from an address of --metrics-from.
    """
    if resource is Resource.METRICS and monitor:
        return Outcome.ALLOWED
    has_accounts = config.accounts is not None
    if resource is Resource.SIGNED_ATTACH:
        return Outcome.BY_SIGNATURE if has_accounts else Outcome.NO_ACCOUNTS
    if resource in (Resource.METRICS, Resource.SESSIONS, Resource.ENDING) and signed and has_accounts:
        return Outcome.BY_SIGNATURE
    own_option = (resource is Resource.RAW_ATTACH and has_accounts) or (
        resource is Resource.SESSIONS and config.no_status
    )
    row = _TABLE[resource, own_option]
    return row[FRONT_DOOR_ONLY if config.front_door_only else TRUSTED_NETWORK if config.trusted_network else place]


def check(resource: Resource, accepted: Accepted, config: ReflectorConfig) -> bool:
    """Checks whether the peer of a connection may use `resource`. Returns True if it may use it without a signature.

    Returns False if the signature of the request decides. Then the caller must check the signature next.

    Raises:
        Refusal: the peer may not use the resource.
    """
    signed = accepted.request is not None and accepted.request.headers.get("authorization") is not None
    monitor = resource is Resource.METRICS and is_monitor(accepted, config)
    outcome = decide(resource, place_of(accepted), config, signed=signed, monitor=monitor)
    if outcome in (Outcome.ALLOWED, Outcome.BY_SIGNATURE):
        return outcome is Outcome.ALLOWED
    raise _refusal(outcome)


def place_of(accepted: Accepted) -> Place:
    """Returns where the peer of a connection is."""
    request = accepted.request if accepted.kind == HTTP else None
    if accepted.proxied or not is_loopback(accepted.address[0]) or _is_forwarded(accepted):
        return Place.ELSEWHERE
    names_this_host = request is None or is_this_host(request.headers.get("host") or "")
    return Place.THIS_HOST if names_this_host else Place.OTHER_NAME


def is_monitor(accepted: Accepted, config: ReflectorConfig) -> bool:
    """Returns True if the option --metrics-from names the address that a request comes from.

    If a trusted proxy has forwarded the request, this is the address of the client that the proxy names. A proxy's own
    address does not count, because a proxy forwards requests of many peers. Returns False if a proxy that is not
    trusted has forwarded the request.
    """
    if _is_forwarded(accepted) and not within(accepted.address[0], config.trusted_proxy):
        return False
    return within(accepted.host, config.metrics_from) and not within(accepted.host, config.trusted_proxy)


def _is_forwarded(accepted: Accepted) -> bool:
    """Returns True if the header fields of the request say that a proxy has forwarded it.

    Such a request counts as "elsewhere", even from a loopback address.
    """
    request = accepted.request if accepted.kind == HTTP else None
    return request is not None and is_forwarded(request.headers)


@functools.lru_cache(maxsize=64)
def is_this_host(host: str) -> bool:
    """Returns True if the value of a Host header is an IP address or `localhost`, with or without a port.

    Any other name is suspect: the owner of a web site may have made the site's name an alias of this host.
    """
    try:
        name = urllib.parse.urlsplit("//" + host).hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _refusal(outcome: Outcome) -> Refusal:
    if outcome is Outcome.UNSIGNED:
        return denied(401, "a pre-signed URL is needed")
    return Refusal(*_REFUSALS[outcome])


_REFUSALS = {
    Outcome.NOTHING: (404, NOTHING_HERE),
    Outcome.NO_ACCOUNTS: (404, f"{NO_ACCOUNTS}: attach without one, or start it with --accounts"),
    Outcome.NOT_LOCAL: (403, "this is served on loopback only, or with --trusted-network"),
    Outcome.OTHER_HOST: (403, "ask for this by the host's address, or as localhost"),
}
