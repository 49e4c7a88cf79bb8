from __future__ import annotations

import sys
import unicodedata

import pytest

from medusa.protocol.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain words, 123 €!", "plain words, 123 €!"),
        ("žluťoučký 漢字 ة 😀", "žluťoučký 漢字 ة 😀"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc\0\x7f", "a\\x0d\\x0ab\\x09c\\x00\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069\u200b\ufeff", "\\u2066x\\u2069\\u200b\\ufeff"),
        ("\u2028\u2029\u00a0\u3000", "\\u2028\\u2029\\xa0\\u3000"),
        ("\ud800", "\\ud800"),
        ("\ue000\U000e0041\U0010ffff", "\\ue000\\U000e0041\\U0010ffff"),
    ],
)
def test_characters_that_could_do_harm_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_character_is_shown_or_escaped() -> None:
    every = [chr(code) for code in (*range(0x20000), *range(0x20000, sys.maxunicode, 97))]
    harmless = "".join(c for c in every if c == " " or unicodedata.category(c)[0] not in "CZ")
    harmful = "".join(set(every).difference(harmless))
    assert printable(harmless, limit=len(harmless)) == harmless
    assert set(printable(harmful, limit=len(harmful))) == set("\\xuU0123456789abcdef")


def test_long_text_is_cut_before_it_is_worked_on() -> None:
    assert printable("x" * 256) == "x" * 256
    assert printable("x" * 257) == "x" * 256 + "..."
    assert printable("\n" * 10_000_000, limit=2) == "\\x0a\\x0a..."
