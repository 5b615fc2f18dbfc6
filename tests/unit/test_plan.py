"""What a run would change: read from events, said as a list, and told by the exit code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from alnair import Alnair, Failure, Result, plan
from alnair.changes import Change, Difference, of_diff, of_event
from alnair.result import collect
from tests.unit.runner_tools import call

MODE = Difference("/srv/a mode", "0755", "0750")


def event(kind: str = "runner_on_ok", **answer: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"host": "node-1", "task": "alnair.alluxio.r : Make it", "role": "alnair.alluxio.r", "res": answer}}


@pytest.mark.parametrize(
    ("diff", "found"),
    [
        ({"prepared": "-a\n+b\n"}, [Difference(patch="-a\n+b\n")]),
        ({"before_header": "/etc/x", "before": "old\n", "after": "new\n"}, [Difference("/etc/x", "old\n", "new\n")]),
        ({"before": {"path": "/srv/a", "mode": "0755"}, "after": {"path": "/srv/a", "mode": "0750"}}, [MODE]),
        ({"before": {"/srv": "absent"}, "after": {"/srv": {"owner": 1000, "mode": "0750"}}}, [Difference("/srv", "absent", "owner 1000, mode 0750")]),
        ({"before": {"a": {"b": 1, "c": 2}}, "after": {"a": {"b": 1, "c": [3, 4]}}}, [Difference("a c", "2", "3, 4")]),
        ({"before": "", "after": {"x": True}}, [Difference("x", "", "true")]),
        ({"before": "same", "after": "same"}, []),
        ({}, []),
    ],
)
def test_each_shape_of_ansibles_diffs_is_read(diff: dict[str, Any], found: list[Difference]) -> None:
    assert of_diff(diff) == found


def test_a_loop_tells_the_items_that_changed() -> None:
    diff = {"before": {"path": "/srv/a", "mode": "0755"}, "after": {"path": "/srv/a", "mode": "0750"}}
    items = [{"changed": True, "diff": diff}, {"changed": False, "diff": {"before": "", "after": "x"}}, {"changed": True, "diff": [{"prepared": "+c"}]}]
    told = of_event("runner_on_ok", event(changed=True, results=items)["event_data"])
    assert told == Change("node-1", "Make it", "alnair.alluxio.r", (MODE, Difference(patch="+c")))
    assert of_event("runner_on_ok", event(changed=False)["event_data"]) is None
    assert of_event("runner_item_on_ok", event(changed=True)["event_data"]) is None


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("It would be installed.", ["would change: Make it (r), on node-1", "    It would be installed."]),
        ({"before": {"/bin/helm": "v3.9.0"}, "after": {"/bin/helm": "v3.19.5"}}, ["would change: Make it (r): /bin/helm, on node-1, from v3.9.0 to v3.19.5"]),
        ({"before": {}, "after": {"/bin/helm": "v3.19.5"}}, ["would change: Make it (r): /bin/helm, on node-1, from nothing to v3.19.5"]),
        (["neither"], ["would change: Make it (r), on node-1"]),
    ],
)
def test_what_a_role_tells_that_it_would_do_is_shown(message: Any, lines: list[str]) -> None:
    data = {**event(changed=True, msg=message)["event_data"], "task_action": "ansible.builtin.debug"}
    told = of_event("runner_on_ok", data)
    assert told and plan.lines([told]) == lines
    # Of other tasks a message is no difference.
    assert of_event("runner_on_ok", event(changed=True, msg=message)["event_data"]) == Change("node-1", "Make it", "alnair.alluxio.r")


@pytest.mark.parametrize(("changed", "names"), [(1, []), (2, ["Keep it secret"])])
def test_a_secret_task_counts_as_far_as_the_host_has_more_changes_than_are_known(changed: int, names: list[str]) -> None:
    result = Result()
    secret = {"event": "runner_on_ok", "event_data": {"host": "node-1", "task": "Keep it secret", "res": {"censored": "hidden"}}}
    stats = {"event": "playbook_on_stats", "event_data": {"processed": {"node-1": 1}, "changed": {"node-1": changed}}}
    for item in (event(changed=True), secret, stats):
        collect(result, item)
    assert [change.task for change in result.changes if change.hidden] == names


def test_hosts_with_the_same_change_share_a_line() -> None:
    changes = [Change(f"node-{number}", "Make it", "alnair.alluxio.r", (MODE,)) for number in range(1, 10)]
    assert plan.lines(changes[:1]) == ["would change: Make it (r): /srv/a mode, on node-1, from 0755 to 0750"]
    assert plan.lines(changes[:3]) == ["would change: Make it (r): /srv/a mode, on node-1, node-2 and node-3, from 0755 to 0750"]
    assert "on node-1, node-2, node-3, node-4 and 5 more," in plan.lines(changes)[0]


def test_long_values_are_told_by_the_lines_that_differ() -> None:
    before = "".join(f"line {number}\n" for number in range(40))
    small = Change("h", "Write", "", (Difference("/etc/x", before, before.replace("line 7\n", "seven\n")), MODE))
    assert plan.lines([small]) == [
        "would change: Write, on h", "    /etc/x:", "    @@ -7,3 +7,3 @@", "     line 6", "    -line 7", "    +seven", "     line 8", "    /srv/a mode: from 0755 to 0750",
    ]  # fmt: skip
    large = plan.lines([Change("h", "Write", "", (Difference(patch="".join(f"+{number}\n" for number in range(100))),))])
    assert (len(large), large[-1]) == (14, "    … 88 more lines; --json has all")


def test_what_is_new_or_secret_or_not_told_is_said() -> None:
    assert plan.lines([Change("h", "Name it", "", (Difference("name", "", "x"),))]) == ["would change: Name it: name, on h, from nothing to x"]
    assert plan.lines([Change("h", "Make the user")]) == ["would change: Make the user, on h"]
    assert plan.lines([Change("h", "Hide", hidden=True)]) == ["may change: Hide, on h; this task keeps its output secret"]


@pytest.mark.parametrize(
    ("result", "code", "text"),
    [
        (Result("successful"), 0, "Nothing would change."),
        (Result("successful", changes=[Change("h", "Make", "", (MODE,))]), 10, "would change: Make: /srv/a mode, on h, from 0755 to 0750"),
        (Result("failed", changes=[Change("h", "Make")], failures=[Failure("h", "t", "sorry")]), 1, "sorry"),
        (Result("unreachable", changes=[Change("h", "Make")], unreachable={"h": "no route"}), 3, "h does not answer over ssh: no route"),
    ],
)
def test_plan_answers_by_its_exit_code(inventory: Path, monkeypatch: pytest.MonkeyPatch, result: Result, code: int, text: str) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(Alnair, "run", lambda _self, playbook, **options: asked.update(playbook=playbook, **options) or result)
    done = call("plan", "--inventory", str(inventory))
    assert (done.exit_code, asked["playbook"], asked["check"], asked["diff"], asked["verbosity"]) == (code, "site", True, True, 0)
    assert text in done.output
    told = json.loads(call("plan", "--json", "--inventory", str(inventory)).stdout)
    assert told == json.loads(json.dumps({"verb": "plan", **dataclasses.asdict(result)}))


def test_a_real_run_tells_what_it_would_change(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "f").write_text("old\n", encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(f"alluxio_masters: {{hosts: {{one: {{ansible_connection: local, folder: {tmp_path}}}}}}}\n", encoding="utf-8")
    (tmp_path / "playbooks" / "site.yml").write_text(
        """
- hosts: all
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy: {content: "new\\n", dest: "{{ folder }}/f", mode: "0600"}
    - name: Write a secret
      ansible.builtin.copy: {content: "hush", dest: "{{ folder }}/s", mode: "0600"}
      no_log: true
""",
        encoding="utf-8",
    )
    cluster = Alnair(tmp_path / "hosts.yml")
    cluster.home = tmp_path
    result = cluster.plan()
    assert plan.lines(result.changes) == [
        f"would change: Write a file: {tmp_path}/f, on one, from old to new",
        "may change: Write a secret, on one; this task keeps its output secret",
    ]
    assert "hush" not in json.dumps(dataclasses.asdict(result))
    assert (tmp_path / "f").read_text(encoding="utf-8") == "old\n"
