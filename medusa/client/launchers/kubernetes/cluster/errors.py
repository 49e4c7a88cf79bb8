"""The exception that a failed request to a cluster raises, and its text."""

from __future__ import annotations

import json
import re
from typing import Any

from medusa.protocol.printable import printable

BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, TOO_MANY = 400, 401, 404, 409, 429


class KubeError(Exception):
    """The cluster refused a request, or did not answer. The text is printable.

    Attributes:
        status: the HTTP status of the answer; None if there was no answer.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status

    @property
    def temporary(self) -> bool:
        """True if the same request may succeed later."""
        return self.status is None or self.status == TOO_MANY or self.status >= 500


def refusal(error: Any, what: str, server: str) -> KubeError:
    """Returns the KubeError for an answer by which the cluster refused a request.

    Args:
        error: the ApiException of the official client.
        what: the verb and the resource of the request, as in the rules of a Role, such as `create jobs.batch`.
        server: the URL of the API server, for the text.
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
    """Returns the text of an exception of urllib3 or the system, for the user.

    Leaves out the descriptions of Python objects that urllib3 puts into its texts.
    """
    text = re.sub(r"<[^<>]*object at 0x[0-9a-f]+>", "", str(error))
    text = re.sub(r"HTTPS?Connection(Pool)?\([^()]*\)", "", text)
    return printable(text.strip(" :(),'") or type(error).__name__)


def config_words(error: Exception) -> str:
    """Returns the text of an exception about a kubeconfig, on one line and printable."""
    return printable(" ".join(str(error).split()) or type(error).__name__, 300)
