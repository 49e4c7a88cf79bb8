"""`medusa reflector --check`: says what a configuration would serve to whom, and what is wrong or unsafe.

It listens on nothing, connects to nothing and changes nothing.
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from urllib.parse import urlsplit

from structlog.testing import capture_logs

from medusa.client.operator import publish
from medusa.commands.reflector.check.audiences import ADMINS, MONITORS, addresses, audiences
from medusa.commands.reflector.check.exposure import unsafe_directory, unsafe_settings
from medusa.commands.reflector.check.precautions import warn
from medusa.commands.reflector.limit_options import BYTES, COUNTS, TIMES
from medusa.directory import DirectoryError, open_directory, redis_url
from medusa.protocol.printable import printable
from medusa.protocol.record import field, record
from medusa.reflector.auth.accounts import Accounts, AccountsError
from medusa.reflector.cluster.peer_auth import load_secret
from medusa.reflector.cluster.site_address import check_address
from medusa.reflector.config import EVERYBODY, ConfigError, ReflectorConfig, verify
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.tickets.key import check_state_dir

EXPIRES_SOON = datetime.timedelta(days=14)
"""A certificate that expires within this time is mentioned."""

OTHER_TIMES = ("wait_timeout", "drain_timeout", "max_url_lifetime")

Rows = list[tuple[str, str]]


@record(frozen=False)
class Report:
    """Holds what the check of a configuration has found.

    Attributes:
        rows: pairs of a heading and a text. They describe the configuration, and what the reflector would serve.
        wrong: why the reflector would not start, or would do less than it was told to.
        unsafe: what others could read, change or use.
        advice: how to improve settings that are already safe.
    """

    rows: Rows = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unsafe: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 0 if nothing is wrong or unsafe, else 1."""
        return 1 if self.wrong or self.unsafe else 0


def run(config: ReflectorConfig, options: SimpleNamespace, origin: Callable[[str], str]) -> int:
    """Prints a report about a configuration. Returns the exit status.

    `origin`: a function that returns the text to write before an error, such as the name of the config file.
    """
    report = examine(config, options)
    report.advice += [
        f"{old}: this variable is for mlogin; set {new} for the reflector" for old, new in options.adopted
    ]
    report.wrong = [origin(text) + text for text in report.wrong]
    print("\n".join(lines(report)))
    return report.status


def examine(config: ReflectorConfig, options: SimpleNamespace, arguments: Sequence[str] = ()) -> Report:
    """Reads everything that the configuration names, and returns what is wrong or unsafe in it.

    `arguments`: the words of the command line; empty for those of this process.
    """
    report = Report()
    for part in (_settings, _config_file, _accounts, _certificate, _directory, _state, _publish, _limits):
        with capture_logs() as logged:
            try:
                part(config, options, report)
            except ConfigError as error:
                report.wrong.append(str(error))
        _take(report, logged)
    with capture_logs() as logged:
        try:
            warn(config, options.config, arguments)
        except ValueError:
            pass  # `bind-ip`, which _settings has reported
    _take(report, logged)
    return report


def lines(report: Report) -> list[str]:
    """Returns a report as lines for people to read."""
    width = max(len(heading) for heading, _ in report.rows)
    text = [f"{heading:{width}}  {printable(row, 4096)}" for heading, row in report.rows]
    for title, found in (("wrong", report.wrong), ("unsafe", report.unsafe), ("advice", report.advice)):
        text += ["", f"{title}:"] * bool(found) + [f"  {printable(item, 4096)}" for item in found]
    return text if report.wrong or report.unsafe else [*text, "", "nothing is wrong or unsafe"]


def _take(report: Report, logged: Iterable[Mapping[str, object]]) -> None:
    """Adds the warnings and errors in `logged` to `report`. A reflector would log them at its start."""
    for entry in logged:
        if entry["log_level"] in ("warning", "error"):
            more = [f"{k} {v}" for k, v in entry.items() if k not in ("event", "log_level", "component", "advice")]
            advice = [f"{entry['advice']}"] if "advice" in entry else []
            text = f"{entry['event']}: {'; '.join([', '.join(more), *advice] if more else advice)}"
            if text not in report.unsafe:
                report.unsafe.append(text)


