"""Recognises the variables that Kubernetes (and Docker's links) set in each container for each Service."""

from __future__ import annotations

import re

_NAME = re.compile(
    r"[A-Z][A-Z0-9_]*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_PORT = re.compile(r"[A-Z][A-Z0-9_]*_PORT")
_URL = re.compile(r"(?:tcp|udp|sctp)://")


def is_service_variable(name: str, value: str) -> bool:
    """Returns True if an environment variable describes a Service of Kubernetes.

    Such a variable may have the same name as a variable that sets an option of Medusa. For example, a Service named
    `medusa` sets MEDUSA_PORT=tcp://10.96.0.7:8381, and MEDUSA_PORT is also an option. The value shows what it is: the
    value of a Service is a URL, and the value of this option is a number.

    Source: the documentation of Kubernetes, page "Service", section "Environment variables". The variables have the
    same form as those of Docker's legacy container links.
    """
    return bool(_NAME.fullmatch(name) or (_PORT.fullmatch(name) and _URL.match(value)))
