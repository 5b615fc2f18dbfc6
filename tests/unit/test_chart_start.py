"""What containers of the chart do before their process begins, run as they would run it: format a journal, wait for a master, clean a mount up."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart_matrix import MATRIX
from chart_tools import container, pod_specs, render

MOUNTING = pytest.mark.parametrize(("row", "part"), [("fuse", "fuse"), ("worker-fuse", "worker")])
# A file system in memory stands for one of FUSE; one with a file "dead" has no process any more, which only stat -f tells. What a container mounts is its release's by the source.
TOOLS = {"stat": 'for last; do :; done; [ "$1" != -f ] || [ ! -e "$last/dead" ]', "sleep": 'echo "waited $1" >> said; exec /bin/sleep 0.05',
         "entry": """echo "$@" >> said
mount -t tmpfs alluxio/alluxio own; touch own/new
for turn in $(seq 30); do [ -e mount/new ] && { echo placed >> said; break; }; [ "$turn" = 20 ] && touch mount/dead; /bin/sleep 0.1; done"""}  # fmt: skip
OLD = "mount -t tmpfs alluxio/alluxio mount; "
FOREIGN = "mount -t tmpfs other/alluxio mount; "
DEAD = "touch mount/dead; "


def format_journal(folder: Path, values: dict[str, Any]) -> bool:
    """Run the init container's own command on a folder; whether it formatted."""
    init = container(render(values), "StatefulSet", "alluxio-master", "journal-format")
    tools = folder.parent / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "alluxio").write_text(f'#!/bin/sh\necho "$@" > {tools}/called\n')
    (tools / "alluxio").chmod(0o755)
    (tools / "called").unlink(missing_ok=True)
    script = [word if word != "/journal" else str(folder) for word in [*init["command"], *init["args"]]]
    subprocess.run(script, check=True, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
    return (tools / "called").exists() and (tools / "called").read_text() == "formatJournal\n"


@pytest.mark.parametrize("run_format", [False, True])
def test_a_journal_is_formatted_when_it_is_new_and_never_again(tmp_path: Path, run_format: bool) -> None:
    values = {"journal": {"format": {"runFormat": run_format}}}
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / "lost+found").mkdir()
    (journal / ".before-2.9.3").mkdir()
    assert format_journal(journal, values)
    (journal / "BlockMaster").mkdir()
    assert not format_journal(journal, values)


def test_a_journal_that_cannot_be_read_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        format_journal(tmp_path / "not-there", {})
    assert not (tmp_path / "bin" / "called").exists()


def shell(folder: Path, words: list[str], before: str = "", after: str = "", code: int = 0, kind: str = "tmpfs") -> list[str]:
    """Run a container's command with mounts of its own in a folder that stands for its host; what was done.

    Args:
        folder: The folder.
        words: The command.
        before: A line of sh before it.
        after: One after it.
        code: How the command shall end.
        kind: What is taken for FUSE's kind of file system.
    """
    for name, line in TOOLS.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    for name in ("own", "mount"):
        (folder / name).mkdir(exist_ok=True)
    script = [word.replace('*" fuse"*', f'*" {kind}"*') for word in words if word not in ("tini", "--")]
    for path, place in (
        ("/entrypoint.sh", "entry"),
        ("/mnt/alluxio-fuse", "mount"),
        ("/run/alluxio-fuse", "own"),
        ("/tmp/running", "running"),
        ("/tmp/placing", "placing"),
    ):
        script = [word.replace(path, str(folder / place)) for word in script]
    alone = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{before} "$@"; found=$?; {after} exit $found', "sh"]
    with (folder / "stderr").open("w") as told:
        process = subprocess.Popen([*alone, *script], cwd=folder, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}, stdout=told, stderr=told,
                                   start_new_session=True)  # fmt: skip
        try:
            ended = process.wait(20)
        finally:
            # What it left in the background, which looks after the mount for as long as the container lives.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert ended == code, (folder / "stderr").read_text(encoding="utf-8")
    said = (folder / "said").read_text().splitlines() if (folder / "said").exists() else []
    # What looks after the mount does so until it is killed.
    while said and said[-1] == "waited 1":
        said.pop()
    return said


