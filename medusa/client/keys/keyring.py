"""Finds the private key that signs: the one that the user names, or the first of the usual keys that is accepted."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from medusa.client.keys import keyfile, ssh_config
from medusa.client.keys.keyfile import KeyFile
from medusa.client.keys.ssh_config import KeyOptions
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from medusa.protocol.printable import printable

MAX_TRIES = 6
"""The most keys that are tried for one account, the same number as sshd allows (MaxAuthTries)."""

Asking = Callable[[], contextlib.AbstractContextManager[None]]

MIN_FROM_AGENT = 3
"""At least so many keys of the ssh-agent are tried, if it has them, however many keys there are in files."""


class Signer(Protocol):
    """A private key that can sign. It is in a file or in an ssh-agent."""

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to this private key."""

    @property
    def where(self) -> str:
        """The place of the key, for messages: the path of its file, or `ssh-agent`."""

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by `public.algorithm`. ECDSA signatures are DER-encoded. Raises Failure."""


class Keyring:
    """Several private keys, of which one signs. `advance` changes to the next key after the server has refused one.

    A Keyring has the methods of Signer, so it can be used like a single key.

    Args:
        keys: functions that return a key each, in the order in which they are to be tried. They raise Failure if the
            key cannot be used.
        notes: lines about keys that will not be tried, for messages.
        asking: a function that returns a context manager. The context manager is entered while the user may be asked
            for a passphrase.
    """

    def __init__(
        self, keys: Iterable[Callable[[], Signer]], notes: Sequence[str] = (), asking: Asking = contextlib.nullcontext
    ) -> None:
        """Takes the first key that can be used. Raises Failure if there is none."""
        self._asking = asking
        self._left = deque(keys)
        self._notes = list(notes)
        self._tried: list[Signer] = []
        if not self.advance():
            raise Failure("\n".join(["no key to sign with", *(f"  {note}" for note in self._notes), f"  {_ADVICE}"]))

    @property
    def public(self) -> PublicKey:
        """The public key of the key that signs now."""
        return self._tried[-1].public

    @property
    def where(self) -> str:
        """The place of the key that signs now, for messages: the path of its file, or `ssh-agent`."""
        return self._tried[-1].where

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by the key that signs now. Raises Failure."""
        return self._tried[-1].sign(text)

    @property
    def has_more(self) -> bool:
        """True if there are keys that were not tried yet."""
        return bool(self._left)

    def advance(self) -> bool:
        """Changes to the next key that can be used. This key signs from now on.

        If there is none, keeps the present key and returns False. May ask for a passphrase on the terminal.
        """
        while self._left:
            try:
                with self._asking():
                    self._tried.append(self._left.popleft()())
            except Failure as failure:
                self._notes.append(f"not tried: {failure}")
            else:
                return True
        return False

    def skip(self, reason: str) -> bool:
        """Changes to the next key, because the present key has failed to sign.

        Returns False if there is no other key. `reason`: why the present key failed, for `report`.
        """
        failed = self._tried[-1]
        if not self.advance():
            return False
        self._tried.remove(failed)
        self._notes.append(f"not tried: {reason}")
        return True

    def settle(self) -> None:
        """Keeps the key that signs now. After this call no other key is tried."""
        self._left.clear()

    def report(self) -> list[str]:
        """Returns lines for the user about the keys that were tried, and about the keys that were not tried."""
        keys = [line for key in self._tried for line in (f"  {describe(key)}", f"    {key.public.sha256}")]
        return ["keys tried:", *keys, *self._notes]


_ADVICE = "--key names one, by its file or fingerprint; ssh-keygen -t ed25519 makes one"


def describe(signer: Signer) -> str:
    """Returns a key's fingerprint, kind and place in words, for messages."""
    return f"{signer.public.md5} ({signer.public.kind}, {printable(signer.where)})"


def default_keys(options: KeyOptions, asking: Asking = contextlib.nullcontext) -> Keyring:
    """Returns the keys that ssh would try: first those in the ssh-agent, then those in files.

    If a key of the ssh-agent is also in a key file that `options` names, it comes before the ssh-agent's other keys.
    Keys in files with a passphrase come last. So mlogin asks for a passphrase only if no other key is accepted.

    Args:
        options: what ssh_config says about keys.
        asking: a function that returns a context manager. The context manager is entered while the user may be asked
            for a passphrase.

    Raises:
        Failure: there is no key that can be used.
    """
    from medusa.client.keys import ssh_agent  # takes long to import

    files = [KeyFile(path) for path in options.files]
    names = [public.md5 if public else "" for public in (file.public() for file in files)]
    held, useless = ssh_agent.signers(options.agent) if options.agent else ([], [])
    if options.identities_only:
        held = [signer for signer in held if signer.public.md5 in names]
    held.sort(key=lambda signer: names.index(signer.public.md5) if signer.public.md5 in names else len(names))
    seen = {signer.public.md5 for signer in held}
    own = [file for file, name in zip(files, names, strict=True) if file.may_be_private and _is_new(name, seen)]
    own.sort(key=lambda file: file.needs_passphrase)
    most = max(MIN_FROM_AGENT, MAX_TRIES - len(own))
    notes = [f"not tried: {key} in the ssh-agent" for key in useless]
    if held[most:]:
        notes.append(f"not tried: {len(held[most:])} more keys in the ssh-agent")
    if not held:
        notes.append(_about_agent(options))
    if not any(file.may_be_private for file in files):
        notes.append(f"no key file {', '.join(printable(str(file.path)) for file in files)}")
    keys = [*(_held(signer) for signer in held[:most]), *(file.signer for file in own)]
    return Keyring(keys[:MAX_TRIES], notes, asking)


