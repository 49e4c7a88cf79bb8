"""The standard input of a container that runs, through the API's websocket."""

from __future__ import annotations

import time
from typing import Any

from medusa.client.launchers.kubernetes.errors import KubeError
from medusa.protocol.printable import printable

PATIENCE = 15.0
"""Seconds that a container may take to read what it is given."""

CHUNK = 16384
"""Bytes in one message."""


def feed(api: Any, pod: tuple[str, str], container: str, data: bytes, until: str) -> None:
    """Writes to a container, until it has written `until`, and leaves it.

    Args:
        api: the client's CoreV1Api.
        pod: namespace and name.

    Raises:
        KubeError: it cannot be attached to, or does not say that.
    """
    from kubernetes.client import ApiException
    from kubernetes.stream import stream
    from websocket import WebSocketException

    namespace, name = pod
    options = {"container": container, "stdin": True, "stdout": True, "stderr": True, "tty": False}
    try:
        link = stream(api.connect_get_namespaced_pod_attach, name, namespace, **options, _preload_content=False)
        try:
            _give(link, data, until)
        finally:
            link.close()
    except ApiException as error:
        raise KubeError(f"attach pods: {printable(' '.join(str(error.reason).split()))}") from None
    except (WebSocketException, OSError) as error:
        raise KubeError(f"attach pods: {printable(str(error))}") from None


def _give(link: Any, data: bytes, until: str) -> None:
    for start in range(0, len(data), CHUNK):
        link.write_stdin(data[start : start + CHUNK])
    deadline, heard = time.monotonic() + PATIENCE, ""
    while until not in heard:
        if not link.is_open() or time.monotonic() > deadline:
            raise KubeError(f"attach pods: the container took no agent; it said {printable(heard[-200:])!r}")
        link.update(timeout=1)
        heard += link.read_all()
