"""Draw the times of the cases: draw.py ROWS PICTURE. Runs in the bench's own environment, which has matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

PANELS = {
    "noop": ("Nothing to do", "shell steps", 2),
    "first": ("First deploy to all Ready", "helm install --wait", 1.15),
    "upgrade": ("Upgrade 2.9.3 to 2.9.4", "helm upgrade --wait", 1.15),
}


def main(rows: Path, picture: Path) -> None:
    """Draw one panel per kind of run: a bar for the median of a case, a dot for each run, a line for the goal."""
    found = {(row["what"], row["case"]): row for row in json.loads(rows.read_text(encoding="utf-8"))}
    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(10, 4.2), layout="constrained")
    for panel, (what, (title, other, most)) in zip(panels, PANELS.items()):
        for place, (case, colour) in enumerate((("alnair", "#c1272d"), ("bare", "#555555"))):
            row = found[what, case]
            median = statistics.median(row["seconds"])
            panel.bar(place, median, width=0.6, color=colour)
            if case == "alnair" and any(row["proof_seconds"]):
                proof = statistics.median(row["proof_seconds"])
                panel.bar(place, proof, bottom=median, width=0.6, color=colour, alpha=0.3)
                panel.text(place, median + proof, "the backup's proof", ha="center", va="bottom", fontsize=9)
            ready = statistics.median(row["ready_seconds"])
            if ready > 1.02 * median:
                panel.bar(place, ready - median, bottom=median, width=0.6, color=colour, alpha=0.3)
                # Within the bar, for above it may be the line of the goal.
                panel.text(place, 0.5 * median, f"all Ready\nafter {ready:.0f} s", ha="center", va="center", color="white", fontsize=9)
            panel.scatter([place] * len(row["seconds"]), row["seconds"], color="black", s=12, zorder=3)
            if case == "bare":
                panel.axhline(most * ready, color="#0072b2", linestyle="--", linewidth=1.2)
                panel.text(1.45, most * ready, f"goal, {most:g} x", color="#0072b2", ha="right", va="bottom")
        panel.set(title=title, xticks=(0, 1), xticklabels=("Alnair", other), xlim=(-0.5, 1.5))
        panel.margins(y=0.15)
        panel.grid(visible=True, axis="y", alpha=0.3)
    panels[0].set_ylabel("seconds, median of the runs")
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
