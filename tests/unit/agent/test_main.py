from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from agent import __main__ as session
from agent.wrap import main as wrap


class Forked(Exception):
    """Raised in place of the fork of the guard."""


@pytest.mark.parametrize("module", [session, wrap], ids=["session", "wrap"])
def test_the_memory_is_hidden_before_the_guard_gets_a_copy_of_it(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: called.append(name)

    def fork(*_: object) -> None:
        raise Forked

    for name in ("no_core_dumps", "more_descriptors", "hide_memory"):
        monkeypatch.setattr(module, name, note(name))
    monkeypatch.setattr(module.Guard, "start", fork)
    with pytest.raises(Forked):
        module.main(["--", "true"] if module is wrap else [])
    assert sorted(called) == ["hide_memory", "more_descriptors", "no_core_dumps"]
