"""Looks at all that Alluxio knows of a data set's files."""

from __future__ import annotations

from typing import Any

from alnair_operator.datasets import Dataset
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.planning import Survey

# How often folders are listed again that seem to be empty: below one of them there may be others.
ROUNDS = 3


def sync(alluxio: Any, dataset: Dataset) -> None:
    """Let Alluxio list all of a data set's source."""
    for path in dataset.loaded_paths:
        # In a bucket there are no folders of which one cannot be listed while the others can, and each listing of it takes long.
        alluxio.sync(path, twice=not dataset.source.startswith("s3://"))


def look(alluxio: Any, dataset: Dataset) -> Survey:
    """Return what Alluxio knows of a data set's files."""
    survey = Survey()
    for path in dataset.loaded_paths:
        alluxio.each(path, survey.add, dataset.replicas, survey.add_empty)
    return survey


def look_closely(alluxio: Any, dataset: Dataset) -> Survey:
    """Return the same, after folders that seem to be empty were listed once more: one that cannot be listed Alluxio takes for empty, and says nothing."""
    survey, tried = look(alluxio, dataset), set[str]()
    for _round in range(ROUNDS):
        again = [path for path in survey.folders if path not in tried]
        tried.update(again)
        # All of them, though one would do to know that there is more.
        if not [path for path in again if listed(alluxio, path)]:
            break
        survey = look(alluxio, dataset)
    return survey


def listed(alluxio: Any, folder: str) -> bool:
    """Let a folder be listed once more, and tell whether it has an entry now, or is gone."""
    try:
        alluxio.sync(folder, twice=True)
        found = alluxio.status(folder)
    except AlluxioAway:
        raise
    except AlluxioError:
        # It is gone at the source by now, or is refused.
        return True
    return found is None or found.length > 0