def _settings(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    report.rows.append(("config file", options.config or "none"))
    report.rows += [("would listen on", url) for url in addresses(config)]
    names_of = {ADMINS: config.admins, MONITORS: config.metrics_from}
    for peers, paths in audiences(config).items():
        names = f" ({', '.join(names_of[peers])})" if peers in names_of else ""
        report.rows.append((f"for {peers}", " ".join(paths) + names))
    if config.no_forwarding:
        report.rows.append(("forwarding forbidden", ", ".join(config.no_forwarding)))
    if config.trusted_proxy:
        header = "a PROXY header" if config.proxy_protocol else "X-Forwarded-For"
        report.rows.append(("believed proxies", f"{', '.join(config.trusted_proxy)}, by {header}"))
    if config.allow_origin:
        report.rows.append(("web pages of", ", ".join(config.allow_origin)))
    if config.public_host:
        report.rows.append(("names", ", ".join(config.public_host)))
    elif config.accounts is not None:
        report.advice.append("public-host: not given, so that a request that was signed for another host is valid here")
    if config.accounts is not None and not config.front_door_only:
        local = "not given, so that a forwarder on this host, such as ssh -R or stunnel, leads strangers to /attach/"
        report.advice.append(f"front-door-only: {local}")
    if config.raw_port and config.raw_port == config.port:
        report.wrong.append(f"raw-port: {config.raw_port} is the port for HTTP; give another one")
    if config.archive is None:
        report.advice.append("/agent.sh: 404, because this installation carries no archive")
    report.unsafe += unsafe_settings(config)
    verify(config)


def _config_file(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    if options.config is None:
        return
    mode = os.stat(options.config).st_mode
    if stat.S_ISREG(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
        report.unsafe.append(f"{options.config}: others than its owner can write it; chmod go-w")


def _accounts(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    if config.accounts is None:
        return
    try:
        accounts = Accounts(config.accounts).everyone()
    except AccountsError as error:
        raise ConfigError(f"accounts: {error}") from None
    for (login, user), keys in accounts.items():
        name = login if user is None else f"{login}, user {user}"
        report.rows.append(
            (
                f"account {name}",
                ", ".join(f"{key.algorithm.partition('-')[0]} {key.sha256}" for key in keys) or "no key",
            )
        )
    if not any(accounts.values()):
        report.advice.append(f"accounts: {config.accounts} has no usable key, so nobody can sign")
    report.advice += [
        f"accounts: {config.accounts}/{login} is for an account `{login}`; a file is named after its account"
        for login in sorted({login for login, user in accounts if login.endswith(".pub")})
    ]
    for option, logins in (("admins", config.admins), ("no-forwarding", config.no_forwarding)):
        missing = [login for login in logins if login != EVERYBODY and not accounts.get((login, None))]
        report.advice += [f"{option}: {login} has no key" for login in missing]


def _certificate(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    if config.tls_cert is None or config.tls_key is None:
        return
    certificate = Certificate(config.tls_cert, config.tls_key)
    report.rows.append(("certificate", f"{config.tls_cert}: {', '.join(certificate.names) or 'no name'}"))
    report.rows.append(("", f"valid until {certificate.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"))
    left = certificate.leaf.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    if datetime.timedelta() < left < EXPIRES_SOON:
        report.advice.append(f"tls-cert: {config.tls_cert} expires in {left.days} days")
    if not certificate.names:
        report.advice.append(f"tls-cert: {config.tls_cert} names no host, so that clients refuse it")
    for name in (*config.public_host, *filter(None, [config.advertise])):
        host = urlsplit("//" + name).hostname or name
        if not certificate.is_for(host):
            report.advice.append(f"tls-cert: {config.tls_cert} is not for {host}")


def _directory(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    secret = b""
    if not config.shared:
        report.rows.append(("directory", config.directory))
    else:
        try:
            url = redis_url.parse(config.directory)
        except DirectoryError as error:
            raise ConfigError(f"directory: {error}") from None
        report.rows.append(("directory", f"{url.where} (not asked whether it answers)"))
        report.unsafe += unsafe_directory(url)
        if config.site_secret_file is not None:
            secret = load_secret(config.site_secret_file)
            report.rows.append(("site secret", config.site_secret_file))
        address = config.address(config.port)
        report.rows.append(("for other reflectors", address))
        check_address(config, address)
    try:
        open_directory(config.directory, secret=secret).close()
    except DirectoryError as error:
        raise ConfigError(f"directory: {error}") from None


def _state(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    if config.state_dir is None and not config.shared:
        report.advice.append("state-dir: not given, so that a restart of this reflector ends all sessions")
    if config.state_dir is not None:
        report.rows.append(("state", config.state_dir))
        if os.path.exists(config.state_dir):
            check_state_dir(config.state_dir)


def _publish(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    if config.publish is None:
        return
    report.rows.append(("publishes to", publish.shown(config.publish)))
    try:
        publish.check_place(config.publish)
    except publish.PublishError as error:
        raise ConfigError(f"publish: {error}") from None
    if config.publish.lower().startswith("http://"):
        report.unsafe.append("publish: without TLS others can change the archive on its way, and jobs run it")


def _limits(config: ReflectorConfig, options: SimpleNamespace, report: Report) -> None:
    values = {name: getattr(config, name) for name in (*COUNTS, *BYTES, *TIMES, *OTHER_TIMES)}
    values["max_sessions_per_login"] = config.sessions_per_login
    values["max_sessions_per_address"] = config.sessions_per_address
    values["max_held_sessions_per_login"] = config.held_sessions_per_login
    values["max_held"], values["max_held_per_login"] = config.held_in_all, config.held_per_login
    for name, value in values.items():
        unit = " bytes" if name in BYTES else "" if name in COUNTS else " s"
        text = "no limit" if value == 0 and name not in OTHER_TIMES else f"{value:.10g}{unit}"
        report.rows.append((name.replace("_", "-"), text))
    report.rows.append(("max-startups", ":".join(map(str, config.max_startups))))
