"""A backup is its own release's and proven, and only a master that gave up on a journal says that it cannot be read."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import role_tools
import yaml
from ansible_collections.alnair.alluxio.plugins.module_utils import backups, kube, pods
from ansible_collections.alnair.alluxio.plugins.module_utils import masters as about
from ansible_collections.alnair.alluxio.plugins.modules import journal_backup

OWNER = {"cluster": "c-1", "namespace": "ns", "release": "alluxio", "life": "2026-01-01"}
TASKS = role_tools.HOME / "roles/alluxio_chart/tasks"
NEW, OLD = "alluxio:2", "alluxio:1"


def masters() -> Any:
    return SimpleNamespace(
        core=SimpleNamespace(), namespace="ns", release="alluxio", pod=lambda name: {"name": name}, look=lambda _name, _port: None,
        stateful_set=lambda: {"spec": {"template": {"spec": {"containers": [{"name": about.CONTAINER, "image": NEW}]}}}},
        leader=lambda: about.Leader("m-0", 12, []))  # fmt: skip


def put(folder: Path, day: int, release: str = "alluxio", **more: Any) -> Path:
    """Lay a backup down."""
    path = folder / f"{release}-202601{day:02}T000000Z.gz"
    path.write_bytes(b"journal")
    path.with_suffix(".json").write_text(json.dumps({**OWNER, "revision": 4, "sha256": hashlib.sha256(b"journal").hexdigest(), **more}), encoding="utf-8")
    return path


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Masters whose scratch master's pod has the status that the fixture's attribute says."""
    found = masters()
    found.status, found.log = SimpleNamespace(phase="Failed", reason=None, container_statuses=[]), "a\nb\n"
    found.core = SimpleNamespace(list_namespaced_pod=lambda *_args, **_options: SimpleNamespace(items=[]),
                                 read_namespaced_pod_status=lambda *_args: SimpleNamespace(status=found.status),
                                 read_namespaced_pod_log=lambda *_args, **_options: SimpleNamespace(data=found.log.encode()))  # fmt: skip
    monkeypatch.setattr(kube, "retried", lambda call, *args, **options: call(*args, **options))
    for name, result in (("environment_of", {}), ("likeness", {}), ("create", None), ("running", None), ("gone", None)):
        monkeypatch.setattr(about, name, lambda *_args, _result=result, **_options: _result)
    monkeypatch.setattr(pods, "push", lambda *_args: None)
    return found


def ended(code: int, reason: str = "Error", why: str | None = None) -> Any:
    state = SimpleNamespace(terminated=SimpleNamespace(exit_code=code, reason=reason))
    return SimpleNamespace(phase="Failed", reason=why, container_statuses=[SimpleNamespace(state=state)])


def test_a_master_that_gave_up_cannot_read_the_journal(scratch: Any) -> None:
    scratch.status = ended(255)
    assert journal_backup.prove(scratch, Path("b.gz"), OLD, 5) == "it ended: a | b"
    scratch.look = lambda _name, _port: about.Leader("p", 7, [])
    assert journal_backup.prove(scratch, Path("b.gz"), OLD, 5) == 7


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (ended(137, "OOMKilled"), "OOMKilled"),
        (ended(1), "exit code 1"),
        (ended(0, "Completed"), "Completed"),
        (ended(143, why="Evicted"), "Evicted"),
        (SimpleNamespace(phase="Failed", reason="DeadlineExceeded", container_statuses=None), "DeadlineExceeded"),
        (SimpleNamespace(phase="Running", reason=None, container_statuses=[]), "did not serve within 0.1 s"),
    ],
)
def test_what_ends_a_master_from_outside_says_nothing_of_the_journal(scratch: Any, status: Any, word: str) -> None:
    scratch.status = status
    with pytest.raises(about.MastersError, match=word):
        journal_backup.prove(scratch, Path("b.gz"), OLD, 0.1)


@pytest.mark.parametrize("error", [about.MastersError("no room"), pods.PodError("not copied")])
def test_an_image_that_could_not_be_tried_is_undecided(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def prove(_masters: Any, _backup: Path, image: str, _timeout: int) -> int | str:
        if image == OLD:
            raise error
        return 12

    monkeypatch.setattr(journal_backup, "prove", prove)
    assert journal_backup.tried(masters(), Path("b"), [NEW, OLD], 12, 5) == ({NEW: 12}, {OLD: str(error)})


def test_a_version_that_knows_fewer_paths_cannot_read_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_backup, "prove", lambda _masters, _backup, image, _timeout: 12 if image == NEW else 3)
    assert journal_backup.tried(masters(), Path("b"), [NEW, OLD, NEW], 12, 5) == ({NEW: 12, OLD: "it knows 3 of at least 12 paths"}, {})


