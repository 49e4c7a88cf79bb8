"""The program `mlogin`: opens a terminal in a job. Parses the arguments; medusa/client/mlogin.py does the rest."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Sequence
from types import SimpleNamespace

from medusa.client import launchers
from medusa.client.outcome import Failure
from medusa.client.settings import DEFAULT_ESCAPE, MantaJobOptions, Settings
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.commands.manta_options import SigningOptions, header_options, manta_options
from medusa.commands.mlogin_options import advice, signing, types
from medusa.commands.mlogin_options.forwards import check_alone, forwards
from medusa.commands.mlogin_options.groups import DEFAULT_WAIT, LOCAL, make_parser
from medusa.commands.options.config_file import COMMON
from medusa.commands.process.core_dumps import forbid_core_dump
from medusa.commands.user_config.parser import UserOptionParser
from medusa.commands.user_config.precedence import drop_of_others, prefer_nearer, set_profiles_target
from medusa.commands.user_config.target import profile_named, set_target
from medusa.help_text import show
from medusa.protocol.record import replace
from medusa.protocol.terminal import environment
from medusa.transports.dial import is_raw
from medusa.transports.dial.headers import hide_arguments

MANTA = "manta"


def main(argv: Sequence[str] | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> int:
    """Runs mlogin and returns its exit status.

    Args:
        argv: the arguments, without the program's name. None for the arguments of this process.
        timeouts: all timeouts of mlogin. Tests pass their own.
    """
    gc.disable()  # it would find nothing in what is imported. A session enables it again.
    try:
        _open_standard_fds()
        hide_arguments(sys.argv)
        forbid_core_dump()
        settings = replace(parse(sys.argv[1:] if argv is None else argv), timeouts=timeouts)
        if settings.no_input:
            os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
        from medusa.client.mlogin import run  # takes long to import

        return run(settings)
    finally:
        gc.enable()


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings of mlogin, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser = make_parser()
    own, passed_on = _split(argv)
    _help_for_launcher(parser, own)
    misplaced = advice.misplaced(parser, own)
    if misplaced is not None:
        parser.error(misplaced)
    parser.profile = profile_named(parser, own)
    is_profile = parser.profile is not None
    given = parser.parse_args(own)
    if is_profile or given.object is None:
        set_profiles_target(parser, given, own)
    try:
        set_target(parser, given, own)
        prefer_nearer(parser, given, own)
        given.launcher = _launcher(given)
        drop_of_others(parser, given)
        _check_headers(parser, given)
        typed = parser.typed(own)
        _check_typed(given, typed)
        env = types.variables(given.env)
        manta, unsigned_first = _manta(parser, given, typed)
        queues = launchers.find(given.launcher).queues
    except Failure as failure:
        parser.error(str(failure))
    return _settings(given, passed_on, env, manta, unsigned_first=unsigned_first, queues=queues)


def _settings(
    given: SimpleNamespace,
    passed_on: Sequence[str],
    env: tuple[tuple[str, str], ...],
    manta: SigningOptions,
    *,
    unsigned_first: bool,
    queues: bool,
) -> Settings:
    return Settings(
        command=given.command,
        login_shell=given.login,
        pty=False if given.no_command or given.stdio_forward else given.pty,
        env=env,
        cwd=given.cwd,
        name=given.name,
        escape=DEFAULT_ESCAPE if given.escape is None else given.escape[0],
        escape_given=given.escape is not None,
        send_env=(*environment.DEFAULT, *(word for words in given.send_env for word in words)),
        quiet=given.quiet,
        no_input=given.no_input,
        launcher=given.launcher,
        reflector=given.reflector,
        insecure_tls=manta.insecure_tls,
        headers=header_options(given),
        wait_timeout=_wait_timeout(given, queues=queues),
        keep=given.keep,
        detach=given.detach,
        forwards=forwards(given),
        no_command=given.no_command or given.stdio_forward is not None,
        stdio=given.stdio_forward,
        archive=given.archive,
        object=given.object,
        arguments=(*given.launcher_arg, *passed_on),
        job=given.job,
        session=given.session,
        beginning=given.beginning,
        otherwise=given.otherwise,
        login=manta.account,
        subuser=manta.subuser,
        key=manta.key,
        unsigned_first=unsigned_first,
        url=manta.url,
        manta=MantaJobOptions(
            given.disk, given.memory, given.init, given.image, tuple(given.asset), given.agent_object
        ),
    )


def _check_headers(parser: UserOptionParser, given: SimpleNamespace) -> None:
    """Raises Failure if the user gave header fields that cannot be sent.

    They cannot be sent if the user named no reflector, or if the reflector's URL is for raw TCP.
    """
    if not header_options(given):
        return
    if is_raw(given.reflector or ""):
        raise Failure("--header: raw TCP has no header fields")
    place = parser.place_of("header") or parser.place_of("header-command")
    common = place is not None and place.section == COMMON
    if given.reflector is None and given.launcher != MANTA and not common:
        raise Failure("--header: for which reflector? Give --reflector URL")


def _check_typed(given: SimpleNamespace, typed: Collection[str]) -> None:
    """Raises Failure if options contradict each other.

    Args:
        given: the values of all options.
        typed: the names of the options on the command line.
    """
    if given.detach and given.pty is False:
        raise Failure("-d starts a terminal, which -T forbids")
    if given.detach and not given.keep:
        raise Failure("-d leaves a session that goes on, and --keep 0 ends it with mlogin")
    check_alone(given)
    if {"no_input", "escape"} <= set(typed) and given.escape[0] is not None:
        raise Failure("--escape: with --no-input nothing is read, so that there are no escapes")


def _manta(parser: UserOptionParser, given: SimpleNamespace, typed: Collection[str]) -> tuple[SigningOptions, bool]:
    """Returns a pair: the options for signing, and True if mlogin signs only after an unsigned request was refused.

    If nothing is to be signed, the options contain no account.

    Args:
        given: the options that the parser found.
        typed: the names of the options on the command line.

    Raises:
        Failure: a part of the account is missing, a login is malformed, or the user set an option for signing that no
            reflector or Manta would use.
    """
    manta = manta_options(given)
    if given.launcher == MANTA:
        manta.require("url")
        manta = manta.with_account()
        signing.check_logins(manta)
        return manta, False
    chosen = signing.chosen(parser, manta, typed)
    wished = [name for name, common in chosen.items() if not common]
    if "url" in wished:
        raise Failure("--url names a Manta, whose jobs are run by --launcher manta")
    if given.reflector is None:
        if wished:
            options = " and ".join(f"--{name.replace('_', '-')}" for name in wished)
            others = launchers.find(given.launcher).options_of
            advice_on_others = f"\n  options of {others} go after --" if others else ""
            text = f"{options}: for which reflector? Give --reflector URL, or --launcher manta"
            raise Failure(text + advice_on_others)
        return signing.nobody(insecure_tls=given.insecure_tls), False
    return signing.for_reflector(manta, chosen, typed, insecure_tls=given.insecure_tls)


def _help_for_launcher(parser: UserOptionParser, words: Sequence[str]) -> None:
    """Writes a launcher's help and exits, if the command line `words` asks for help and names a launcher."""
    try:
        text = advice.launcher_help(words)
    except Failure as failure:
        parser.error(str(failure))
    if text is not None:
        show(text)
        parser.exit()


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns two lists: mlogin's own arguments, and the arguments after the first `--`."""
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _launcher(given: SimpleNamespace) -> str:
    if given.session is None and given.beginning is None:
        return given.launcher or LOCAL
    if given.launcher not in (None, launchers.EXISTING):
        raise Failure("--session ID waits for an agent that is started elsewhere; --launcher starts one: not both")
    if given.reflector is None:
        raise Failure("--session ID needs --reflector URL: the one that the session's agent dials")
    return launchers.EXISTING


def _wait_timeout(given: SimpleNamespace, *, queues: bool) -> float | None:
    if given.wait_timeout is None:
        return None if queues else DEFAULT_WAIT
    return float(given.wait_timeout) or None


def _open_standard_fds() -> None:
    """Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next socket would get one of these numbers, and would receive what is written to the terminal.
    """
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return


if __name__ == "__main__":
    sys.exit(main())
