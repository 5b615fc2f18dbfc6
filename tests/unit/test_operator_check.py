"""Comparing the cache with the source, and the words of the image."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from alnair_operator import check, commands, datasets, jvm, sources
from alnair_operator.alluxio import Job, Mount
from alnair_operator.datasets import Dataset, DatasetError
from alnair_operator.jvm import AlluxioError
from alnair_operator.masterlog import set_level
from alnair_operator.planning import COMING, HELD, WRITING, File
from alnair_operator.sources import Bucket, Entry, Folder

DATASET = Dataset.of({"metadata": {"name": "x", "namespace": "n"}, "spec": {"source": "/srv/x", "path": "/d"}})


class Cache:
    """Alluxio with a copy of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.copies, self.marks, self.uncached = folder, dict[str, bytes](), dict[str, str](), set[str]()
        self.unsaved: dict[str, str] = {}
        for path, entry in Folder(str(folder)).entries():
            self.take(path, entry)
        self.loaded: list[str] = []

    def take(self, path: str, entry: Entry) -> None:
        self.copies[path], self.marks[path] = (self.folder / path).read_bytes(), f"({entry.mark})"

    def file(self, path: str) -> File:
        length = len(self.copies[path])
        missing = path in self.uncached
        return File(f"/d/{path}", length, 0 if missing else length, not missing, 0, self.marks[path], unsaved=self.unsaved.get(path, ""))

    def write(self, path: str, why: str = HELD) -> None:
        """Let a pod write a file."""
        self.copies[path], self.marks[path], self.unsaved[path] = b"precious", "", why

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1) -> None:
        for name in sorted(self.copies):
            if path in ("/d", f"/d/{name}") or name.startswith(path[3:] + "/"):
                take(self.file(name))

    def read(self, path: str, take: Callable[[bytes], None], cache: bool = True) -> None:
        assert not cache
        if self.copies[path[3:]] == b"broken":
            raise AlluxioError(f"{path} cannot be read")
        take(self.copies[path[3:]])

    def status(self, path: str, interval: int = -1, replicas: int = 1) -> File | None:
        name = path[3:]
        assert interval < 0 or name not in self.unsaved, "what the source has by that name takes its place"
        if interval == 0 and (self.folder / name).exists():
            self.take(name, Folder(str(self.folder)).entry(str(self.folder / name)))
            self.uncached.add(name)
        return self.file(name) if name in self.copies else None

    def forget(self, path: str) -> None:
        assert path[3:] not in self.unsaved, "the only copy"
        del self.copies[path[3:]]

    def load(self, paths: tuple[str, ...], replicas: int = 1) -> int:
        self.loaded += paths
        self.uncached -= {path[3:] for path in paths}
        return 1

    def job(self, number: int) -> Job:
        return Job("COMPLETED", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "sub dir/ü", "sub dir/b", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 10)
    return tmp_path


def test_nothing_differs_where_nothing_does(folder: Path) -> None:
    report = check.compare(DATASET, Cache(folder), Folder(str(folder)), content=True)
    assert (report.files, report.cached, report.compared, report.differences) == (4, 4, 4, [])
    assert report.json()["consistent"] and "Nothing differs" in report.table()


def test_each_kind_of_difference_is_found_and_put_right(folder: Path) -> None:
    cache, source = Cache(folder), Folder(str(folder))
    (folder / "a").write_bytes(b"longer" * 100)
    (folder / "new").write_bytes(b"new")
    (folder / "c").unlink()
    stat = os.stat(folder / "sub dir/ü")
    os.utime(folder / "sub dir/ü", ns=(stat.st_atime_ns, stat.st_mtime_ns + 5_000_000_000))
    cache.copies["sub dir/b"] = b"X" * len(cache.copies["sub dir/b"])
    report = check.compare(DATASET, cache, source, content=True)
    assert {item.path: item.kind for item in report.differences} == {
        "a": "length",
        "new": "unknown",
        "c": "gone",
        "sub dir/ü": "changed",
        "sub dir/b": "content",
    }
    assert "5 differ" in report.table() and report.json()["differing"] == 5
    assert {item.kind for item in check.compare(DATASET, cache, source).differences} == {"length", "unknown", "gone", "changed"}
    repaired = check.repair(DATASET, cache, source, content=True)
    assert repaired.repaired == 5 and repaired.differences == [] and repaired.cached == 4
    assert sorted(cache.loaded) == ["/d/a", "/d/new", "/d/sub dir/b", "/d/sub dir/ü"]
    assert check.compare(DATASET, cache, source, content=True).differences == []


