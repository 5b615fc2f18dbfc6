"""Paths that were unmounted a short while ago. FUSE and the kernels of the nodes still know the files there, whose blocks are gone, and would read whatever
is mounted there next by what they know."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import kubernetes

from alnair_operator import datasets
from alnair_operator.steps import moment_of, text_of

LOG = logging.getLogger(__name__)
# The ConfigMap, which the role makes, and its key: the data set's own object may be gone by the time when it matters.
RECORD, KEY = "alnair-operator-unmounted", "paths"
TIMEOUT = (3, 20)


class Unmounted:
    """The record of them. Only the replica that leads writes it; its methods may be called from several threads at once."""

    def __init__(self, cluster: Any = None, seconds: float = 0, now: Callable[[], float] = time.time) -> None:
        """Begin; the record of the process before is read when it is first asked for.

        Args:
            cluster: The cluster, as in cluster.py.
            seconds: How long the nodes know files of a path that was unmounted; 0 for no record at all.
            now: Tells seconds since 1970.
        """
        self.cluster, self.seconds, self.now = cluster, seconds, now
        self.times: dict[str, float] | None = None
        self.lock = threading.Lock()

    def note(self, path: str) -> None:
        """Note that a path is unmounted now."""
        if not self.seconds:
            return
        with self.lock:
            self.times = {**self.recent(), path: math.ceil(self.now())}
            said = json.dumps({path: text_of(moment) for path, moment in sorted(self.times.items())}, ensure_ascii=False)
            try:
                self.cluster.core.patch_namespaced_config_map(RECORD, self.cluster.settings.namespace, {"data": {KEY: said}}, _request_timeout=TIMEOUT)
            except kubernetes.client.ApiException as error:
                if error.status != 404:
                    raise
                # Nothing is to stay mounted for that.
                LOG.warning("ConfigMap %s is not there: what is unmounted now the next process does not know. Run playbooks/deploy_operator.yml", RECORD)

    def last(self, path: str) -> tuple[str, float] | None:
        """Return which path at, above or below another one was unmounted last, and until when its files are known; None where none is."""
        if not self.seconds:
            return None
        with self.lock:
            near = [(moment, known) for known, moment in self.recent().items() if datasets.within(path, known) or datasets.within(known, path)]
        return (max(near)[1], max(near)[0] + self.seconds) if near else None

    def recent(self) -> dict[str, float]:
        """Return the times of what was unmounted so lately that it matters."""
        if self.times is None:
            self.times = self.read()
        return {path: moment for path, moment in self.times.items() if self.now() < moment + self.seconds}

    def read(self) -> dict[str, float]:
        """Return what the process before has written."""
        try:
            found = self.cluster.core.read_namespaced_config_map(RECORD, self.cluster.settings.namespace, _request_timeout=TIMEOUT)
            return {str(path): moment_of(text) for path, text in json.loads((found.data or {}).get(KEY) or "{}").items()}
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
        except (ValueError, TypeError, AttributeError):
            LOG.warning("ConfigMap %s holds no paths with times; it is written anew", RECORD)
        return {}