def _is_new(name: str, seen: set[str]) -> bool:
    """Returns True if the fingerprint `name` is not in `seen`, or if it is "" (unknown). Adds it to `seen`."""
    new = not name or name not in seen
    seen.add(name)
    return new


def _held(signer: Signer) -> Callable[[], Signer]:
    return lambda: signer


def _about_agent(options: KeyOptions) -> str:
    """Returns in words why the ssh-agent offers no key that can be tried."""
    from medusa.client.keys import ssh_agent  # takes long to import

    if options.agent is None:
        return f"no ssh-agent: {options.agent_name}"
    problem = ssh_agent.problem(options.agent, options.agent_name)
    return problem or f"no key that can be used in the ssh-agent at {options.agent_name}"


def find_signer(key: str | None, host: str | None = None, asking: Asking = contextlib.nullcontext) -> Signer:
    """Returns the private key that `key` names, or a Keyring of the keys that ssh would try if `key` names none.

    May ask for a passphrase on the terminal.

    Args:
        key: the path of the key's file, or the key's fingerprint (MD5 or SHA256); None or "" to name no key. For a
            fingerprint, or a file with only a public key, the private key is looked up in the ssh-agent, then in
            ~/.ssh.
        host: the host to which the requests go. ssh_config may name an ssh-agent and keys for this host.
        asking: a function that returns a context manager. The context manager is entered while the user may be asked
            for a passphrase.

    Raises:
        Failure: there is no such key, or it cannot be used.
    """
    if not key:
        return default_keys(ssh_config.read(host), asking)
    with asking():
        return _named(key, host)


def _named(key: str, host: str | None) -> Signer:
    """Returns the private key that `key` names: the path of a file, or a fingerprint.

    Looks up a fingerprint in the ssh-agents for `host`, then in ~/.ssh. Raises Failure if there is no such key.
    """
    if not _is_fingerprint(key):
        path = Path(os.path.expanduser(key))
        if not path.is_file():
            how = "ssh-keygen -l -E md5 -f FILE shows one"
            raise Failure(f"no key file {printable(key)}, and that is no fingerprint either ({how})")
        file = KeyFile(path)
        public = file.public() if file.is_public_key else None
        if public is None:
            return file.signer()
        key = public.sha256
    from medusa.client.keys import ssh_agent  # takes long to import

    seen: list[str] = []
    for path_of_agent in _agents(host):
        usable, useless = ssh_agent.signers(path_of_agent)
        for signer in usable:
            if signer.public.matches(key):
                return signer
        seen += [*(f"{signer.public.md5} in ssh-agent" for signer in usable), *useless]
    return _from_home(key, seen, None if seen else ssh_agent.problem())


def _agents(host: str | None) -> Iterator[str | None]:
    """Yields the paths of the sockets of the ssh-agents that may hold a key for `host`.

    The path None stands for the ssh-agent that SSH_AUTH_SOCK names.
    """
    yield None
    other = ssh_config.read(host).agent
    if other not in (None, os.environ.get("SSH_AUTH_SOCK")):
        yield other


def _from_home(fingerprint: str, seen: list[str], problem: str | None) -> Signer:
    """Returns the private key in ~/.ssh that has the fingerprint.

    Args:
        fingerprint: an MD5 or SHA256 fingerprint, in the form that the user gave.
        seen: a description of each key that is in the ssh-agent, for the text of a Failure.
        problem: why the ssh-agent does not list its keys, for the text of a Failure; None if there is no such reason.

    Raises:
        Failure: no key in ~/.ssh has the fingerprint, or the key cannot be used.
    """
    directory = Path(os.path.expanduser("~/.ssh"))
    for file in keyfile.files_in(directory):
        public = file.public()
        if public is not None and public.matches(fingerprint):
            return file.signer()
        seen.append(f"{public.md5 if public else 'a key that cannot be looked into'} in {file.path}")
    name = printable(fingerprint)
    lines = [f"no key {name} in ssh-agent or {directory}; found there:", *(f"  {printable(s)}" for s in seen)]
    if not seen:
        lines = [f"no key {name}: none at all in ssh-agent or {directory}"]
    raise Failure("\n".join(lines if problem is None else [*lines, problem]))


def _is_fingerprint(text: str) -> bool:
    text = text.removeprefix("MD5:")
    md5 = text.count(":") == 15 and all(len(part) == 2 for part in text.split(":"))
    return md5 or text.startswith("SHA256:")
