from __future__ import annotations

import pytest

from medusa.directory import DirectoryError, open_directory
from medusa.directory.memory import MemoryDirectory


def test_memory_is_a_store_of_its_own_each_time() -> None:
    assert isinstance(open_directory("memory:"), MemoryDirectory)
    assert open_directory("memory:") is not open_directory("memory:")


@pytest.mark.parametrize("url", ["", "memory", "reddis://user:secret@host/0", "\x1b[31m:"])
def test_an_unknown_store_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(DirectoryError, match="memory:, redis: and rediss:") as caught:
        open_directory(url)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_nothing_connects_before_the_first_question() -> None:
    assert type(open_directory("redis://127.0.0.1:1")).__name__ == "RedisDirectory"
