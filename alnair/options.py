"""The options that all methods have which run a playbook, as type checkers know them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypedDict

from alnair.events import Event
from alnair.progress import Progress


class Plain(TypedDict, total=False):
    """All but those that some methods add to or set; :meth:`alnair.Alnair.run` tells what each means."""

    limit: str
    check: bool
    diff: bool
    verbosity: int
    progress: Progress | None
    on_event: Callable[[Event], None] | None
    cancel: threading.Event | None


class Options(Plain, total=False):
    """All of them."""

    verb: str
    extra_vars: dict[str, Any] | None