def test_what_is_not_cached_is_not_compared_and_that_is_said(folder: Path) -> None:
    cache = Cache(folder)
    cache.uncached = {"a"}
    report = check.compare(DATASET, cache, Folder(str(folder)), content=True)
    assert (report.cached, report.compared, report.uncompared) == (3, 3, 1)
    assert [(item.path, item.kind) for item in report.differences] == [("a", "uncached")]
    for preload in ("none", "metadata"):
        assert check.compare(replace(DATASET, preload=preload), cache, Folder(str(folder))).differences == []


def test_what_is_not_cached_is_loaded_by_a_repair_and_not_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(folder)
    cache.uncached = {"a", "c"}
    monkeypatch.setattr(cache, "forget", lambda path: pytest.fail(f"{path} was dropped"))
    report = check.repair(DATASET, cache, Folder(str(folder)))
    assert (report.repaired, report.differences, report.cached, cache.uncached) == (2, [], 4, set())


def test_what_the_source_does_not_have_yet_is_told_and_never_dropped(folder: Path) -> None:
    cache, source = Cache(folder), Folder(str(folder))
    cache.write("new")
    cache.write("sub dir/coming", COMING)
    cache.write("open", WRITING)
    # In the place of one that the source has, with other bytes.
    cache.write("a")
    (folder / "c").unlink()
    for call in (check.compare, check.repair):
        report = call(DATASET, cache, source, content=True)
        told = {item.path: (item.kind, item.reason.partition(": ")[2]) for item in report.differences if item.kind != "gone"}
        assert told == {"a": ("unsaved", HELD), "new": ("unsaved", HELD), "open": ("unsaved", WRITING), "sub dir/coming": ("unsaved", COMING)}
    assert (report.repaired, report.json()["consistent"]) == (1, False) and "the source does not have it yet: it is still being written" in report.table()
    assert "c" not in cache.copies and cache.copies["new"] == cache.copies["a"] == b"precious" and not cache.loaded
    # When it is there it is as all others.
    (folder / "new").write_bytes(b"precious")
    cache.unsaved.pop("new")
    cache.take("new", source.entry(str(folder / "new")))
    assert {item.path for item in check.compare(DATASET, cache, source, content=True).differences} == {"a", "open", "sub dir/coming"}


def test_what_is_written_while_a_repair_is_under_way_is_not_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, source, compare = Cache(folder), Folder(str(folder)), check.compare
    (folder / "c").unlink()

    def compared(*words: Any, **more: Any) -> Any:
        found = compare(*words, **more)
        cache.write("c")
        return found

    monkeypatch.setattr(check, "compare", compared)
    report = check.repair(DATASET, cache, source)
    assert cache.copies["c"] == b"precious" and report.repaired == 0 and [(item.path, item.kind) for item in report.differences] == [("c", "unsaved")]


def test_what_the_source_does_not_hand_out_is_told_and_what_is_cached_of_it_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, source = Cache(folder), Folder(str(folder))
    monkeypatch.setattr(cache, "forget", lambda path: pytest.fail(f"{path} was dropped"))
    read = source.read

    def denied(path: str, take: Callable[[bytes], None]) -> None:
        if path == "a":
            raise PermissionError("permission denied")
        read(path, take)

    monkeypatch.setattr(source, "read", denied)
    for call in (check.compare, check.repair):
        report = call(DATASET, cache, source, content=True)
        (found,) = report.differences
        assert (found.path, found.kind, found.reason) == ("a", "unreadable", "the source cannot be read: permission denied")
    assert report.repaired == 0 and cache.loaded == [] and not report.json()["consistent"]


