"""The page of HTML that tells how the lab's release stands, as a browser shows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from alnair_runner import HOME, Alnair

pytestmark = pytest.mark.long
# Read by a page around the one that is looked at: what is to be seen, what sticks out, how long bars and which colours are, what was asked of others.
LOOK = """<!doctype html><iframe id="page" src="PAGE" style="width: WIDTHpx; height: 3000px; border: 0"></iframe><pre id="found"></pre><script>
document.getElementById("page").onload = event => {
  const view = event.target.contentWindow, page = view.document, all = selector => [...page.querySelectorAll(selector)];
  const colours = element => { const style = view.getComputedStyle(element); return [style.color, style.backgroundColor]; };
  document.getElementById("found").textContent = JSON.stringify({
    text: page.body.innerText, wide: page.documentElement.scrollWidth, cards: all("section, .tile").map(element => element.getBoundingClientRect().right),
    bars: all("figure rect").map(element => [element.getAttribute("class"), element.getBoundingClientRect().width]),
    labels: all("figure text").map(element => element.getBoundingClientRect().left - element.closest("svg").getBoundingClientRect().left),
    colours: [...colours(page.body), colours(all("section:not(.tiles)")[0])[1]], asked: view.performance.getEntriesByType("resource").map(entry => entry.name),
  });
};</script>"""
BENCH = [{"case": case, "round": 1, "epoch": epoch, "kind": kind, "files": 1, "bytes": 10**6, "seconds": 1 / speed / epoch, "files_s": speed * epoch,
          "mb_s": speed * epoch, "cpu_s": 0.1, "node_cpu_s": 0.5} for case, speed in (("remote", 10), ("loaded", 40), ("disk", 80)) for epoch in (1, 2)
         for kind in ("small", "large")]  # fmt: skip


def browser(*words: str) -> str:
    """Return what Chromium prints."""
    program = shutil.which("chromium")
    if not program:
        pytest.fail("This test looks at a page in Chromium, which is not there. Install it: apt-get install --no-install-recommends chromium")
    # As root it has no sandbox; what it opens is a file of ours.
    line = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files", "--virtual-time-budget=5000"]
    return subprocess.run([*line, *words], capture_output=True, text=True, check=True, timeout=120).stdout


def seen(page: Path, width: int, *, dark: bool = False) -> dict[str, Any]:
    """Return what a window of a width shows."""
    around = page.with_suffix(f".{width}.html")
    around.write_text(LOOK.replace("PAGE", page.as_uri()).replace("WIDTH", str(width)), encoding="utf-8")
    shown = browser("--dump-dom", f"--window-size={width + 40},3100", f"--blink-settings=preferredColorScheme={0 if dark else 1}", around.as_uri())
    match = re.search(r'<pre id="found">(.+?)</pre>', shown, re.DOTALL)
    assert match, shown
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def luminance(colour: str) -> float:
    """Return how bright a colour is, as WCAG 2 defines it."""
    parts = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return how well two colours are told apart, as WCAG 2 defines it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def drawn(picture: Path) -> tuple[int, float]:
    """Return width and share of what is not of one colour of a PNG."""
    data, chunks, place = picture.read_bytes(), b"", 8
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        chunks += data[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += 12 + length
    # Filtered, an even area is zeros.
    content = zlib.decompress(chunks)
    return int.from_bytes(data[16:20]), 1 - content.count(0) / len(content)


@pytest.fixture(scope="module")
def page(cluster: Alnair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the lab's release, with figures of a bench."""
    state = cluster.status()
    if not state["release"] or not state["capacity"]:
        result = cluster.deploy()
        assert result.status == "successful", result.failures
    folder = tmp_path_factory.mktemp("report")
    (folder / "rows.json").write_text(json.dumps(BENCH), encoding="utf-8")
    line = [sys.executable, str(HOME / "alnair_runner.py"), "report", "--output", str(folder / "page.html"), "--bench", str(folder / "rows.json")]
    done = subprocess.run(line, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "page.html"


def test_a_browser_shows_state_and_plots_and_asks_nobody(page: Path, cluster: Alnair) -> None:
    found, state = seen(page, 1200), cluster.status()
    for pod in (*state["masters"], *state["workers"], *state["fuse"]):
        assert re.search(rf"{pod['pod']}\s+{pod['node']}\s+Ready", found["text"]), found["text"]
    assert found["asked"] == []
    bars = {name: width for name, width in found["bars"] if width > 0}
    assert len(found["bars"]) == 18
    assert bars["disk"] == pytest.approx(2 * bars["loaded"], rel=0.01) and bars["loaded"] == pytest.approx(2 * bars["loaded first"], rel=0.01)
    assert min(found["labels"]) >= 0


@pytest.mark.parametrize("width", [420, 1200])
def test_nothing_sticks_out_of_the_window(page: Path, width: int) -> None:
    found = seen(page, width)
    assert found["wide"] <= width
    assert found["cards"] and max(found["cards"]) <= width


def test_it_is_readable_in_the_light_and_in_the_dark(page: Path) -> None:
    schemes = [seen(page, 1200, dark=dark)["colours"] for dark in (False, True)]
    for text, ground, card in schemes:
        assert contrast(text, ground) > 7 and contrast(text, card) > 7
    assert luminance(schemes[0][1]) > 0.8 and luminance(schemes[1][1]) < 0.1


def test_its_picture_is_not_blank(page: Path) -> None:
    picture = page.with_suffix(".png")
    browser(f"--screenshot={picture}", "--window-size=1200,1600", page.as_uri())
    width, share = drawn(picture)
    assert width == 1200
    assert share > 0.01
