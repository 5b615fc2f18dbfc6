"""What must hold on a host before a deploy: what action host_facts answered, held against what is wanted. Nothing is read here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.alnair.alluxio.plugins.module_utils.capacity import Wanted
from ansible_collections.alnair.alluxio.plugins.module_utils.values import quantity

OK, WARN, FAIL = "ok", "warn", "fail"
OLDEST_PYTHON = "3.9"
# Systems that the tests run on, and their kin.
TESTED = ("debian", "ubuntu")


class Check(NamedTuple):
    """A line of the report.

    Attributes:
        subject: A host, ``cluster`` or ``controller``.
        check: What was looked at.
        verdict: ``ok``, ``warn`` or ``fail``.
        text: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    subject: str
    check: str
    verdict: str
    text: str
    remedy: str = ""


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def gib(count: float) -> str:
    """Return bytes in words."""
    return f"{count / 2**30:.1f} GiB"


def of_host(name: str, answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the lines of a host."""
    # Ansible begins with these words what an action raised; the verdict says it.
    said = " ".join(str(answer.get("msg", "")).removeprefix("Task failed: ").split())
    if answer.get("unreachable"):
        yield Check(name, "ssh", FAIL, said, f"Try: ssh to {name} by hand; its address and user are in the inventory, its host key must be pinned.")
        return
    yield Check(name, "ssh", OK, "answers")
    facts = answer.get("facts")
    if not facts or not facts["root"]:
        remedy = "Let the login become root: a rule in /etc/sudoers.d, or ansible_become_password in a vault. Then its sh must answer in time."
        yield Check(name, "root shell", FAIL, said or "the login is not root", remedy)
    else:
        yield Check(name, "root shell", OK, "answers")
    if not facts:
        return
    worker = name in wanted["workers"]
    yield from of_system(name, facts)
    asked = Wanted(wanted["values"])
    if worker and (asked.part("fuse").get("enabled") or asked.part("worker").get("fuseEnabled")):
        yield from of_fuse(name, facts, wanted)
    yield from of_storage(name, facts, wanted)
    yield from of_memory(name, facts, wanted) if worker else ()
    yield from of_folders(name, facts, asked) if worker else ()
    yield of_ports(name, facts, wanted)
    yield of_account(name, facts, wanted)


def of_system(name: str, facts: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on operating system and Python."""
    tested = bool(set(facts["family"]) & set(TESTED))
    system = f"{facts['system'] or 'unknown system'}, kernel {facts['kernel']}"
    yield Check(name, "system", OK if tested else WARN, system, "" if tested else "The roles are tested on Debian 12 and 13; look at --check --diff first.")
    if not facts["python"]:
        yield Check(name, "python", FAIL, "there is none", "Install it (Debian: apt-get install python3), or name it with ansible_python_interpreter.")
    elif version(facts["python"]) < version(OLDEST_PYTHON):
        yield Check(name, "python", FAIL, facts["python"], f"Ansible's modules need {OLDEST_PYTHON}; name a newer one with ansible_python_interpreter.")
    else:
        yield Check(name, "python", OK, facts["python"])


def of_fuse(name: str, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on what a FUSE mount needs that pods see."""
    if facts["device"]:
        yield Check(name, "FUSE device", OK, "/dev/fuse")
    else:
        remedy = "Run modprobe fuse; it makes the device." if facts["module"] else "The kernel has no module fuse; install the one that belongs to it."
        yield Check(name, "FUSE device", FAIL, "there is no /dev/fuse", f"{remedy} Without FUSE: alluxio_chart_fuse: false.")
    if facts["module"]:
        yield Check(name, "FUSE module", OK, facts["module"])
    else:
        yield Check(
            name,
            "FUSE module",
            FAIL,
            "the kernel knows no file system fuse",
            "Install the kernel's modules (Debian: linux-image of this kernel), or run modprobe fuse.",
        )
    where = wanted["mount"].rpartition("/")[0] or "/"
    if "shared" in facts["propagation"]:
        yield Check(name, "shared mounts", OK, f"{where} is {facts['propagation']}")
    elif facts["propagation"]:
        remedy = "Run mount --make-rshared / (systemd does so at boot), or pods will not see the cache."
        yield Check(name, "shared mounts", FAIL, f"{where} is {facts['propagation']}", remedy)
    else:
        yield Check(name, "shared mounts", WARN, "findmnt is not there to tell", f"See that the mount of {where} is shared: /proc/self/mountinfo.")


def of_storage(name: str, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on disk space and inodes."""
    master = name in wanted["masters"]
    least = wanted["free_mib"] + (int(quantity(wanted["journal_size"])) // 2**20 if master else 0)
    free, inodes = facts["free_mib"], facts["free_inodes"]
    if free is None:
        yield Check(name, "disk", WARN, f"the space below {wanted['root']} could not be read", f"Try: df {wanted['root']}")
    else:
        few = free < least
        remedy = f"Make room for {least} MiB, or choose another place with journal_directories_root." if few else ""
        yield Check(name, "disk", FAIL if few else OK, f"{free} MiB free below {wanted['root']}", remedy)
    if inodes is not None and inodes < wanted["free_inodes"]:
        yield Check(
            name,
            "inodes",
            FAIL,
            f"{inodes} free below {wanted['root']}",
            f"Make room for {wanted['free_inodes']}, or choose another place with journal_directories_root.",
        )


def of_memory(name: str, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on the memory that the cache takes."""
    asked = Wanted(wanted["values"])
    quota = asked.tier(memory=True)
    text = f"{gib(facts['available'])} of {gib(facts['memory'])} available"
    remedy = f"The cache shall have {gib(quota)}: lower alluxio_chart_quota, or what tieredstore.levels of the values says in its place"
    if facts["memory"] < quota:
        yield Check(name, "memory", FAIL, text, f"{remedy}.")
    elif facts["available"] < quota:
        yield Check(name, "memory", WARN, text, f"{remedy}; or see what takes the rest.")
    else:
        yield Check(name, "memory", OK, text)
    size = "is no mount" if facts["shm"] is None else gib(facts["shm"])
    there = asked.tier(memory=True, kind="hostPath")
    if asked.in_host_memory() and (facts["shm"] or 0) < there:
        remedy = f"A tier of {gib(there)} shall lie there. Try: mount -o remount,size={there / 2**20:.0f}m /dev/shm"
        yield Check(name, "/dev/shm", FAIL, size, remedy)
    else:
        yield Check(name, "/dev/shm", OK, size)


def of_folders(name: str, facts: Mapping[str, Any], asked: Wanted) -> Iterator[Check]:
    """Yield lines on the folders that tiers of type hostPath lie in, which the pods' user must read, write and enter."""
    uid, gid = (int(asked.values[key]) for key in ("user", "group"))
    for path in asked.host_folders():
        # Not asked for where the values could not be read.
        if path not in facts["folders"]:
            continue
        found, make = facts["folders"][path], f"Run on {name}: install -d -o {uid} -g {gid} {path}"
        if found is None:
            yield Check(
                name, "tier's folder", FAIL, f"there is no {path}, where a tier of type hostPath shall lie", f"{make}; without it workers do not start."
            )
            continue
        mode, owners = found["mode"], f"{found['uid']}:{found['gid']}"
        first = 1 if found["uid"] == uid else 4 if found["gid"] == gid else 7
        if not mode.startswith("d"):
            yield Check(name, "tier's folder", FAIL, f"{path} is no folder", f"Move it away, then {make[0].lower()}{make[1:]}")
        elif uid == 0 or {*mode[first : first + 3]} & {*"rw"} == {*"rw"} and mode[first + 2] in "xst":
            yield Check(name, "tier's folder", OK, f"{path} belongs to {owners}, {mode}")
        else:
            # What an access list allows its mode does not tell.
            verdict = WARN if mode.endswith("+") else FAIL
            text = f"{path} belongs to {owners}, {mode}, where the pods' user {uid}:{gid} must read, write and enter"
            yield Check(name, "tier's folder", verdict, text, f"Run on {name}: chown {uid}:{gid} {path} && chmod u+rwx {path}")


def host_ports(name: str, wanted: Mapping[str, Any]) -> list[int]:
    """Return the ports of a host that pods take, which they do only on the host's network."""
    values = wanted["values"]
    worker = name in wanted["workers"]
    pods = {
        "master": (name in wanted["masters"], ("master", "jobMaster")),
        "worker": (worker, ("worker", "jobWorker")),
        "proxy": (worker and values.get("proxy", {}).get("enabled"), ("proxy",)),
        # Its page is switched on for its metrics.
        "fuse": (worker and values.get("fuse", {}).get("enabled") and values.get("metrics", {}).get("enabled"), ("fuse",)),
    }
    parts = [part for pod, (runs, members) in pods.items() if runs and values.get(pod, {}).get("hostNetwork") for part in members]
    return [int(port) for part in parts for port in values.get(part, {}).get("ports", {}).values()]


def of_ports(name: str, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Check:
    """Return the line on the ports of the host."""
    used = host_ports(name, wanted)
    if not used:
        return Check(name, "ports", OK, "pods have addresses of their own")
    if facts["ports"] is None:
        return Check(name, "ports", WARN, "ss is not there to tell", f"See that nothing else listens on {', '.join(map(str, used))}.")
    # Alluxio itself runs in Java, and may be there already.
    taken = {port: program for port in used if (program := facts["ports"].get(str(port))) not in (None, "java")}
    if taken:
        text = ", ".join(f"{port} by {program or 'somebody'}" for port, program in taken.items())
        return Check(name, "ports", FAIL, f"taken: {text}", "End what listens there, or give Alluxio other ports (alluxio_chart_values).")
    return Check(name, "ports", OK, "free, or Alluxio's")


def of_account(name: str, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Check:
    """Return the line on names and numbers that somebody else has."""
    clashes = []
    for kind, number, listed in (("user", "uid", facts["users"]), ("group", "gid", facts["groups"])):
        for other, value in listed:
            if other == wanted[kind] and int(value) != wanted[number]:
                clashes.append(f"{kind} {other} has {number} {value}, not {wanted[number]}")
            elif other != wanted[kind] and int(value) == wanted[number]:
                clashes.append(f"{number} {value} belongs to {kind} {other}")
    if clashes:
        return Check(
            name, "account", FAIL, "; ".join(clashes), "Set alluxio_user_uid and alluxio_user_gid to numbers that are free on every host, or alluxio_user_name."
        )
    text = f"{wanted['user']} is there" if facts["users"] else f"{wanted['user']} ({wanted['uid']}:{wanted['gid']}) can be made"
    return Check(name, "account", OK, text)
