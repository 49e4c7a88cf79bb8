"""Asks the directory, the store that all reflectors share, which reflectors own which sessions."""

from __future__ import annotations

from medusa.directory import BrokenEntry, DirectoryError, Owner
from medusa.reflector.refusal import broken_entry, directory_away
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims

THIS_SESSION = "this session"


class Elsewhere(Exception):
    """Raised if the session lives in another reflector. The caller has to forward the peer to that reflector.

    Attributes:
        owner: the reflector in which the session lives.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner.address)
        self.owner = owner


class Owners:
    """Asks the directory which reflectors own which sessions. All methods block until the directory answers."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def elsewhere(self, name: SessionName) -> Owner | None:
        """Returns the other reflector in which the session `name` lives. None if it lives here, or does not exist.

        Raises:
            Refusal: 503, the directory does not answer, or has an entry that cannot be used.
        """
        try:
            return self._claims.elsewhere(name)
        except BrokenEntry as error:
            raise broken_entry(THIS_SESSION, error) from None
        except DirectoryError:
            raise directory_away() from None

    def others(self, limit: int) -> list[Owner]:
        """Returns up to `limit` other reflectors that share the directory, even if they have no sessions.

        Raises Refusal (503) if the directory does not answer.
        """
        try:
            return self._claims.other_reflectors(limit)
        except DirectoryError:
            raise directory_away() from None

    def of_others(self, cursor: str, begin: str = "") -> tuple[dict[SessionName, Owner | None], str]:
        """Returns some sessions of other reflectors, each with its owner, and where to go on; see Directory.scan.

        The owner is None if the session's entry is broken. Raises Refusal (503) if the directory does not answer.

        `begin`: only the sessions whose names begin with this text.
        """
        try:
            found, cursor = self._claims.of_others(cursor, begin)
        except DirectoryError:
            raise directory_away() from None
        return {SessionName.read(name): owner for name, owner in found.items()}, cursor