def test_links_out_of_the_source_are_told_and_what_is_cached_of_them_stays(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "deep").mkdir()
    for name in ("one", "deep/two"):
        (elsewhere / name).write_bytes(b"precious")
    (folder / "one").symlink_to(elsewhere / "one")
    (folder / "more").symlink_to(elsewhere / "deep")
    cache, source = Cache(folder), Folder(str(folder))
    assert check.compare(DATASET, cache, source, content=True).differences == [], "whoever sees them compares them"
    # As the Job does, in which only the source's folder is mounted.
    elsewhere.rename(elsewhere.with_name("unseen"))
    # What is broken for everybody is none of the source's files.
    (folder / "broken").symlink_to("none")
    (folder / "loop").symlink_to("loop")
    monkeypatch.setattr(cache, "forget", lambda path: pytest.fail(f"{path} was dropped"))
    for call in (check.compare, check.repair):
        report = call(DATASET, cache, source, content=True)
        assert {item.path: item.kind for item in report.differences} == {name: "unreadable" for name in ("one", "more", "more/two")}
        assert "a link out of the source's folder" in report.table() and (report.files, report.cached) == (4, 6)


def test_a_file_that_may_not_be_looked_at_is_not_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, look = Cache(folder), os.stat

    def denied(path: Any, *words: Any, **more: Any) -> Any:
        if "sub dir/" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(path, *words, **more)

    monkeypatch.setattr(os, "stat", denied)
    report = check.compare(DATASET, cache, Folder(str(folder)))
    assert [(item.kind, item.reason) for item in report.differences] == [("unreadable", "it cannot be compared: Permission denied")] * 2


def test_a_part_may_be_a_file_or_written_with_empty_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, source, asked = Cache(folder), Folder(str(folder)), list[str]()
    entries = source.entries

    def listed(below: str = "") -> Iterator[tuple[str, Entry]]:
        asked.append(below)
        yield from entries(below)

    monkeypatch.setattr(source, "entries", listed)
    for parts, files in ((("a",), 1), (("sub dir//b", "./a"), 2), (("sub dir/", "sub dir/b"), 2), ((".",), 4)):
        report = check.compare(replace(DATASET, sub_paths=parts), cache, source, content=True)
        assert (report.files, report.compared, report.differences) == (files, files, []), parts
    # As a bucket writes them, of which a dot would be a part of the key.
    assert asked == ["a", "a", "sub dir/b", "sub dir", ""]


def test_a_sample_and_a_file_that_cannot_be_read(folder: Path) -> None:
    cache = Cache(folder)
    assert check.compare(DATASET, cache, Folder(str(folder)), content=True, sample=2).compared == 2
    (folder / "a").write_bytes(b"broken")
    broken = Cache(folder)
    assert [item.kind for item in check.compare(DATASET, broken, Folder(str(folder)), content=True).differences] == ["unreadable"]


def test_checksums_of_folders_and_files(folder: Path) -> None:
    cache = Cache(folder)
    whole = check.checksums(DATASET, cache)
    assert whole["files"]["a"] == hashlib.md5(b"a" * 10, usedforsecurity=False).hexdigest() and len(whole["files"]) == 4
    part = check.checksums(DATASET, cache, "sub dir")
    assert set(part["files"]) == {"sub dir/ü", "sub dir/b"} and part["checksum"] != whole["checksum"]


def test_a_source_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not there"):
        Folder(str(tmp_path / "none"))


class Pages:
    """Stands for the S3 client."""

    def get_paginator(self, name: str) -> Pages:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        keys = [f"p/{name}" for name in ("a", "sub/", "sub/b", "sub2/c")]
        return [{"Contents": [{"Key": key, "Size": 1, "ETag": '"e"'}]} for key in keys if key.startswith(Prefix)] + [{}]


def test_objects_of_a_bucket() -> None:
    bucket = Bucket.__new__(Bucket)
    bucket.bucket, bucket.prefix, bucket.client = "b", "p/", Pages()
    assert [path for path, _ in bucket.entries()] == ["a", "sub/b", "sub2/c"]
    assert list(bucket.entries("sub")) == [("sub/b", Entry(1, "e"))]


