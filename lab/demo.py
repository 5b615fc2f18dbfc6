"""Read a data set through the cache and tell what it brought: the last step of `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))
from rich.console import Console
from rich.table import Table

from alnair_runner import Alnair

FILES, SIZE = 64, 1 << 20
# Reads every file through the mount and prints the number of bytes; a folder's listing comes first, as a loader does it.
READ = "find /mnt/alluxio-fuse/demo -type f -print0 | xargs -0 cat | wc -c"


def on(node: str, line: str) -> str:
    """Run a shell line on a node of the lab."""
    words = ["ansible", "-i", "inventory/lab", node, "-m", "ansible.builtin.shell", "-a", line]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{node}: {line} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.split(">>", 1)[1].strip()


def timed(node: str) -> tuple[float, int]:
    """Return the seconds that one reading of the data set took on a node and the bytes read."""
    on(node, f"ls /mnt/alluxio-fuse/demo >/dev/null; s=$(date +%s%N); n=$({READ}); e=$(date +%s%N); echo $n $(( (e - s) / 1000000 )) > /tmp/demo-figures")
    count, milliseconds = on(node, "cat /tmp/demo-figures; rm /tmp/demo-figures").split()
    return int(milliseconds) / 1000, int(count)


def main() -> None:
    """Make the data set at the source, read it twice on each worker, show the state."""
    cluster = Alnair()
    workers = cluster.matched("alluxio_workers")
    say = Console()
    say.print(f"Writing a data set of {FILES} files of {SIZE >> 20} MiB to the storage behind the cache …")
    on(workers[0], f"mkdir -p /srv/alluxio-ufs/demo && cd /srv/alluxio-ufs/demo && for i in $(seq {FILES}); do [ -e $i.bin ] || head -c {SIZE} /dev/urandom > $i.bin; "
       "done; chown -R 1000:1000 .")
    table = Table("node", "reading", "MiB", "seconds", title="The data set, read through /mnt/alluxio-fuse")
    for node in workers:
        for name in ("first", "second"):
            say.print(f"Reading it on {node}, {name} time …")
            seconds, count = timed(node)
            if count != FILES * SIZE:
                sys.exit(f"{node} read {count} bytes through the cache, not {FILES * SIZE}. Look at: python alnair_runner.py status")
            table.add_row(node, name, str(count >> 20), f"{seconds:.2f}")
    say.print(table)
    say.print("All bytes arrived. The cluster stays up: try `python alnair_runner.py status`, `make lab-down` removes it.", markup=False)
    os.execv(sys.executable, [sys.executable, str(HOME / "alnair_runner.py"), "status"])


if __name__ == "__main__":
    main()
