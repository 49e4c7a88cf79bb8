from __future__ import annotations

import base64
import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.types import EventDict

from medusa.reflector.auth import accounts as accounts_module
from medusa.reflector.auth.accounts import MAX_FILE, MAX_UNREADABLE, Accounts, AccountsError
from tests.signing import Key, Keys, allow
from tests.waiting import wait_until


def found(accounts: Accounts, key: Key, login: str = "alice", user: str | None = None) -> bool:
    return accounts.find(login, user, key.md5) is not None


def test_an_account_and_its_users_have_keys_of_their_own(tmp_path: Path, key: Key) -> None:
    other = Key("ecdsa256")
    allow(tmp_path, "alice", key)
    allow(tmp_path, "alice", other, user="guest")
    accounts = Accounts(str(tmp_path))
    assert found(accounts, key)
    assert found(accounts, other, user="guest")
    assert not found(accounts, other)
    assert not found(accounts, key, user="guest")
    assert not found(accounts, key, "bob")
    assert not found(accounts, key, "alice", "bob")
    assert not found(accounts, key, "alice.users")


def test_a_file_that_changed_is_read_anew_and_no_other(tmp_path: Path, key: Key, logs: list[EventDict]) -> None:
    accounts = Accounts(str(tmp_path))
    assert not found(accounts, key)
    allow(tmp_path, "alice", key)
    assert found(accounts, key)
    assert found(accounts, key)
    (tmp_path / "alice").write_bytes(b"")
    assert not found(accounts, key)
    (tmp_path / "alice").unlink()
    assert not found(accounts, key)
    assert [entry["keys"] for entry in logs] == [1, 0]


def test_a_change_shows_whatever_its_time_and_size(tmp_path: Path, key: Key) -> None:
    other, path = Key("ed25519"), tmp_path / "alice"
    allow(tmp_path, "alice", key)
    accounts, before = Accounts(str(tmp_path)), path.stat()
    assert found(accounts, key)
    wait_until(lambda: _now(tmp_path) > before.st_ctime_ns, "the file system's clock")
    path.write_bytes(path.read_bytes().replace(key.line, other.line))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    assert not found(accounts, key)
    assert found(accounts, other)


