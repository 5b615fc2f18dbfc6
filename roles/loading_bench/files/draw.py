"""Draw the figures of the bench of loading: draw.py ROWS PICTURE; ROWS is a file of JSON, or - for standard input. It takes matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

CASES = {"remote": ("source itself", "#555555"), "cold": ("cache, cold", "#56b4e9"), "loaded": ("cache, loaded", "#c1272d"), "disk": ("node's disk", "#009e73")}
KINDS = {"small": ("Small files", "files_s", "files/s"), "large": ("Large files", "mb_s", "MB/s")}


def main(source: str, picture: Path) -> None:
    """Draw a panel per kind of files: a line per case over the epochs, a dot for each round."""
    rows: list[dict[str, Any]] = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    figure, panels = pyplot.subplots(1, len(kinds), figsize=(5 * len(kinds), 4.2), layout="constrained", squeeze=False)
    for panel, kind in zip(panels[0], kinds):
        title, field, unit = KINDS[kind]
        for case, (label, colour) in CASES.items():
            mine = [row for row in rows if (row["case"], row["kind"]) == (case, kind)]
            epochs = sorted({row["epoch"] for row in mine})
            if mine:
                medians = [statistics.median(row[field] for row in mine if row["epoch"] == epoch) for epoch in epochs]
                panel.plot(epochs, medians, color=colour, label=label, linewidth=2.2 if case == "loaded" else 1.4)
                panel.scatter([row["epoch"] for row in mine], [row[field] for row in mine], color=colour, s=14, zorder=3)
        epochs = sorted({row["epoch"] for row in rows if row["kind"] == kind})
        panel.set(title=title, xlabel="epoch", ylabel=unit, yscale="log", xticks=epochs)
        panel.grid(visible=True, axis="y", which="both", alpha=0.3)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(CASES), frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
