"""All rules. A rule is a function of the code under test, so that changed code can be tested too; it fails or not."""

from __future__ import annotations

from collections.abc import Callable

from tests.streams.world import Code

Rule = Callable[[Code], None]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Adds `function` to the rules."""
    RULES.append(function)
    return function
