"""Puts a reflector together from its parts; starts, drains and stops it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import gevent.event
import gevent.socket
import structlog

from medusa.directory import Directory, DirectoryError, Owner
from medusa.directory.timed import TimedDirectory
from medusa.protocol.attach_path import OWN_SESSION, OWN_SESSIONS
from medusa.reflector.admin.handlers import Administration
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.admin.own_sessions import OwnSessions
from medusa.reflector.admin.publisher import Publisher
from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.cluster.forward_in import ForwardIn
from medusa.reflector.cluster.forward_out import ForwardOut
from medusa.reflector.cluster.lease import AddressLease, Holder
from medusa.reflector.cluster.peer_auth import PeerAuth, load_secret
from medusa.reflector.cluster.query_client import QueryClient
from medusa.reflector.cluster.query_server import QueryServer
from medusa.reflector.config import ReflectorConfig, verify
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.doorkeeper import Doorkeeper
from medusa.reflector.fronts.http_front import Handler, HttpFront
from medusa.reflector.fronts.raw_front import RawFront
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.fronts.routes import Application, Route, entries
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.listen import HTTP, RAW, listen
from medusa.reflector.net.sockets import host_port
from medusa.reflector.parts import authenticator_of, certificate_of, desk_of, directory_of, lease_on
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.registry import Registry
from medusa.reflector.workers.handoff import Handoff
from medusa.reflector.workers.rpc import OtherWorkers, Rpc

log = structlog.get_logger(component="server")

_NAME_ADVICE = "what a user has signed for another reflector is valid here too; name this one by --public-host HOST"


class Reflector:
    """A reflector. Call `start`, then `wait`. To end the reflector, call `drain` or `stop` from another greenlet.

    Args:
        listeners: sockets that already listen, under the names HTTP and RAW. `start` opens the ones that are missing.
        handoff: passes connections to the other workers; None if this is the only process.
        holder: the process that holds the lease on the reflector's address for all workers; None for this process.

    Raises:
        ConfigError: a setting cannot be used; see ReflectorConfig.verify.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        listeners: Mapping[str, socket.socket] = {},
        handoff: Handoff | None = None,
        holder: Holder | None = None,
    ) -> None:
        verify(config)
        self._holder = holder
        self._lease: AddressLease | None = None
        self._config = config
        self._listeners = listeners
        self._handoff = handoff
        self._workers: OtherWorkers | None = None
        if handoff is not None:
            self._workers = OtherWorkers(handoff, Rpc(handoff, config.timeouts))
        self._http: HttpFront | None = None
        self._raw: RawFront | None = None
        self._stopped = gevent.event.Event()
        self._publisher = Publisher(config.publish, config.timeouts) if config.publish else None
        self._forward_out: ForwardOut | None = None
        self._directory: Directory
        self.registry: Registry

    @property
    def url(self) -> str:
        """The URL of this reflector's root, at the address that it listens on."""
        assert self._http is not None
        scheme = "https://" if self._http.certificate else "http://"
        return scheme + host_port(self._http.socket.getsockname())

    @property
    def urls(self) -> str:
        """A text for the user: the URL for HTTP, then the URL for raw TCP if there is a port for it."""
        return self.url + (" raw tcp://" + host_port(self._raw.socket.getsockname()) if self._raw is not None else "")

    def start(self) -> None:
        """Starts to listen and to serve.

        Raises:
            ConfigError: the address, the directory, the accounts or the certificate cannot be used.
        """
        config = self._config
        secret = load_secret(config.site_secret_file) if config.shared and config.site_secret_file else b""
        self._directory = directory_of(config, secret)
        peer_auth = PeerAuth(secret) if secret else None
        authenticator = authenticator_of(config)
        certificate = certificate_of(config)
        listener = self._listeners.get(HTTP) or listen(config.bind_ip, config.port)
        # Among workers gevent accepts one connection at a time, to share the load. pywsgi would look the name up.
        environ = {"wsgi.multiprocess": self._handoff is not None, "SERVER_NAME": config.bind_ip}
        http = HttpFront(_green(listener), None, handler_class=Handler, log=None, error_log=None, environ=environ)
        http.certificate = certificate
        http.init_socket()
        gevent.get_hub().print_exception = _log_exception  # type: ignore[method-assign, assignment]
        self._http = http
        owner = Owner(config.address(http.socket.getsockname()[1]))
        if config.shared:
            self._lease = lease_on(config, self._directory, owner, self._holder or Holder.of_this_process())
        metrics, queue = Metrics(), FairQueue(gevent.get_hub().loop)
        refusals = RefusalLog(config, metrics)
        directory = TimedDirectory(self._directory, metrics.asked_directory)
        claims = Claims(directory, owner, config.timeouts, self._lease)
        self.registry = Registry(config, claims, metrics, queue, desk_of(config, secret, claims))
        budget = self.registry.budget
        doorkeeper = Doorkeeper(config, metrics, refusals, budget)
        self._forward_out = ForwardOut(config, peer_auth, queue, budget, refusals) if peer_auth is not None else None
        admission = Admission(config, self.registry, authenticator, self._forward_out, claims=claims, refusals=refusals)
        claims.marks.used = admission.single_use.used
        listing = SessionList(self.registry, owner.address, self._workers, self._others(peer_auth))
        administration = self._administration(listing, metrics, authenticator, admission)
        forwarded, routes = None, self._own_sessions(listing, authenticator, admission)
        if peer_auth is not None:
            forwarded = ForwardIn(peer_auth, admission, config, owner, queue.scratch).enter
            routes += QueryServer(peer_auth, claims.marks, listing, owner, admission).routes()
        http.application = Application(
            config, self.registry, admission, administration, self._workers, forwarded, routes
        )
        http.handoff, http.doorkeeper, http.refusals = self._handoff, doorkeeper, refusals
        http.config, http.metrics, http.scratch = config, metrics, queue.scratch
        http.is_full, http.is_crowded, http.admit = queue.is_full, queue.is_crowded, queue.admit
        if config.raw_port is not None:
            self._prepare_raw(config, admission, metrics, queue, doorkeeper)
        self._count_connections(metrics)
        if self._handoff is not None:
            self._handoff.fronts[HTTP], self._handoff.refusals = http.serve, refusals
            self._handoff.start(queue, budget)
        if self._raw is not None:
            self._raw.start()
        http.start()
        if authenticator is not None and not config.public_host:
            log.warning("requests for other hosts are accepted", advice=_NAME_ADVICE)
        gevent.spawn(claims.renew_forever)
        gevent.spawn(metrics.measure_lag_forever, config.timeouts.lag_interval)
        if self._publisher is not None:
            self._publisher.start()

    def _count_connections(self, metrics: Metrics) -> None:
        if self._forward_out is not None:
            metrics.connections["forwarded"] = self._forward_out.__len__
        if self._handoff is not None:
            metrics.connections["proxied"] = self._handoff.proxies.__len__

    def _others(self, peer_auth: PeerAuth | None) -> QueryClient | None:
        if peer_auth is None or self._forward_out is None:
            return None
        forward_out, timeout = self._forward_out, self._config.timeouts.query_timeout
        client = QueryClient(peer_auth, self.registry, forward_out.connect, timeout)
        forward_out.announce_drain = client.announce_drain
        return client

    def _administration(
        self, listing: SessionList, metrics: Metrics, authenticator: Authenticator | None, admission: Admission
    ) -> Administration:
        workers = self._workers
        if workers is not None:
            workers.serve(lambda: entries(self.registry), listing, metrics)
        more = workers.metrics if workers is not None else None
        reserve, count = admission.single_use.reserve, admission.count
        return Administration(self._config, listing, metrics, authenticator, reserve, count, more)

    def _own_sessions(
        self, listing: SessionList, authenticator: Authenticator | None, admission: Admission
    ) -> list[Route]:
        reserve, count = admission.single_use.reserve, admission.count
        own = OwnSessions(self._config, listing, authenticator, reserve, count, admission.count_login)
        return [Route(OWN_SESSIONS, own.sessions), Route(OWN_SESSION, own.session, ("DELETE",))]

    def _prepare_raw(
        self, config: ReflectorConfig, admission: Admission, metrics: Metrics, queue: FairQueue, doorkeeper: Doorkeeper
    ) -> None:
        assert config.raw_port is not None
        listener = self._listeners.get(RAW) or listen(config.bind_ip, config.raw_port, "--raw-port")
        raw = RawFront(_green(listener), admission, config, metrics, queue.scratch, doorkeeper, self._handoff)
        raw.is_full, raw.admit = queue.is_full, queue.admit
        raw.init_socket()
        self._raw = raw
        if self._handoff is not None:
            self._handoff.fronts[RAW] = raw.serve
        if not ipaddress.ip_address(config.bind_ip).is_loopback:
            log.warning("raw TCP is not encrypted", advice="keep it to loopback, or to a network that is trusted")

    def reload(self) -> None:
        """Reads the TLS certificate from its files again. New connections use it."""
        assert self._http is not None
        if self._http.certificate is None:
            log.info("nothing to reload", reason="no --tls-cert")
        else:
            self._http.certificate.reload()

    def drain(self, others: Callable[[], object] = lambda: None) -> None:
        """Accepts no new sessions, waits up to the drain timeout for the end of all sessions, and then calls `stop`.

        A connection that is forwarded to another reflector counts as a session.

        Args:
            others: called before `stop`, when this process has no session left. It has to wait until the other workers
                have none either.
        """
        deadline = time.monotonic() + self._config.drain_timeout
        self.registry.drain(deadline)
        if self._forward_out is not None:
            self._forward_out.drain(deadline)
        wait_for_sessions(self.registry, self._config.drain_timeout, self._config.timeouts.drain_log_interval)
        if self._forward_out is not None:
            left = max(0.0, deadline - time.monotonic())
            self._forward_out.wait_until_empty(left, self._config.timeouts.close_timeout)
        self.registry.shut_down()
        others()
        self.stop()

    def stop(self) -> None:
        """Ends all sessions with the close code 1001, and stops listening."""
        assert self._http is not None
        self.registry.shut_down()
        if self._forward_out is not None:
            self._forward_out.stop()
        self._http.stop(timeout=1)
        if self._raw is not None:
            self._raw.stop(timeout=1)
        if self._publisher is not None:
            self._publisher.stop()
        if self._lease is not None:
            self._release(self._lease)
        self._directory.close()
        log.info("stopped")
        self._stopped.set()

    def _release(self, lease: AddressLease) -> None:
        """Releases the lease on the address, so another reflector can have the address at once."""
        with contextlib.suppress(DirectoryError):
            gevent.with_timeout(self._config.timeouts.claim_release_timeout, lease.release, timeout_value=None)

    def wait(self) -> None:
        """Waits until `stop` is done."""
        self._stopped.wait()


def wait_for_sessions(registry: Registry, timeout: float, interval: float) -> None:
    """Waits until no session is left, at most `timeout` seconds. Logs every `interval` seconds the number left."""
    deadline = time.monotonic() + timeout
    log.info("draining", sessions=len(registry.sessions()), timeout_s=timeout)
    while True:
        left = deadline - time.monotonic()
        registry.wait_until_empty(max(0.0, min(interval, left)))
        sessions, left = len(registry.sessions()), deadline - time.monotonic()
        if not sessions or left <= 0:
            return
        log.info("still draining", sessions=sessions, left_s=round(left, 1))


def _green(listener: socket.socket) -> Any:
    return gevent.socket.socket(fileno=listener.detach())


def _log_exception(_: Any, kind: Any, error: Any, trace: Any) -> None:
    """Logs an exception of a greenlet, a callback or the accept loop. gevent itself would only print a traceback."""
    if isinstance(error, OSError):
        log.error("the system refuses", error=os.strerror(error.errno) if error.errno else str(error))
    else:
        log.error("internal error", exc_info=(kind, error, trace))
