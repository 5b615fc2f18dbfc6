"""The page that tells how a release stands."""

from __future__ import annotations

import html.parser
import json
import os
from pathlib import Path
from typing import Any

import pytest

from alnair import ClusterError, UsageError, datasets, records, report, status
from alnair.result import Result
from tests.unit.runner_tools import call

POD = {"pod": "alluxio-worker-x", "node": "node-1", "ready": True, "restarts": 0}
STATE: dict[str, Any] = {
    "namespace": "alluxio",
    "release": {"name": "alluxio", "revision": 7, "status": "deployed", "chart": "alluxio-0.2.0", "image": "alluxio/alluxio:2.9.4"},
    "masters": [{**POD, "pod": "alluxio-master-0"}],
    "workers": [POD, {**POD, "pod": "alluxio-worker-y", "node": "node-2", "ready": False, "restarts": 3}],
    "fuse": [],
    "leader": "alluxio-master-0",
    "capacity": {"total": 8 * 2**30, "used": 2 * 2**30},
    "reads": {"cache": 3 * 2**30, "storage": 2**30},
    "claims": [{"name": "journal-0", "phase": "Bound"}],
    "volumes": [],
    "operator": [],
    "held": ["train/job-1"],
}
SET = {"namespace": "alluxio", "name": "images", "path": "/datasets/images", "source": "s3://bucket/images", "phase": "Complete", "message": "",
       "cachedPercent": 100, "files": 12000, "bytes": 2**30, "cachedBytes": 2**30}  # fmt: skip
SETS = [SET, {**SET, "name": "<texts>", "phase": "Failed", "cachedPercent": 40, "message": "no <bucket> & no key"}]


def row(case: str, epoch: int, speed: float, kind: str = "small", **more: Any) -> dict[str, Any]:
    return {"case": case, "round": 1, "epoch": epoch, "kind": kind, "files": 10, "bytes": 10**6, "seconds": 1.0, "files_s": speed, "mb_s": speed / 2,
            "cpu_s": 0.1, "node_cpu_s": 0.5, **more}  # fmt: skip


ROWS = [row("remote", 1, 100), row("remote", 2, 100), row("loaded", 1, 200), row("loaded", 2, 400), row("load", 0, 50, "load")]


