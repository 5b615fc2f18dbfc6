"""Alnair's runner: its command line is alnair.cli, its Python API :class:`Alnair`."""

from alnair.api import Alnair
from alnair.changes import Change, Difference
from alnair.errors import ClusterError, UsageError
from alnair.events import Event
from alnair.options import Options, Plain
from alnair.progress import Progress
from alnair.result import Check, Failure, Result

__all__ = ["Alnair", "Change", "Check", "ClusterError", "Difference", "Event", "Failure", "Options", "Plain", "Progress", "Result", "UsageError"]
