"""The phases of a step (the job's command that `wrap` runs), as a table. No I/O, no clock."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """The phase that a step is in."""

    RUNNING = "its process lives"
    FLUSHING = "it has ended; its last output is being passed on"
    OVER = "all of that is done, or given up"


class Input(enum.Enum):
    """An event that can happen to a step."""

    EXITED = "its process has ended"
    OUTPUT_PASSED = "all of its output is passed on"
    STOP_ASKED = "a signal asks for the end"
    OUTPUT_EXPIRED = "its end was asked for, and its output is not read in time"


TABLE = {
    (Phase.RUNNING, Input.EXITED): Phase.FLUSHING,
    (Phase.RUNNING, Input.STOP_ASKED): Phase.RUNNING,
    (Phase.FLUSHING, Input.OUTPUT_PASSED): Phase.OVER,
    (Phase.FLUSHING, Input.STOP_ASKED): Phase.OVER,  # the reader of the output may never read on
    (Phase.FLUSHING, Input.OUTPUT_EXPIRED): Phase.OVER,
    (Phase.OVER, Input.STOP_ASKED): Phase.OVER,
}
"""The next phase of a step, by its phase and the event (Input) that happens. What cannot happen has no entry."""
