"""The rows about TLS."""

from __future__ import annotations

from bench.over_tls import IDLE_PAIRS
from bench.relays import WIRES
from bench.rows import ROWS

BY_NAME = {row.name: row for row in ROWS}


def test_each_row_of_the_relays_for_websockets_has_one_over_tls() -> None:
    plain = [row for row in ROWS if row.wire == "websocket"]
    for row in plain:
        other = BY_NAME["tls-" + row.name.removeprefix("bulk-")]
        assert (other.wire, other.arguments, other.quick) == ("tls", row.arguments, row.quick)
        assert [figure.path for figure in other.figures] == [figure.path for figure in row.figures]
    assert len(BY_NAME) == len(ROWS)


def test_fewer_pairs_are_idle_over_tls() -> None:
    full = BY_NAME["tls-idle"].full
    assert full[full.index("--pairs") + 1] == str(IDLE_PAIRS)


def test_all_relays_with_tls_say_so() -> None:
    assert all(getattr(kind, "tls", False) for wire in ("tls", "tls-raw") for kind in WIRES[wire].values())