@MOUNTING
@pytest.mark.parametrize("before", ["", OLD, OLD + DEAD, FOREIGN + DEAD, FOREIGN + DEAD + OLD + DEAD],
                         ids=["nothing", "the pod before", "a killed one", "another release's killed one", "two killed ones"])  # fmt: skip
def test_a_mount_takes_the_place_of_the_one_before_and_of_what_killed_ones_left(tmp_path: Path, row: str, part: str, before: str) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", f"alluxio-{part}", f"alluxio-{part}")
    said = shell(tmp_path, [*item["command"], "begin"], before, 'grep -c " $PWD/mount " /proc/self/mountinfo >> said;')
    # Once: none lies below it.
    assert (said[0], said[-2], said[-1]) == ("begin", "placed", "1")


@MOUNTING
def test_a_mount_of_another_release_is_waited_for_and_named(tmp_path: Path, row: str, part: str) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", f"alluxio-{part}", f"alluxio-{part}")
    # It ends after two seconds.
    said = shell(tmp_path, [*item["command"], "begin"], FOREIGN)
    assert said.count("waited 1") > 2
    assert said[-1] == "placed"
    assert "that is not of this release; waiting for its end" in (tmp_path / "stderr").read_text(encoding="utf-8")


@MOUNTING
def test_a_folder_that_is_a_mount_of_another_kind_is_mounted_over(tmp_path: Path, row: str, part: str) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", f"alluxio-{part}", f"alluxio-{part}")
    assert shell(tmp_path, [*item["command"], "begin"], FOREIGN, kind="fuse")[-1] == "placed"


def test_an_empty_place_is_taken_once_more(tmp_path: Path) -> None:
    item = container(render(MATRIX["fuse"]), "DaemonSet", "alluxio-fuse", "alluxio-fuse")
    again = "umount mount; for turn in $(seq 30); do [ -e mount/new ] && { echo again >> said; break; }; /bin/sleep 0.1; done;"
    assert shell(tmp_path, [*item["command"], "begin"], "", again)[-1] == "again"


@pytest.mark.parametrize(("before", "code"), [("", 1), ("mount -t tmpfs x own; ", 1), ("mount -t tmpfs x own; " + OLD, 1),
                                              ("mount -t tmpfs x own; mount --bind own mount; ", 0)])  # fmt: skip
def test_fuse_is_ready_when_its_own_mount_is_in_place(tmp_path: Path, before: str, code: int) -> None:
    item = container(render(MATRIX["fuse"]), "DaemonSet", "alluxio-fuse", "alluxio-fuse")
    for probe in ("startupProbe", "readinessProbe"):
        shell(tmp_path, item[probe]["exec"]["command"], before, code=code)


@pytest.mark.parametrize(
    ("before", "said"),
    [("mount -t tmpfs x own; mount --bind own mount; ", ["waited 2", "mounts 0"]), ("mount -t tmpfs x own; " + OLD, ["waited 10", "mounts 1"]),
     (OLD, ["mounts 1"])],
    ids=["its own", "the next pod's", "never mounted"],
)  # fmt: skip
def test_fuse_takes_its_own_mount_with_it_and_no_other(tmp_path: Path, before: str, said: list[str]) -> None:
    item = container(render(MATRIX["fuse"]), "DaemonSet", "alluxio-fuse", "alluxio-fuse")
    after = 'echo mounts $(grep -c " $PWD/mount " /proc/self/mountinfo) >> said;'
    with sleeping(tmp_path) as process:
        assert shell(tmp_path, item["lifecycle"]["preStop"]["exec"]["command"], before, after) == said
        assert process.wait(2) == -signal.SIGKILL


def test_fuse_whose_turn_did_not_come_takes_nothing_away(tmp_path: Path) -> None:
    item = container(render(MATRIX["fuse"]), "DaemonSet", "alluxio-fuse", "alluxio-fuse")
    assert shell(tmp_path, item["lifecycle"]["preStop"]["exec"]["command"], OLD, 'echo mounts $(grep -c " $PWD/mount " /proc/self/mountinfo) >> said;') == [
        "mounts 1"
    ]


