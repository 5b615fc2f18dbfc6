"""The bench of loading. What it shares with the end-to-end tests, the role and the collection is found where pytest finds it too."""

import sys
from pathlib import Path

for folder in ("collections", "tests/e2e", "roles/loading_bench/files"):
    sys.path.insert(0, str(Path(__file__).parents[3] / folder))
