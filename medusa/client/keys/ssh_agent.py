"""Private keys in an ssh-agent, which signs with them and does not hand them out."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator

import paramiko
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from paramiko.agent import AgentKey, AgentSSH

from medusa.client.outcome import Failure
from medusa.keys import BadKey, PublicKey

_RSA_ALGORITHM = "rsa-sha2-256"
"""RFC 8332. Without this algorithm in the request, an agent signs by SHA-1."""


class AgentSigner:
    """Signs by the agent at SSH_AUTH_SOCK. Each signature has its own connection, so any thread may call."""

    def __init__(self, public: PublicKey, blob: bytes) -> None:
        self.public = public
        self.where = "ssh-agent"
        self._blob = blob

    def sign(self, text: bytes) -> bytes:
        """The signature by `public.algorithm`, an ECDSA one in DER. Raises Failure: the agent refused, or is gone."""
        with _agent() as keys:
            key = next((key for key in keys if key.blob == self._blob), None)
            if key is None:
                raise Failure(f"ssh-agent does not hold the key {self.public.md5} any more; ssh-add it again")
            try:
                answer: object = key.sign_ssh_data(text, _RSA_ALGORITHM if self.public.kind == "rsa" else None)
            except (paramiko.SSHException, OSError) as error:
                raise Failure(f"ssh-agent did not sign with {self.public.md5} ({error})") from None
        assert isinstance(answer, bytes)
        return self._signature(paramiko.Message(answer))

    def _signature(self, answer: paramiko.Message) -> bytes:
        """Converts from SSH's format (RFC 4253 section 6.6, RFC 5656 section 3.1.2) to that of HTTP signatures."""
        algorithm, signature = answer.get_text(), answer.get_binary()
        if self.public.kind == "rsa" and algorithm != _RSA_ALGORITHM:
            raise Failure("this ssh-agent signs with RSA keys by SHA-1 only; use an ed25519 key, or a key file")
        if self.public.kind != "ecdsa":
            return signature
        numbers = paramiko.Message(signature)
        return encode_dss_signature(numbers.get_mpint(), numbers.get_mpint())


def signers() -> tuple[list[AgentSigner], list[str]]:
    """What the agent holds: usable keys, and a line for each key that cannot be used."""
    usable, useless = [], []
    with _agent() as keys:
        for key in keys:
            try:
                public = PublicKey.from_ssh(key.get_name().encode() + b" " + base64.b64encode(key.blob))
            except BadKey:
                useless.append(f"{key.get_name()} {key.comment} (not a kind of key that HTTP signatures know)")
            else:
                usable.append(AgentSigner(public, key.blob))
    return usable, useless


class _Agent(AgentSSH):
    """Like paramiko.Agent, which leaves its socket open if it cannot use it; this one is given a socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._connect(sock)  # type: ignore[attr-defined] # types-paramiko leaves out what subclasses call


@contextlib.contextmanager
def _agent() -> Iterator[tuple[AgentKey, ...]]:
    """The keys of the agent, usable inside the block; none if there is no agent."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(os.environ.get("SSH_AUTH_SOCK") or "/nonexistent")
            keys = _Agent(sock).get_keys()
        except (paramiko.SSHException, OSError, TypeError, ValueError):  # the last two: malformed answers
            keys = ()
        yield keys
