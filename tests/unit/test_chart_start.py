"""What containers of the chart do before their process begins, run as they would run it: format a journal, wait for a master, clean a mount up."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart_matrix import MATRIX
from chart_tools import container, pod_specs, render

MOUNTING = pytest.mark.parametrize(("row", "part"), [("fuse", "fuse"), ("worker-fuse", "worker")])
# Tools that see the folders of mounts below the current one, the last on top; without -f stat is answered by the kernel's cache, as on a mount of a dead process.
SEEN = {"grep": 'case "$*" in *" fuse"*) ls mounts/* >/dev/null 2>&1 ;; *) exec /bin/grep "$@" ;; esac',
        "umount": 'rm -r "$(ls -d mounts/* | tail -1)"; echo unmounted >> said', "sleep": "rm -rf mounts/*; echo waited >> said",
        "stat": '[ "$1" != -f ] || [ -e "$(ls -d mounts/* | tail -1)/answers" ]', "entry": 'echo "$@" >> said'}  # fmt: skip


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


def shell(folder: Path, words: list[str]) -> list[str]:
    """Run a container's command in a folder that stands for its host; what was done."""
    for name, line in SEEN.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    places = {"/entrypoint.sh": str(folder / "entry"), "/mnt/alluxio-fuse": str(folder / "mount")}
    script = [places.get(word, word).replace("/tmp/running", str(folder / "running")) for word in words if word not in ("tini", "--")]
    subprocess.run(script, check=True, cwd=folder, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}, capture_output=True, timeout=20)
    return (folder / "said").read_text().split("\n") if (folder / "said").exists() else []


@MOUNTING
def test_a_container_that_is_started_again_unmounts_what_a_killed_fuse_left(tmp_path: Path, row: str, part: str) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", f"alluxio-{part}", f"alluxio-{part}")
    for name in ("1", "2"):
        (tmp_path / "mounts" / name).mkdir(parents=True)
    assert shell(tmp_path, [*item["command"], "begin"]) == ["unmounted", "unmounted", "begin", ""]
    (tmp_path / "mounts" / "own").mkdir(parents=True)
    with masters("2.9.4") as port, sleeping(tmp_path) as process:
        words = [word.replace("alluxio-master-0", "127.0.0.1").replace("/19999", f"/{port}") for word in item["lifecycle"]["preStop"]["exec"]["command"]]
        assert shell(tmp_path, words)[3:] == ["unmounted", "waited", ""]
        # What FUSE would wait for in vain when it is told to end is over; a worker has more to end.
        assert (process.poll() == -signal.SIGKILL) == (part == "fuse")


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


@MOUNTING
def test_a_mount_of_a_process_that_runs_is_waited_for_and_never_unmounted(tmp_path: Path, row: str, part: str) -> None:
    item = container(render(MATRIX[row]), "DaemonSet", f"alluxio-{part}", f"alluxio-{part}")
    (tmp_path / "mounts" / "other" / "answers").mkdir(parents=True)
    # Ended before its turn came, it takes nothing away; nor is it started while the other's mount is there.
    if part == "fuse":
        assert shell(tmp_path, item["lifecycle"]["preStop"]["exec"]["command"]) == []
        with pytest.raises(subprocess.CalledProcessError):
            shell(tmp_path, item["startupProbe"]["exec"]["command"])
    assert shell(tmp_path, [*item["command"], "begin"]) == ["waited", "begin", ""]


@pytest.mark.parametrize(
    ("leads", "named", "least", "most"), [(True, True, 0, 2), (False, False, 1, 5), (False, True, 6, 12)],
    ids=["a master leads", "the release is removed", "no master leads"],
)  # fmt: skip
def test_fuse_serves_until_a_master_leads_again(tmp_path: Path, leads: bool, named: bool, least: int, most: int) -> None:
    item = container(render(MATRIX["fuse"]), "DaemonSet", "alluxio-fuse", "alluxio-fuse")
    (tmp_path / "mounts" / "own" / "answers").mkdir(parents=True)
    (tmp_path / "getent").write_text(f"#!/bin/sh\nexit {0 if named else 2}\n", encoding="utf-8")
    (tmp_path / "getent").chmod(0o755)
    words = item["lifecycle"]["preStop"]["exec"]["command"]
    with masters("2.9.4") as port, sleeping(tmp_path) as process:
        places = {"alluxio-master-0": "127.0.0.1", "/19999": f"/{port if leads else 1}", "timeout 60": "timeout 6", "-lt 8": "-lt 2"}
        for word, there in places.items():
            words = [item.replace(word, there) for item in words]
        began = time.monotonic()
        first, *waited, unmounted, last, _ = shell(tmp_path, words)
        assert least <= time.monotonic() - began <= most
        assert process.wait(2) == -signal.SIGKILL
    # Five seconds in which the master is told to stop, too; then it waits; two seconds for what is read.
    assert (first, unmounted, last) == ("waited", "unmounted", "waited")
    assert (waited == []) == leads


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("name", ["alluxio-worker", "alluxio-job-worker"])
def test_a_worker_ends_of_its_own_accord_where_a_master_leads_and_is_killed_where_none_does(tmp_path: Path, name: str, leads: bool) -> None:
    item = container(render({}), "DaemonSet", "alluxio-worker", name)
    assert shell(tmp_path, [*item["command"], "begin"]) == ["begin", ""]
    assert (tmp_path / "running").read_text(encoding="utf-8").strip().isdigit()
    (tmp_path / "getent").write_text("#!/bin/sh\nexit 2\n", encoding="utf-8")
    (tmp_path / "getent").chmod(0o755)
    with masters("2.9.4") as port, sleeping(tmp_path) as process:
        places = {"alluxio-master-0": "127.0.0.1", "/19999": f"/{port if leads else 1}", "-lt 8": "-lt 2"}
        words = item["lifecycle"]["preStop"]["exec"]["command"]
        for word, there in places.items():
            words = [item.replace(word, there) for item in words]
        shell(tmp_path, words)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.returncode == (None if leads else -signal.SIGKILL)


@contextlib.contextmanager
def masters(version: str) -> Iterator[int]:
    """Serve a leading master's page; its port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'{{"version":"{version}","revision":"1"}}'.encode())

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(("own", "master", "waits"), [("2.9.4", "2.9.4", False), ("2.9.4", "2.9.3", True), ("2.9.4", "2.9.41", True), ("", "2.9.3", False)])
def test_a_worker_waits_for_a_master_of_its_own_version(tmp_path: Path, own: str, master: str, waits: bool) -> None:
    (tmp_path / "alluxio").write_text(f"#!/bin/sh\necho {own}\n", encoding="utf-8")
    (tmp_path / "alluxio").chmod(0o755)
    (spec,) = [item for kind, item in pod_specs(render({})) if kind == "DaemonSet/alluxio-worker"]
    (line,) = next(item for item in spec["initContainers"] if item["name"] == "wait-for-master")["args"]
    with masters(master) as port:
        line = line.replace("alluxio-master-0", "127.0.0.1").replace("/19999", f"/{port}")
        process = subprocess.Popen(["bash", "-c", line], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.terminate()
        ended = process.wait(5)
    # One that waits ends when it is told to, of its own accord.
    assert ended == (143 if waits else 0)
