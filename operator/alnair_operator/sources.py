"""The sources of data sets as they are without Alluxio: what to compare the cache with."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from alnair_operator.datasets import DatasetError, within

CHUNK = 1 << 20
ENDPOINT, REGION, OLD_REGION = "alluxio.underfs.s3.endpoint", "alluxio.underfs.s3.endpoint.region", "alluxio.underfs.s3.region"
PLAIN_PATHS = "alluxio.underfs.s3.disable.dns.buckets"
KEY, SECRET = "s3a.accessKeyId", "s3a.secretKey"


class Entry(NamedTuple):
    """A file of a source: its bytes, and what Alluxio notes of it to see that it was changed.

    Of what cannot be looked at, which may be a folder, the bytes are -1, and the mark says why.
    """

    length: int
    mark: str


class Source(Protocol):
    """A source that can be listed and read.

    Attributes:
        errors: What it raises where a file cannot be read.
    """

    errors: tuple[type[Exception], ...]

    def entries(self, below: str = "") -> Iterator[tuple[str, Entry]]:
        """Return the files below a folder or the file itself, by their paths relative to the data set."""

    def read(self, path: str, take: Callable[[bytes], None]) -> None:
        """Hand over the bytes of a file."""


class Folder:
    """A folder of this machine."""

    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, root: str) -> None:
        """Begin.

        Raises:
            DatasetError: it is not there.
        """
        self.root = root
        if not os.path.exists(root):
            raise DatasetError(f"{root} is not there: the Job that compares needs the source's folder as a volume at the same path")

    def entries(self, below: str = "") -> Iterator[tuple[str, Entry]]:
        """Return the files, and what cannot be looked at."""
        top = os.path.join(self.root, below) if below else self.root
        if os.path.isfile(top):
            yield below, self.entry(top)
            return
        for folder, _folders, names in os.walk(top, onerror=fail, followlinks=True):
            for name in names:
                path = os.path.join(folder, name)
                if found := self.seen(path):
                    yield os.path.relpath(path, self.root), found

    def seen(self, path: str) -> Entry | None:
        """Return what is compared of a file, or why it cannot be looked at; None where there is no file, as where a link leads to nothing."""
        try:
            found = os.stat(path)
            return of_stat(found) if stat.S_ISREG(found.st_mode) else None
        except OSError as error:
            # Of the hosts the Job that compares sees the source's folder alone: what lies elsewhere may be there.
            if not within(os.path.realpath(path), os.path.realpath(self.root)):
                return Entry(-1, "it cannot be compared: it is a link out of the source's folder, and where it leads to is not seen here")
            return None if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR) else Entry(-1, f"it cannot be compared: {error.strerror}")

    def entry(self, path: str) -> Entry:
        """Return what is compared of a file."""
        return of_stat(os.stat(path))

    def read(self, path: str, take: Callable[[bytes], None]) -> None:
        """Hand over the bytes of a file."""
        with open(os.path.join(self.root, path), "rb") as file:
            while chunk := file.read(CHUNK):
                take(chunk)


def of_stat(found: os.stat_result) -> Entry:
    """Return what is compared of a file that was looked at."""
    return Entry(found.st_size, f"_modtime:{found.st_mtime_ns // 1_000_000}")


def fail(error: OSError) -> None:
    """A folder that cannot be listed must not look like an empty one."""
    raise error


class Bucket:
    """A prefix of an S3 bucket."""

    def __init__(self, source: str, options: Mapping[str, str], credentials: Mapping[str, str], tries: int = 8) -> None:
        """Begin; nothing is asked yet.

        Args:
            source: s3://bucket/prefix.
            options: Options of the mount.
            credentials: Properties from the Secret.
            tries: How often something is asked for.
        """
        import boto3
        import botocore.config
        import botocore.exceptions

        self.errors: tuple[type[Exception], ...] = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)

        self.bucket, _slash, prefix = source.removeprefix("s3://").partition("/")
        self.prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        told = {**options, **credentials}
        style = {"addressing_style": "path"} if told.get(PLAIN_PATHS) == "true" else {}
        config = botocore.config.Config(s3=style, connect_timeout=10, retries={"total_max_attempts": tries, "mode": "standard"}, max_pool_connections=32)
        endpoint = told.get(ENDPOINT)
        if endpoint and "://" not in endpoint:
            endpoint = f"https://{endpoint}"
        self.client: Any = boto3.client(
            "s3", endpoint_url=endpoint, region_name=told.get(REGION) or told.get(OLD_REGION) or "us-east-1", aws_access_key_id=told.get(KEY),
            aws_secret_access_key=told.get(SECRET), config=config,
        )  # fmt: skip

    def entries(self, below: str = "") -> Iterator[tuple[str, Entry]]:
        """Return the objects; those that only stand for folders are left out."""
        start = self.prefix + below
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start):
            for item in page.get("Contents") or []:
                key = item["Key"]
                inside = not below or key == start or key.startswith(start.rstrip("/") + "/")
                if inside and not key.endswith("/"):
                    yield key[len(self.prefix) :], Entry(item["Size"], item["ETag"].strip('"'))

    def refusal(self) -> str:
        """Return why it cannot be mounted: credentials that are refused, or nothing there; whatever else is wrong, Alluxio says better."""
        try:
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix.rstrip("/"), MaxKeys=1)
        except self.errors as error:
            answer = (getattr(error, "response", None) or {}).get("ResponseMetadata", {})
            return str(error) if answer.get("HTTPStatusCode") in (401, 403, 404) else ""
        return f"s3://{self.bucket}/{self.prefix} holds nothing" if self.prefix and not found.get("KeyCount", 1) else ""

    def read(self, path: str, take: Callable[[bytes], None]) -> None:
        """Hand over the bytes of an object."""
        body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + path)["Body"]
        for chunk in body.iter_chunks(CHUNK):
            take(chunk)


def of(source: str, ufs: str, options: Mapping[str, str], credentials: Mapping[str, str]) -> Source:
    """Return the source of a data set.

    Args:
        source: As it is declared.
        ufs: The URI by which Alluxio knows it.
        options: Options of the mount.
        credentials: Properties from the Secret.

    Raises:
        DatasetError: it cannot be read without Alluxio.
    """
    if ufs.startswith("/"):
        return Folder(ufs)
    if source.startswith("s3://"):
        return Bucket(source, options, credentials)
    raise DatasetError(f"{source} cannot be compared: only s3:// and paths of the hosts can be read without Alluxio")
