"""The contestants: the relays that are compared. Starts each of them, on one core if it is a relay, and ends it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import account, certificate, distant, site
from bench.kinds import ForwarderKind, Kind, Relay, RelayKind, SessionKind, SiteKind
from bench.peers import c_copy, forwarder, haproxy, nginx, screens, socat, sshd
from bench.processes import reserved_ports, serving
from bench.toolchain import HERE, Unavailable, install_packages, require, require_package

_PEERS = HERE / "peers"
_ADDRESS = re.compile(r"(https?|raw tcp)://127\.0\.0\.1:(\d+)")


def _reflector(*options: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", "medusa", "reflector", "--port", "0", *options]


def _reflector_with_tls() -> list[str]:
    pem = str(certificate.made())
    return _reflector("--tls-cert", pem, "--tls-key", pem)()


def _reflector_with_accounts() -> list[str]:
    # One account and a few addresses make all requests, far more than people would.
    unlimited = ("--max-connects-per-minute", "1000000")
    return _reflector("--accounts", str(account.made().directory), *unlimited)()


def _node(script: str, tls: bool = False) -> Callable[[], list[str]]:
    def command() -> list[str]:
        node = require("node")
        install_packages()
        return [node, str(_PEERS / script), *([str(certificate.made())] if tls else [])]

    return command


def _uvloop(module: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        require_package("uvloop")
        return [sys.executable, "-m", f"bench.peers.{module}"]

    return command


@contextlib.contextmanager
def _mlogin() -> Iterator[Relay]:
    with _relay(_MEDUSA, None) as relay:
        yield Relay(relay.port, relay.pid, _mlogin_at(relay.port, keep="0"))


@contextlib.contextmanager
def _mlogin_own() -> Iterator[Relay]:
    """Yields an mlogin that starts its own reflector. The one that runs beside it does nothing."""
    with _relay(_MEDUSA, None) as relay:
        yield Relay(relay.port, relay.pid, ("--", *_MLOGIN, "-q", "--keep", "0", "--config", os.devnull, "-c"))


def _mlogin_at(port: int, keep: str) -> tuple[str, ...]:
    program = ["-q", "--keep", keep, "--config", os.devnull]
    return ("--", *_MLOGIN, *program, "--reflector", f"http://127.0.0.1:{port}", "-c")


def _mlogin_cut_every(seconds: float) -> Callable[[], contextlib.AbstractContextManager[Relay]]:
    """Returns what starts a reflector behind a proxy that cuts all connections at this interval; 0 for never."""

    @contextlib.contextmanager
    def start() -> Iterator[Relay]:
        with _relay(_MEDUSA, None) as relay:
            proxy = [sys.executable, "-m", "bench.peers.cutter", "--to", str(relay.port), "--interval", str(seconds)]
            with serving("cutter", proxy, None, port=None) as (pid, line):
                port = int(_ADDRESS.findall(line)[0][1])
                yield Relay(port, relay.pid, _mlogin_at(port, keep="60"), (pid,))

    return start


@contextlib.contextmanager
def _ssh() -> Iterator[Relay]:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        [port] = stack.enter_context(reserved_ports(1))
        server, program = sshd.session(scratch, port)
        pid, _ = stack.enter_context(serving("sshd", server.command, None, server.port))
        yield Relay(port, pid, ("--terminal-option=-tt", "--", *program))


@contextlib.contextmanager
def _session() -> Iterator[tuple[Relay, list[str]]]:
    """Context manager that runs a reflector with a session. Yields both as a relay, and the options that name them."""
    with _relay(_MEDUSA, None) as relay:
        options = ["--config", os.devnull, "--reflector", f"http://127.0.0.1:{relay.port}"]
        command = [*_MLOGIN, *options, "-q", "--name", "target", "-c", "echo listening here; exec sleep 10000"]
        with serving("mlogin", command, None, port=None) as (pid, _):
            yield Relay(relay.port, relay.pid, helpers=(pid,)), options


@contextlib.contextmanager
def _ssh_proxy() -> Iterator[Relay]:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, _session() as (relay, options):
        state = ["env", f"XDG_STATE_HOME={scratch}"]  # the host key is kept there
        block = [*state, *_MEDUSA_COMMAND, "ssh-config", *options, "target"]
        text = subprocess.run(block, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True).stdout
        config = Path(scratch, "config")
        config.write_text(text.replace("ProxyCommand ", f"ProxyCommand {' '.join(state)} "))
        yield dataclasses.replace(relay, flags=("--", require("ssh"), "-q", "-F", str(config), "target.medusa"))


@contextlib.contextmanager
def _cp() -> Iterator[Relay]:
    with _session() as (relay, options):
        yield dataclasses.replace(relay, flags=("--", *_MEDUSA_COMMAND, "cp", "-q", *options, "target:"))


_MEDUSA_COMMAND = [sys.executable, "-m", "medusa"]
_MLOGIN = [sys.executable, "-m", "medusa.commands.mlogin"]
_MEDUSA = RelayKind("medusa", _reflector(), "pull pump")
_MEDUSA_TLS = RelayKind("medusa", _reflector_with_tls, "pull pump", tls=True)
_WS = RelayKind("ws", _node("ws_relay.js"), "pause above 4 MiB unsent")
_SESSIONS = (
    SessionKind("mlogin", _mlogin, "channel windows, 4 MiB"),
    SessionKind("ssh", _ssh, "channel window, 2 MiB"),
)
_CONTESTANTS: dict[str, tuple[Kind, ...]] = {
    "websocket": (
        _MEDUSA,
        _WS,
        RelayKind("watershed", _node("watershed_relay.js"), "none"),
        RelayKind("websockets", _uvloop("websockets_relay"), "await send, 32 KiB"),
    ),
    "raw": (
        RelayKind("medusa", _reflector("--raw-port", "0"), "pull pump", raw=True),
        ForwarderKind("haproxy", haproxy.processes, "--slave-listen", "64 KiB buffers"),
        ForwarderKind("socat", socat.processes, "--slave-port", "blocking copy"),
        ForwarderKind("c-copy", c_copy.processes, "--slave-port", "blocking copy"),
        ForwarderKind("ssh", sshd.processes, "--slave-listen", "channel window, 2 MiB"),
        ForwarderKind("ssh-jump", sshd.processes_with_jump, "--slave-listen", "channel window, 2 MiB"),
    ),
    "signed": (RelayKind("medusa", _reflector_with_accounts, "pull pump", signed=True), _WS),
    "tls": (_MEDUSA_TLS, RelayKind("ws", _node("ws_relay.js", tls=True), "pause above 4 MiB unsent", tls=True)),
    "tls-raw": (
        _MEDUSA_TLS,
        ForwarderKind("haproxy", haproxy.processes_with_tls, "--slave-listen", "64 KiB buffers", tls=True),
        ForwarderKind("nginx", nginx.processes, "--slave-listen", "64 KiB buffers", ("--raw-upgrade",), tls=True),
    ),
    "workers": (_MEDUSA, RelayKind("two-workers", _reflector("--workers", "2"), "pull pump")),
    "site": (_MEDUSA, SiteKind("one-door", 1, "pull pump"), SiteKind("two-doors", 2, "pull pump")),
    "session": _SESSIONS,
    "keys": (
        *_SESSIONS,
        SessionKind("mosh", screens.mosh, "newest screen only"),
        SessionKind("tmux", screens.tmux, "newest screen only"),
        SessionKind("bare-terminal", screens.bare, "the kernel's"),
    ),
    "own": (
        SessionKind("mlogin-own", _mlogin_own, "channel windows, 4 MiB"),
        SessionKind("ssh", _ssh, "channel window, 2 MiB"),
    ),
    "ssh-proxy": (
        SessionKind("ssh-proxy", _ssh_proxy, "channel windows"),
        SessionKind("ssh", _ssh, "channel window, 2 MiB"),
    ),
    "cp": (
        SessionKind("medusa-cp", _cp, "requests, 4 MiB"),
        SessionKind("scp", _ssh, "requests, 2 MiB"),
    ),
    "cut": (
        SessionKind("mlogin-uncut", _mlogin_cut_every(0), "channel windows, 4 MiB"),
        SessionKind("mlogin-cut", _mlogin_cut_every(1), "channel windows, 4 MiB"),
    ),
    "long": distant.contestants(),
    "long-loss": distant.contestants(loss=0.01),
    "long-rate": distant.contestants(rate=10e6),
}
WIRES: dict[str, dict[str, Kind]] = {wire: {kind.name: kind for kind in kinds} for wire, kinds in _CONTESTANTS.items()}
"""The contestants by wire and name. On the wires `workers` and `site`, the reflector is compared with itself."""

KINDS: dict[str, RelayKind] = {name: kind for name, kind in WIRES["websocket"].items() if isinstance(kind, RelayKind)}
"""The relays for websockets, by name. They speak the reflector's protocol."""

