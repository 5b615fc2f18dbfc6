"""Alnair's runner: its command line is alnair.cli, its Python API :class:`Alnair`."""

from alnair.api import Alnair
from alnair.errors import ClusterError, UsageError
from alnair.result import Failure, Result

__all__ = ["Alnair", "ClusterError", "Failure", "Result", "UsageError"]
