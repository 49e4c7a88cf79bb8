"""Parses the URLs of Redis stores: of one server, of a master that Sentinels name, or of a Cluster.

    redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]
    redis+unix://[USER[:PASSWORD]@]/PATH
    redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DB]
    redis+cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]

`rediss` in place of `redis` means TLS. The query (?NAME=VALUE&...) may set the names in OPTIONS. If there is a
password but no user, write ":PASSWORD@".
"""

from __future__ import annotations

import re
import urllib.parse

from medusa.directory.base import DirectoryError
from medusa.protocol.record import field, record

PORTS = {"": 6379, "unix": 0, "sentinel": 26379, "cluster": 6379}
OPTIONS = ("prefix", "sentinel_password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

_URL = re.compile(r"(redis|rediss)(?:\+([a-z]+))?://(?:([^@/]*)@)?([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?\Z")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::([0-9]{1,5}))?\Z")


@record
class RedisUrl:
    """The parts of the URL of a Redis store.

    Attributes:
        kind: "" for one server, "unix", "sentinel" or "cluster".
        secure: True if the connection uses TLS.
        hosts: the host and port of each server.
        path: the URL's path, percent-decoded: the path of the unix socket, or the service and database.
        where: the URL without user, password and query, for logs and errors.
    """

    kind: str
    secure: bool
    user: str | None
    password: str | None = field(repr=False)
    hosts: tuple[tuple[str, int], ...]
    path: str
    options: dict[str, str] = field(repr=False)
    where: str

    @property
    def database(self) -> int:
        """The number of the Redis database, 0 if the URL has none."""
        last = self.path.rpartition("/")[2]
        return int(last) if last.isdecimal() and self.kind != "unix" else 0

    @property
    def service(self) -> str:
        """The name under which the Sentinels know the master server."""
        return self.path.strip("/").partition("/")[0]


def parse(url: str) -> RedisUrl:
    """Parses the URL of a Redis store.

    Raises:
        DirectoryError: `url` is malformed. The error's text quotes no part of the URL, because any part of a
            malformed URL may be a password.
    """
    match = _URL.match(url)
    if match is None or (match[2] or "") not in PORTS:
        raise DirectoryError("the URL is not of the form redis[s][+sentinel|+cluster|+unix]://[USER:PASSWORD@]HOST...")
    scheme, kind, login, netloc, path, query = (part or "" for part in match.groups())
    user, colon, password = login.partition(":")
    unquote = urllib.parse.unquote
    found = RedisUrl(
        kind,
        scheme == "rediss",
        unquote(user) or None,
        unquote(password) if colon else None,
        tuple(_host(host, PORTS[kind]) for host in netloc.split(",") if netloc),
        unquote(path),
        _options(query),
        "%s://%s%s" % (scheme + ("+" + kind if kind else ""), netloc, path),
    )
    _check(found)
    return found


def _check(url: RedisUrl) -> None:
    forms = {"": r"(/[0-9]*)?\Z", "unix": r"/.", "sentinel": r"/[^/]+(/[0-9]*)?\Z", "cluster": r"/?\Z"}
    wants = {
        "": "a database's number, or nothing, stands behind one host",
        "unix": "the path of a socket, and no host",
        "sentinel": "the name of a service, and perhaps a database's number, stand behind the hosts",
        "cluster": "nothing stands behind the hosts",
    }
    counts = {"": url.hosts[1:] == () and bool(url.hosts), "unix": not url.hosts and not url.secure}
    if not re.match(forms[url.kind], url.path) or not counts.get(url.kind, bool(url.hosts)):
        raise DirectoryError("the URL is not complete, or too long: %s" % wants[url.kind])


def _host(text: str, port: int) -> tuple[str, int]:
    match = _HOST.match(text)
    if match is None or int(match[2] or 0) > 65535:
        raise DirectoryError("the URL has a part that is not HOST or HOST:PORT; a password ends with @")
    return match[1].strip("[]"), int(match[2] or port)


def _options(query: str) -> dict[str, str]:
    try:
        found = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise DirectoryError("the URL's query is not of the form NAME=VALUE&...") from None
    options = dict(found)
    if len(options) < len(found) or not options.keys() <= set(OPTIONS):
        raise DirectoryError("the URL's query may have, each once: " + ", ".join(OPTIONS))
    return options
