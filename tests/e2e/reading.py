"""A data set in the cache, its content as the nodes read it, and readers that tell how long reads fail while something happens to the release."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

HOME = Path(__file__).parents[2]
MOUNT = "/mnt/alluxio-fuse"
FOLDER, FILES = "/release-data", [f"file {number}" if number == 0 else f"file-{number}" for number in range(40)]
# Known to the journal alone: a journal that is lost would be filled again from the under storage, with everything but this.
UNSAVED = "known-to-the-journal-alone"
# Reads files one after the other, each in at most a minute, and writes a line for each: the time, whether it could be read, and which.
# Every read goes past the kernel's cache, which would answer for a worker that is gone.
LOOP = """
end=$(( $(date +%s) + $1 )); shift
while [ "$(date +%s)" -lt "$end" ]; do
  for file in "$@"; do
    if timeout 60 dd if="$file" of=/dev/null bs=1M iflag=direct 2>/dev/null; then fine=1; else fine=0; fi
    echo "$(date +%s.%N) $fine $file"
    sleep 0.1
  done
done
"""


def nodes(group: str = "alluxio_workers") -> dict[str, str]:
    """Return the addresses of a group's hosts by name."""
    hosts = yaml.safe_load((HOME / "inventory/lab/hosts.yml").read_text(encoding="utf-8"))["all"]["children"][group]["hosts"]
    return {name: facts["ansible_host"] for name, facts in hosts.items()}


def knob(name: str) -> Any:
    """Return what the inventory says for all hosts."""
    return yaml.safe_load((HOME / "inventory/lab/group_vars/all.yml").read_text(encoding="utf-8"))[name]


def ssh(address: str, *words: str) -> list[str]:
    """Return the command that runs words on a node as root."""
    access = HOME / "inventory/lab/.access"
    return ["ssh", "-i", str(access / "id_ed25519"), "-o", f"UserKnownHostsFile={access / 'known_hosts'}", "-o", "BatchMode=yes", f"root@{address}", *words]


def sums(folder: str = FOLDER) -> dict[str, set[str]]:
    """Return the checksums of the data set's files, and its folders, as every worker's node reads them through FUSE and not from its kernel's cache."""
    found: dict[str, set[str]] = {}
    line = f"echo 3 > /proc/sys/vm/drop_caches; cd {MOUNT}{folder} && md5sum file* && find . -mindepth 1 -type d"
    for name, address in nodes().items():
        out = subprocess.run(ssh(address, line), capture_output=True, text=True, check=True).stdout
        found[name] = set(out.splitlines())
    return found


def unsaved() -> set[str]:
    """Return what ``sums`` finds of the folder that only the journal has."""
    return {f"./{UNSAVED}"}


def make_unsaved(execute: Callable[..., str]) -> None:
    """Make the folder that only the journal has."""
    execute("alluxio-master-0", f"alluxio fs -Dalluxio.user.file.writetype.default=MUST_CACHE mkdir {FOLDER}/{UNSAVED}", "alluxio-master")


def pod_log(core: Any, name: str, namespace: str, **options: Any) -> str:
    """Return what a container of a pod has printed; as bytes first, of which release 36 of the client makes the text "b'...'"."""
    return str(core.read_namespaced_pod_log(name, namespace, _preload_content=False, **options).data.decode())


@contextlib.contextmanager
def data_set(execute: Callable[..., str]) -> Iterator[set[str]]:
    """Make a data set in the under storage and load it into the cache, with a folder that only the journal has.

    Yields:
        What ``sums`` finds on each node as long as neither a file nor the journal is lost.
    """
    # What a test that was cut off left behind would be read in its place, from the master's, the workers' or a kernel's cache.
    execute("alluxio-master-0", f"alluxio fs rm -R {FOLDER} || true", "alluxio-master")
    for address in nodes().values():
        subprocess.run(ssh(address, "echo 3 > /proc/sys/vm/drop_caches"), check=True)
    first = next(iter(nodes().values()))
    line = (f"rm -rf /srv/alluxio-ufs{FOLDER}; mkdir -p /srv/alluxio-ufs{FOLDER} && cd /srv/alluxio-ufs{FOLDER} && for i in $(seq 1 39); do "
            "head -c 100000 /dev/urandom > file-$i; done; head -c 100000 /dev/urandom > 'file 0'; chown -R 1000:1000 . && md5sum *")  # fmt: skip
    there = set(subprocess.run(ssh(first, line), capture_output=True, text=True, check=True).stdout.splitlines())
    execute("alluxio-master-0", f"alluxio fs loadMetadata {FOLDER}; alluxio fs load {FOLDER}", "alluxio-master")
    make_unsaved(execute)
    assert len(there) == len(FILES)
    there |= unsaved()
    assert sums() == dict.fromkeys(nodes(), there)
    yield there
    execute("alluxio-master-0", f"alluxio fs rm -R {FOLDER}", "alluxio-master")


def longest_outage(lines: list[tuple[float, bool]]) -> float:
    """Return the longest time, in seconds, from the end of one read that was fine to that of the next, whether others failed meanwhile or it waited."""
    moments = [lines[0][0], *(moment for moment, fine in lines if fine), lines[-1][0]]
    return max(after - before for before, after in itertools.pairwise(moments))


class Readers:
    """What the readers saw.

    Attributes:
        lines: By node, the moments (seconds since the epoch) and whether a file could be read then.
        failed: By node, the files that could not be read, once for each time.
    """

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[float, bool]]] = {}
        self.failed: dict[str, list[str]] = {}

    def outages(self) -> dict[str, float]:
        """Return the longest outage, in seconds, by node."""
        return {name: longest_outage(lines) for name, lines in self.lines.items()}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the reads and the failed reads by node."""
        return {name: (len(lines), sum(not fine for _moment, fine in lines)) for name, lines in self.lines.items()}

    def told(self) -> str:
        """Return for each node the longest time without a read that was fine, in seconds, and how many of how many failed."""
        counts = self.counts()
        return "; ".join(f"{name}: {seconds:.1f} s, {counts[name][1]} of {counts[name][0]} reads failed" for name, seconds in self.outages().items())


@contextlib.contextmanager
def readers(folder: str, files: list[str], limit: int = 900) -> Iterator[Readers]:
    """Read files of the cache on every worker's node, again and again, until the end of the ``with``.

    Args:
        folder: Folder in Alluxio.
        files: Its files.
        limit: Seconds after which they end by themselves.
    """
    seen = Readers()
    paths = [f"{MOUNT}{folder}/{name}" for name in files]
    processes = {}
    for name, address in nodes().items():
        words = ssh(address, "bash", "-s", "--", str(limit), *map(shlex.quote, paths))
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        process.stdin.write(LOOP)
        process.stdin.close()
        processes[name] = process
        seen.lines[name], seen.failed[name] = [], []

        def collect(name: str = name, process: subprocess.Popen[str] = process) -> None:
            for line in process.stdout or ():
                moment, fine, path = line.rstrip("\n").split(" ", 2)
                seen.lines[name].append((float(moment), fine == "1"))
                if fine == "0":
                    seen.failed[name].append(path)

        threading.Thread(target=collect, daemon=True).start()
    deadline = time.monotonic() + 30
    while not all(seen.lines.values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    try:
        yield seen
        # The last word is a read that was fine, or an outage that goes on.
        time.sleep(2)
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()
