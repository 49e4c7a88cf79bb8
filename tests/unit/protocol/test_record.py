"""Records behave as the classes that dataclasses makes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from medusa.protocol.messages import Binary, Text
from medusa.protocol.record import field, fields_of, metadata_of, record, replace


@record
class Point:
    """A record."""

    x: int
    y: int = 2

    @property
    def both(self) -> int:
        return self.x + self.y


@record
class Named(Point):
    """A record with the fields of another one, and more."""

    name: str = field(default="", metadata="words", repr=False)
    tags: list[str] = field(default_factory=list)


@record(frozen=False)
class Open:
    """A record whose fields may change."""

    x: int = 1


@record(kw_only=True)
class Wanted:
    """A record with a field that has no default after one that has."""

    x: int = 1
    y: int


def test_fields_are_given_by_place_or_by_name() -> None:
    assert vars(Point(1)) == vars(Point(1, 2)) == vars(Point(x=1)) == vars(Point(1, y=2)) == {"x": 1, "y": 2}
    assert Point(1, 3).both == 4
    assert Wanted(y=2) == Wanted(x=1, y=2)


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 3}), ((1,), {"x": 2}), ((1, 2), {"x": 2})]
)
def test_what_does_not_fit_the_fields_is_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    make: Any = Point
    with pytest.raises(TypeError, match="Point"):
        make(*values, **named)


def test_a_field_without_a_value_is_no_attribute_of_the_class() -> None:
    assert not hasattr(Wanted, "y")
    assert Point.y == 2


def test_each_record_has_its_own_value_of_a_factory() -> None:
    one, other = Named(1), Named(1)
    one.tags.append("a")
    assert other.tags == []
    assert one != other


def test_equality_is_by_class_and_fields() -> None:
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert Point(1) != Named(1)
    assert Point(1).__eq__((1, 2)) is NotImplemented
    assert {Point(1), Point(1)} == {Point(1)}


def test_a_frozen_record_cannot_be_changed() -> None:
    point: Any = Point(1)
    with pytest.raises(AttributeError, match="x cannot be changed"):
        point.x = 2
    with pytest.raises(AttributeError, match="y cannot"):
        del point.y
    assert point.x == 1


def test_another_record_can_be_changed_and_is_no_key() -> None:
    changed: Any = Open()
    changed.x = 5
    assert changed == Open(5)
    with pytest.raises(TypeError):
        hash(changed)


def test_replace_makes_a_copy() -> None:
    named = Named(1, name="a")
    assert replace(named, y=3) == Named(1, 3, "a")
    assert named.y == 2
    with pytest.raises(TypeError):
        replace(named, z=1)


def test_the_text_leaves_out_what_is_not_to_be_shown() -> None:
    assert repr(Named(1, name="secret")) == "Named(x=1, y=2, tags=[])"


def test_a_method_of_the_class_stays() -> None:
    @record
    class Hidden:
        secret: str

        def __repr__(self) -> str:
            return "hidden"

    assert repr(Hidden("a")) == "hidden"
    assert hash(Hidden("a")) == hash(Hidden("a"))


def test_a_class_with_its_own_equality_is_no_key() -> None:
    @record
    class Alike:  # noqa: PLW1641 - this is tested
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Alike)

    assert Alike(1) == Alike(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Alike(1))


def test_records_with_one_field_or_none() -> None:
    @record
    class Nothing:
        pass

    @record
    class NothingElse:
        pass

    assert (Nothing(), hash(Nothing()), repr(Nothing())) == (Nothing(), hash(Nothing()), repr(Nothing()))
    assert len({Nothing(), NothingElse(), Nothing()}) == 2
    assert len({Nothing(), NothingElse(), Binary(b""), Text(""), Binary(b"")}) == 4
    assert fields_of(Nothing()) == {}
    assert (Binary(data=b"a"), replace(Binary(b"a"), data=b"b")) == (Binary(b"a"), Binary(b"b"))


def calls(function: Callable[[], object]) -> int:
    """Returns how many functions in Python run for a call of `function`, without itself."""
    seen = list[str]()
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: seen.append(event))
    try:
        function()
    finally:
        sys.setprofile(before)
    return seen.count("call") - 1


def test_a_record_is_made_hashed_and_compared_by_one_function() -> None:
    """Each keystroke makes some records, and each look into a dict by one of them calculates its hash."""
    point, other = Point(1), Point(1)
    assert calls(lambda: Point(1, 2)) == calls(lambda: Binary(b"x")) == 1
    assert calls(lambda: hash(point)) == 1
    assert calls(lambda: point == other) == 1


def test_values_and_metadata_by_name() -> None:
    assert fields_of(Named(1, tags=["a"])) == {"x": 1, "y": 2, "name": "", "tags": ["a"]}
    assert metadata_of(Named) == {"x": None, "y": None, "name": "words", "tags": None}
