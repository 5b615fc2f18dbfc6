"""Alnair's runner: its command line is alnair.cli, its Python API :class:`Alnair`."""

from alnair.api import Alnair
from alnair.errors import ClusterError, UsageError
from alnair.events import Event
from alnair.result import Failure, Result

__all__ = ["Alnair", "ClusterError", "Event", "Failure", "Result", "UsageError"]
