"""The rows to measure: for each, the arguments of the load generator, the figures from its output, and the goals."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from bench.over_tls import over_tls
from bench.row import Figure, Goal, Row, window

IDLE_PAIRS = 9900
_SPARE_DESCRIPTORS = 200


def idle_pairs(limit: int) -> int:
    """Returns how many pairs a relay can hold with `limit` open files: two for each pair, and some for itself."""
    return max(1, min(IDLE_PAIRS, (limit - _SPARE_DESCRIPTORS) // 2))


def _bulk(size: str, title: str, pairs: int, goal: float, *more: Figure) -> Row:
    speed = Figure(f"bulk {title}, {pairs} pair{'s' * (pairs > 1)}", "MB/s", ("MBps",), goal=Goal(goal))
    return Row(f"bulk-{size}", ("throughput", "--size", size, "--pairs", str(pairs)), (speed, *more))


def _delay(title: str, percentile: str, goal: Goal | None = None) -> Figure:
    return Figure(f"{title}, {percentile}", "us", ("rtt_us", percentile), False, goal)


def _end_to_end(name: str, title: str, goal: float | None, *command: str, wire: str, around: float) -> Row:
    figure = Figure(title, "MB/s", ("MBps",), goal=None if goal is None else Goal(goal))
    full, quick = ("--size", "800m"), ("--size", "50m")
    return Row(name, command, (figure,), full=full, quick=quick, wire=wire, around=around)


def _forward(name: str, title: str, *arguments: str) -> Row:
    return _end_to_end(name, title, 0.8, "forward", *arguments, wire="session", around=4.0)


def _echo(name: str, action: str, title: str, wire: str, goals: Sequence[Goal | None] = (None, None)) -> Row:
    figures = (_delay(title, "p50", goals[0]), _delay(title, "p99", goals[1]))
    full, quick = ("--count", "1000"), ("--count", "300")  # mosh takes 20 to 40 ms for each
    return Row(name, (action,), figures, full=full, quick=quick, wire=wire, around=10.0)


def _first_output(name: str, title: str, goal: float, wire: str) -> Row:
    figure = Figure(title, "ms", ("first_output_ms",), False, Goal(goal))
    full, quick = ("--count", "10"), ("--count", "1")
    return Row(name, ("first-output",), (figure,), full=full, quick=quick, wire=wire, around=6.0)


def _copy(name: str, title: str, goal: float | None, *arguments: str, wire: str = "ssh-proxy") -> Row:
    return _end_to_end(name, title, goal, "copy", *arguments, wire=wire, around=6.0)


def _far(name: str, title: str, goal: float, action: str, wire: str = "long") -> Row:
    figure = Figure(f"100 ms away{title}", "MB/s", ("MBps",), goal=Goal(goal))
    full, quick = ("--size", "80m"), ("--size", "20m")
    return Row(name, (action,), (figure,), full=full, quick=quick, wire=wire, around=12.0)


def _tree(name: str, title: str, *arguments: str) -> Row:
    return Row(
        name,
        ("copy", *arguments),
        (Figure(title, "1/s", ("files_per_s",), goal=Goal(1)),),
        full=("--count", "10000"),
        quick=("--count", "300"),
        wire="cp",
        around=6.0,
    )


def idle_limit() -> int:
    """Returns how many files a process may have open: the hard limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


_FAIRNESS = Figure(
    "fairness: slowest of these 4 to fastest",
    "",
    ("pair_min_MBps",),
    goal=Goal(0.8, absolute=True),
    over=("pair_max_MBps",),
)

_FLOOD = "key echo beside 16 pairs flat out"

_RELAY = (
    _bulk("16", "16 B", 1, 20),
    _bulk("1k", "1 KiB", 1, 6),
    _bulk("4k", "4 KiB", 4, 3),
    _bulk("64k", "64 KiB", 4, 1.2, _FAIRNESS),
    _bulk("1m", "1 MiB", 1, 1.2),
    Row("echo", ("echo",), (_delay("key echo", "p50", Goal(1)), _delay("key echo", "p99"))),
    Row(
        "echo-flood",
        ("echo", "--bulk", "16"),
        (
            _delay(_FLOOD, "p50", Goal(1 / 100)),
            _delay(_FLOOD, "p99", Goal(1 / 30)),
            Figure("bulk beside the key echo, 16 pairs", "MB/s", ("bulk_MBps",), goal=Goal(1)),
        ),
        full=window(8, 1),
    ),
    Row("connect", ("connect",), (Figure("pairs set up and closed", "1/s", ("pairs_per_s",), goal=Goal(0.9)),)),
    Row(
        "idle",
        ("idle", "--check", "20", "--setup-limit", "120", "--limit", "300"),
        (Figure("memory per idle pair", "KiB", ("rss_kib_per_pair",), False, Goal(12, absolute=True)),),
        full=("--pairs", str(idle_pairs(idle_limit())), "--settle", "2"),
        quick=("--pairs", "300", "--settle", "0.5"),
        around=30.0,
        once=True,
    ),
    Row(
        "stopped-reader",
        ("slowreader", "--max-bytes", "256m", "--resume", "0.5"),
        (Figure("growth, reader stopped", "MiB", ("rss_growth_MiB",), False, Goal(1, absolute=True)),),
        full=("--stall", "20"),
        quick=("--stall", "2"),
        around=5.0,
        once=True,
    ),
)