def test_a_change_shows_in_the_same_second_of_a_file_system(
    tmp_path: Path, key: Key, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems count times in seconds, so that no time shows a second change in the same second."""
    lstat, fstat = os.lstat, os.fstat
    monkeypatch.setattr(os, "lstat", lambda path: _one_second(lstat(path)))
    monkeypatch.setattr(os, "fstat", lambda fd: _one_second(fstat(fd)))
    other, path = Key("ed25519"), tmp_path / "alice"
    allow(tmp_path, "alice", key)
    now = SECOND + 0.9
    accounts = Accounts(str(tmp_path), clock=lambda: now)
    assert found(accounts, key)
    assert found(accounts, key)
    path.write_bytes(path.read_bytes().replace(key.line, other.line))
    assert not found(accounts, key)
    assert found(accounts, other)
    now += 10
    assert found(accounts, other)
    assert found(accounts, other)
    assert [entry["keys"] for entry in logs] == [1, 1], "the file is read again, but only a change is logged"


SECOND = 1_800_000_000


def _one_second(found: os.stat_result) -> SimpleNamespace:
    """What a file system says that knows only one second, for a file that was changed in it."""
    fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    times = {name: SECOND * 10**9 if name.endswith("_ns") else SECOND for name in fields if "time" in name}
    return SimpleNamespace(**{**fields, **times})


def _now(directory: Path) -> int:
    probe = directory / "probe"
    probe.write_bytes(b"")
    return probe.stat().st_ctime_ns


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (b'from="10.0.0.0/8" ', "options before a key are not understood"),
        (b"cert-authority ", "options before a key are not understood"),
        (b"ssh-dss ", "not an RSA, ECDSA or Ed25519 key in OpenSSH's form"),
        (b"sk-ssh-ed25519@openssh.com ", "not an RSA, ECDSA or Ed25519 key in OpenSSH's form"),
    ],
)
def test_a_line_that_is_not_understood_lets_nobody_in(
    tmp_path: Path, key: Key, logs: list[EventDict], before: bytes, why: str
) -> None:
    other = Key("ed25519")
    (tmp_path / "alice").write_bytes(b"# comment\n" + before + key.line + b"  \n" + other.line)
    accounts = Accounts(str(tmp_path))
    assert not found(accounts, key)
    assert found(accounts, other)
    assert [(entry["line"], entry["reason"]) for entry in logs if entry["event"] == "key ignored"] == [(2, why)]


_COMPRESSED = b"".join(
    len(part).to_bytes(4, "big") + part for part in (b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(32))
)


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe\0",
        b"rubbish",
        b"ssh-ed25519",
        b"ssh-ed25519 !!!",
        b"ecdsa-sha2-nistp256 " + base64.b64encode(_COMPRESSED),
        b"ssh-ed25519-cert-v01@openssh.com AAAA",
        b'command="echo \\"ssh-rsa AAAA\\"" ssh-rsa AAAA',
        b"ssh-future " + b"A" * 100_000,
        b"-----BEGIN PUBLIC KEY-----",
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_bad_line_hides_no_other(tmp_path: Path, keys: Keys, logs: list[EventDict], bad: bytes, end: bytes) -> None:
    lines = [
        b"\xef\xbb\xbf" + keys["rsa"].line,
        b"",
        bad,
        b"# M\xfcller",
        keys["ed25519"].line.rstrip() + b" M\xfcller",
    ]
    (tmp_path / "alice").write_bytes(b"".join(line.rstrip(b"\n") + end for line in lines))
    accounts = Accounts(str(tmp_path))
    assert found(accounts, keys["rsa"])
    assert found(accounts, keys["ed25519"])
    assert [entry["line"] for entry in logs if entry["event"] == "key ignored"] == [3]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_nobodys(tmp_path: Path, key: Key, logs: list[EventDict], mode: int) -> None:
    allow(tmp_path, "alice", key)
    (tmp_path / "alice").chmod(mode)
    assert not found(Accounts(str(tmp_path)), key)
    assert "others than its owner can write" in logs[0]["reason"]


def test_a_file_above_all_bounds_is_ignored(tmp_path: Path, key: Key) -> None:
    (tmp_path / "alice").write_bytes(key.line + b"#" * MAX_FILE)
    (tmp_path / "alice").chmod(0o600)
    assert not found(Accounts(str(tmp_path)), key)


def test_a_file_that_cannot_be_read_is_logged_once(tmp_path: Path, key: Key, logs: list[EventDict]) -> None:
    accounts, path = Accounts(str(tmp_path)), tmp_path / "alice"
    for _ in range(2):
        path.symlink_to("alice")
        for _ in range(3):
            assert not found(accounts, key)
        path.unlink()
        assert not found(accounts, key)
    assert [entry["event"] for entry in logs] == ["account not readable"] * 2


def test_names_that_strangers_choose_fill_no_log(
    tmp_path: Path, key: Key, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    accounts = Accounts(str(tmp_path))
    monkeypatch.setattr(os, "open", refuse)
    for number in range(2 * MAX_UNREADABLE):
        assert not found(accounts, key, "alice", f"user{number}")
    assert len(logs) == MAX_UNREADABLE


def test_what_is_no_directory_is_told_at_once(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", Path(__file__)):
        with pytest.raises(AccountsError, match=path.name):
            Accounts(str(path))


def test_a_directory_that_others_can_write_is_nobodys_either(tmp_path: Path, key: Key) -> None:
    allow(tmp_path, "alice", key, user="guest")
    accounts = Accounts(str(tmp_path))
    assert found(accounts, key, user="guest")
    (tmp_path / "alice.users").chmod(0o777)
    assert not found(accounts, key, user="guest")
    tmp_path.chmod(0o775)
    with pytest.raises(AccountsError, match="chmod go-w"):
        Accounts(str(tmp_path))


def test_but_where_nobody_can_write_modes_do_not_count(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(tmp_path, "alice", key)
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert found(Accounts(str(tmp_path)), key)


def test_nor_is_a_user_safe_where_others_can_replace_its_directory(tmp_path: Path, key: Key) -> None:
    (tmp_path / "dir").mkdir(mode=0o755)
    allow(tmp_path / "dir", "alice", key, user="guest")
    accounts = Accounts(str(tmp_path / "dir"))
    assert found(accounts, key, user="guest")
    (tmp_path / "dir").chmod(0o777)
    assert not found(accounts, key, user="guest")


def test_a_change_of_any_directory_on_the_way_counts_at_once(tmp_path: Path, key: Key) -> None:
    directory = tmp_path / "above" / "dir"
    directory.mkdir(parents=True)
    allow(directory, "alice", key)
    accounts = Accounts(str(directory))
    assert found(accounts, key)
    (tmp_path / "above").chmod(0o775)
    assert not found(accounts, key)
    with pytest.raises(AccountsError, match=r"above: chmod go-w"):
        Accounts(str(directory))
    (tmp_path / "above").chmod(0o755)
    assert found(accounts, key)


def test_a_file_is_read_again_only_after_a_change(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(tmp_path, "alice", key)
    accounts, opened = Accounts(str(tmp_path), clock=lambda: time.time() + 60), []  # the file is not new any more

    def opener(path: str, flags: int) -> int:
        opened.append(path)
        return os.open(path, flags)

    monkeypatch.setattr(accounts_module, "_without_waiting", opener)
    assert found(accounts, key)
    assert found(accounts, key)
    assert not found(accounts, Key("ed25519"))
    assert len(opened) == 1
    (tmp_path / "alice").chmod(0o400)
    assert found(accounts, key)
    assert len(opened) == 2
    tmp_path.chmod(0o1755 | 0o022)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert found(accounts, key)  # this depends on the file system too, so it is asked each time
    monkeypatch.undo()
    assert not found(accounts, key)


def test_what_a_link_leads_to_counts(tmp_path: Path, key: Key, logs: list[EventDict]) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "target").mkdir()
    allow(tmp_path / "target", "keys", key)
    (tmp_path / "dir" / "alice").symlink_to(tmp_path / "target" / "keys")
    accounts = Accounts(str(tmp_path / "dir"))
    assert found(accounts, key)
    (tmp_path / "target").chmod(0o777)
    assert not found(accounts, key)
    assert logs[-1]["reason"] == f"others than its owner can write {tmp_path}/target: chmod go-w"
