"""The configuration of a session: reads it from a file, and checks it."""

from __future__ import annotations

import json
from typing import Any, Optional, Tuple
from urllib.parse import urlsplit

from medusa.protocol.record import field, record
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers, from_variable

SCHEMES = ("http", "https", "ws", "wss", "tcp")
MAX_BYTES = 64 * 1024
"""The maximum size of a configuration file. A signed URL has a few hundred bytes."""


class ConfigError(Exception):
    """Raised if there is no configuration, or if it is wrong.

    The text names the source, the key and the reason. It never quotes the value, because that is a secret.
    """


class NotConfigured(ConfigError):
    """Raised if none of the places where the agent looks has a configuration.

    Attributes:
        more: the last part of the exception's text, which says why MEDUSA_CONFIG was not used. It may be empty. A
            caller that shows a text of its own to the user appends this part.
    """

    def __init__(self, text: str, more: str) -> None:
        super().__init__(text)
        self.more = more


@record
class Config:
    """The configuration of a session: where to dial.

    Attributes:
        signed_url: the URL to dial. Its query is a credential, so repr() omits the URL.
        insecure_tls: True if the server's certificate is not to be verified.
        path: the path of the file from which the configuration was read; None if it was not in a file.
        advice: a line for the log, if the configuration should be given in another way.
        headers: the header fields to send in addition, for a proxy that asks for them.
        guest: True if the agent is a guest in somebody else's job. It then does not end processes that made themselves
            daemons.
    """

    signed_url: str = field(repr=False)
    insecure_tls: bool = False
    path: Optional[str] = None
    advice: Optional[str] = None
    headers: Headers = NO_HEADERS
    guest: bool = False


def load(path: str) -> Config:
    """Reads and checks a configuration file. Returns the configuration. Raises ConfigError.

    Unknown keys are ignored, because a later client may write more keys.
    """
    return checked(path, read(path))


def read(path: str) -> Any:
    """Reads a configuration file and parses its JSON. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError("%s: %s" % (path, getattr(error, "strerror", None) or error)) from None
    if len(data) > MAX_BYTES:
        raise ConfigError("%s: more than %d bytes" % (path, MAX_BYTES))
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # The decoder's text may quote the file, which holds a secret.
        where = " (line %d, column %d)" % (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError("%s: not JSON in UTF-8%s" % (path, where)) from None


def checked(path: str, record: Any) -> Config:
    """Returns the configuration in `record`, the parsed file at `path`. Raises ConfigError if it is wrong."""
    if not isinstance(record, dict):
        raise ConfigError("%s: not a JSON object" % path)
    url = checked_url(path + ": signed_url", record.get("signed_url"))
    headers = record.get("headers", [])
    given = header_list(path + ": headers", json.dumps(headers) if isinstance(headers, list) else "[0]")
    insecure, guest = (_flag(path, name, record.get(name, False)) for name in ("insecure_tls", "guest"))
    return Config(url, insecure, path, headers=Headers(given), guest=guest)


def checked_url(source: str, value: Any) -> str:
    """Returns `value` if it is a URL that the agent can dial.

    Raises:
        ConfigError: `value` is not such a URL. The text begins with `source`, which says where `value` was found.
    """
    if value is None:
        raise ConfigError("%s: missing" % source)
    if not isinstance(value, str):
        raise ConfigError("%s: not a string" % source)
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (raises ValueError if the port is wrong)
    except ValueError:
        raise ConfigError("%s: not a URL" % source) from None
    if parts.scheme not in SCHEMES:
        raise ConfigError("%s: scheme is none of %s" % (source, ", ".join(SCHEMES)))
    if not parts.hostname:
        raise ConfigError("%s: names no host" % source)
    if any(not "!" <= character <= "~" for character in value):
        raise ConfigError("%s: holds a space, control or non-ASCII character" % source)
    return value


def _flag(path: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError("%s: %s: neither true nor false" % (path, name))
    return value


def header_list(source: str, text: Optional[str]) -> Tuple[str, ...]:
    try:
        return from_variable(text) if text else ()
    except HeaderError as error:
        raise ConfigError("%s: %s" % (source, error)) from None
