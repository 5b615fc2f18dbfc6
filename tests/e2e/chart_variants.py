"""Charts that are the bundled one but for a few words."""

from __future__ import annotations

import shutil
from pathlib import Path

from alnair_runner import HOME


def variant(tmp_path: Path, *changes: tuple[str, str, str]) -> str:
    """Return a copy of the bundled chart with texts in its templates replaced."""
    folder = tmp_path / "alluxio"
    shutil.copytree(HOME / "charts/alluxio", folder)
    for name, old, new in changes:
        path = folder / "templates" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    return str(folder)
