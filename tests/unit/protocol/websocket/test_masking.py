from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.websocket import masking
from medusa.protocol.websocket.masking import apply_mask, apply_mask_pure, rotate_key

keys = st.binary(min_size=4, max_size=4)


@given(data=st.binary(max_size=2000), key=keys)
def test_accelerated_and_pure_are_equal(data: bytes, key: bytes) -> None:
    plain = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    assert apply_mask_pure(data, key) == plain
    assert apply_mask(data, key) == plain


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 7, 8, 15, 16, 17, 63, 65535, 65536, 65537, 1 << 20])
def test_equal_at_the_edges_of_words(size: int) -> None:
    data, key = bytes(i * 7 & 255 for i in range(size)), b"\x01\x80\xff\x00"
    assert apply_mask(data, key) == apply_mask_pure(data, key)
    assert apply_mask(apply_mask(data, key), key) == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind: type[masking.Buffer]) -> None:
    data = kind(b"_Hello")
    for mask in (apply_mask, apply_mask_pure):
        result = mask(data[1:], b"\0\0\0\1")
        assert isinstance(result, bytes)
        assert result == b"Helmo"


@given(data=st.binary(max_size=300), key=keys, at=st.integers(0, 300))
def test_a_payload_can_be_unmasked_in_pieces(data: bytes, key: bytes, at: int) -> None:
    first, rest = data[:at], data[at:]
    whole = apply_mask(first, key) + apply_mask(rest, rotate_key(key, len(first)))
    assert whole == apply_mask(data, key)


def other_package(tmp_path: Path) -> Callable[..., ModuleSpec | None]:
    """A package `websockets` whose module `speedups` has no `apply_mask`."""
    (tmp_path / "__init__.py").touch()
    (tmp_path / "speedups.py").touch()
    found = spec_from_file_location("websockets", tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)])
    inside = spec_from_file_location("websockets.speedups", tmp_path / "speedups.py")
    return lambda name, *_: found if name == "websockets" else inside


@pytest.mark.parametrize("other", [False, True])
def test_the_pure_one_is_used_if_nothing_else_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: bool
) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", other_package(tmp_path) if other else lambda *_: None)
    spec = spec_from_file_location("masking_alone", masking.__file__)
    assert spec
    assert spec.loader
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.apply_mask is alone.apply_mask_pure
    assert apply_mask is not apply_mask_pure
