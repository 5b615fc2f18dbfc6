"""The bench of loading: what its loader signs and reads, and what table and goals make of its figures."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import loader
import pytest
import s3_client
from ansible_collections.alnair.alluxio.plugins.filter import loading

from tests.bench.loading import dataset, report

# An example of the signature's documentation.
KEYS = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MOMENT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)


def row(case: str, epoch: int, files_s: float, kind: str = "small", turn: int = 1) -> dict[str, Any]:
    files = 100
    return {"case": case, "round": turn, "epoch": epoch, "kind": kind, "files": files, "bytes": files * 100_000, "seconds": files / files_s, "files_s": files_s,
            "mb_s": files_s / 10, "p50_ms": 1.0, "p99_ms": 2.0, "first_batch_s": 0.5, "cpu_s": 0.1, "node_cpu_s": 3.0, "dropped": epoch == 1, "readers": 8,
            "rate": 200, "set": "images"}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_request_is_signed_as_the_documentation_says(query: str, signature: str) -> None:
    headers = s3_client.signed("GET", "examplebucket.s3.amazonaws.com", "/", query, s3_client.EMPTY, KEYS, "us-east-1", MOMENT)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert KEYS[1] not in str(headers)


def test_names_are_quoted_as_they_are_signed() -> None:
    assert s3_client.quoted("/a b/ü+~.jpg", "/") == "/a%20b/%C3%BC%2B~.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        path = tmp_path / "data" / f"class {number % 3}" / f"{number} ü.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1000 + number))
    (tmp_path / "data" / "shard").write_bytes(bytes(loader.SMALL))
    return tmp_path / "data"


def test_each_epoch_reads_each_file_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader.main(["read", "--source", str(folder), "--epochs", "2", "--drop", "never", "--readers", "3", "--batch", "4"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["epoch"], item["kind"], item["files"]) for item in rows] == [(1, "small", 20), (1, "large", 1), (2, "small", 20), (2, "large", 1)]
    assert rows[0]["bytes"] == sum(1000 + number for number in range(20))
    for item in rows:
        assert 0 < item["first_batch_s"] <= item["seconds"]
        assert item["p50_ms"] <= item["p99_ms"]
        assert item["dropped"] is False


def test_a_copy_has_the_same_content_and_goes_again(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    loader.main(["copy", "--source", str(folder), "--target", str(target), "--readers", "1"])
    files = loader.Folder(str(folder)).files()
    assert loader.Folder(str(target)).files() == files
    assert all((target / name).read_bytes() == (folder / name).read_bytes() for name in files)
    loader.main(["remove", "--target", str(target)])
    loader.main(["remove", "--target", str(target)])
    assert not target.exists()


def test_a_file_that_is_too_short_is_no_reading(folder: Path) -> None:
    files = [(name, size + (name == "shard")) for name, size in loader.Folder(str(folder)).files().items()]
    with pytest.raises(RuntimeError, match=r"shard: 1048576 bytes were read, 1048577 were expected"):
        loader.run(str(folder), files, 2, 64)


def test_an_empty_data_set_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no files"):
        loader.main(["read", "--source", str(tmp_path), "--drop", "never"])


def test_first_and_later_epochs_are_apart_and_ratios_are_of_medians() -> None:
    rows = [row("remote", 1, 10), row("remote", 1, 1000, turn=2), row("remote", 1, 20, turn=3), row("loaded", 1, 60), row("remote", 2, 20), row("remote", 3, 30),
            row("loaded", 2, 500), row("disk", 2, 1000)]  # fmt: skip
    found = loading.summary(rows)
    assert found["small", "remote", "first"]["files_s"] == 20
    assert found["small", "loaded", "first"]["x_source"] == 3
    assert found["small", "loaded", "later"]["x_source"] == 20
    assert found["small", "loaded", "later"]["x_disk"] == 0.5
    assert "x_disk" not in found["small", "loaded", "first"]
    assert found["small", "remote", "later"]["n"] == 2


def test_all_kinds_together_are_weighed_by_their_time() -> None:
    found = loading.summary([row("disk", 1, 100), row("disk", 1, 25, "large")])
    # 100 files in 1 s and 100 in 4 s.
    assert found["all", "disk", "first"]["files_s"] == 40
    assert ("all", "disk", "first") not in loading.summary([row("disk", 1, 100)])


def test_the_table_has_figures_loads_and_bars() -> None:
    load = {"case": "load", "kind": "load", "round": 1, "epoch": 0, "seconds": 8.0, "mb_s": 22.5, "files_s": 625.0}
    text = loading.loading_table([row("remote", 1, 25), row("loaded", 1, 100), load])
    lines = text.splitlines()
    assert lines[0].split()[:4] == ["files", "case", "epoch", "n"]
    assert next(line for line in lines if "cache, loaded  first" in line).split()[-1] == "4.00"
    assert "Loads into the cache: 8.00 s, 22.5 MB/s, 625 files/s (median of 1)" in lines
    bars = [line for line in lines if "█" in line]
    assert [line.count("█") for line in bars] == [10, 40]
    assert loading.loading_table([]) == ""


def test_goals_are_held_against_the_figures() -> None:
    rows = [row("remote", 1, 100), row("loaded", 1, 299), row("remote", 2, 100), row("loaded", 2, 1000), row("disk", 2, 2001), row("cold", 1, 100),
            row("remote", 1, 230, "large")]  # fmt: skip
    rows += [{"set": "shards", "case": "load", "kind": "load", "mb_s": 20.7}, {"set": "tiny", "case": "load", "kind": "load", "files_s": 40.0},
             {"set": "tiny", "case": "copy", "kind": "copy", "files_s": 50.0}]  # fmt: skip
    found = {text: value >= least for text, value, least in report.goals(rows)}
    assert found == {
        "cache, loaded, first epoch, small files: times the source's speed": False,
        "cache, loaded, later epoch, small files: times the source's speed": True,
        "cache, loaded, later epoch, small files: times the disk's speed": False,
        "cache, cold, first epoch, small files: times the source's speed": True,
        "load of large files: share of what the link gives": True,
        "load of 20 kB files: times the speed of a single-threaded copy": False,
    }


def test_without_a_reading_at_the_source_the_link_is_what_it_is_said_to_carry() -> None:
    assert report.link([row("loaded", 1, 100)]) == 25


def test_sizes_are_about_the_mean_and_the_same_each_time() -> None:
    sizes = dataset.sizes(2000, 100_000, "a")
    assert sizes == dataset.sizes(2000, 100_000, "a")
    assert 97_000 < sum(sizes) / len(sizes) < 103_000
    assert len(set(dataset.names(50))) == 50
