"""Finds the session's configuration, checks it, and deletes it from the object store.

A job of Manta gets the configuration as an asset: a file that is a copy of an object in Manta's store.
"""

from __future__ import annotations

import glob
import http.client
import json
import os
from argparse import ArgumentTypeError
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, urlsplit

from medusa.option_types import seconds
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers, from_variable, header_option

VARIABLE = "MEDUSA_AGENT_CONFIG"
"""The variable that names the agent's configuration file."""

OLD_VARIABLE = "MEDUSA_CONFIG"
"""The variable that named the agent's configuration file in earlier versions.

Now it names the user's config file, which is not for the agent. But if the file is the configuration of an agent, the
agent still uses it.
"""

ASSETS = "/assets"
ASSET_PATTERN = "*/stor/medusa-config-*.json"
SCHEMES = ("http", "https", "ws", "wss", "tcp")
MAX_BYTES = 64 * 1024
"""The maximum size of a configuration file. A signed URL has a few hundred bytes."""
DELETE_TIMEOUT = 5.0
"""Seconds for each step of the request to the object store: to connect, to send, to receive."""
SWITCH = {"": False, "0": False, "false": False, "1": True, "true": True}


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


@dataclass(frozen=True)
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


def obtain(
    argument: Optional[str],
    option: Optional[str],
    insecure: bool,
    environ: Mapping[str, str],
    assets: str = ASSETS,
    headers: Headers = NO_HEADERS,
) -> Config:
    """Returns the configuration from the first source that has one.

    The sources are, in this order: the URL argument, `--config`, MEDUSA_SIGNED_URL, MEDUSA_AGENT_CONFIG, MEDUSA_CONFIG
    (only if it names the configuration of an agent), the newest configuration file in `assets`.

    Args:
        argument: the URL argument.
        option: the path that `--config` gives.
        insecure: True if `--insecure-tls` is given. MEDUSA_INSECURE_TLS and the configuration file can ask for the
            same.
        environ: the agent's environment.
        assets: the directory of the job's assets.
        headers: the header fields that options name. If there are none, the fields come from MEDUSA_HEADER and
            MEDUSA_HEADER_COMMAND. If these are not set either, the fields come from the configuration file.

    Raises:
        ConfigError: there is no configuration, or it is wrong.
    """
    insecure, guest = switch("MEDUSA_INSECURE_TLS", environ) or insecure, switch("MEDUSA_GUEST", environ)
    headers = headers or headers_of([], None, environ)
    if argument is not None:
        return Config(checked_url("the URL argument", argument), insecure, headers=headers, guest=guest)
    variable = environ.get("MEDUSA_SIGNED_URL")
    if variable and not option:
        return Config(checked_url("MEDUSA_SIGNED_URL", variable), insecure, headers=headers, guest=guest)
    path = option or environ.get(VARIABLE)
    found = load(path) if path else _from_old_variable(environ) or load(_asset(environ, assets))
    guest = found.guest or guest
    return replace(found, insecure_tls=found.insecure_tls or insecure, headers=headers or found.headers, guest=guest)


def headers_of(given: Sequence[str], command: Optional[str], environ: Mapping[str, str]) -> Headers:
    """Returns the header fields that options name. If there are none, returns those that environment variables name.

    Args:
        given: the values of `--header`.
        command: the value of `--header-command`.

    Raises:
        ConfigError: MEDUSA_HEADER is wrong.
    """
    if given or command:
        return Headers(tuple(given), command)
    return Headers(_header_list("MEDUSA_HEADER", environ.get("MEDUSA_HEADER")), environ.get("MEDUSA_HEADER_COMMAND"))


def add_header_options(add: Callable[..., object]) -> None:
    """Adds the options for header fields to a parser. `add` is the parser's method `add_argument`."""
    text = "'NAME: VALUE', to be sent to the reflector, for a proxy in front of it; @FILE: those in FILE, one a line; "
    text += "may be repeated"
    add("--header", metavar="HEADER", action="append", default=[], type=header_option, help=text)
    add("--header-command", metavar="COMMAND", help="sh runs it, and it prints such headers, one a line")


def no_forwarding(given: bool, environ: Mapping[str, str]) -> str:
    """Returns why the agent forwards no connections, as words for the user; "" if it does.

    Args:
        given: True if the option `--no-forwarding` is given. The variable MEDUSA_NO_FORWARDING can ask for the same.

    Raises:
        ConfigError: the variable is wrong.
    """
    return "the job's agent runs with --no-forwarding" if switch("MEDUSA_NO_FORWARDING", environ) or given else ""


def _header_list(source: str, text: Optional[str]) -> Tuple[str, ...]:
    try:
        return from_variable(text) if text else ()
    except HeaderError as error:
        raise ConfigError("%s: %s" % (source, error)) from None


def configured(environ: Mapping[str, str]) -> bool:
    """True if an environment variable says where to dial."""
    return bool(
        environ.get("MEDUSA_SIGNED_URL") or environ.get(VARIABLE) or _is_ours(_old_record(environ.get(OLD_VARIABLE)))
    )


def load(path: str) -> Config:
    """Reads and checks a configuration file. Returns the configuration. Raises ConfigError.

    Unknown keys are ignored, because a later client may write more keys.
    """
    return _checked(path, _read(path))