@contextlib.contextmanager
def sleeping(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that stands for the one that mounts."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    (folder / "running").write_text(str(process.pid), encoding="utf-8")
    try:
        yield process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize(("row", "name"), [("fuse", "alluxio-worker"), ("fuse", "alluxio-job-worker"), ("worker-fuse", "alluxio-worker")])
def test_a_worker_ends_of_its_own_accord_where_a_master_leads_and_is_killed_where_none_does(tmp_path: Path, row: str, name: str, leads: bool) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", "alluxio-worker", name)
    (tmp_path / "getent").write_text("#!/bin/sh\nexit 2\n", encoding="utf-8")
    (tmp_path / "getent").chmod(0o755)
    with masters("2.9.4") as port, sleeping(tmp_path) as process:
        words = item["lifecycle"]["preStop"]["exec"]["command"]
        for word, there in {"alluxio-master-0": "127.0.0.1", "/19999": f"/{port if leads else 1}", "-lt 8": "-lt 2"}.items():
            words = [item.replace(word, there) for item in words]
        after = 'echo mounts $(grep -c " $PWD/mount " /proc/self/mountinfo) >> said;'
        said = shell(tmp_path, words, "mount -t tmpfs x own; mount --bind own mount; ", after)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.returncode == (None if leads else -signal.SIGKILL)
    # The mount serves while a master is waited for.
    assert [item for item in said if item != "waited 1"] == ["waited 5", "waited 2", "mounts 0"] if row == "worker-fuse" else ["waited 5", "mounts 1"]


def test_a_worker_says_which_process_it_is(tmp_path: Path) -> None:
    item = container(render({}), "DaemonSet", "alluxio-worker", "alluxio-worker")
    script = [word.replace("/tmp/running", str(tmp_path / "running")).replace("/entrypoint.sh", "/bin/echo") for word in item["command"][2:]]
    assert subprocess.run([*script, "worker-only"], capture_output=True, text=True, check=True).stdout == "worker-only\n"
    assert (tmp_path / "running").read_text(encoding="utf-8").strip().isdigit()


@contextlib.contextmanager
def masters(version: str, gained: int | None = 2) -> Iterator[int]:
    """Serve the pages of a master that lost primacy at 1 and gained it when it is said, or of one of Alluxio 2.8, which does not measure it; its port."""
    moments = {"TotalPaths": 3} if gained is None else {"LastGainPrimacyTime": gained, "LastLosePrimacyTime": 1}
    gauges = {f"Master.{what}": {"value": moment} for what, moment in moments.items()}
    pages = {"/metrics/json/": json.dumps({"gauges": gauges}, indent=2), "/api/v1/master/info": f'{{"version":"{version}","revision":"1"}}'}

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pages[self.path].encode())

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("own", "master", "gained", "waits"),
    [("2.9.4", "2.9.4", 2, False), ("2.9.4", "2.9.3", 2, True), ("2.9.4", "2.9.41", 2, True), ("", "2.9.3", 2, False), ("2.9.4", "2.9.4", 0, True),
     ("2.8.1", "2.8.1", None, False), ("2.9.4", "2.8.1", None, True)],
)  # fmt: skip
def test_a_worker_waits_for_a_leading_master_of_its_own_version(tmp_path: Path, own: str, master: str, gained: int | None, waits: bool) -> None:
    (tmp_path / "alluxio").write_text(f"#!/bin/sh\necho {own}\n", encoding="utf-8")
    (tmp_path / "alluxio").chmod(0o755)
    (spec,) = [item for kind, item in pod_specs(render({})) if kind == "DaemonSet/alluxio-worker"]
    (line,) = next(item for item in spec["initContainers"] if item["name"] == "wait-for-master")["args"]
    with masters(master, gained) as port:
        line = line.replace("alluxio-master-0", "127.0.0.1").replace("/19999", f"/{port}")
        process = subprocess.Popen(["bash", "-c", line], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.terminate()
        ended = process.wait(5)
    # One that waits ends when it is told to, of its own accord.
    assert ended == (143 if waits else 0)


@pytest.mark.parametrize(
    ("own", "leads", "elected"),
    [("alluxio-master-0", True, "alluxio-master-2"), ("alluxio-master-1", True, "alluxio-master-0"), ("alluxio-master-2", True, "alluxio-master-0"),
     ("alluxio-master-1", False, "")],
)  # fmt: skip
def test_a_master_that_leads_hands_over_before_it_ends(tmp_path: Path, own: str, leads: bool, elected: str) -> None:
    item = container(render(MATRIX["three-masters"]), "StatefulSet", "alluxio-master", "alluxio-master")
    (tmp_path / "alluxio").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\nsleep 1\n: > {tmp_path}/over\n', encoding="utf-8")
    (tmp_path / "alluxio").chmod(0o755)
    with masters("2.9.4", gained=2 if leads else 0) as port:
        # The one that takes over answers.
        words = [word.replace("/19999", f"/{port}").replace("$0/19200", f"127.0.0.1/{port}") for word in item["lifecycle"]["preStop"]["exec"]["command"]]
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ALLUXIO_MASTER_HOSTNAME": own}
        subprocess.run(words, check=True, env=environment, timeout=30)
    assert (tmp_path / "over").exists() is leads, "it waits until that is done"
    assert not leads or (tmp_path / "called").read_text(encoding="utf-8") == f"fsadmin journal quorum elect -address {elected}:19200\n"


def test_a_master_does_not_wait_for_one_that_ends_too(tmp_path: Path) -> None:
    item = container(render(MATRIX["three-masters"]), "StatefulSet", "alluxio-master", "alluxio-master")
    (tmp_path / "alluxio").write_text("#!/bin/sh\nexec sleep 20\n", encoding="utf-8")
    (tmp_path / "alluxio").chmod(0o755)
    with masters("2.9.4") as port:
        words = [word.replace("/19999", f"/{port}").replace("$0/19200", "127.0.0.1/1") for word in item["lifecycle"]["preStop"]["exec"]["command"]]
        # As the kubelet does, this waits for the end of all that could print.
        subprocess.run(words, check=True, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ALLUXIO_MASTER_HOSTNAME": ""}, timeout=5,
                       capture_output=True)  # fmt: skip


@pytest.mark.parametrize(
    ("leads", "connections", "ready"),
    [(True, "", True), (False, "", False),
     (False, "   0: 00000000000000000000000000000000:4B00 00000000000000000000000000000000:0000 0A 00000000:00000000", False),
     (False, "   3: 0000000000000000FFFF00003B00F40A:AF66 0000000000000000FFFF00003E01F40A:4B00 01 00000000:00000000", False),
     (False, "   4: 0000000000000000FFFF00003B00F40A:4B00 0000000000000000FFFF00003E01F40A:98A2 06 00000000:00000000", False),
     (False, "  12: 0000000000000000FFFF00003B00F40A:4B00 0000000000000000FFFF0000014D590A:98A2 01 00000000:00000000", True),
     (False, "   4: 0000000000000000FFFF00003B00F40A:4B00 0000000000000000FFFF00003B00F40A:98A2 01 00000000:00000000", False),
     (False, "   1: 3B00F40A:4B00 014D590A:98A2 01 00000000:00000000", True)],
    ids=["leads", "alone", "listens", "asks another", "was asked", "is led", "asks itself", "is led by IPv4 alone"],
)  # fmt: skip
def test_a_master_is_ready_when_it_leads_or_is_led(tmp_path: Path, leads: bool, connections: str, ready: bool) -> None:
    item = container(render(MATRIX["three-masters"]), "StatefulSet", "alluxio-master", "alluxio-master")
    (tmp_path / "tcp6").write_text(f"  sl  local_address rem_address st\n{connections}\n", encoding="utf-8")
    with masters("2.9.4", gained=2 if leads else 0) as port:
        words = [word.replace("/19999", f"/{port}").replace("/proc/net/tcp", str(tmp_path / "tcp")) for word in item["readinessProbe"]["exec"]["command"]]
        assert (subprocess.run(words, check=False, timeout=10).returncode == 0) is ready


def test_one_master_has_nobody_to_hand_over_to() -> None:
    item = container(render({}), "StatefulSet", "alluxio-master", "alluxio-master")
    assert "lifecycle" not in item and item["readinessProbe"]["tcpSocket"] == {"port": "rpc"}
