#!/usr/bin/env python3
"""Run Alnair's playbooks and read a cluster's state: a command line and a Python API.

The playbooks hold the knowledge; the package alnair beside this file picks one, hands it inventory and variables, shows its progress and returns a typed
result::

    from alnair_runner import Alnair

    result = Alnair(inventory="inventory/lab").deploy()
    print(result.status, result.changed)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["HOME", "Alnair", "ClusterError", "Failure", "Result", "UsageError"]
HOME = Path(__file__).resolve().parent
try:
    from alnair import Alnair, ClusterError, Failure, Result, UsageError
    from alnair.cli import main
except ImportError as missing:
    # `python alnair_runner.py` shall work in a checkout after the set-up, whichever python that is.
    venv_python = HOME / ".venv" / "bin" / "python"
    if __name__ == "__main__" and venv_python.exists() and Path(sys.prefix).resolve() != (HOME / ".venv").resolve():
        os.execv(venv_python, [str(venv_python), *sys.argv])
    sys.exit(f"The Python package {missing.name} is missing. Run `make setup`, or pip install -r requirements.txt.")

if __name__ == "__main__":
    main()
