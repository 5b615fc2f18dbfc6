"""What the runner refuses, and what it could not read."""

from __future__ import annotations


class UsageError(Exception):
    """What was asked for cannot be run; nothing was changed."""


class ClusterError(Exception):
    """The cluster could not be read."""
