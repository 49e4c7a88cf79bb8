from __future__ import annotations

import math
import select
import signal

from medusa.transports.helper import ask_helper


def test_an_event_of_another_descriptor_with_the_same_number_does_not_block() -> None:
    steps = ask_helper(signal.pause, math.inf)
    wait = next(steps)
    assert steps.send(dict.fromkeys(wait.events, select.POLLIN)) == wait
    steps.close()
