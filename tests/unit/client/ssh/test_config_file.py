"""Blocks for ~/.ssh/config: nothing of the user's is lost, one line is added, once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from medusa.client.outcome import Failure
from medusa.client.ssh.config_file import ANY, OWN, block, install

BOX = block("box.medusa", ["medusa", "ssh-proxy", "a 100% box"], Path("/known hosts"))


def include(ssh: Path) -> bytes:
    return f'Include "{ssh / OWN}"\n'.encode()


@pytest.mark.parametrize(
    "config", [b"", b"Host *\n  User x\n", b"# \xff no UTF-8, no newline", b"Host a\nInclude medusa_config\n"]
)
def test_the_users_text_stays(tmp_path: Path, config: bytes) -> None:
    (tmp_path / "config").write_bytes(config)
    (tmp_path / "config").chmod(0o640)
    assert install({"box.medusa": BOX}, tmp_path, only=False) == [tmp_path / OWN, tmp_path / "config"]
    assert install({"box.medusa": BOX}, tmp_path, only=False) == []
    assert (tmp_path / "config").read_bytes() == include(tmp_path) + config
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", OWN]


@pytest.mark.parametrize(
    "line", ["Include medusa_config", "include=~/.ssh/medusa_config", '  Include "/x/medusa_config" ']
)
def test_a_line_that_is_there_is_enough(tmp_path: Path, line: str) -> None:
    (tmp_path / "config").write_text(f"User x\n{line}\nHost *\n")
    assert install({"box.medusa": BOX}, tmp_path, only=False) == [tmp_path / OWN]


def test_a_new_directory_and_a_link(tmp_path: Path) -> None:
    real, ssh = tmp_path / "dotfiles", tmp_path / ".ssh"
    real.write_text("User x\n")
    ssh.mkdir()
    (ssh / "config").symlink_to(real)
    install({"box.medusa": BOX}, ssh, only=False)
    assert (ssh / "config").is_symlink()
    assert real.read_bytes() == include(ssh) + b"User x\n"
    install({"box.medusa": BOX}, tmp_path / "new", only=False)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "config").stat().st_mode & 0o777 == 0o600


def test_blocks_are_replaced_one_by_one_and_the_one_for_all_is_last(tmp_path: Path) -> None:
    def hosts() -> list[str]:
        return [line.split()[1] for line in (tmp_path / OWN).read_text().splitlines() if line.startswith("Host ")]

    install({ANY: block(ANY, ["p", "%h"], Path("/k"))}, tmp_path, only=False)
    install({"box.medusa": BOX, "old.medusa": BOX.replace("box", "old")}, tmp_path, only=False)
    assert hosts() == ["box.medusa", "old.medusa", ANY]
    install({"box.medusa": block("box.medusa", ["new"], Path("/k"))}, tmp_path, only=True)
    assert hosts() == ["box.medusa", ANY]
    assert "ProxyCommand new\n" in (tmp_path / OWN).read_text()


def test_what_the_user_has_added_to_the_blocks_stays(tmp_path: Path) -> None:
    (tmp_path / OWN).write_bytes(
        b"Host old.medusa\r\n  ProxyCommand medusa ssh-proxy old\r\n\r\nHost \xff\n  User me\n"
    )
    install({"box.medusa": BOX}, tmp_path, only=True)
    text = (tmp_path / OWN).read_bytes()
    assert b"old" not in text
    assert b"\nHost \xff\n  User me\n" in text


def test_ssh_understands_it(tmp_path: Path) -> None:
    install({"box.medusa": BOX}, tmp_path, only=False)
    command = ["ssh", "-G", "-F", str(tmp_path / "config"), "box.medusa"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "proxycommand medusa ssh-proxy 'a 100%% box'" in lines
    assert "userknownhostsfile /known hosts" in lines


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / OWN).mkdir()
    with pytest.raises(Failure, match=f"cannot write {tmp_path / OWN}: Is a directory"):
        install({"box.medusa": BOX}, tmp_path, only=False)
