"""What must hold before a deploy: facts of hosts, cluster and controller held against what is wanted. Nothing is read here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.alnair.alluxio.plugins.module_utils.capacity import Wanted, takes_no_pods
from ansible_collections.alnair.alluxio.plugins.module_utils.oci import canonical
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged, quantity

OK, WARN, FAIL = "ok", "warn", "fail"
OLDEST_PYTHON, OLDEST_KUBERNETES = "3.9", "1.30"
# Of ansible-core: what meta/runtime.yml asks for, and the newest that the tests run with.
OLDEST_ANSIBLE, NEWEST_ANSIBLE = "2.19", "2.21"
# Where a chart may come from that can be asked.
ASKED = ("http://", "https://", "oci://")
# Systems that the tests run on, and their kin.
TESTED = ("debian", "ubuntu")
ENFORCE = "pod-security.kubernetes.io/enforce"
# Where values say no other; that of FUSE is the chart's own.
PORTS = {
    "master": {"rpc": 19998, "web": 19999, "embedded": 19200}, "jobMaster": {"rpc": 20001, "web": 20002, "embedded": 20003},
    "worker": {"rpc": 29999, "web": 30000}, "jobWorker": {"rpc": 30001, "data": 30002, "web": 30003}, "proxy": {"web": 39999}, "fuse": {"web": 49999},
}  # fmt: skip


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


def defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what chart and role say in the chart's values, of that which is looked at here; the user's files and values win over it."""
    level = {"mediumtype": "MEM", "type": "emptyDir", "path": "/dev/shm", "quota": params["quota"]}
    said = {"image": params["image"], "imageTag": params["image_tag"], "fuse": {"enabled": params["fuse"]}, "tieredstore": {"levels": [level]}}
    return merged([{part: {"ports": ports} for part, ports in PORTS.items()}, said])


def checks(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any], controller: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Check]:
    """Return the report: host by host, then the cluster, then the controller.

    Args:
        hosts: By name what action host_facts answered: ``facts``, or ``unreachable`` or ``failed`` with ``msg``.
        cluster: What module doctor read; ``error`` where it could not. ``unpullable`` says of images that nodes lack why their registries do not give them.
        controller: Versions, and what the chart's repository answered.
        wanted: Parameters of module doctor; ``values`` are those that will hold, of :func:`defaults` and of what the user says.
    """
    found = [check for name, answer in hosts.items() if answer for check in of_host(name, answer, wanted)]
    return [*found, *of_cluster(hosts, cluster, wanted), *of_controller(controller, wanted)]


