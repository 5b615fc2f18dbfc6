"""Whether what is cached is what the source has: checked by names, sizes and content, repaired, and told as checksums."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import s3
from caching import BUCKET, NAMESPACE, Objects, fuse_sums, numbered, put, runner, shares, until

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def test_check_finds_what_differs_and_repair_puts_it_right(objects: Objects, store: s3.Endpoint, execute: Callable[..., str]) -> None:
    sums = put(store, "checked", numbered(12))
    objects.stored("checked", store)
    objects.reach("checked", "Complete")
    fine = runner("dataset", "check", "checked", "--content")
    assert fine.returncode == 0, fine.stdout + fine.stderr
    changed, lost, new = "class 0/0003.jpg", "class 1/0004.jpg", "class 2/new.jpg"
    # As long as before: only its content tells.
    sums.update(put(store, "checked", [changed]))
    store.door.delete(BUCKET, f"checked/{lost}")
    del sums[lost]
    sums.update(put(store, "checked", [new]))
    differs = runner("dataset", "check", "checked", "--content")
    assert differs.returncode == 1, differs.stdout + differs.stderr
    for name in (changed, lost, new):
        assert name in differs.stdout, differs.stdout
    assert "class 0/0006.jpg" not in differs.stdout
    as_json = runner("dataset", "check", "checked", "--content", "--json")
    assert as_json.returncode == 1
    assert changed in json.dumps(json.loads(as_json.stdout), ensure_ascii=False)
    repaired = runner("dataset", "repair", "checked")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert runner("dataset", "check", "checked", "--content").returncode == 0
    # It may have been seen in the middle of the repair, and is looked at once more then.
    until("it is Complete", lambda: objects.status("checked")["phase"] == "Complete", 180)
    assert fuse_sums("/datasets/checked") == sums
    assert shares(execute, "/datasets/checked") == dict.fromkeys(sums, 100)


def spoil(core: Any, execute: Callable[..., str], digest: str) -> None:
    """Change four bytes of the one cached copy of a file, which has this MD5 sum, in the worker that has it."""
    line = (f'for block in $(find /dev/shm -type f); do if [ "$(md5sum < "$block")" = "{digest}  -" ]; then '
            'printf XXXX | dd of="$block" bs=1 conv=notrunc status=none; echo spoilt; fi; done')  # fmt: skip
    workers = core.list_namespaced_pod(NAMESPACE, label_selector="app=alluxio,role=alluxio-worker").items
    assert [execute(item.metadata.name, line, "alluxio-worker") for item in workers].count("spoilt\n") == 1


def test_check_reads_what_is_cached_and_repair_loads_it_anew(objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    sums = put(store, "spoilt", numbered(12))
    objects.stored("spoilt", store)
    objects.reach("spoilt", "Complete")
    name = "class 0/0006.jpg"
    spoil(core, execute, sums[name])
    assert fuse_sums("/datasets/spoilt") != sums
    # Names, sizes and times are as before: who looks at these alone finds nothing.
    assert runner("dataset", "check", "spoilt").returncode == 0
    differs = runner("dataset", "check", "spoilt", "--content")
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert {other for other in sums if other in differs.stdout} == {name}, differs.stdout
    repaired = runner("dataset", "repair", "spoilt", "--content")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert runner("dataset", "check", "spoilt", "--content").returncode == 0
    until("it is Complete", lambda: objects.status("spoilt")["phase"] == "Complete", 180)
    assert fuse_sums("/datasets/spoilt") == sums
    assert shares(execute, "/datasets/spoilt") == dict.fromkeys(sums, 100)


def test_a_sample_is_as_large_as_is_said(objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    sums = put(store, "sampled", numbered(9))
    objects.stored("sampled", store)
    objects.reach("sampled", "Complete")
    for digest in list(sums.values()):
        spoil(core, execute, digest)
    differs = runner("dataset", "check", "sampled", "--content", "--sample", "4", "--json")
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert len([name for name in sums if name in differs.stdout]) == 4, differs.stdout
    assert runner("dataset", "repair", "sampled", "--content").returncode == 0
    assert fuse_sums("/datasets/sampled") == sums


def test_checksums_are_told_for_folders_too(objects: Objects, store: s3.Endpoint) -> None:
    sums = put(store, "summed", numbered(4))
    objects.stored("summed", store)
    objects.reach("summed", "Complete")
    for words in ([], ["--path", "class 0"], ["--path", "class 1/0001.jpg"]):
        result = runner("dataset", "checksum", "summed", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        wanted = {name: digest for name, digest in sums.items() if name.startswith(words[1] if words else "")}
        assert wanted and {name: digest for name, digest in sums.items() if digest in result.stdout} == wanted, result.stdout
        assert all(name.rpartition("/")[2] in result.stdout for name in wanted), result.stdout