YARDSTICKS = {
    "websocket": "ws",
    "signed": "ws",
    "raw": "haproxy",
    "tls": "ws",
    "tls-raw": "haproxy",
    "workers": "medusa",
    "site": "medusa",
    "session": "ssh",
    "keys": "ssh",
    "own": "ssh",
    "ssh-proxy": "ssh",
    "cp": "scp",
    "cut": "mlogin-uncut",
    "long": "ssh-far",
    "long-loss": "ssh-far",
    "long-rate": "ssh-far",
}
"""For each wire, the contestant with which the others are compared."""

SUBJECTS = {
    "websocket": "medusa",
    "signed": "medusa",
    "raw": "medusa",
    "tls": "medusa",
    "tls-raw": "medusa",
    "workers": "two-workers",
    "site": "two-doors",
    "session": "mlogin",
    "keys": "mlogin",
    "own": "mlogin-own",
    "ssh-proxy": "ssh-proxy",
    "cp": "medusa-cp",
    "cut": "mlogin-cut",
    "long": "client-far",
    "long-loss": "client-far",
    "long-rate": "client-far",
}
"""For each wire, the contestant that should reach the goals of its rows."""

NAMES = list(dict.fromkeys(name for kinds in WIRES.values() for name in kinds))


@contextlib.contextmanager
def running(kind: Kind, core: int | None = None) -> Iterator[Relay]:
    """Context manager that runs a new relay, on `core` unless that is None. Yields the relay. A session has no core.

    Raises:
        Unavailable: the relay did not start.
    """
    with _started(kind, core) as relay:
        yield relay


