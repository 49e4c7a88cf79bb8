"""Finds the configuration of a session in the places where it may be.

A job of Manta gets the configuration as an asset: a file that is a copy of an object in Manta's store.
"""

from __future__ import annotations

import glob
import os
from typing import Any, Mapping, Optional

from agent.config.configuration import Config, ConfigError, NotConfigured, checked, checked_url, load, read
from agent.config.manta_asset import ASSETS
from agent.config.shared_options import headers_of, switch
from medusa.protocol.record import replace
from medusa.transports.dial.headers import NO_HEADERS, Headers

VARIABLE = "MEDUSA_AGENT_CONFIG"
"""The variable that names the agent's configuration file."""

OLD_VARIABLE = "MEDUSA_CONFIG"
"""The variable that named the agent's configuration file in earlier versions.

Now it names the user's config file, which is not for the agent. But if the file is the configuration of an agent, the
agent still uses it.
"""

ASSET_PATTERN = "*/stor/medusa-config-*.json"


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


def configured(environ: Mapping[str, str]) -> bool:
    """True if an environment variable says where to dial."""
    return bool(
        environ.get("MEDUSA_SIGNED_URL") or environ.get(VARIABLE) or _is_ours(_old_record(environ.get(OLD_VARIABLE)))
    )


def _from_old_variable(environ: Mapping[str, str]) -> Optional[Config]:
    """Returns the configuration in the file that MEDUSA_CONFIG names. None if that file is not for an agent."""
    path = environ.get(OLD_VARIABLE)
    record = _old_record(path)
    if path is None or not _is_ours(record):
        return None
    advice = "%s names the user's config file; name the agent's by %s" % (OLD_VARIABLE, VARIABLE)
    return replace(checked(path, record), advice=advice)


def _old_record(path: Optional[str]) -> Any:
    """Parses the JSON file at `path`. Returns None if there is no such file, or if it is not JSON."""
    try:
        return read(path) if path else None
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
