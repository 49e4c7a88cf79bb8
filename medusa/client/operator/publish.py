"""Writes the agent's archive to a place where jobs find it: a Manta, a file, or any store that fsspec supports.

The texts and errors of this module leave out the user, password and query of a URL, because these may be secret.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from medusa.client.archive import write_archive
from medusa.client.launchers.manta.api import MantaClient, normal_path
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.outcome import pip_install
from medusa.protocol.printable import printable
from medusa.transports.tls import client_context

CONTENT_TYPE = "application/x-sh"

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
"""For each URL scheme: the package that fsspec needs for the scheme."""

HTTP_TIMEOUT = 60.0
"""Seconds for one request, if the archive is published to an http or https URL."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)
_MANTA = "manta:"


class PublishError(Exception):
    """The archive was not published.

    Attributes:
        lasting: True if trying again cannot help.
        key_refused: True if the Manta refused the account or its key.
    """

    def __init__(self, text: str, lasting: bool = False, key_refused: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.key_refused = key_refused


def publish(archive: bytes, url: str, manta: Callable[[], MantaClient], http_timeout: float = HTTP_TIMEOUT) -> str:
    """Writes the archive to `url`, then reads it back and compares both.

    Args:
        archive: the content of the archive.
        url: `manta:/LOGIN/...`, the path of a file, or a URL for fsspec.
        manta: a function that returns a client of Manta. It is called only if `url` names a Manta object.
        http_timeout: seconds for one request, if `url` is an http or https URL.

    Returns:
        A line for the user with the archive's size, digest and place.

    Raises:
        PublishError: the archive was not written, or differs when it is read back.
        Failure: `manta` raised it.
    """
    match = _SCHEME.match(url)
    if match is None and (url.startswith("//") or "//" in url.partition("::")[2]):
        raise PublishError("a URL begins with its scheme, and with no other before that; a path with one slash", True)
    if url.startswith(_MANTA):
        found = _into_manta(archive, url[len(_MANTA) :], manta())
    elif match is None or match[1].lower() in ("file", "local"):
        found = _into_file(archive, _file_path(url) if match else url)
    else:
        found = _into_store(archive, url, match[1].lower(), http_timeout)
    if found != archive:
        raise PublishError(f"{shown(url)}: what is read from there is not what was written: {_digest(found)}")
    return f"published {_digest(archive)}, at {shown(url)}"


def uses_manta(url: str) -> bool:
    """Returns True if `url` names a Manta object, so that `publish` needs a client of Manta."""
    return url.startswith(_MANTA)


def check_place(url: str) -> None:
    """Raises PublishError if it is certain that the archive cannot be published to `url`.

    Writes nothing and connects to no server.
    """
    match = _SCHEME.match(url)
    if match is None and not url.startswith(_MANTA):
        folder = posixpath.dirname(url) or "."
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PublishError(
                f"{printable(folder)}: there is no such directory, or it cannot be written", lasting=True
            )
    elif match is not None and match[1].lower() not in ("file", "local"):
        _require(match[1].lower())


def shown(url: str) -> str:
    """Returns `url` without its user, password and query, and with unprintable characters escaped."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "//..." if url.startswith("//") else printable(url)
    place, *behind = re.split("[?#]", rest, maxsplit=1)
    if behind and "@" in behind[0]:
        return printable(f"{scheme}://...")  # the ? or # may be part of a password
    return printable(f"{scheme}://{place.rpartition('@')[2]}")


def _digest(data: bytes) -> str:
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def _into_manta(archive: bytes, path: str, manta: MantaClient) -> bytes:
    try:
        try:
            manta.put_object(path, archive, CONTENT_TYPE)
        except MantaError as error:
            if error.code != "DirectoryDoesNotExistError":
                raise
            manta.make_directories(posixpath.dirname(normal_path(path, manta.login)))
            manta.put_object(path, archive, CONTENT_TYPE)
        return manta.get_object(path)
    except MantaError as error:
        raise PublishError(str(error), key_refused=error.status in (401, 403)) from None


def _file_path(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise PublishError(f"{shown(url)}: a file URL has three slashes: file:///path", lasting=True)
    return urllib.parse.unquote(parts.path)


def _into_file(archive: bytes, path: str) -> bytes:
    try:
        write_archive(archive, path)
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        # str(error) would name a temporary file.
        raise PublishError(f"{printable(path)}: {getattr(error, 'strerror', None) or error}") from None


def _into_store(archive: bytes, url: str, scheme: str, http_timeout: float) -> bytes:
    _require(scheme)
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, **_options(scheme, http_timeout))
        store.pipe_file(path, archive)
        store.invalidate_cache()
        return bytes(store.cat_file(path))
    except Exception as error:  # noqa: BLE001 (each store raises other exceptions)
        raise PublishError(f"{shown(url)}: {_words(error, url)}") from None


def _require(scheme: str) -> None:
    """Raises PublishError if fsspec cannot use URLs of `scheme`, such as `s3`.

    Either fsspec does not know `scheme`, or a package for it is not installed.
    """
    import fsspec  # imported here because a Manta or a file does not need it

    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise PublishError(f"{scheme}:// is no kind of store that fsspec knows", lasting=True) from None
    except ImportError as error:
        install = pip_install(PACKAGES[scheme]) if scheme in PACKAGES else printable(str(error))
        raise PublishError(f"{scheme}:// needs a package that is not installed: {install}", lasting=True) from None


def _options(scheme: str, http_timeout: float) -> dict[str, Any]:
    if scheme not in ("http", "https"):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=http_timeout)
    context = client_context()
    # `encoded`: send the URL unchanged, because its query may be signed. `trust_env`: use the environment's proxies.
    return {"encoded": True, "client_kwargs": {"trust_env": True, "timeout": timeout}, "ssl": context}


def _words(error: Exception, url: str) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if isinstance(status, int) and isinstance(message, str):  # aiohttp's text repeats the URL
        return printable(f"{status} {message}".strip())
    text = str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "...")
    return "not found" if isinstance(error, FileNotFoundError) and text == "..." else printable(text)


def _secrets(url: str) -> Iterator[str]:
    """Yields every part of `url` that may be secret, so that the caller can remove it from a message.

    Skips parts of up to 3 characters, because they may be ordinary words.
    """
    yield url
    place, *behind = re.split("[?#]", url.partition("://")[2], maxsplit=1)
    user, _, _ = place.rpartition("@")
    for part in (user, *behind, *re.split(r"[:&=]", "&".join([user, *behind]))):
        yield from (text for text in (part, urllib.parse.unquote(part)) if len(text) > 3)
