"""`python -m bench`: the table of README's claims, one relay process on one core, the load generator on another."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench import relays, report, rows
from bench.toolchain import HERE, Unavailable, build_load_generator, install_packages

Records = dict[str, dict[str, list[dict[str, Any]]]]
"""row name -> relay name -> one record of the load generator for each run."""


def _names(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in chosen if name not in known]
        if unknown or not chosen:
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def _options(arguments: list[str] | None) -> argparse.Namespace:
    kinds, names = list(relays.KINDS), [row.name for row in rows.ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_names(kinds), default=kinds, metavar="A,B", help=f"relays: {', '.join(kinds)}")
    parser.add_argument("--rows", type=_names(names), default=names, metavar="A,B", help=f"rows: {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each row; medians are shown (3)")
    parser.add_argument("--quick", action="store_true", help="shorter windows and, unless --runs is given, one run")
    options = parser.parse_args(arguments)
    if options.quick and options.runs == parser.get_default("runs"):
        options.runs = 1
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def _cores() -> tuple[int, int]:
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise Unavailable("a benchmark needs two cores: one for the relay, one for the load generator")
    return free[0], free[1]


def _measure_all(options: argparse.Namespace, cores: tuple[int, int], records: Records) -> None:
    generator = build_load_generator()
    if set(options.only) - {"medusa"}:
        install_packages()
    for run in range(options.runs):
        for row in (row for row in rows.ROWS if row.name in records):
            for name in _rotated(options.only, run):
                _progress(f"run {run + 1}/{options.runs}  {row.name}  {name}")
                record = _measure_one(row, name, generator, cores, options.quick)
                if record is not None:
                    records[row.name][name].append(record)


def _rotated(names: list[str], run: int) -> list[str]:
    # Nobody is always first: what drifts on the machine must not favour one relay.
    turn = run % len(names)
    return names[turn:] + names[:turn]


def _measure_one(row: rows.Row, name: str, generator: Path, cores: tuple[int, int], quick: bool) -> Any:
    try:
        return rows.measure(row, relays.KINDS[name], generator, cores, quick)
    except rows.MeasurementFailed as error:
        _progress("")
        print(f"{name} failed: {error}", file=sys.stderr)
        return None


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _lines(records: Records) -> list[report.Line]:
    return [
        report.Line(figure, {name: [rows.value(figure, one) for one in taken] for name, taken in by_relay.items()})
        for row in rows.ROWS
        if (by_relay := records.get(row.name)) is not None
        for figure in row.figures
    ]


def _footer(options: argparse.Namespace, records: Records) -> str:
    worst = max((rows.noise(one) for row in records.values() for taken in row.values() for one in taken), default=0.0)
    notes = [
        f"median of {options.runs}; MB = 1e6 payload bytes; v: lower is better",
        "back-pressure: " + "; ".join(f"{name}: {relays.KINDS[name].backpressure}" for name in options.only),
    ]
    if worst > rows.NOISE_LIMIT:
        notes.append(f"others had up to {worst:.0f} % of the two cores' time: run again on a quiet machine")
    return "\n".join(notes)


def _save(facts: dict[str, str], options: argparse.Namespace, records: Records) -> Path:
    path = HERE / "results" / (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + ".json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "options": vars(options), "records": records}, indent=1) + "\n")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints the table, saves every record; status 1 if a measurement is missing, 2 if a tool is."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no way out may leave a relay behind
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    records: Records = {name: {relay: [] for relay in options.only} for name in options.rows}
    try:
        cores = _cores()
        _measure_all(options, cores, records)
    except Unavailable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: this is what there is", file=sys.stderr)
    finally:
        _progress("")
    facts = report.machine()
    print("\n".join(f"{name:17} {fact}" for name, fact in facts.items()))
    print(f"relay on core {cores[0]}, load generator on core {cores[1]}\n")
    print(report.table(_lines(records), options.only))
    print("\n" + _footer(options, records))
    print(f"all samples: {_save(facts, options, records).relative_to(HERE.parent)}")
    return 0 if all(len(taken) == options.runs for row in records.values() for taken in row.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