def test_credentials_are_files_and_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "s3a.secretKey").write_text("hush\n")
    assert commands.credentials(str(tmp_path)) == {"s3a.secretKey": "hush"}
    assert commands.credentials(str(tmp_path / "none")) == {}
    assert commands.hidden("403: hush is wrong", {"s3a.secretKey": "hush"}) == "403: ****** is wrong"


def test_a_mount_that_failed_does_not_tell_its_credentials() -> None:
    text = 'mount command: alluxio fs mount /d s3://b option MountContext{ProtoOptions=properties {\n  value: "hush"\n}\n}\nUfs path does not exist'
    assert jvm.line_of(text) == "Ufs path does not exist"
    assert jvm.line_of("first\nsecond") == "first" and jvm.line_of("", "Odd") == "Odd"


class Mounts:
    """Alluxio's mount table."""

    def __init__(self, **table: Mount) -> None:
        self.table, self.calls = {f"/{name}": mount for name, mount in table.items()}, list[tuple[Any, ...]]()
        self.hushed = False

    def mounts(self) -> dict[str, Mount]:
        return self.table

    def hush(self) -> None:
        self.hushed = True

    def mount(self, *arguments: Any, update: bool) -> None:
        # Credentials come to a master only when its log leaves them out.
        assert self.hushed or "s3a.secretKey" not in arguments[3]
        self.calls.append((*arguments, update))


class Answers:
    """Stands for the S3 client: a listing is this, or this status."""

    def __init__(self, answer: int | dict[str, Any]) -> None:
        self.answer = answer

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        if isinstance(self.answer, dict):
            return self.answer
        error = OSError("SignatureDoesNotMatch")
        error.response = {"ResponseMetadata": {"HTTPStatusCode": self.answer}}  # type: ignore[attr-defined]
        raise error


def answering(answer: int | dict[str, Any]) -> Bucket:
    bucket = Bucket.__new__(Bucket)
    bucket.bucket, bucket.prefix, bucket.errors, bucket.client = "b", "p/", (OSError,), Answers(answer)
    return bucket


def test_a_mount_that_must_fail_never_comes_to_alluxio(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Dataset.of({"metadata": {"name": "x"}, "spec": {"source": "s3://b/p", "path": "/d"}})
    answers: tuple[tuple[int | dict[str, Any], str], ...] = (
        (403, "SignatureDoesNotMatch"),
        ({"KeyCount": 0}, "s3://b/p/ holds nothing"),
        (503, ""),
        ({"KeyCount": 1}, ""),
    )
    for answer, refused in answers:
        mounts = Mounts()
        monkeypatch.setattr(sources, "Bucket", lambda *_, answer=answer, **__: answering(answer))
        with pytest.raises(DatasetError, match=refused) if refused else contextlib.nullcontext():
            commands.mount(declared, mounts, {}, {"s3a.secretKey": "hush"})
        assert len(mounts.calls) == (not refused)


@pytest.mark.parametrize(
    ("answer", "refused"), [(b'{"logName":"l","level":"WARN"}', ""), (b'{"logName":"l","message":"Sorry, not supported."}', "Sorry"), (b"oops", "Expecting")]
)
def test_a_master_whose_log_cannot_be_quieted_gets_no_credentials(answer: bytes, refused: str) -> None:
    asked: list[str] = []

    class Master(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Master) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(AlluxioError, match=refused) if refused else contextlib.nullcontext():
            set_level(f"http://127.0.0.1:{server.server_port}", "l", "WARN")
    assert asked == ["/api/v1/master/logLevel?logName=l&level=WARN"]


READABLE = {"alluxio.underfs.s3.inherit.acl": "false", "alluxio.underfs.s3.default.mode": "0755"}


def test_pods_may_read_a_bucket_and_write_where_that_is_declared() -> None:
    def options(**spec: Any) -> dict[str, str]:
        return datasets.mount_options(Dataset.of({"metadata": {"name": "x"}, "spec": {"source": "s3://b/p", **spec}}))

    mode = "alluxio.underfs.s3.default.mode"
    assert options() == READABLE
    assert options(readOnly=False)[mode] == "0777"
    assert options(options={mode: "0700"})[mode] == "0700"
    assert options(source="/srv/x") == {}


def test_mounting_with_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "Bucket", lambda *_, **__: answering(503))
    declared = Dataset.of({"metadata": {"name": "x"}, "spec": {"source": "s3://b/p", "path": "/d", "options": {"alluxio.x": "y", "alnair.z": "z"}}})
    for mounts, update in ((Mounts(), False), (Mounts(d=Mount("s3a://b/p/", True, {})), True)):
        commands.mount(declared, mounts, {}, {"s3a.secretKey": "hush"})
        assert mounts.calls == [("/d", "s3://b/p", True, {**READABLE, "alluxio.x": "y", "s3a.secretKey": "hush"}, update)]
    with pytest.raises(DatasetError, match="already"):
        commands.mount(declared, Mounts(d=Mount("/other", True, {})), {}, {})


