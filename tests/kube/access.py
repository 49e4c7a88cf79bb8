"""Authentication and authorization: users, and the rules of their roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.kube.objects import Resource
from tests.kube.refusal import Refusal

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


@dataclass
class User:
    """Attributes:
    name: also the common name in the client certificate.
    token: None for a user without one.
    rules: as in a Role.
    namespace: in which the rules hold.
    """

    name: str
    token: str | None
    rules: list[dict[str, Any]]
    namespace: str


class Users:
    def __init__(self) -> None:
        self._users: dict[str, User] = {}

    def add(self, user: User) -> None:
        self._users[user.name] = user

    def identify(self, authorization: str | None, certificate: str | None) -> User:
        """The user who sends a request. Raises Refusal if there is none.

        Args:
            certificate: common name in a verified client certificate.
        """
        scheme, _, token = (authorization or "").partition(" ")
        for user in self._users.values():
            if user.name == certificate or (scheme.lower() == "bearer" and token and user.token == token):
                return user
        raise Refusal(401, "Unauthorized")


def authorize(user: User, verb: str, resource: Resource, subresource: str, namespace: str, name: str) -> None:
    """Raises Refusal if no rule of the user allows the request."""
    wanted = resource.plural + (f"/{subresource}" if subresource else "")
    for rule in user.rules if namespace == user.namespace else ():
        if (
            _names(rule["apiGroups"], resource.group)
            and _names(rule["resources"], wanted)
            and _names(rule["verbs"], verb)
        ):
            return
    named = f' "{name}"' if name else ""
    raise Refusal(
        403,
        f'{resource.full_name}{named} is forbidden: User "{user.name}" cannot {verb} resource "{wanted}" '
        f'in API group "{resource.group}" in the namespace "{namespace}"',
    )


def _names(allowed: list[str], wanted: str) -> bool:
    return wanted in allowed or "*" in allowed
