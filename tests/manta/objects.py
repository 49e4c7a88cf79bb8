"""Manta's objects and directories, kept as files and directories."""

from __future__ import annotations

import os
from pathlib import Path

from tests.manta.http import Refusal, Request

DIRECTORY = "application/x-json-stream; type=directory"
PUT_DIRECTORY = "application/json; type=directory"
ROOTS = ("jobs", "public", "reports", "stor")


def name_of(names: list[str]) -> str:
    return "/" + "/".join(names)


class Objects:
    """Objects below one directory. Every method answers a request, or raises Refusal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def at(self, names: list[str]) -> Path:
        """The file or directory of an object; it need not exist."""
        return self._directory.joinpath(*names)

    def head(self, request: Request, names: list[str]) -> None:
        """Answers HEAD and GET; answer() leaves out the body for HEAD."""
        if self.at(names).is_dir():
            request.answer(200, {"Content-Type": DIRECTORY})  # nobody asks what is in it
        else:
            request.answer(200, {"Content-Type": "application/octet-stream"}, self._file(names).read_bytes())

    async def put(self, request: Request, names: list[str]) -> None:
        if len(names) < 3 or names[1] not in ROOTS:
            raise Refusal(400, "OperationNotAllowedOnRootDirectory", f"{name_of(names)} is a root directory")
        path = self.at(names)
        if not path.parent.is_dir():
            raise Refusal(404, "DirectoryDoesNotExist", f"{name_of(names[:-1])} does not exist")
        if request.header("content-type").replace(" ", "") == PUT_DIRECTORY.replace(" ", ""):
            path.mkdir(exist_ok=True)
            request.answer(204)
            return
        data = await request.body()
        part = path.with_name(f".{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(path)
        request.answer(204)

    def delete(self, request: Request, names: list[str]) -> None:
        self._file(names).unlink()
        request.answer(204)

    def _file(self, names: list[str]) -> Path:
        path = self.at(names)
        if not path.is_file():
            raise Refusal(404, "ResourceNotFound", f"{name_of(names)} was not found")
        return path
