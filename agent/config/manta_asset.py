"""A file that is a copy of an object in Manta's store: finds the object, and deletes it."""

from __future__ import annotations

import os
from typing import Callable, Mapping, Optional
from urllib.parse import quote, urlsplit

from agent.config.configuration import ConfigError

ASSETS = "/assets"
"""The directory into which Manta puts a job's assets: copies of objects in its store."""

DELETE_TIMEOUT = 5.0
"""Seconds for each step of the request to the object store: to connect, to send, to receive."""


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
    import http.client  # takes long to import

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
