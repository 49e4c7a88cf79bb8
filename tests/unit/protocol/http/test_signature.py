from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.http.signature import (
    Credentials,
    KeyId,
    SignatureError,
    build_authorization,
    header_text,
    parse_authorization,
    parse_presigned,
    presigned_target,
    presigned_text,
)

MD5 = "0a:1b:2c:3d:4e:5f:60:71:82:93:a4:b5:c6:d7:e8:f9"
SHA256 = "SHA256:" + "Ab+/" * 10 + "xyz"

REAL_HEADER = (
    'Signature keyId="/poseidon/keys/' + MD5 + '",algorithm="rsa-sha256",headers="date",signature="c2lnbmF0dXJl"'
)
"""As npm smartdc-auth writes it."""

logins = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+\-]{0,63}", fullmatch=True)
key_ids = st.builds(KeyId, logins, st.none() | logins, st.sampled_from([MD5, SHA256]))
names = st.text(string.ascii_lowercase + "-()", min_size=1, max_size=20)
credentials = st.builds(
    Credentials,
    key_ids,
    st.sampled_from(["rsa-sha256", "ed25519-sha512"]),
    st.lists(names, min_size=1, unique=True).map(tuple),
    st.binary(min_size=1, max_size=600),
)
parameters = st.dictionaries(
    st.text(string.printable, min_size=1).filter(
        lambda name: name not in {"signature", "algorithm", "expires", "keyId"}
    ),
    st.text(),
    max_size=3,
).map(lambda more: {"algorithm": "RSA-SHA256", "expires": "1", "keyId": f"/a/keys/{MD5}", **more})


@given(credentials)
def test_what_is_built_is_parsed(built: Credentials) -> None:
    assert parse_authorization(build_authorization(built)) == built


@given(key_ids)
def test_a_key_id_is_parsed_from_its_text(key_id: KeyId) -> None:
    assert KeyId.parse(str(key_id)) == key_id


@given(st.text() | st.text().map(lambda text: "Signature " + text))
def test_any_other_text_raises_the_one_error(text: str) -> None:
    for parse in (parse_authorization, KeyId.parse, parse_presigned):
        with pytest.raises(SignatureError):
            parse(text)


@given(parameters, st.binary(min_size=1, max_size=600))
def test_a_presigned_target_is_parsed(given_parameters: dict[str, str], signature: bytes) -> None:
    target = presigned_target("/a/b", given_parameters, signature)
    assert parse_presigned(target) == ("/a/b", given_parameters, signature)


@given(parameters, st.binary(min_size=1, max_size=60), st.data())
def test_a_presigned_target_has_one_spelling(
    given_parameters: dict[str, str], signature: bytes, data: st.DataObject
) -> None:
    """Any other target that is accepted means something else."""
    target = presigned_target("/a/b", given_parameters, signature)
    place = data.draw(st.integers(0, len(target)))
    other = target[:place] + data.draw(st.sampled_from(["", "&", "=", "%2F", "+", "x", "?"])) + target[place + 1 :]
    try:
        parsed = parse_presigned(other)
    except SignatureError:
        return
    assert presigned_target(*parsed) == other
    assert (other == target) == (parsed == ("/a/b", given_parameters, signature))


def test_the_originals_header() -> None:
    found = parse_authorization(REAL_HEADER)
    assert found == Credentials(KeyId("poseidon", None, MD5), "rsa-sha256", ("date",), b"signature")


def test_the_date_is_what_is_signed_unless_it_says_more() -> None:
    assert parse_authorization(REAL_HEADER.replace('headers="date",', "")).headers == ("date",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        f"/a/keys/{MD5}0",
        f"/a/keys/{MD5.upper()}",
        f"/a/b/c/keys/{MD5}",
        f"a/keys/{MD5}",
        f"/./keys/{MD5}",
        f"/a/keys/{MD5}\n",
        f"/a%2fb/keys/{MD5}",
        "/a/keys/SHA256:short",
        f"/{'a' * 65}/keys/{MD5}",
    ],
)
def test_texts_that_are_no_key_id(text: str) -> None:
    with pytest.raises(SignatureError):
        KeyId.parse(text)


def test_what_a_header_signs() -> None:
    text = header_text(("(request-target)", "host", "date"), "GET", "/a?b", {"host": "h:1", "date": "now"})
    assert text == b"(request-target): get /a?b\nhost: h:1\ndate: now"
    with pytest.raises(SignatureError):
        header_text(("date", "digest"), "GET", "/", {"date": "now"})


def test_what_a_url_signs() -> None:
    given_parameters = {"keyId": "/a/keys/x:y", "algorithm": "RSA-SHA256", "expires": "9", "role": "*!'()~"}
    text = presigned_text("GET", "h:1", "/a/b", given_parameters)
    query = b"algorithm=RSA-SHA256&expires=9&keyId=%2Fa%2Fkeys%2Fx%3Ay&role=%2A%21%27%28%29~"
    assert text == b"GET\nh:1\n/a/b\n" + query
    assert presigned_text("GET", "h", "/", {"method": "GET,HEAD"}).startswith(b"GET,HEAD\n")
