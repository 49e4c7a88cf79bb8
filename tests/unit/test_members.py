"""Members of an enum that are quick to use."""

from __future__ import annotations

import pickle

from medusa.session.members import Named, direct


@direct
class Colour(Named):
    RED = "red"
    GREEN = "green"


def test_the_members_are_plain_attributes_and_all_else_is_as_before() -> None:
    assert vars(Colour)["RED"] is Colour("red") is Colour["RED"] is Colour.RED
    assert list(Colour) == [Colour.RED, Colour.GREEN]
    assert (Colour.RED.name, Colour.RED.value) == ("RED", "red")
    assert {Colour.RED: 1}[Colour("red")] == 1
    assert pickle.loads(pickle.dumps(Colour.GREEN)) is Colour.GREEN
