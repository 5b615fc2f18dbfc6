"""What the data sets may be that are declared in other namespaces than the operator's own."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from alnair_operator import datasets
from alnair_operator.datasets import Dataset
from alnair_operator.engine import Engine
from alnair_operator.settings import Settings
from alnair_operator.steps import Status, Step


def refusal(dataset: Dataset, settings: Settings) -> str:
    """Return why a namespace may not have a data set that is declared in it, or nothing. Who declares in the operator's own may have all that Alluxio has."""
    space, prefixes = dataset.namespace, settings.prefixes.get(dataset.namespace)
    if space == settings.namespace:
        return ""
    if dataset.credentials and dataset.credentials not in settings.credentials.get(space, ()):
        return (
            f"Data sets of namespace {space} may not name Secret {dataset.credentials}. Whoever runs the operator lists it in "
            "dataset_operator_namespace_credentials."
        )
    folder, paths = datasets.folder_of(dataset), [dataset.path]
    if folder:
        folder = posixpath.normpath(folder)
        root = next((root for root in settings.roots if datasets.within(folder, root) and folder != root), "")
        if not root:
            roots = ", ".join(settings.roots) or "none"
            return f"Data sets of namespace {space} may not have {folder} as their source: it must lie below a data set root (dataset_operator_roots: {roots})."
        part, _slash, rest = folder[len(root) + 1 :].partition("/")
        # Where it would be without this declaration: another path does not make a folder of others its own.
        paths.append(posixpath.join(f"/datasets/{datasets.name_of(part)}", rest).rstrip("/"))
    if wrong := [path for path in paths if prefixes is not None and not any(datasets.within(path, prefix.rstrip("/") or "/") for prefix in prefixes)]:
        return f"Namespace {space} is limited to {', '.join(prefixes or ()) or 'nothing'} in Alluxio and may not have {wrong[0]} (dataset_operator_prefixes)."
    return ""


class Guarded(Engine):
    """An engine that lets no namespace have a data set that it may not have."""

    def __init__(self, settings: Settings, *arguments: Any, **more: Any) -> None:
        """Begin.

        Args:
            settings: What the operator is told.
            arguments: Those of the engine.
            more: Those of the engine, by name.
        """
        super().__init__(*arguments, **more)
        self.settings = settings

    def step(self, dataset: Dataset, status: Mapping[str, Any], others: Sequence[Dataset] = ()) -> Step:
        """Take the next step; what was allowed once is judged anew."""
        if status.get("phase") != "Failed" and refusal(dataset, self.settings):
            status = {**status, "phase": ""}
        return super().step(dataset, status, [other for other in others if not refusal(other, self.settings)])

    def pending(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Look at the declaration."""
        wrong = refusal(dataset, self.settings)
        return self.settle(dataset, before, "Failed", wrong) if wrong else super().pending(dataset, before, others)
