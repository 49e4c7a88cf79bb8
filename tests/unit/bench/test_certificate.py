"""The certificate of the relays that speak TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from bench.certificate import made


def test_the_file_has_a_key_and_a_certificate_and_is_made_once(tmp_path: Path) -> None:
    path = made(tmp_path / "build" / "localhost.pem")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert made(path).read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