ROWS = (
    *_RELAY,
    Row(
        "connect-signed",
        ("connect",),
        (Figure("signed pairs set up and closed, ws without", "1/s", ("pairs_per_s",), goal=Goal(0.6)),),
        wire="signed",
    ),
    *over_tls(_RELAY),
    Row(
        "raw-64k",
        ("throughput", "--size", "64k"),
        (Figure("raw bulk 64 KiB, 1 pair", "MB/s", ("MBps",), goal=Goal(1)),),
        wire="raw",
    ),
    Row("raw-echo", ("echo",), (_delay("raw key echo", "p50"), _delay("raw key echo", "p99")), wire="raw"),
    Row(
        "workers",
        ("throughput", "--size", "64k", "--pairs", "8"),
        (Figure("bulk 64 KiB, 8 pairs, a CPU second", "MB", ("MB_per_cpu_s",), goal=Goal(0.95)),),
        wire="workers",
    ),
    Row(
        "site-echo", ("echo",), (_delay("any door: key echo", "p50"), _delay("any door: key echo", "p99")), wire="site"
    ),
    Row(
        "site-64k",
        ("throughput", "--size", "64k", "--pairs", "4"),
        (
            Figure("any door: bulk 64 KiB, 4 pairs", "MB/s", ("MBps",)),
            Figure("any door: the same, a CPU second", "MB", ("MB_per_cpu_s",)),
        ),
        wire="site",
    ),
    Row(
        "site-connect",
        ("connect",),
        (Figure("any door: pairs set up and closed", "1/s", ("pairs_per_s",)),),
        wire="site",
    ),
    Row(
        "claim",
        ("connect", "--conc", "1"),
        (Figure("a claim, one pair at a time, mean", "us", ("claim_us",), False),),
        wire="site",
        claims=True,
    ),
    Row(
        "session-pipe",
        ("pipe",),
        (Figure("output of a command through pipes", "MB/s", ("MBps",), goal=Goal(1.5)),),
        full=("--size", "400m"),
        quick=("--size", "50m"),
        wire="session",
        around=4.0,
    ),
    _first_output("first-output", "connect, first output of a command", 0.6, "session"),
    _first_output("first-output-own", "the same with a reflector of its own", 1.0, "own"),
    _forward("session-forward", "-L, from the job"),
    _forward("forward-down-4", "-L, from the job, 4 connections", "--connections", "4"),
    _forward("forward-up", "-L, to the job", "--up"),
    _forward("forward-up-4", "-L, to the job, 4 connections", "--up", "--connections", "4"),
    _echo("forward-echo", "forward-echo", "-L, a small request", "session"),
    Row(
        "forward-connect",
        ("forward-connect",),
        (Figure("-L, connections one after another", "1/s", ("connections_per_s",)),),
        full=("--count", "500"),
        quick=("--count", "100"),
        wire="session",
        around=4.0,
    ),
    Row(
        "session-terminal",
        ("terminal",),
        (Figure("output on a terminal", "MB/s", ("MBps",), goal=Goal(1.2)),),
        full=("--size", "100m"),
        quick=("--size", "10m"),
        wire="session",
        around=5.0,
    ),
    Row(
        "session-stale",
        ("stale",),
        (Figure("output after ^C, slow terminal", "MB", ("stale_MB",), False, Goal(0.3)),),
        full=("--duration", "5"),
        quick=("--duration", "2"),
        wire="session",
        around=5.0,
    ),
    _echo("session-keys", "keys", "a key and its echo", "keys", (Goal(1.3), Goal(1.5))),
    _far("long-pipe", ": output through pipes", 1.0, "pipe"),
    _far("long-pipe-up", ": input through pipes", 1.0, "pipe-up"),
    _far("long-terminal", ": output on a terminal", 1.0, "terminal"),
    _far("long-loss-pipe", ", 1 % lost: output through pipes", 0.9, "pipe", "long-loss"),
    _far("long-loss-terminal", ", 1 % lost: output on a terminal", 0.9, "terminal", "long-loss"),
    _far("long-rate-pipe", ", 10 MB/s: output through pipes", 0.9, "pipe", "long-rate"),
    _far("long-rate-terminal", ", 10 MB/s: output on a terminal", 0.9, "terminal", "long-rate"),
    _copy("scp-up", "scp, a file to the job", 0.5, "--up"),
    _copy("scp-down", "scp, a file from the job", 0.5),
    Row(
        "ssh-first",
        ("first",),
        (Figure("ssh, connect and run `true`", "ms", ("first_ms",), False),),
        full=("--count", "5"),
        quick=("--count", "1"),
        wire="ssh-proxy",
        around=6.0,
    ),
    _copy("cp-up", "a file to the job", None, "--up", wire="cp"),
    _copy("cp-down", "a file from the job", None, wire="cp"),
    _tree("cp-many-up", "10,000 small files to the job", "--up"),
    _tree("cp-many-down", "10,000 small files from the job"),
    Row(
        "session-cut",
        ("pipe",),
        (Figure("output through pipes, all links cut each second", "MB/s", ("MBps",)),),
        full=("--size", "2000m"),
        quick=("--size", "400m"),
        wire="cut",
        around=12.0,
    ),
)
