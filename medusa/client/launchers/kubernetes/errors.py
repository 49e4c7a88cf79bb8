"""What goes wrong with a cluster."""

from __future__ import annotations

UNAUTHORIZED, NOT_FOUND, CONFLICT, TOO_MANY = 401, 404, 409, 429


class KubeError(Exception):
    """The cluster refused a request or did not answer. The text is printable.

    Attributes:
        status: of the answer; None without one.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status

    @property
    def passing(self) -> bool:
        """The same request may succeed later."""
        return self.status is None or self.status == TOO_MANY or self.status >= 500
