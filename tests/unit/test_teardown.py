"""What lies on the hosts goes only where nothing of the release uses it any more, whichever steps of teardown are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from role_tools import HOME, run_playbook
from small_api import Api, serve


def test_the_hosts_are_cleaned_by_a_step_of_its_own_once_the_release_is_gone(tmp_path: Path) -> None:
    (tmp_path / "dirs").mkdir()
    given: dict[str, Any] = {"alluxio_purge": True, "ansible_connection": "local", "ansible_become": False, "journal_directories_root": str(tmp_path / "dirs")}

    def step(*words: str) -> tuple[int, str]:
        code, text = run_playbook(tmp_path, HOME / "playbooks" / "teardown.yml", "--check", "--tags", "journal_directories", *words, **given)
        return code, " ".join(text.split())

    api = Api()
    server = serve(api, tmp_path / "kubeconfig")
    code, text = step()
    # It is told twice, before it goes and as what goes, and is one change.
    assert (code, f"node-1: would be removed (1): {tmp_path / 'dirs'}." in text, "changed=1 " in text) == (0, True, True), text
    for user, told in (("root", True), ("nobody-is-called-so", False)):
        code, text = step("--tags", "alluxio_user", "--extra-vars", f"alluxio_user_name={user}", "--extra-vars", f"journal_directories_root={tmp_path}/gone")
        assert (code, f"node-1: would be removed: the account {user} with its home" in text) == (0, told), text
    known = {"owner": "helm", "name": "alluxio", "version": "1", "status": "deployed"}
    api.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sh.helm.release.v1.alluxio.v1", "namespace": "alluxio", "labels": known}})
    code, text = step()
    assert (code, "may be in use: it has no pods, but helm knows it. Remove the release before" in text) == (2, True), text
    labels = {"app": "alluxio", "release": "alluxio"}
    api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alluxio-master-0", "namespace": "alluxio", "labels": labels}, "spec": {"containers": []}})
    code, text = step()
    assert (code, "The release is there, so journal and mounts may be in use: alluxio-master-0. Remove the release before" in text) == (2, True), text
    code, text = step("--limit", "node-1")
    assert (code, "With --limit, name the host that removes it too: --limit node-1,localhost" in text) == (2, True), text
    server.shutdown()