@pytest.mark.parametrize("fails", ["alluxio fsadmin", "fetch", ""])
def test_nothing_of_a_backup_stays_in_the_masters_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: str) -> None:
    lines: list[str] = []

    def execute(_core: Any, _pod: Any, line: str, **_options: Any) -> str:
        lines.append(line)
        if fails and fails in line:
            raise pods.PodError("not done after 5 s")
        return "/tmp/alnair-backup/b.gz\n"

    def fetch(*_args: Any) -> str:
        if fails == "fetch":
            raise pods.CutOff("the connection broke")
        return "sum"

    monkeypatch.setattr(pods, "execute", execute)
    monkeypatch.setattr(pods, "fetch", fetch)
    leading = SimpleNamespace(core=None, pod=lambda name: {"name": name}, stateful_set=lambda: {"spec": {"replicas": 1}})
    if fails:
        with pytest.raises(pods.PodError):
            journal_backup.make(leading, "m-0", tmp_path / "b", 5)
    else:
        assert journal_backup.make(leading, "m-0", tmp_path / "b", 5) == "sum"
    assert lines[-1] == "rm -rf /tmp/alnair-backup"


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options of the module, whose master writes a backup and whose scratch master knows all paths."""

    def make(_masters: Any, _leader: str, target: Path, _timeout: int) -> str:
        # As the copy from a pod begins.
        target.write_bytes(b"journal")
        return "sum"

    monkeypatch.setattr(journal_backup, "make", make)
    monkeypatch.setattr(journal_backup, "prove", lambda *_args: 12)
    monkeypatch.setattr(backups, "whose", lambda *_args: OWNER)
    return {"directory": str(tmp_path), "timeout": 5, "images": [], "revision": 4, "keep": 2, "latest": False}


def made(params: dict[str, Any]) -> dict[str, Any]:
    return journal_backup.backup(masters(), about.Leader("m-0", 12, []), params)


def test_a_backup_says_whose_it_is_and_only_its_owner_can_read_it(params: dict[str, Any], tmp_path: Path) -> None:
    path = Path(made(params)["path"])
    assert sorted(tmp_path.iterdir()) == [path, path.with_suffix(".json")]
    assert {item.stat().st_mode & 0o777 for item in tmp_path.iterdir()} == {0o600}
    beside = backups.facts(path)
    assert {key: beside[key] for key in (*OWNER, "revision", "sha256", "proofs")} == {**OWNER, "revision": 4, "sha256": "sum", "proofs": {NEW: 12}}


def test_masters_that_are_about_to_stop_give_what_was_written_during_the_proof(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    copies = iter([b"proven", b"and later"])

    def make(_masters: Any, _leader: str, target: Path, _timeout: int) -> str:
        target.write_bytes(next(copies))
        return "sum"

    def prove(_masters: Any, backup: Path, *_rest: Any) -> int:
        assert backup.read_bytes() == b"proven"
        return 12

    monkeypatch.setattr(journal_backup, "make", make)
    monkeypatch.setattr(journal_backup, "prove", prove)
    assert Path(made({**params, "latest": True})["path"]).read_bytes() == b"and later"


@pytest.mark.parametrize("found", ["it ended: no journal", 3, 13, about.MastersError("no room"), KeyboardInterrupt()])
def test_nothing_bears_the_name_of_a_backup_that_is_not_proven(params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    def prove(_masters: Any, backup: Path, *_rest: Any) -> Any:
        assert [item.name.endswith(".gz.part") for item in tmp_path.iterdir()] == [True]
        assert backup.read_bytes() == b"journal"
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(journal_backup, "prove", prove)
    with pytest.raises((about.MastersError, KeyboardInterrupt)):
        made(params)
    assert not [*tmp_path.iterdir()]


def test_what_a_dead_run_left_goes_and_what_a_live_one_writes_stays(params: dict[str, Any], tmp_path: Path) -> None:
    dead, live, other = (tmp_path / f"{name}-20260101T00000{second}Z.gz.part" for name, second in (("alluxio", 1), ("alluxio", 2), ("alluxio-two", 1)))
    beside = tmp_path / "alluxio-20260101T000001Z.json"
    for path in (dead, live, other, beside):
        path.touch()
    with backups.held(live):
        made(params)
    assert not dead.exists()
    assert not beside.exists()
    assert live.exists()
    assert other.exists()


def test_backups_of_others_in_the_directory_are_neither_listed_nor_removed(tmp_path: Path) -> None:
    own = [put(tmp_path, day, life="2025" if day == 1 else OWNER["life"]) for day in (1, 2, 5)]
    put(tmp_path, 3, cluster="c-2")
    put(tmp_path, 4, namespace="other")
    put(tmp_path, 6, "alluxio-two")
    put(tmp_path, 7).with_suffix(".json").write_text('{"release": "alluxio", "sha256": ""}', encoding="utf-8")
    put(tmp_path, 8).with_suffix(".json").write_text("[]", encoding="utf-8")
    # Without its backup it takes no good one's place.
    put(tmp_path, 9).unlink()
    said: list[str] = []
    listed = [path for path, _facts in backups.listed(tmp_path, OWNER, said.append) if path.exists()]
    assert listed == own[::-1]
    assert [text.split(" tells")[0] for text in said] == [str(tmp_path / "alluxio-20260108T000000Z.json")]
    assert journal_backup.old(tmp_path, OWNER, 2) == own[:1]
    assert journal_backup.old(tmp_path, OWNER, 0) == []


def test_old_backups_go_with_what_lies_beside_them(params: dict[str, Any], tmp_path: Path) -> None:
    old = [put(tmp_path, day) for day in (1, 2)]
    foreign = put(tmp_path, 1, "other")
    assert made(params)["removed"] == [str(old[0])]
    assert not old[0].with_suffix(".json").exists()
    assert foreign.exists()


def test_the_life_of_a_release_is_told_by_its_newest_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    def secret(number: int, first: str) -> Any:
        text = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"info": {"first_deployed": first}}).encode())))
        return SimpleNamespace(metadata=SimpleNamespace(labels={"version": str(number)}), data={"release": text.decode()})

    secrets = [secret(9, "old"), secret(10, "2026-01-01")]
    core = SimpleNamespace(
        read_namespace=lambda name: SimpleNamespace(metadata=SimpleNamespace(uid={"kube-system": "c-1"}[name])),
        list_namespaced_secret=lambda _namespace, label_selector: SimpleNamespace(items=secrets if label_selector == "owner=helm,name=alluxio" else []),
    )
    monkeypatch.setattr(kube, "retried", lambda call, *args, **options: call(*args, **options))
    assert backups.whose(core, "ns", "alluxio") == OWNER
    assert backups.whose(core, "ns", "other")["life"] == ""


def test_a_backup_that_is_not_what_it_was_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    path = put(tmp_path, 1, cluster="c-2")
    journal_backup.intact(path)
    path.write_bytes(b"cut")
    with pytest.raises(about.MastersError, match="checksum"):
        journal_backup.intact(path)
    path.with_suffix(".json").unlink()
    journal_backup.intact(path)


def back(**given: Any) -> dict[str, Any]:
    """Return the variables of a rollback to revision 4, which one master ran."""
    shape = {"image": "alluxio", "imageTag": "1", "master": {"count": 1}, "journal": {"type": "UFS"}}
    return {"alluxio_chart_plan": {"ready_revision": 4, "effective": shape, "effective_before": shape}, **given}


@pytest.mark.parametrize(
    ("kind", "ports", "moves"),
    [("EMBEDDED", {"embedded": 19201}, True), ("EMBEDDED", {"embedded": 19200, "rpc": 1}, False), ("EMBEDDED", {}, False), ("UFS", {"embedded": 19201}, False)],
)
def test_another_port_of_an_embedded_journal_takes_a_start_from_a_backup(kind: str, ports: dict[str, int], moves: bool) -> None:
    """Its members are known by host and port: masters that change one after another would never meet."""
    before = {"master": {"count": 3, "ports": {"embedded": 19200}}, "journal": {"type": kind}}
    plan = {"effective_before": before, "effective": {**before, "master": {"count": 3, "ports": ports}}}
    assert role_tools.value("alluxio_chart", "{{ alluxio_chart_moves_journal }}", alluxio_chart_plan=plan) is moves


def test_only_a_backup_of_the_same_life_is_one_of_a_revision() -> None:
    found = [{"path": name, "whole": whole, "current": current, "revision": revision}
             for name, whole, current, revision in (("a", True, False, 4), ("b", False, True, 4), ("c", True, True, 3), ("d", True, True, 4))]  # fmt: skip
    assert role_tools.value("alluxio_chart", "{{ alluxio_chart_own_backups }}", **back(alluxio_chart_backups={"backups": found})) == ["d"]


def test_a_backup_bears_the_revision_that_the_journal_is_of_whoever_makes_it() -> None:
    (words, *_rest) = [task["alnair.alluxio.journal_backup"] for task in yaml.safe_load((TASKS / "backup.yml").read_text(encoding="utf-8"))
                       if "alnair.alluxio.journal_backup" in task]  # fmt: skip
    assert role_tools.value("alluxio_chart", words["revision"], alluxio_chart_before={"revision": 3}) == 3
    assert role_tools.value("alluxio_chart", words["revision"], alluxio_chart_before={"revision": 3}, alluxio_chart_backup_revision=2) == 2


def stops(given: dict[str, Any]) -> str:
    """Return the sentence with which the way back stops, or nothing."""
    for task in yaml.safe_load((TASKS / "go_back.yml").read_text(encoding="utf-8")):
        if words := task.get("ansible.builtin.assert"):
            # Ansible renders the sentence of what holds, too, and fails where it cannot.
            sentence = str(role_tools.value("alluxio_chart", words["fail_msg"], **given))
            if not role_tools.value("alluxio_chart", "{{ " + words["that"] + " }}", **given):
                return sentence
    return ""


def test_a_version_that_could_not_be_tried_is_not_gone_back_to() -> None:
    open_question = {"path": "new.gz", "proofs": {NEW: 12}, "undecided": {OLD: "no room"}}
    given = back(alluxio_chart_backup_made=open_question, alluxio_chart_backups={"backups": [{"path": "d", "whole": True, "current": True, "revision": 4}]})
    assert "could not be tried: no room" in stops(given)
    assert stops({**given, "alluxio_chart_rollback_journal": True}) == ""
    assert stops({**given, "alluxio_chart_backup_made": {**open_question, "undecided": {}, "proofs": {OLD: "it ended"}}}) == ""
    assert role_tools.value("alluxio_chart", "{{ alluxio_chart_source_back }}", **given) == ""


def test_a_journal_that_is_lacking_is_told_with_the_reason() -> None:
    given = back(alluxio_chart_backup_made={"proofs": {OLD: "it ended: x"}, "undecided": {}}, alluxio_chart_backups={"backups": []})
    assert "alluxio:1 cannot start from the journal as it is now: it ended: x; ~/.local/state/alnair/backups has no whole backup of revision 4" in stops(given)
    asked = back(alluxio_chart_rollback_journal=True, alluxio_chart_backups={"backups": []})
    assert "alluxio_chart_rollback_journal asks for the journal of revision 4; " in stops(asked)


def test_the_way_back_to_another_number_of_masters_takes_one_that_answers() -> None:
    given = back(alluxio_chart_backups={"backups": []})
    assert stops(given) == ""
    three = {"master": {"count": 3}, "journal": {"type": "EMBEDDED"}}
    given["alluxio_chart_plan"]["effective_before"] = three
    assert "but no master answers" in stops(given)
    assert stops({**given, "alluxio_chart_backup_made": {"path": "new.gz", "proofs": {OLD: 12}, "undecided": {}}}) == ""


@pytest.mark.parametrize(("before", "wanted", "why"), [
    ({"leader": None}, True, "no master answered"),
    ({"leader": "m-0"}, False, "alluxio_chart_backup is false"),
    ({"leader": "m-0"}, True, "no master was to restart"),
    ({"leader": "m-0", "move": {}}, True, "a move of the journal was cut off"),
])  # fmt: skip
def test_why_there_is_no_backup_to_restore_is_told_as_it_was(before: dict[str, Any], why: str, *, wanted: bool) -> None:
    (block,) = [task for task in yaml.safe_load((TASKS / "put_back.yml").read_text(encoding="utf-8")) if "rescue" in task]
    given = {"alluxio_chart_before": before, "alluxio_chart_backup": wanted, "alluxio_chart_reason": "", "alluxio_chart_target": 3, "ansible_failed_result": {}}
    said = role_tools.value("alluxio_chart", block["rescue"][0]["ansible.builtin.assert"]["fail_msg"], **given)
    assert str(said).endswith(f"No backup was made before, because {why}.")


def test_the_backups_lie_in_a_home_of_the_host_that_writes_them() -> None:
    assert role_tools.value("alluxio_chart", "{{ alluxio_chart_backup_directory }}") == "~/.local/state/alnair/backups"


@pytest.mark.parametrize("name", ["install", "upgrade", "move_journal"])
def test_what_comes_after_the_labels_does_not_say_that_nothing_was_changed(name: str) -> None:
    assert "Nothing was changed" not in (TASKS / f"{name}.yml").read_text(encoding="utf-8")
