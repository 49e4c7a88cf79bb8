"""Manta's objects and directories, kept as files and directories."""

from __future__ import annotations

import base64
import hashlib
import os
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

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
        self._types: dict[str, str] = {}

    def at(self, names: list[str]) -> Path:
        """The file or directory of an object; it need not exist."""
        return self._directory.joinpath(*names)

    def head(self, request: Request, names: list[str]) -> None:
        """Answers HEAD and GET; answer() leaves out the body for HEAD."""
        path = self.at(names)
        if path.is_dir():
            request.answer(200, {"Content-Type": DIRECTORY})  # nobody asks what is in it
        elif path.is_file():
            data = path.read_bytes()
            headers = {"Content-Type": self._types.get(name_of(names), "application/octet-stream"), **_about(data)}
            request.answer(200, {**headers, "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}, data)
        else:
            raise _missing(names)

    async def put(self, request: Request, names: list[str]) -> None:
        if len(names) < 3 or names[1] not in ROOTS:
            raise Refusal(400, "OperationNotAllowedOnRootDirectory", f"{name_of(names)} is a root directory")
        self._check_parent(names)
        kind = request.header("content-type", "application/octet-stream")
        if kind.replace(" ", "") == PUT_DIRECTORY.replace(" ", ""):
            self._put_directory(request, names)
        else:
            await self._put_object(request, names, kind)

    def _check_parent(self, names: list[str]) -> None:
        parent = self.at(names[:-1])
        if parent.is_file():
            raise Refusal(400, "ParentNotDirectory", f"{name_of(names[:-1])} is not a directory")
        if not parent.is_dir():
            raise Refusal(404, "DirectoryDoesNotExist", f"{name_of(names[:-1])} does not exist")

    def _put_directory(self, request: Request, names: list[str]) -> None:
        path = self.at(names)
        if path.is_file():
            raise Refusal(400, "ParentNotDirectory", f"{name_of(names)} is an object")
        path.mkdir(exist_ok=True)
        request.answer(204)

    async def _put_object(self, request: Request, names: list[str], kind: str) -> None:
        path = self.at(names)
        if path.is_dir():
            raise Refusal(400, "OperationNotAllowedOnDirectory", f"{name_of(names)} is a directory")
        level = request.header("x-durability-level") or request.header("durability-level", "2")
        if level not in ("1", "2", "3", "4", "5", "6"):
            raise Refusal(400, "InvalidDurabilityLevel", "durability-level must be between 1 and 6")
        data = await request.body()
        about = _about(data)
        if request.header("content-md5", about["Content-MD5"]) != about["Content-MD5"]:
            raise Refusal(400, "ContentMD5Mismatch", "the data that came does not fit its content-md5")
        self._check_parent(names)
        part = path.with_name(f".{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(path)
        self._types[name_of(names)] = kind
        request.answer(204, {"ETag": about["ETag"], "Computed-MD5": about["Content-MD5"], "Durability-Level": level})

    def delete(self, request: Request, names: list[str]) -> None:
        path = self.at(names)
        if not path.is_file():
            raise _missing(names)
        path.unlink()
        self._types.pop(name_of(names), None)
        request.answer(204)


def object_path(names: list[str]) -> str:
    """The path of an object as in a request's target."""
    return "/" + "/".join(quote(name, safe="") for name in names)


def _about(data: bytes) -> dict[str, str]:
    digest = hashlib.md5(data, usedforsecurity=False)
    return {"Content-MD5": base64.b64encode(digest.digest()).decode(), "ETag": digest.hexdigest()}


def _missing(names: list[str]) -> Refusal:
    return Refusal(404, "ResourceNotFound", f"{name_of(names)} was not found")
