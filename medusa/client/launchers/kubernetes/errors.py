"""The error that every request to a cluster raises, and its words."""

from __future__ import annotations

import json
import re
from typing import Any

from medusa.protocol.printable import printable

BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, TOO_MANY = 400, 401, 404, 409, 429


class KubeError(Exception):
    """The cluster refused a request or did not answer. The text is printable.

    Attributes:
        status: HTTP status of the answer; None if none came.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status == TOO_MANY or self.status >= 500


def refusal(error: Any, what: str, server: str) -> KubeError:
    """The error for an ApiException of the official client.

    Args:
        what: verb and resource, as a Role has to allow them: `create jobs.batch`.
    """
    if not error.status:
        return KubeError(f"{server} does not answer: {printable(str(error.reason))}")
    try:
        record = json.loads(error.body or "")
        message = record.get("message") if isinstance(record, dict) else None
    except ValueError:
        message = None
    words = printable(" ".join(str(message or error.reason or "").split()), 500)
    return KubeError(f"{what}: {words} ({error.status})", error.status)


def network_words(error: Exception) -> str:
    """An error of urllib3 or the system, without the names of Python objects that urllib3 puts in front."""
    text = re.sub(r"<[^<>]*object at 0x[0-9a-f]+>", "", str(error))
    text = re.sub(r"HTTPS?Connection(Pool)?\([^()]*\)", "", text)
    return printable(text.strip(" :(),'") or type(error).__name__)


def config_words(error: Exception) -> str:
    """An error in a kubeconfig, on one line."""
    return printable(" ".join(str(error).split()) or type(error).__name__, 300)
