"""Warns the operator, in the log at the start, about secrets that others could read."""

from __future__ import annotations

import ipaddress
import os
import stat
import sys
from collections.abc import Sequence

import structlog

from medusa.reflector.config import ReflectorConfig

log = structlog.get_logger(component="precautions")

_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


def warn(config: ReflectorConfig, config_file: str | None, arguments: Sequence[str] = ()) -> None:
    """Logs a warning for each secret that others could read.

    Args:
        config_file: the path of the config file; None if there is none.
        arguments: the words of the command line; empty for those of this process.
    """
    secrets = [url for url in (config.directory, config.publish) if url is not None and _has_secret(url)]
    if config_file is not None and secrets and _readable_by_others(config_file):
        log.warning("config file open to others", path=config_file, wanted="600")
    if any(url in word for url in secrets for word in arguments or sys.argv):
        advice = "put it into the config file, or into MEDUSA_DIRECTORY or MEDUSA_PUBLISH"
        log.warning("process list shows a password", advice=advice)
    encrypted = config.tls_cert is not None or config.trusted_proxy
    if config.accounts is not None and not encrypted and not ipaddress.ip_address(config.bind_ip).is_loopback:
        advice = "give --tls-cert and --tls-key, or --trusted-proxy for a proxy that does"
        log.warning("sessions are not encrypted", bind_ip=config.bind_ip, advice=advice)


def _has_secret(url: str) -> bool:
    """Returns True if a URL has a password or a query, which may be a signature."""
    return "@" in url or "?" in url


def _readable_by_others(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & _OTHERS_READ)
    except OSError:
        return False
