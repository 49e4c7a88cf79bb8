"""Runs a reflector as several processes: opens the sockets that they share, and starts the supervisor."""

from __future__ import annotations

from types import SimpleNamespace

from medusa.commands.reflector import logs
from medusa.commands.reflector.check.precautions import warn
from medusa.commands.reflector.streams import announce
from medusa.commands.reflector.systemd import READY, STOPPING, Watchdog, notify, reloading
from medusa.commands.reflector.variables import tell_adopted
from medusa.reflector.config import ReflectorConfig, verify
from medusa.reflector.hangup import Hangup
from medusa.reflector.net import fd_limit
from medusa.reflector.net.listen import HTTP, RAW, listen
from medusa.reflector.workers.supervisor import Supervisor
from medusa.reflector.workers.task import DRAIN, RELOAD


def run(config: ReflectorConfig, options: SimpleNamespace, log_settings: tuple[str, str]) -> int:
    """Runs the supervisor and its workers until a signal ends them. Returns the exit status. Raises ConfigError."""
    logs.configure(*log_settings)
    verify(config)
    warn(config, options.config)
    tell_adopted(options.adopted)
    fd_limit.raise_limit()
    listeners = {HTTP: listen(config.bind_ip, config.port)}
    if config.raw_port is not None:
        listeners[RAW] = listen(config.bind_ip, config.raw_port, "--raw-port")
    manager = Manager()
    supervisor = Supervisor(config, options.workers, listeners, log_settings, manager.serves, options.lifeline)
    supervisor.hangup, supervisor.manager = Hangup(), manager
    return supervisor.run()


class Manager:
    """Reports to the service manager (systemd) for the supervisor. It implements the supervisor's ServiceManager."""

    def __init__(self) -> None:
        self._watchdog = Watchdog()

    @property
    def due(self) -> float:
        return self._watchdog.due

    def serves(self, urls: str) -> None:
        """Tells the service manager, and the reader of stdout, that the reflector serves."""
        announce(urls)
        notify(READY)

    def ordered(self, order: bytes) -> None:
        """Tells the service manager that the workers have got an order: DRAIN or RELOAD."""
        if order == DRAIN:
            notify(STOPPING)
        elif order == RELOAD:
            with reloading():
                pass

    def beat(self) -> None:
        """Tells the service manager that the supervisor still runs, if a message about this is due."""
        self._watchdog.beat()
