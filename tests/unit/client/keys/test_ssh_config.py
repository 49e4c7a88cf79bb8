from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medusa.client.keys.ssh_config import STANDARD_FILES, interpret, read

STANDARD = tuple(Path(file).expanduser() for file in STANDARD_FILES)
OF_SSH = "".join(f"identityfile ~/.ssh/id_{kind}\n" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "xmss", "dsa"))


@pytest.mark.parametrize(
    ("output", "agent"),
    [
        ("", "/env"),
        ("identityagent SSH_AUTH_SOCK\n", "/env"),
        ("identityagent none\n", None),
        ("identityagent $OTHER\n", "/other"),
        ("identityagent $MISSING\n", None),
        ("identityagent /a b/agent.sock\n", "/a b/agent.sock"),
    ],
)
def test_the_agent(output: str, agent: str | None) -> None:
    assert interpret(output, {"SSH_AUTH_SOCK": "/env", "OTHER": "/other"}).agent == agent


@pytest.mark.parametrize(
    ("output", "first"),
    [
        (OF_SSH, ()),
        ("identityfile ~/.ssh/id_work\nidentityfile /k/%%h\n", ("~/.ssh/id_work", "/k/%h")),
        ("hostname h\nidentityfile %d/.ssh/%h\n", ("~/.ssh/h",)),
    ],
)
def test_the_files(output: str, first: tuple[str, ...]) -> None:
    found = interpret(output, {}).files
    assert found == (*(Path(file).expanduser() for file in first), *STANDARD)


@pytest.mark.skipif(not shutil.which("ssh"), reason="needs ssh (openssh-client)")
def test_what_ssh_itself_reads_for_a_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/env")
    (tmp_path / ".ssh").mkdir()
    config = "Host *.example\n  IdentityAgent ~/one.sock\n  IdentityFile ~/mine\n  IdentitiesOnly yes\n"
    (tmp_path / ".ssh/config").write_text(config)
    there = read("h.example")
    assert (there.agent, there.files[0], there.identities_only) == (f"{tmp_path}/one.sock", tmp_path / "mine", True)
    for host in ("127.0.0.1", None, "-oProxyCommand=x", "a b"):
        assert read(host) == interpret("", {"SSH_AUTH_SOCK": "/env"})
