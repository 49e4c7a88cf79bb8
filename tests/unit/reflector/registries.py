"""A registry and what the reflector's server would make it of."""

from __future__ import annotations

from dataclasses import dataclass

import gevent

from medusa.directory import Directory, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.registry import Registry


@dataclass
class Parts:
    registry: Registry
    claims: Claims
    metrics: Metrics


def registry_parts(config: ReflectorConfig, directory: Directory | None = None, owner: Owner | None = None) -> Parts:
    metrics = Metrics()
    claims = Claims(directory or MemoryDirectory(), owner or Owner("here"), config.timeouts)
    return Parts(Registry(config, claims, metrics, FairQueue(gevent.get_hub().loop)), claims, metrics)


def new_registry(config: ReflectorConfig, directory: Directory | None = None, owner: Owner | None = None) -> Registry:
    return registry_parts(config, directory, owner).registry
