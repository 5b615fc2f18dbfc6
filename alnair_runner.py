#!/usr/bin/env python3
"""Run Alnair's playbooks and read a cluster's state: a command line and a Python API.

The playbooks hold the knowledge; the package alnair beside this file picks one, hands it inventory and variables, shows its progress and returns a typed
result::

    from alnair_runner import Alnair

    result = Alnair(inventory="inventory/lab").deploy()
    print(result.status, result.changed)
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent
MISSING = [name for name in ("ansible", "ansible_runner", "click", "jinja2", "kubernetes", "rich", "yaml") if not importlib.util.find_spec(name)]
if MISSING:
    # `python alnair_runner.py` shall work in a checkout after the set-up, whichever python that is.
    venv_python = HOME / ".venv" / "bin" / "python"
    if __name__ == "__main__" and venv_python.exists() and Path(sys.prefix).resolve() != (HOME / ".venv").resolve():
        os.execv(venv_python, [str(venv_python), *sys.argv])
    sys.exit(f"The Python packages {', '.join(MISSING)} are missing. Run `make setup`, or pip install -r requirements.txt.")

from alnair import Alnair, Change, Check, ClusterError, Difference, Event, Failure, Options, Plain, Progress, Result, UsageError
from alnair.cli import main

__all__ = ["HOME", "Alnair", "Change", "Check", "ClusterError", "Difference", "Event", "Failure", "Options", "Plain", "Progress", "Result", "UsageError"]

if __name__ == "__main__":
    main()
