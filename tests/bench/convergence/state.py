"""What the hosts must look like at the end, told by the hosts themselves and not by the case that made it."""

from __future__ import annotations

import difflib

from tests.bench.convergence.hosts import Hosts

OPTIONS = "no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding"
WANTED = """\
alluxio-user:x:1000:1000::/home/alluxio-user:/bin/bash
alluxio-user:x:1000:
locked
700 alluxio-user /home/alluxio-user/.ssh
600 alluxio-user /home/alluxio-user/.ssh/authorized_keys
750 1000:1000 /mnt/fuse
750 1000:1000 /mnt/fuse/datasets
700 1000:1000 /mnt/fuse/alluxio-journal
770 1000:1000 /mnt/fuse/domain-socket
"""
SHOW = """\
cd /home/alluxio-user/.ssh || exit
getent passwd alluxio-user; getent group alluxio-user
case $(getent shadow alluxio-user | cut -d: -f2) in [!*]*) echo locked;; *) echo not locked;; esac
stat -c '%a %U %n' "$PWD" "$PWD/authorized_keys"
stat -c '%a %u:%g %n' /mnt/fuse /mnt/fuse/datasets /mnt/fuse/alluxio-journal /mnt/fuse/domain-socket
find /mnt/fuse/alluxio-journal /mnt/fuse/domain-socket ! -user 1000 -o ! -group 1000
[ -s /mnt/fuse/alluxio-journal/log/0x0-0x1 ] || echo the journal was lost
"""
# Times and inode numbers too: a file that was written again with the same content is a change.
SNAPSHOT = """\
find /home/alluxio-user /mnt/fuse /etc/passwd /etc/group /etc/shadow /etc/gshadow -printf '%p %i %m %U:%G %s %T@ %C@\\n' | sort
"""


def problems(hosts: Hosts) -> list[str]:
    """Return a sentence for each thing on the hosts that is not as wanted."""
    found = []
    for name, answer in hosts.everywhere(SHOW).items():
        if answer != WANTED:
            found.append(f"{name} differs:\n" + "\n".join(difflib.unified_diff(WANTED.splitlines(), answer.splitlines(), "wanted", "found", lineterm="", n=0)))
    source = hosts.members[0]
    key = hosts.inside(source, "cd /home/alluxio-user/.ssh && stat -c '%a %U' id_ed25519 && ssh-keygen -y -f id_ed25519").splitlines()
    if key[0] != "600 alluxio-user":
        found.append(f"the private key of {source.name} has mode and owner {key[0]}")
    line = f"{OPTIONS} {' '.join(key[1].split()[:2])}"
    for name, answer in hosts.everywhere("cat /home/alluxio-user/.ssh/authorized_keys").items():
        if [" ".join(text.split()[:3]) for text in answer.splitlines() if not text.startswith("#")] != [line]:
            found.append(f"{name} allows\n{answer}instead of\n{line}")
    pinned = {text for text in hosts.inside(source, "cat /home/alluxio-user/.ssh/known_hosts").splitlines() if not text.startswith("#")}
    wanted = {
        f"{host.name},{host.address} {' '.join(key.split()[:2])}"
        for host in hosts.members
        for key in hosts.inside(host, "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    }
    if pinned != wanted:
        found.append(f"{source.name} pins {len(pinned & wanted)} of {len(wanted)} host keys and {len(pinned - wanted)} others")
    logins = " ".join(f"alluxio-user@{host.address}" for host in hosts.members)
    login = 'runuser -u alluxio-user -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes "$0" true || echo "$0"'
    script = f"printf '%s\\n' {logins} | xargs -n 1 -P 16 sh -c '{login}'"
    found += [f"{source.name} does not get in to {word}" for word in hosts.inside(source, script).split()]
    return found


def snapshot(hosts: Hosts) -> dict[str, str]:
    """Return what a run without a change may not touch."""
    return hosts.everywhere(SNAPSHOT)


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the lines that differ between two snapshots."""
    return [f"{name}: {line}" for name in before for line in sorted(set(before[name].splitlines()) ^ set(after[name].splitlines()))]
