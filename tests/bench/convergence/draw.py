"""Draw the CPU of the cases: draw.py ROWS PICTURE. Runs in the bench's own environment, which has matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import LogLocator, ScalarFormatter

LOOKS = {
    "alnair": ("#c1272d", "o", "Alnair's roles"), "plain": ("#0072b2", "s", "plain Ansible tasks, tuned"), "mitogen": ("#56b4e9", "D", "the same with mitogen"),
    "pyinfra": ("#009e73", "^", "pyinfra"), "script": ("#555555", "v", "sh script over parallel ssh"),
}  # fmt: skip


def main(rows: Path, picture: Path) -> None:
    """Draw one panel per kind of run, one line per case."""
    found = json.loads(rows.read_text(encoding="utf-8"))
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    for panel, run, title in ((panels[0], "first", "First run"), (panels[1], "noop", "No-op rerun")):
        for case, (colour, marker, label) in LOOKS.items():
            mine = sorted((row for row in found if (row["case"], row["run"]) == (case, run)), key=lambda row: row["n"])
            values = [statistics.median(map(sum, zip(row["cpu_controller"], row["cpu_hosts"]))) / row["n"] for row in mine]
            if mine:
                panel.plot([row["n"] for row in mine], values, color=colour, marker=marker, label=label, linewidth=2.4 if case == "alnair" else 1.4)
        counts = sorted({row["n"] for row in found})
        panel.set(title=title, xlabel="hosts", xscale="log", yscale="log", xticks=counts, xticklabels=counts)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.minorticks_off()
        panel.yaxis.set_major_formatter(ScalarFormatter())
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[0].set_ylabel("CPU seconds per host, controller and host")
    panels[1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