def test_the_words_read_their_data_set_from_the_environment(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    item = {"metadata": {"name": "x", "namespace": "n"}, "spec": {"source": str(folder), "path": "/d"}}
    cache: Any = Cache(folder)
    cache.mounts = lambda: {"/d": Mount(str(folder), True, {})}
    monkeypatch.setattr(commands, "connect", lambda environment: cache)
    monkeypatch.setenv("ALNAIR_DATASET", json.dumps(item))
    assert commands.main(["check", "x", "--content", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["consistent"]
    (folder / "a").write_bytes(b"other")
    assert commands.main(["check", "x"]) == 1
    assert "1 differ." in capsys.readouterr().out
    assert commands.main(["repair", "x"]) == 0
    cache.mounts = dict
    assert commands.main(["check", "x"]) == 2
    assert "not mounted" in capsys.readouterr().err


class Verdicts(http.server.BaseHTTPRequestHandler):
    """Answers an init container with one verdict after the other."""

    words: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        assert "datasets=n%2Fa" in self.path and "onFailure=" in self.path
        body = json.dumps({"word": self.words.pop(0) if len(self.words) > 1 else self.words[0], "message": "why"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("words", "on_failure"),
    [(["wait", "go"], "hold"), (["wait", "source"], "source"), (["wait"], "source"), ([*["wait"] * 20, "go"], "hold"), ([*["hold"] * 20, "go"], "hold")],
)
def test_an_init_container_waits_for_a_bounded_time_or_holds_and_never_fails(words: list[str], on_failure: str) -> None:
    Verdicts.words = list(words)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Verdicts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = {
        "ALNAIR_HOLD_URL": f"http://127.0.0.1:{server.server_port}/hold",
        "ALNAIR_DATASETS": "n/a",
        "ALNAIR_ON_FAILURE": on_failure,
        "ALNAIR_HOLD_SECONDS": "0.5",
    }
    try:
        assert commands.hold(told, pause=0.05) == 0
        assert on_failure == "source" or Verdicts.words == ["go"], "it went before it was let go"
    finally:
        server.shutdown()
        server.server_close()


def test_an_operator_that_is_gone_keeps_nobody_for_ever_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = tmp_path / "words"
    words.touch()
    monkeypatch.setattr(commands, "LAST_WORDS", str(words))
    assert commands.hold({"ALNAIR_HOLD_URL": "http://127.0.0.1:9/hold", "ALNAIR_HOLD_SECONDS": "0.2"}, pause=0.05) == 0
    assert words.read_text().startswith("After 0 s the data sets are not cached: the data set operator does not answer")


def test_jars_are_found_or_asked_for(tmp_path: Path) -> None:
    with pytest.raises(AlluxioError, match="ALLUXIO_IMAGE"):
        jvm.jars(str(tmp_path))
    (tmp_path / "lib").mkdir()
    for name in ("alluxio-core-2.9.4.jar", "log4j-slf4j-impl-2.jar"):
        (tmp_path / "lib" / name).touch()
    assert [os.path.basename(path) for path in jvm.jars(str(tmp_path))] == ["alluxio-core-2.9.4.jar"]
    assert datasets.size(1536) == "1.5 KiB"
