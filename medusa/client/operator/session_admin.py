"""Lists and ends the sessions of all accounts, through a reflector's HTTP API for administrators."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from medusa.client.keys.account import Account
from medusa.client.outcome import Failure
from medusa.client.queries.api import NOT_AUTHORISED, NOT_FOUND, Api, NoAnswer
from medusa.protocol.printable import printable
from medusa.transports.dial.headers import NO_HEADERS, Headers

HELD = "held"
"""The state of a session that has no client yet, and whose agent asks for one again and again."""

Entry = dict[str, Any]
"""The description of one session, in the form of the reflector's JSON."""

_HOW = "  ask on the reflector's own host, or sign with the key of one of its --admins: --account, --key"


class Administrator:
    """A client of the administrators' API of the reflector at `base`.

    It never uses a proxy, because the reflector usually runs on this host.

    Args:
        base: the reflector's URL.
        account: the account that signs requests. None to send requests without a signature. A reflector accepts these
            from its own host.
        insecure_tls: True to accept any TLS certificate.
        headers: more header fields to send.
        find_account: a function that returns an account, or raises Failure if the account has no key. It is called if
            the reflector refuses a request without a signature. Then this account signs the requests. None if only
            `account` may sign.

    Attributes:
        missing: why the last list of sessions is incomplete, such as a reflector that did not answer. Empty if the list
            is complete.
    """

    missing = ""

    def __init__(
        self,
        base: str,
        account: Account | None = None,
        *,
        insecure_tls: bool = False,
        headers: Headers = NO_HEADERS,
        find_account: Callable[[], Account] | None = None,
    ) -> None:
        more: dict[str, Any] = {"headers": headers, "find_account": find_account}
        self._api = Api(base, account, insecure_tls=insecure_tls, proxies=False, **more)

    def pages(self, login: str | None = None, beginning: str | None = None) -> Iterator[list[Entry]]:
        """Yields the sessions of all accounts, in lists of a limited size.

        If some reflectors did not answer, sets `missing` to words that say so.

        Args:
            login: only the sessions of this account; None for all.
            beginning: only the sessions whose ids begin with this text; None for all.

        Raises:
            Failure: the reflector refused a request, or did not answer.
        """
        self.missing = ""
        try:
            for page, missing in self._api.pages("/sessions", login=login, id=beginning):
                self.missing = missing or self.missing
                # A reflector of an earlier version lists all sessions.
                yield [
                    entry
                    for entry in page
                    if login in (None, entry.get("login") or "") and str(entry.get("id")).startswith(beginning or "")
                ]
        except NoAnswer as error:
            raise self._with_advice(error) from None

    def find(self, session: str, login: str | None) -> Entry:
        """Returns the description of the session with the id `session`, or of the only one whose id begins with it.

        Args:
            login: the account that the session must belong to; None for any account.

        Raises:
            Failure: there is no such session, or there are several, or the reflector did not answer.
        """
        wanted = session.strip().lower()
        begun = [entry for page in self.pages(login, wanted) for entry in page if wanted]
        found = [entry for entry in begun if entry.get("id") == wanted] or begun
        if not found:
            where = f" here; other reflectors' are missing: {self.missing}" if self.missing else ""
            raise Failure(f"there is no session {printable(session)}{where}")
        if len({e.get("id") for e in found}) > 1:
            raise Failure(f"{len(found)} sessions have an id that begins with {printable(session)}: type more of it")
        if len(found) > 1:
            owners = ", ".join(printable(str(entry.get("login") or "nobody")) for entry in found)
            raise Failure(f"several sessions have this id, of {owners}: say whose by --login")
        return found[0]

    def kill(self, entry: Entry) -> None:
        """Ends a session. `entry`: the session's description, which `sessions` or `find` returned.

        Raises:
            Failure: the reflector refused, or did not answer, or the session has not begun.
        """
        quoted = urllib.parse.quote(str(entry["id"]), safe="-_.~:@+")
        login = f"{entry['login']}/" if entry.get("login") else ""
        try:
            self._api.ask("DELETE", f"/sessions/{login}{quoted}")
        except NoAnswer as error:
            if error.http_status == NOT_FOUND and entry.get("state") == HELD:
                what = f"the session {printable(str(entry['id']))} has not begun: its agent waits for a client"
                raise Failure(f"{what}, and stops when the time of the hold is over") from None
            raise self._with_advice(error) from None

    def _with_advice(self, error: NoAnswer) -> Failure:
        """Returns the exception to raise: `error` itself, or a Failure with the same text and advice for the user.

        The advice is how to sign requests. It is added if the reflector has refused a request without a signature.
        """
        if error.http_status not in NOT_AUTHORISED or self._api.account is not None:
            return error
        first, *more = str(error).splitlines()
        return Failure("\n".join([first, _HOW, *more]))
