"""Say what a run would change as a list that is read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from alnair.changes import Change, Difference

# A longer value is told by its lines that differ, and of these only so many.
LONGEST, MOST_LINES, MOST_HOSTS = 60, 12, 5


def lines(changes: Iterable[Change]) -> list[str]:
    """Return the list; hosts on which a task would change the same share an entry."""
    groups: dict[tuple[str, str, tuple[Difference, ...], bool], list[str]] = {}
    for change in changes:
        groups.setdefault((change.role, change.task, change.differences, change.hidden), []).append(change.host)
    return [line for (role, task, differences, hidden), hosts in groups.items() for line in entry(role, task, differences, hosts, hidden=hidden)]


def entry(role: str, task: str, differences: tuple[Difference, ...], hosts: list[str], *, hidden: bool) -> Iterator[str]:
    """Yield the lines of one task."""
    name = f"{task} ({role.rpartition('.')[2]})" if role else task
    where = f"on {named(hosts)}"
    if hidden:
        yield f"may change: {name}, {where}; this task keeps its output secret"
    elif len(differences) == 1 and is_short(differences[0]):
        only = differences[0]
        yield f"would change: {name}{': ' if only.what else ''}{only.what}, {where}, {fromto(only)}"
    else:
        yield f"would change: {name}, {where}"
        for difference in differences:
            if is_short(difference):
                yield f"    {difference.what}{': ' if difference.what else ''}{fromto(difference)}"
            else:
                yield from (f"    {line}" for line in patch(difference))


def named(hosts: list[str]) -> str:
    """Return the names of hosts; of many, the first ones and how many more."""
    listed = sorted(dict.fromkeys(hosts))
    if len(listed) > MOST_HOSTS:
        return f"{', '.join(listed[: MOST_HOSTS - 1])} and {len(listed) - MOST_HOSTS + 1} more"
    return " and ".join(part for part in (", ".join(listed[:-1]), listed[-1]) if part)


def is_short(difference: Difference) -> bool:
    """Tell whether both values fit into a line."""
    return not difference.patch and all("\n" not in value.rstrip("\n") and len(value) <= LONGEST for value in (difference.before, difference.after))


def fromto(difference: Difference) -> str:
    """Return both values in words."""
    return " ".join(f"{word} {value.rstrip() or 'nothing'}" for word, value in (("from", difference.before), ("to", difference.after)))


def patch(difference: Difference) -> Iterator[str]:
    """Yield the first lines of a unified diff, and how many are left out."""
    if difference.what:
        yield f"{difference.what}:"
    found = difference.patch.splitlines() or [*difflib.unified_diff(difference.before.splitlines(), difference.after.splitlines(), lineterm="", n=1)]
    told = [line for line in found if not line.startswith(("--- ", "+++ "))]
    yield from told[:MOST_LINES]
    if len(told) > MOST_LINES:
        yield f"… {len(told) - MOST_LINES} more lines; --json has all"
