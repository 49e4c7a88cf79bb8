from __future__ import annotations

import pytest

from medusa.protocol.http.about import MAX_VALUE, About, build, parse


@pytest.mark.parametrize(
    "about",
    [
        About(),
        About(name="train-1.2_x@y+z:3"),
        About(host="gpu01.example.org", job="slurm 4711", until=1790000000),
        About(host="b\u00fccher", job="a&b=c%41+"),
    ],
)
def test_what_is_built_is_parsed(about: About) -> None:
    assert parse(build(about)) == about


def test_a_value_is_written_as_in_a_query() -> None:
    assert build(About("train", "gpu01", "slurm 4711", 17)) == "name=train&host=gpu01&job=slurm+4711&until=17"


def test_what_would_be_ignored_or_is_too_long_is_not_built() -> None:
    assert build(About(name="-x", host="a\nb", job="j")) == "job=j"
    assert build(About(host="\u00fc" * 200, job="j")) == "job=j"


@pytest.mark.parametrize(
    ("value", "about"),
    [
        (None, About()),
        ("", About()),
        ("name=a&name=b", About("a")),
        ("name=%&host&=x&job=%00&more=1&&count=1", About()),
        ("name=" + "a" * 64, About("a" * 64)),
        ("name=" + "a" * 65, About()),
        ("name=a%20b&host=x", About(host="x")),
        ("name=%C3%A4", About()),
        ("host=%ff&job=+", About()),
        ("host=%E2%80%AE&job=" + "j" * 256, About()),
        ("until=-1", About()),
        ("until=1e9&name=.x", About()),
        ("until=" + "9" * 13, About()),
        ("until=%D9%A1", About()),
        ("name=a b", About()),
        ("name=a\xff", About()),
        ("job=j&" + "&" * (MAX_VALUE - 6), About(job="j")),
        ("job=j&" + "&" * (MAX_VALUE - 5), About()),
    ],
)
def test_what_cannot_be_used_is_ignored(value: str | None, about: About) -> None:
    assert parse(value) == about
