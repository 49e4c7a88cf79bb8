from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from medusa.transports.tls.trust import distrust
from tests.links import CERTIFICATE


def error(code: int) -> ssl.SSLCertVerificationError:
    found = ssl.SSLCertVerificationError()
    found.verify_code, found.verify_message = code, "because"
    return found


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ""),
        (
            {"SSL_CERT_FILE": "/nowhere"},
            "SSL_CERT_FILE names /nowhere, which cannot be read: No such file or directory",
        ),
        ({"SSL_CERT_FILE": "{}"}, "SSL_CERT_FILE names {}, which is not a file"),
        ({"SSL_CERT_FILE": "{}/text"}, "SSL_CERT_FILE names {}/text, which holds no certificate in PEM"),
        ({"SSL_CERT_FILE": "{}/bad"}, "SSL_CERT_FILE names {}/bad, which holds a certificate that cannot be read"),
        ({"SSL_CERT_FILE": str(CERTIFICATE)}, f"SSL_CERT_FILE names {CERTIFICATE}"),
        ({"SSL_CERT_DIR": "/nowhere"}, "SSL_CERT_DIR names /nowhere, which cannot be read"),
        ({"SSL_CERT_DIR": "{}/empty"}, "SSL_CERT_DIR names {}/empty, which is empty"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "bad").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "empty").mkdir()
    environ = {name: value.format(tmp_path) for name, value in variables.items()}
    assert distrust(error(20), environ).startswith("because; " + words.format(tmp_path) if variables else "because")


def test_other_reasons_have_nothing_to_do_with_it() -> None:
    assert distrust(error(62), {"SSL_CERT_FILE": "/nowhere"}) == "because"


def test_an_empty_variable_counts_as_unset() -> None:
    assert distrust(error(20), {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}) == "because"