def _started(kind: Kind, core: int | None) -> contextlib.AbstractContextManager[Relay]:
    match kind:
        case RelayKind():
            return _relay(kind, core)
        case ForwarderKind():
            return _forwarder(kind, core)
        case SiteKind():
            return _site(kind, core)
        case SessionKind():
            return kind.start()


@contextlib.contextmanager
def _relay(kind: RelayKind, core: int | None) -> Iterator[Relay]:
    with serving(kind.name, kind.command(), core, port=None) as (pid, line):
        ports = {scheme: int(port) for scheme, port in _ADDRESS.findall(line)}
        scheme = "raw tcp" if kind.raw else "https" if kind.tls else "http"
        if scheme not in ports:
            raise Unavailable(f"{kind.name} does not say where it serves {scheme}: {line.strip()}")
        yield Relay(ports[scheme], pid, kind.flags)


@contextlib.contextmanager
def _forwarder(kind: ForwarderKind, core: int | None) -> Iterator[Relay]:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ports = forwarder.Ports(*stack.enter_context(reserved_ports(3)))
        pids = []
        for process in kind.processes(scratch, ports):
            pid, _ = stack.enter_context(serving(kind.name, process.command, core, process.port))
            pids.append(pid)
        flags = ["--raw", *kind.flags, kind.slave_flag, str(ports.exit)]
        if kind.tls:
            pem = str(certificate.made())
            flags += ["--tls", "--tls-cert", pem, "--tls-key", pem]
        yield Relay(ports.entry, pids[-1], tuple(flags), tuple(pids[:-1]))


@contextlib.contextmanager
def _site(kind: SiteKind, core: int | None) -> Iterator[Relay]:
    with contextlib.ExitStack() as stack:
        redis, options = stack.enter_context(site.shared(core))
        door = RelayKind(kind.name, _reflector(*options), kind.backpressure)
        doors = [stack.enter_context(_relay(door, core)) for _ in range(kind.doors)]
        helpers = (redis, *(relay.pid for relay in doors[1:]))
        yield Relay(doors[0].port, doors[0].pid, ("--slave-port", str(doors[-1].port)), helpers)
