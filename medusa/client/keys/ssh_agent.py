"""Signs with private keys in an ssh-agent. The ssh-agent never gives out the keys; it makes the signatures itself."""

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
"""The algorithm for RSA keys (RFC 8332). An ssh-agent that is asked for no algorithm signs with SHA-1."""


class AgentSigner:
    """A private key in the ssh-agent at SSH_AUTH_SOCK, which can sign.

    Each call of `sign` opens a new connection to the ssh-agent, so threads may share this object.
    """

    def __init__(self, public: PublicKey, blob: bytes) -> None:
        self.public = public
        self.where = "ssh-agent"
        self._blob = blob

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by `public.algorithm`. ECDSA signatures are DER-encoded.

        Raises:
            Failure: the ssh-agent refused, cannot be reached, or no longer has the key.
        """
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
        """Converts a signature from SSH's format to the format of HTTP signatures, and returns it.

        SSH's format: RFC 4253 section 6.6, RFC 5656 section 3.1.2.
        """
        algorithm, signature = answer.get_text(), answer.get_binary()
        if self.public.kind == "rsa" and algorithm != _RSA_ALGORITHM:
            raise Failure("this ssh-agent signs with RSA keys by SHA-1 only; use an ed25519 key, or a key file")
        if self.public.kind != "ecdsa":
            return signature
        numbers = paramiko.Message(signature)
        return encode_dss_signature(numbers.get_mpint(), numbers.get_mpint())


def signers() -> tuple[list[AgentSigner], list[str]]:
    """Returns the keys in the ssh-agent that can sign requests, and a line of text for each other key."""
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
    """A paramiko.Agent on a socket that the caller has opened, and closes.

    paramiko.Agent itself opens a socket, and does not close it after an error.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._connect(sock)  # type: ignore[attr-defined] # types-paramiko leaves out methods for subclasses


@contextlib.contextmanager
def _agent() -> Iterator[tuple[AgentKey, ...]]:
    """Context manager that yields the keys of the ssh-agent. They can sign only in the `with` block.

    Yields no keys if there is no ssh-agent.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(os.environ.get("SSH_AUTH_SOCK") or "/nonexistent")
            keys = _Agent(sock).get_keys()
        except (paramiko.SSHException, OSError, TypeError, ValueError):  # the last two: the answer is malformed
            keys = ()
        yield keys
