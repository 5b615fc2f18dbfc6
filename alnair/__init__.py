"""Alnair's runner: its command line is alnair.cli, its Python API :class:`Alnair`."""

from alnair.api import Alnair
from alnair.errors import ClusterError, UsageError
from alnair.events import Event
from alnair.result import Check, Failure, Result

__all__ = ["Alnair", "Check", "ClusterError", "Event", "Failure", "Result", "UsageError"]
