"""Finds the session and the account that the user's options name. If necessary, asks a reflector for its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from medusa.client.queries import local
from medusa.client.queries.meaning import Place, find_here
from medusa.client.settings import Settings
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.protocol.printable import printable
from medusa.protocol.record import replace
from medusa.transports.dial import is_raw

if TYPE_CHECKING:
    from medusa.client.keys.account import Account
    from medusa.client.queries.api import Api
    from medusa.client.queries.finding import Found


class Choice:
    """Holds the settings of one run of mlogin, and completes them.

    Call `find` once. Before that, fork the guard process (a helper that cleans up if mlogin is killed): the guard
    process must not hold a private key.

    Attributes:
        settings: the settings. `find` adds the id of the session that the user has named. It also adds the account that
            signs all requests, if requests have to be signed.
    """

    def __init__(self, settings: Settings, messages: Messages, signals: Signals) -> None:
        self.settings = settings
        self._messages = messages
        self._signals = signals

    def find(self) -> None:
        """Completes the settings: finds the session that the user has named, and the account's private key.

        May ask a reflector for its sessions, and the user for a passphrase. Raises Failure or Interrupted.
        """
        if self.settings.joins:
            self._find_live()
        else:
            self._find_key()
            self._find_session()

    def account(self) -> Account:
        """Returns the account that the settings name, with its private key. Raises Failure if there is no key."""
        from medusa.client.keys.account import Account, find_signer  # takes long to import

        settings = self.settings
        assert settings.login is not None
        host = urlsplit(settings.reflector or settings.url or "").hostname
        return Account(settings.login, settings.subuser, find_signer(settings.key, host, self._messages.held))

    def _find_key(self) -> None:
        """Finds the account's private key, and puts the account into the settings.

        Does nothing if the settings name no account, or if requests are first sent without a signature.
        """
        if self.settings.login is None or self.settings.unsigned_first:
            return
        with self._signals.interruptible(), self._signals.asking():  # the user may be asked for a passphrase
            self._change(account=self.account())

    def _find_session(self) -> None:
        """Asks the reflector for the session that the user named by the beginning of its id.

        Puts the session's id and account into the settings. If the user has given a whole id, asks only for the
        account. Does nothing if the user has named no session.
        """
        settings = self.settings
        whole = settings.session is not None
        if settings.beginning is None or (whole and settings.account is not None):
            return
        with self._signals.interruptible(), self._signals.asking():
            found = self._found(settings.beginning, whole=whole)
        if not whole:
            self._messages.say(f"session {printable(found.session)}")
        self._change(session=found.session, account=found.account)

    def _found(self, beginning: str, *, whole: bool) -> Found:
        from medusa.client.queries.finding import Found, find_session  # takes long to import

        settings = self.settings
        assert settings.reflector is not None
        if whole and is_raw(settings.reflector):
            return Found(beginning, None)
        api = self._api(settings.reflector)
        with self._messages.waiting(f"asking {api.name} for its sessions"):
            return find_session(
                beginning,
                api,
                login=settings.login,
                find_account=self.account if settings.unsigned_first else None,
                otherwise=settings.otherwise,
                whole=whole,
            )

    def _find_live(self) -> None:
        """Finds the running session that mlogin joins. Puts its id, its reflector and its account into the settings."""
        place = self._live()
        self._change(session=place.session, account=place.account)
        if place.reflector is not None:
            self._change(reflector=place.reflector, embedded=True, unsigned_first=False)

    def _live(self) -> Place:
        text, here = self.settings.beginning, local.sessions()
        place = None if text is None else find_here(text, here, any_case=self.settings.any_case)
        if place is not None:
            return place
        self._find_key()
        settings = self.settings
        reflector = settings.reflector
        if settings.session is not None and reflector is not None:  # a whole id, which the reflector need not list
            return Place(settings.session, None, settings.account)
        from medusa.client.queries.joining import find_held, find_live  # takes long to import

        api = None if reflector is None else self._api(reflector)
        find_account = self.account if settings.unsigned_first else None
        with self._signals.interruptible(), self._signals.asking():
            if text is None:
                place = find_held(here, api, login=settings.login, find_account=find_account)
            else:
                any_case = settings.any_case
                place = find_live(text, here, api, login=settings.login, find_account=find_account, any_case=any_case)
        self._change(unsigned_first=False)  # the list says whether the session has an account
        return place

    def _api(self, reflector: str) -> Api:
        from medusa.client.queries.api import Api  # takes long to import

        settings = self.settings
        return Api(reflector, settings.account, insecure_tls=settings.insecure_tls, headers=settings.headers)

    def _change(self, **changed: object) -> None:
        self.settings = replace(self.settings, **changed)