def of_host(name: str, answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the lines of a host."""
    said = " ".join(str(answer.get("msg", "")).split())
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


def of_cluster(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the lines of the cluster."""
    if cluster.get("error"):
        remedy = "See that alluxio_kubeconfig and alluxio_kube_context name this cluster, as kubectl reaches it."
        yield Check("cluster", "API server", FAIL, cluster["error"], remedy)
        return
    if not cluster["version"]:
        remedy = f"See that it is Kubernetes {OLDEST_KUBERNETES} or later: kubectl get --raw /version"
        yield Check("cluster", "API server", WARN, "it answers, but tells no version (gitVersion of /version)", remedy)
    elif version(cluster["version"])[:2] < version(OLDEST_KUBERNETES):
        yield Check("cluster", "API server", FAIL, f"Kubernetes {cluster['version']}", f"Alnair needs {OLDEST_KUBERNETES}: upgrade the cluster.")
    else:
        yield Check("cluster", "API server", OK, f"Kubernetes {cluster['version']}")
    yield from of_nodes(hosts, cluster["nodes"], wanted)
    yield of_dns(cluster["dns"])
    yield of_storage_class(cluster["storage_class"], wanted)
    yield of_pod_security(cluster["namespace"], wanted)
    yield from of_images(hosts, cluster, wanted["images"])


def node_of(name: str, answer: Mapping[str, Any]) -> str:
    """Return what Kubernetes calls a host."""
    return str((answer.get("facts") or {}).get("node") or name)


def of_nodes(hosts: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on hosts that are no nodes, or do not take what shall run there; one line where all do."""
    asked, wrong = Wanted(wanted["values"]), False
    for name, answer in hosts.items():
        node = nodes.get(node_of(name, answer))
        kinds = [kind for kind in ("master", "worker") if name in wanted[f"{kind}s"]]
        no_node = f"its nodes are {', '.join(nodes)}: set alluxio_node_name." if nodes else "it has none yet: join this host."
        for reason, remedy in [("is no node of the cluster", no_node)] if node is None else takes_no_pods(node, asked, kinds):
            wrong = True
            yield Check("cluster", "nodes", FAIL, f"{name} {reason}", f"{remedy[0].upper()}{remedy[1:]}")
    if not wrong:
        yield Check("cluster", "nodes", OK, f"{len(hosts)} hosts are nodes that take pods")


def of_dns(found: Mapping[str, int] | None) -> Check:
    """Return the line on the cluster's DNS."""
    if not found:
        return Check(
            "cluster",
            "DNS",
            WARN,
            "kube-system has no Deployment with the label k8s-app=kube-dns",
            "See that pods resolve names of Services: masters are found by theirs.",
        )
    down = [name for name, available in found.items() if not available]
    if len(down) == len(found):
        return Check("cluster", "DNS", FAIL, f"{', '.join(down)} has no available pod", f"Try: kubectl --namespace kube-system describe deployment {down[0]}")
    return Check("cluster", "DNS", OK, ", ".join(f"{name}: {available} available" for name, available in found.items()))


def of_storage_class(provisioner: str | None, wanted: Mapping[str, Any]) -> Check:
    """Return the line on the journal's storage class."""
    name = wanted["storage_class"]
    return Check("cluster", "StorageClass", OK, f"{name} is made by deploy" if provisioner is None else f"{name} of {provisioner}")


def of_pod_security(labels: Mapping[str, str] | None, wanted: Mapping[str, Any]) -> Check:
    """Return the line on what the namespace lets pods do."""
    name = wanted["namespace"]
    if labels is None:
        return Check("cluster", "Pod Security", OK, f"namespace {name} is made by deploy")
    level = labels.get(ENFORCE, "privileged")
    if level != "privileged":
        remedy = f"Alluxio mounts directories of its nodes, and FUSE is privileged. Try: kubectl label namespace {name} {ENFORCE}=privileged --overwrite"
        return Check("cluster", "Pod Security", FAIL, f"namespace {name} enforces {level}", remedy)
    return Check("cluster", "Pod Security", OK, f"namespace {name} lets FUSE be privileged")


def held(node: Mapping[str, Any]) -> list[str]:
    """Return the images that a node tells of, which are its largest 50, by their whole names."""
    return [canonical(name) for image in (node.get("status") or {}).get("images") or [] for name in image.get("names") or []]


def lacking(image: str, hosts: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the hosts that do not tell of an image."""
    return [name for name, answer in hosts.items() if (node := nodes.get(node_of(name, answer))) and canonical(image) not in held(node)]


def of_images(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any], images: Iterable[str]) -> Iterator[Check]:
    """Yield a line for each image: whether the nodes have it, as far as they tell, or its registry does."""
    for image in images:
        if not (without := lacking(image, hosts, cluster["nodes"])):
            yield Check("cluster", "images", OK, f"{image} is on all nodes")
            continue
        text = f"{image} is not on {', '.join(without)}"
        if image.startswith("localhost/"):
            yield Check("cluster", "images", FAIL, f"{text}, and no registry has it", "Import it there, or name an image of a registry.")
        elif not (reason := cluster["unpullable"].get(image)):
            yield Check("cluster", "images", OK, f"{text}; its registry has it")
        else:
            remedy = "See that name and tag are right. Nodes may pull it with a login or from a mirror, or have it: they tell of their largest 50 images only."
            yield Check("cluster", "images", WARN, f"{text}, and its registry, asked from the controller, answers: {reason}", remedy)


def chart_source(wanted: Mapping[str, Any]) -> str:
    """Return the address that the chart comes from; empty where it lies on this machine."""
    return str(wanted["repository"] or (wanted["chart"] if "://" in wanted["chart"] else ""))


def of_chart(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the line on where the chart comes from, where that is elsewhere."""
    source = chart_source(wanted)
    verdict, text, remedy = OK, f"{source}: answers", ""
    if wanted["repository"].startswith("oci://"):
        verdict, text = FAIL, f"{source} is a registry, which helm takes for no repository"
        remedy = "Put the whole oci:// reference of the chart into alluxio_chart_ref, and leave alluxio_chart_repository empty."
    elif not source.startswith(ASKED):
        verdict, text = WARN, f"{source} was not asked, for it is neither http(s):// nor oci://"
        remedy = f"See that helm on this machine takes it: helm show chart {source}"
    elif found["repository"]:
        verdict, text, remedy = FAIL, f"{source}: {found['repository']}", "See alluxio_chart_repository or alluxio_chart_ref, and the proxy."
    if source:
        yield Check("controller", "chart repository", verdict, text, remedy)


def of_helm(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Check:
    """Return the line on helm: the one that is there, or whether deploy can put one there."""
    folder, text = wanted["helm"].rpartition("/")[0], found["helm"]
    remedy = "deploy installs it; helm_install_method says how."
    if found["helm_broken"]:
        text = f"{wanted['helm']} does not run: {found['helm_broken']}"
        remedy = f"See what lies there: file {wanted['helm']}. Remove it, and deploy installs one; helm_install_method says how."
    elif not text:
        text = f"there is none at {wanted['helm']}"
    elif version(text) < version(wanted["helm_minimum"]):
        remedy = f"deploy installs a newer one: it must be {wanted['helm_minimum']} at least."
    else:
        return Check("controller", "helm", OK, text)
    elsewhere = found["helm_elsewhere"]
    other = f" Or set helm_install_directory to {elsewhere}, where one lies: it is kept if it is new enough." if elsewhere else ""
    if not found["helm_writable"]:
        text += f", and {folder} cannot be written"
        return Check("controller", "helm", FAIL, text, f"Set helm_install_directory to a folder of yours, such as ~/.local/bin.{other}")
    if not found["helm_program"]:
        text += f", and deploy cannot install one without the program {wanted['helm_program']}"
        return Check("controller", "helm", FAIL, text, f"Install it, or set another helm_install_method.{other}")
    if wanted["helm_lacks"]:
        text += f", and deploy cannot install one without {wanted['helm_lacks']}"
        return Check("controller", "helm", FAIL, text, f"Set it, or another helm_install_method.{other}")
    return Check("controller", "helm", WARN, text, f"{remedy}{other}")


def of_controller(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the lines of the machine that Ansible runs on."""
    text = f"ansible-core {found['ansible']}, Python {found['python']}"
    if version(found["ansible"])[:2] < version(OLDEST_ANSIBLE):
        remedy = f"Alnair needs ansible-core {OLDEST_ANSIBLE}: make setup in a checkout, or pip install --upgrade ansible-core."
        yield Check("controller", "versions", FAIL, text, remedy)
    elif version(found["ansible"])[:2] > version(NEWEST_ANSIBLE):
        remedy = f"The tests run with ansible-core {OLDEST_ANSIBLE} to {NEWEST_ANSIBLE}: look at --check --diff first, or install one of these."
        yield Check("controller", "versions", WARN, text, remedy)
    else:
        yield Check("controller", "versions", OK, text)
    for text in found["unread"]:
        yield Check("controller", "values", FAIL, f"no values can be read from {text}", "Correct the file, or alluxio_chart_values_files.")
    yield of_helm(found, wanted)
    yield from of_chart(found, wanted)
