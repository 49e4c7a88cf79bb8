"""`python -m bench`: measures Medusa and other relays, one relay process on one core, the load generator on another."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from bench import documents, relays, results, rows
from bench.campaign import Campaign
from bench.machine import machine
from bench.toolchain import Unavailable, build_load_generator

DEFAULT_RUNS = 5


def _names(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in chosen if name not in known]
        if unknown or not chosen:
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def _options(arguments: list[str] | None) -> argparse.Namespace:
    kinds, names = relays.NAMES, [row.name for row in rows.ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_names(kinds), default=kinds, metavar="A,B", help=f"relays: {', '.join(kinds)}")
    parser.add_argument("--rows", type=_names(names), default=names, metavar="A,B", help=f"rows: {', '.join(names)}")
    parser.add_argument("--runs", type=int, metavar="N", help=f"runs of each row; medians are shown ({DEFAULT_RUNS})")
    parser.add_argument("--quick", action="store_true", help="shorter windows and, unless --runs is given, one run")
    parser.add_argument(
        "--keep", action="store_true", help="if this run is complete, save it as results/latest.* and do as --readme"
    )
    parser.add_argument(
        "--readme",
        action="store_true",
        help="measure nothing; write the latest figures into README.md and docs",
    )
    parser.add_argument(
        "--results", type=Path, default=results.DIRECTORY, metavar="DIR", help="instead of bench/results"
    )
    parser.add_argument(
        "--root", type=Path, default=documents.ROOT, metavar="DIR", help="where README.md and docs are, if not here"
    )
    options = parser.parse_args(arguments)
    if options.runs is None:
        options.runs = 1 if options.quick else DEFAULT_RUNS
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def _cores() -> tuple[int, int]:
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise Unavailable("a benchmark needs two cores: one for the relay, one for the load generator")
    return free[0], free[1]


def _interrupted(*_: object) -> NoReturn:
    # The exception ends the relays on its way out. No further signal may interrupt that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _prepare() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure(options: argparse.Namespace) -> Campaign:
    campaign = Campaign(
        [row for row in rows.ROWS if row.name in options.rows], options.only, options.runs, options.quick
    )
    try:
        campaign.measure(build_load_generator(), _cores())
    except KeyboardInterrupt:
        print("interrupted: this is what there is", file=sys.stderr)
    return campaign


def _show(campaign: Campaign, options: argparse.Namespace) -> None:
    result = results.Result(machine(), campaign.notes(), campaign.tables())
    print(result.text())
    _save(result, campaign.records, options.results, results.stamp())
    if options.keep and campaign.complete:
        _save(result, None, options.results, results.LATEST)
        _report(documents.write(result, options.root))


def _save(result: results.Result, records: Any, directory: Path, name: str) -> None:
    _report([*results.save(result, records, directory, name), *_picture(directory, name)])


def _report(paths: list[Path]) -> None:
    for path in paths:
        print(f"written: {os.path.relpath(path)}")


def _picture(directory: Path, name: str) -> list[Path]:
    try:
        return [results.draw(directory, name)]
    except Unavailable as error:
        print(f"no picture: {error}", file=sys.stderr)
        return []


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints the tables and saves everything. Returns the exit status.

    It is 0 if all measurements succeeded, 1 if one failed, 2 if a tool is missing.
    """
    options = _options(arguments)
    # Programs that pip has installed have their bytecode. Those that this program starts keep theirs as well.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        if options.readme:
            _report(documents.write(results.load(options.results), options.root))
            return 0
        _prepare()
        campaign = _measure(options)
        _show(campaign, options)
    except Unavailable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0 if campaign.complete else 1


if __name__ == "__main__":
    sys.exit(main())
