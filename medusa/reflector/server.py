"""The reflector, put together: start, drain, stop."""

from __future__ import annotations

import errno
import os
from typing import Any

import gevent
import gevent.event
import structlog

from medusa.directory import DirectoryError, Owner, open_directory
from medusa.reflector.accounts import Accounts, AccountsError
from medusa.reflector.auth import Authenticator
from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.draining import wait_for_sessions
from medusa.reflector.listing import Listing
from medusa.reflector.publisher import Publisher
from medusa.reflector.registry import Registry
from medusa.reflector.routes import Application
from medusa.reflector.tls import Certificate
from medusa.reflector.wsgi import Handler, Server, host_port, prepare_listener

log = structlog.get_logger(component="server")

BACKLOG = 1024


class Reflector:
    """One reflector. `start`, then `wait`; `drain` or `stop` from another greenlet."""

    def __init__(self, config: ReflectorConfig) -> None:
        config.verify()
        self._config = config
        self._server: Server | None = None
        self._stopped = gevent.event.Event()
        self._publisher = Publisher(config.publish) if config.publish else None
        self.registry: Registry

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        scheme = "https://" if self._server.certificate else "http://"
        return scheme + host_port(self._server.socket.getsockname())

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address, the directory or the certificate cannot be had.
        """
        config = self._config
        try:
            directory = open_directory(config.directory)
        except DirectoryError as error:
            raise ConfigError("directory: %s" % error) from None
        authenticator = _authenticator(config)
        listener = (config.bind_ip, config.port)
        server = Server(listener, None, handler_class=Handler, backlog=BACKLOG, log=None, error_log=_Quiet())
        if config.tls_cert is not None and config.tls_key is not None:
            server.certificate = Certificate(config.tls_cert, config.tls_key)
        try:
            server.init_socket()
            prepare_listener(server.socket)
        except OSError as error:
            hint = ""
            if error.errno == errno.EADDRINUSE:
                hint = "; something else listens there: give another --port, or 0 for a free one"
            text = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError("cannot listen on %s:%d: %s%s" % (*listener, text.lower(), hint)) from None
        gevent.get_hub().print_exception = _log_exception  # type: ignore[method-assign, assignment]
        self._server = server
        self.registry = Registry(config, directory, Owner(self.url))
        listing = Listing(self.registry, self.url)
        server.application = Application(config, self.registry, authenticator, listing)
        server.config = config
        server.metrics = self.registry.metrics
        server.start()
        gevent.spawn(self.registry.metrics.measure_lag_forever)
        if authenticator is not None and not config.public_host:
            log.warning("what was signed for other hosts is accepted", advice="name this one by --public-host")
        gevent.spawn(self.registry.renew_forever)
        if self._publisher is not None:
            self._publisher.start()

    def reload(self) -> None:
        """Read the certificate again, for new connections."""
        assert self._server is not None
        if self._server.certificate is None:
            log.info("nothing to reload", reason="no --tls-cert")
        else:
            self._server.certificate.reload()

    def drain(self) -> None:
        """No new sessions from here on; those that live may go on for the drain timeout, then all is stopped."""
        self.registry.draining = True
        wait_for_sessions(self.registry, self._config.drain_timeout)
        self.stop()

    def stop(self) -> None:
        """End all sessions with Close 1001 and stop listening."""
        assert self._server is not None
        self.registry.shut_down()
        self._server.stop(timeout=1)
        if self._publisher is not None:
            self._publisher.stop()
        log.info("stopped")
        self._stopped.set()

    def wait(self) -> None:
        """Until it has stopped."""
        self._stopped.wait()


def _authenticator(config: ReflectorConfig) -> Authenticator | None:
    if config.accounts is None:
        return None
    try:
        return Authenticator(config, Accounts(config.accounts))
    except AccountsError as error:
        raise ConfigError("accounts: %s" % error) from None


def _log_exception(_: Any, kind: Any, error: Any, trace: Any) -> None:
    """What gevent would print: of a greenlet, a callback, or accept."""
    if isinstance(error, OSError):
        log.error("the system refuses", error=os.strerror(error.errno) if error.errno else str(error))
    else:
        log.error("internal error", exc_info=(kind, error, trace))


class _Quiet:
    """pywsgi wants a file for its own errors; the handler logs them instead."""

    def write(self, text: str) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
