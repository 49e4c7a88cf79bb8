"""Runs a reflector as several processes: opens the sockets that they share, and starts the supervisor."""

from __future__ import annotations

from types import SimpleNamespace

from medusa.commands.reflector import logs
from medusa.commands.reflector.systemd import READY, notify
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net import fd_limit
from medusa.reflector.net.listen import HTTP, RAW, listen
from medusa.reflector.workers.supervisor import Supervisor


def run(config: ReflectorConfig, options: SimpleNamespace, log_settings: tuple[str, str]) -> int:
    """Runs the supervisor and its workers until a signal ends them. Returns the exit status. Raises ConfigError."""
    logs.configure(*log_settings)
    config.verify()
    fd_limit.raise_limit()
    listeners = {HTTP: listen(config.bind_ip, config.port)}
    if config.raw_port is not None:
        listeners[RAW] = listen(config.bind_ip, config.raw_port, "--raw-port")
    return Supervisor(config, options.workers, listeners, log_settings, _announce, options.lifeline).run()


def _announce(urls: str) -> None:
    print(f"listening {urls}", flush=True)
    notify(READY)