class Seen(html.parser.HTMLParser):
    """Elements with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta" and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def seen(**more: Any) -> Seen:
    page = report.Page(**{"when": "2026-01-01 00:00 UTC", "inventory": "mine", "state": STATE, "sets": SETS, **more})
    found = Seen(report.render(page))
    found.text = " ".join(found.text.split())
    assert found.open == []
    return found


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return path


def test_the_page_tells_state_data_sets_hit_ratio_and_bench(rows: Path) -> None:
    page = seen(bench=report.bench(rows, "s3://bucket/images"))
    for text in ("Release alluxio , revision 7", "2 of 3 Ready", "alluxio-master-0 node-1 Ready, leads 0", "alluxio-worker-y node-2 not Ready 3",
                 "2.0 GiB of 8.0 GiB", "75 %", "1 of 2 cached", "no <bucket> & no key", "train/job-1", "Reading s3://bucket/images, measured on", "small files, files/s", "cache, loaded, later",
                 "Loads into the cache: 1.00 s"):  # fmt: skip
        assert text.replace(" ,", ",") in page.text, text
    bars = {attributes["class"]: float(attributes["width"] or 0) for attributes in page.of("rect") if attributes.get("class") not in ("track", "fill")}
    assert bars["loaded"] == 2 * bars["loaded first"] == 4 * bars["remote"]


def test_it_asks_nobody_for_anything(rows: Path) -> None:
    page = seen(bench=report.bench(rows, ""))
    assert page.of("link", "script", "img", "iframe", "object", "a", "image", "use") == []
    assert not [attributes for _tag, attributes in page.elements if {"src", "href", "xlink:href", "style"} & set(attributes)]
    (policy,) = [attributes["content"] for attributes in page.of("meta") if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    css = (Path(report.__file__).parent / "templates" / "report.css.j2").read_text(encoding="utf-8")
    assert "url(" not in css and "@import" not in css


def test_who_does_not_see_it_is_told_the_same(rows: Path) -> None:
    page = seen(bench=report.bench(rows, ""))
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == 1
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.of("th"))
    assert page.of("svg") and all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in page.of("svg"))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"release": None, "masters": [], "workers": []}, "The release is not there."),
        ({"reads": {"cache": 0, "storage": 0}}, "nothing was read yet"),
        ({"reads": None, "capacity": None}, "no master answers"),
    ],
)
def test_what_is_not_known_is_said(state: dict[str, Any], text: str) -> None:
    page = seen(state={**STATE, **state}, sets=[], no_sets="No data set is declared.")
    for part in (text, "No data set is declared.", "There are no figures yet. Measure: alnair_runner.py bench --source"):
        assert part in page.text


def test_data_sets_of_a_bench_are_told_apart(rows: Path) -> None:
    rows.write_text(json.dumps([{**item, "set": name} for name in ("images", "tiny") for item in ROWS]), encoding="utf-8")
    assert [series.title for series in report.bench(rows, "").series] == ["images", "tiny"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"case": "remote"}]', '"words"'])
def test_a_file_that_is_none_of_the_bench_is_refused(rows: Path, text: str) -> None:
    rows.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="has no figures of the bench"):
        report.bench(rows, "")


def test_the_last_bench_of_an_inventory_is_the_newest_that_succeeded(rows: Path, inventory: Path, tmp_path: Path) -> None:
    assert report.last_bench(inventory) is None
    gone, home = tmp_path / "gone.json", Path(__file__).parents[2]
    for verb, where, results, state, check in (
        ("bench", inventory, rows, "successful", False),
        ("bench", inventory, rows, "successful", True),
        ("bench", inventory, rows, "failed", False),
        ("deploy", inventory, rows, "successful", False),
        ("bench", tmp_path, rows, "successful", False),
        ("bench", inventory, gone, "successful", False),
    ):
        chosen = {"loading_bench_results": str(results), "loading_bench_source": f"s3://{verb}/{state}/{check}/{where.name}/{results.name}"}
        with records.kept(verb, where, home, Result(status=state), check=check, extra_vars=chosen):
            pass
    found = report.last_bench(inventory)
    assert found and found.source == "s3://bench/successful/False/hosts.yml/rows.json"


def test_the_verb_writes_the_page(inventory: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "read", lambda _knobs: STATE)

    def none(_knobs: dict[str, Any]) -> list[dict[str, Any]]:
        raise ClusterError("The cluster knows no data sets.")

    monkeypatch.setattr(datasets, "read", none)
    target = tmp_path / "page.html"
    done = call("report", "--inventory", str(inventory), "--output", str(target), "--bench", str(rows))
    assert (done.exit_code, done.output) == (0, f"Wrote {target}\n")
    text = Seen(target.read_text(encoding="utf-8")).text
    assert "The cluster knows no data sets." in text and "cache, loaded, first" in text
    done = call("report", "--inventory", str(inventory), "--output", str(tmp_path / "nowhere" / "page.html"))
    assert done.exit_code == 1
    assert "Name another file with --output" in done.output


def test_a_bench_leaves_its_figures_where_the_page_finds_them(inventory: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    from alnair import Alnair

    seen: list[dict[str, Any]] = []

    def run(_self: Alnair, _playbook: str, *, extra_vars: dict[str, Any], **_options: Any) -> Result:
        seen.append(extra_vars)
        return Result(status="successful")

    monkeypatch.setattr(Alnair, "run", run)
    cluster = Alnair(inventory)
    cluster.bench(extra_vars={"loading_bench_source": "x"})
    path = Path(seen[0]["loading_bench_results"])
    assert path.is_relative_to(state) and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    cluster.bench(extra_vars={"loading_bench_results": "mine.json"})
    assert seen[1]["loading_bench_results"] == str(Path("mine.json").resolve())
    cluster.bench(extra_vars={"loading_bench_results": ""})
    assert seen[2]["loading_bench_results"] == ""
    cluster.bench(extra_vars={"loading_bench_results": "{{ inventory_dir }}/rows.json"})
    assert seen[3]["loading_bench_results"] == "{{ inventory_dir }}/rows.json"
    # Another host is the controller: what lies on this machine is no place for its file.
    inventory.write_text(inventory.read_text() + "alluxio_controller: {hosts: {node-9: }}\n")
    Alnair(inventory).bench(extra_vars={})
    assert "loading_bench_results" not in seen[4]


def test_figures_that_only_the_play_can_place_end_neither_bench_nor_page(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alnair import Alnair

    inventory.write_text(f"{inventory.read_text()}all: {{vars: {{loading_bench_results: '/srv/{{{{ of_the_role }}}}.json'}}}}\n")
    monkeypatch.setattr(Alnair, "run", lambda _self, _playbook, *, extra_vars, **_options: extra_vars)
    assert Alnair(inventory).bench(extra_vars={}) == {}  # type: ignore[comparison-overlap]
    assert report.last_bench(inventory) is None


def test_figures_that_the_inventory_places_are_found_by_their_record_and_without_one(inventory: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alnair import Alnair, running

    place = f"{{loading_bench_results: '{{{{ place }}}}/{rows.name}', place: {rows.parent}}}"
    inventory.write_text(f"{inventory.read_text()}all: {{vars: {place}}}\n")

    def play(_home: Path, _playbook: Path, _inventory: Path, result: Result, **_: Any) -> None:
        result.status, result.hosts = "successful", {"node-1": {"changed": 0}}

    monkeypatch.setattr(running, "play", play)
    Alnair(inventory).bench(extra_vars={"loading_bench_source": "s3://b/images"})
    found = report.last_bench(inventory)
    assert found and found.source == "s3://b/images"
    # Other runs push the record out, not the figures.
    for path in records.written():
        path.unlink()
    found = report.last_bench(inventory)
    assert found and found.source == "" and found.series


def test_figures_outlive_their_record(inventory: Path, rows: Path) -> None:
    records.figures(inventory).parent.mkdir(parents=True)
    rows.rename(records.figures(inventory))
    assert report.last_bench(inventory)
