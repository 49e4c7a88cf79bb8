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
    rules: as in a Role.
    """

    name: str
    token: str
    rules: list[dict[str, Any]]


def identify(users: dict[str, User], authorization: str | None, certificate: str | None) -> User:
    """The user who sends a request. Raises Refusal if there is none.

    Args:
        certificate: common name in a verified client certificate.
    """
    for user in users.values():
        if user.name == certificate or (authorization or "").lower() == f"bearer {user.token}":
            return user
    raise Refusal(401, "Unauthorized")


def authorize(user: User, verb: str, resource: Resource, wanted: str) -> None:
    """Raises Refusal if no rule of the user allows the request. `wanted`: the resource with its subresource."""
    for rule in user.rules:
        pairs = (("apiGroups", resource.group), ("resources", wanted), ("verbs", verb))
        if all({name, "*"} & {*rule[key]} for key, name in pairs):
            return
    raise forbidden(user, verb, resource)


def forbidden(user: User, verb: str, resource: Resource) -> Refusal:
    return Refusal(403, f'{resource.full_name} is forbidden: User "{user.name}" cannot {verb} resource')
