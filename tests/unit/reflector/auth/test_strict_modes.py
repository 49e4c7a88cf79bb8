from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from medusa.reflector.auth.strict_modes import last_change, snapshot, trusted_owners, unchanged, weakness

OWNERS = frozenset((0, os.geteuid()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "one" / "two" / "file"
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    return file


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("name", [".", "one", "one/two", "one/two/file"])
def test_nobody_else_may_write_any_part_of_the_way(tmp_path: Path, file: Path, name: str, mode: int) -> None:
    assert weakness(str(file), OWNERS) == ""
    (tmp_path / name).chmod(mode)
    assert weakness(str(file), OWNERS) == f"others than its owner can write {tmp_path / name}: chmod go-w"


def test_a_sticky_directory_may_be_writable(tmp_path: Path, file: Path) -> None:
    (tmp_path / "one").chmod(0o1777)
    assert weakness(str(file), OWNERS) == ""
    file.chmod(0o1666)
    assert weakness(str(file), OWNERS)


@pytest.mark.parametrize("target", ["two", "{}/one/two", "../one/./two", "first"])
def test_links_are_followed_with_the_directories_that_hold_them(tmp_path: Path, file: Path, target: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "first").symlink_to(file.parent)
    link = (file.parent.parent if target == "two" else other) / "link"
    link.symlink_to(target.format(tmp_path))
    assert weakness(str(link / "file"), OWNERS) == ""
    file.parent.chmod(0o777)
    assert str(file.parent) in weakness(str(link / "file"), OWNERS)
    file.parent.chmod(0o755)
    link.parent.chmod(0o777)
    assert str(link.parent) in weakness(str(link / "file"), OWNERS)


@pytest.mark.parametrize("path", ["safe/link/../acc", "link/../acc", "safe/up/acc", "./link/./../acc"])
def test_the_parent_of_what_a_link_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """The kernel follows the link first, so the path leads to another directory than its text says."""
    for name in ("safe", "open/sub", "safe/acc", "open/acc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "safe" / "link").symlink_to(tmp_path / "open" / "sub")
    (tmp_path / "safe" / "up").symlink_to("link/..")
    (tmp_path / "open").chmod(0o777)
    monkeypatch.chdir(tmp_path if path.startswith("safe") else tmp_path / "safe")
    assert str(tmp_path / "open") in weakness(path, OWNERS)


def test_every_part_belongs_to_a_trusted_user(tmp_path: Path, file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file.parent, 12345, -1)
    owners = OWNERS if os.geteuid() == 0 else frozenset((0,))
    assert "belongs to another user (uid" in weakness(str(file), owners)
    assert weakness(str(file), trusted_owners(str(file.parent)) | OWNERS) == ""


def test_a_link_to_itself_and_a_way_that_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        weakness(str(tmp_path / "loop"), OWNERS)
    with pytest.raises(FileNotFoundError):
        weakness(str(tmp_path / "none" / "x"), OWNERS)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.chmod(0o640),
        lambda file: file.write_bytes(b"other"),
        lambda file: file.unlink(),
        lambda file: (file.with_name("new").touch(), file.with_name("new").rename(file)),
        lambda file: file.parent.chmod(0o700),
        lambda file: (file.parent.rename(file.parent.with_name("moved")), file.parent.mkdir(), file.touch()),
        lambda file: (file.rename(file.with_name("moved")), file.symlink_to("moved")),
    ],
)
def test_a_snapshot_shows_each_change(file: Path, change: Callable[[Path], object]) -> None:
    before = snapshot(str(file))
    file.with_name("another").touch()
    assert unchanged(before)
    change(file)
    assert not unchanged(before)


def test_a_snapshot_shows_that_a_link_leads_elsewhere(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to("file")
    before = snapshot(str(link))
    assert unchanged(before)
    file.with_name("other").touch()
    link.unlink()
    link.symlink_to("other")
    assert not unchanged(before)


def test_a_snapshot_asks_for_the_file_as_if_to_read_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of NFS returns old attributes for up to a minute, except of a file that is opened."""
    before, old, lstat = snapshot(str(file)), file.lstat(), os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: old if path == str(file) else lstat(path))
    assert unchanged(before)
    file.write_bytes(b"other")
    assert not unchanged(before)


def test_the_last_change_is_that_of_the_file_or_of_a_link(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to("file")
    assert last_change(snapshot(str(file))) == file.stat().st_ctime_ns / 1e9
    assert last_change(snapshot(str(link))) == max(link.lstat().st_ctime_ns, file.stat().st_ctime_ns) / 1e9
    file.chmod(0o600)
    assert last_change(snapshot(str(link))) == file.stat().st_ctime_ns / 1e9
