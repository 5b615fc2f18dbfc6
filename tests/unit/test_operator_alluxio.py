"""What is made of the answers of Alluxio's own client, without a JVM."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from alnair_operator.alluxio import Alluxio


class JavaError(Exception):
    """Stands for whatever Java raises."""


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jpype hand Python's own objects over."""
    monkeypatch.setitem(sys.modules, "jpype", SimpleNamespace(JException=JavaError, JProxy=lambda _name, dict: SimpleNamespace(**dict)))


def told(path: str, folder: bool = False, length: int = 1) -> Any:
    found = {"getPath": path, "isFolder": folder, "getLength": length, "getInAlluxioPercentage": 100, "isCompleted": True,
             "getLastModificationTimeMs": 0, "getUfsFingerprint": "", "getPersistenceState": "PERSISTED"}  # fmt: skip
    return SimpleNamespace(**{name: lambda value=value: value for name, value in found.items()})


class Files:
    """A file system that lists this."""

    def __init__(self, *listed: Any) -> None:
        self.listed = listed

    def getStatus(self, path: str, _options: Any) -> Any:
        return told(path, folder=True)

    def iterateStatus(self, _path: str, _options: Any, consumer: Any) -> None:
        for status in self.listed:
            consumer.accept(status)


def alluxio(monkeypatch: pytest.MonkeyPatch, files: Files) -> Alluxio:
    found = Alluxio.__new__(Alluxio)
    monkeypatch.setattr(Alluxio, "files", files)
    monkeypatch.setattr(found, "uri", lambda path: path, raising=False)
    monkeypatch.setattr(found, "status_options", lambda _interval: None, raising=False)
    monkeypatch.setattr(found, "listing", lambda: SimpleNamespace(build=lambda: None), raising=False)
    return found


def test_of_a_folder_alluxio_says_how_many_entries_it_has(java: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = alluxio(monkeypatch, Files(told("/d/a"), told("/d/full", True, 3), told("/d/empty", True, 0), told("/d/nothing in it", length=0)))
    files, empty = list[str](), list[str]()
    one.each("/d", lambda file: files.append(file.path), 1, empty.append)
    assert (files, empty) == (["/d/a", "/d/nothing in it"], ["/d/empty"])
    files.clear()
    one.each("/d", lambda file: files.append(file.path))
    assert files == ["/d/a", "/d/nothing in it"]
