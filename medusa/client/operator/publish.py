"""Writes the agent's archive to a place where jobs find it, and reads it back: a Manta, a file, or a store of fsspec.

No text from here holds the user, password or query of a URL: some stores take secrets in them.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from medusa.client.archive import write_archive
from medusa.client.launchers.manta.api import MantaClient, normal_path
from medusa.client.launchers.manta.errors import MantaError
from medusa.protocol.printable import printable

CONTENT_TYPE = "application/x-sh"

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "https", "https": "https"}
"""URL scheme -> the extra of this package that installs what fsspec needs for it."""

HTTP_TIMEOUT = 60.0
"""Seconds for one request by http or https."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)
_MANTA = "manta:"


class PublishError(Exception):
    """The archive was not published.

    Attributes:
        lasting: trying again cannot help.
    """

    def __init__(self, text: str, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


def publish(archive: bytes, url: str, manta: Callable[[], MantaClient], http_timeout: float = HTTP_TIMEOUT) -> str:
    """Writes the archive, reads it back and compares.

    Args:
        url: `manta:/LOGIN/...`, the path of a file, or a URL for fsspec.
        manta: makes a client; called only if the URL names a Manta object.
        http_timeout: seconds for one request, if the URL is for http or https.

    Returns:
        A line for the user: size, digest and place.

    Raises:
        PublishError
        Failure: from `manta`.
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
    """Whether `publish` will call its argument `manta` for this URL."""
    return url.startswith(_MANTA)


def shown(url: str) -> str:
    """`url` without user, password and query, and printable."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "//..." if url.startswith("//") else printable(url)
    place, *behind = re.split("[?#]", rest, maxsplit=1)
    if behind and "@" in behind[0]:
        return printable(f"{scheme}://...")  # the ? may be part of a password
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
        raise PublishError(str(error)) from None


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
        # The error's own text would name a temporary file.
        raise PublishError(f"{printable(path)}: {getattr(error, 'strerror', None) or error}") from None


def _into_store(archive: bytes, url: str, scheme: str, http_timeout: float) -> bytes:
    _require(scheme)
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, **_options(scheme, http_timeout))
        store.pipe_file(path, archive)
        store.invalidate_cache()
        return bytes(store.cat_file(path))
    except Exception as error:  # noqa: BLE001 (each store has errors of its own)
        raise PublishError(f"{shown(url)}: {_words(error, url)}") from None


def _require(scheme: str) -> None:
    """Raises PublishError unless fsspec can use URLs of that scheme."""
    import fsspec  # not needed for a Manta or a file

    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise PublishError(f"{scheme}:// is no kind of store that fsspec knows", lasting=True) from None
    except ImportError as error:
        install = f"pip install 'medusa-session[{EXTRAS[scheme]}]'" if scheme in EXTRAS else printable(str(error))
        raise PublishError(f"{scheme}:// needs a package that is not installed: {install}", lasting=True) from None


def _options(scheme: str, http_timeout: float) -> dict[str, Any]:
    if scheme not in ("http", "https"):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=http_timeout)
    # `encoded`: a signed query must be sent unchanged. `trust_env`: use the proxies of the environment.
    return {"encoded": True, "client_kwargs": {"trust_env": True, "timeout": timeout}}


def _words(error: Exception, url: str) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if isinstance(status, int) and isinstance(message, str):  # aiohttp's text repeats the URL
        return printable(f"{status} {message}".strip())
    text = str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "...")
    return "not found" if isinstance(error, FileNotFoundError) and text == "..." else printable(text)


def _secrets(url: str) -> Iterator[str]:
    """Every part of `url` that may be secret, unless it is so short that it may also be an ordinary word."""
    yield url
    place, *behind = re.split("[?#]", url.partition("://")[2], maxsplit=1)
    user, _, _ = place.rpartition("@")
    for part in (user, *behind, *re.split(r"[:&=]", "&".join([user, *behind]))):
        yield from (text for text in (part, urllib.parse.unquote(part)) if len(text) > 3)