def _from_old_variable(environ: Mapping[str, str]) -> Optional[Config]:
    """Returns the configuration in the file that MEDUSA_CONFIG names. None if that file is not for an agent."""
    path = environ.get(OLD_VARIABLE)
    record = _old_record(path)
    if path is None or not _is_ours(record):
        return None
    advice = "%s names the user's config file; name the agent's by %s" % (OLD_VARIABLE, VARIABLE)
    return replace(_checked(path, record), advice=advice)


def _old_record(path: Optional[str]) -> Any:
    """Parses the JSON file at `path`. Returns None if there is no such file, or if it is not JSON."""
    try:
        return _read(path) if path else None
    except ConfigError:
        return None


def _is_ours(record: Any) -> bool:
    return isinstance(record, dict) and "signed_url" in record


def _asset(environ: Mapping[str, str], assets: str) -> str:
    """Returns the path of the newest configuration file in `assets`. Raises ConfigError if there is none."""
    found = glob.glob(os.path.join(glob.escape(assets), ASSET_PATTERN))
    if not found:
        where = os.path.join(assets, ASSET_PATTERN)
        old = "; %s names no configuration of an agent" % OLD_VARIABLE if environ.get(OLD_VARIABLE) else ""
        ways = "a URL, --config, MEDUSA_SIGNED_URL, %s, or %s" % (VARIABLE, where)
        raise NotConfigured("no configuration: %s%s" % (ways, old), old)
    return max(found, key=lambda path: (os.lstat(path).st_mtime, path))


def _read(path: str) -> Any:
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


def _checked(path: str, record: Any) -> Config:
    """Returns the configuration in `record`, the parsed file at `path`. Raises ConfigError if it is wrong."""
    if not isinstance(record, dict):
        raise ConfigError("%s: not a JSON object" % path)
    url = checked_url(path + ": signed_url", record.get("signed_url"))
    headers = record.get("headers", [])
    given = _header_list(path + ": headers", json.dumps(headers) if isinstance(headers, list) else "[0]")
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


def add_output_wait(add: Callable[..., object], default: float) -> None:
    """Adds the option `--output-wait` to a parser, by the parser's method `add_argument`."""
    text = "seconds for which a program on a terminal waits if the link of the client that typed last is lost (%g)"
    add("--output-wait", metavar="S", type=seconds, help=text % default)


def output_wait(given: Optional[float], environ: Mapping[str, str], default: float) -> float:
    """Returns the seconds for which output waits for a client whose link is lost.

    Args:
        given: the value of `--output-wait`; None if it is not given. Then MEDUSA_OUTPUT_WAIT counts, if it is set.

    Raises:
        ConfigError: MEDUSA_OUTPUT_WAIT is wrong.
    """
    if given is not None:
        return given
    try:
        return seconds(environ.get("MEDUSA_OUTPUT_WAIT") or str(default))
    except ArgumentTypeError as error:
        raise ConfigError("MEDUSA_OUTPUT_WAIT: %s" % error) from None


def switch(name: str, environ: Mapping[str, str]) -> bool:
    """Returns the value of the environment variable `name` as True or False; False if it is not set.

    Raises:
        ConfigError: the value is none of true, false, 1 and 0.
    """
    value = environ.get(name, "").lower()
    if value not in SWITCH:
        raise ConfigError("%s: none of %s" % (name, ", ".join(filter(None, SWITCH))))
    return SWITCH[value]


def asset_object(path: str, assets: str = ASSETS) -> Optional[str]:
    """Returns the name, `/<login>/stor/...`, of the object in Manta's store that the file at `path` is a copy of.

    Returns None if the file is not a copy of an object. Manta puts such copies into the directory `assets` only.
    """
    relative = os.path.relpath(path, assets)
    if relative.startswith(os.pardir) or os.path.isabs(relative) or "/stor/" not in relative:
        return None
    return "/" + relative


def delete_object(manta_url: Optional[str], name: str) -> None:
    """Deletes an object from the store at `manta_url`, which a job can use without authentication.

    Raises:
        ConfigError: the object could not be deleted. The session is possible all the same.
    """
    try:
        parts = urlsplit(manta_url or "")
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError("MANTA_URL is %s" % ("no http URL" if manta_url else "not set"))
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=DELETE_TIMEOUT)
        try:
            connection.request("DELETE", quote(os.fsencode(name)), headers={"Connection": "close"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ConfigError(str(error) or type(error).__name__) from None
    if not 200 <= status < 300 and status != 404:
        raise ConfigError("the store answered %d" % status)


def delete_asset(path: Optional[str], environ: Mapping[str, str], log: Callable[[str], None], assets: str) -> None:
    """Deletes the object in Manta's store that the configuration file at `path` is a copy of.

    Does nothing if `path` is None, or if the file is not a copy of an object. If the object cannot be deleted, logs
    that and does not raise.

    Args:
        environ: the agent's environment. It has the URL of the Manta.
        assets: the directory into which Manta puts copies of objects.
    """
    name = asset_object(path, assets) if path else None
    if name is None:
        return
    try:
        delete_object(environ.get("MANTA_URL"), name)
    except ConfigError as error:
        log("%s not deleted: %s" % (name, error))
