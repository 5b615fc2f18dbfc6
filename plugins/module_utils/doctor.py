"""What must hold before a deploy: facts of hosts, cluster and controller held against what is wanted. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.capacity import Wanted, cannot_be, others, takes_no_pods, too_little
from ansible_collections.alnair.alluxio.plugins.module_utils.host_checks import FAIL, OK, WARN, Check, of_host, version
from ansible_collections.alnair.alluxio.plugins.module_utils.oci import canonical
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged
from ansible_collections.alnair.alluxio.plugins.module_utils.volumes import CLAIM

OLDEST_KUBERNETES = "1.30"
# Of ansible-core: what meta/runtime.yml asks for, and the newest that the tests run with.
OLDEST_ANSIBLE, NEWEST_ANSIBLE = "2.19", "2.21"
# Where a chart may come from that can be asked.
ASKED = ("http://", "https://", "oci://")
# What a class names that makes no volumes.
UNPROVISIONED = "kubernetes.io/no-provisioner"
ENFORCE = "pod-security.kubernetes.io/enforce"
# Where values say no other; that of FUSE is the chart's own.
PORTS = {
    "master": {"rpc": 19998, "web": 19999, "embedded": 19200}, "jobMaster": {"rpc": 20001, "web": 20002, "embedded": 20003},
    "worker": {"rpc": 29999, "web": 30000}, "jobWorker": {"rpc": 30001, "data": 30002, "web": 30003}, "proxy": {"web": 39999}, "fuse": {"web": 49999},
}  # fmt: skip


def defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what chart and role say in the chart's values, of that which is looked at here; the user's files and values win over it."""
    counted = {"master": {"count": len(params["masters"])}, "user": params["uid"], "group": params["gid"]}
    claimed = {"journal": {"storageClass": params["claim_storage_class"] or params["storage_class"]}}
    level = {"mediumtype": "MEM", "type": "emptyDir", "path": "/dev/shm", "quota": params["quota"]}
    said = {"image": params["image"], "imageTag": params["image_tag"], "fuse": {"enabled": params["fuse"]}, "tieredstore": {"levels": [level]}}
    return merged([{part: {"ports": ports} for part, ports in PORTS.items()}, params["chart_values"], counted, claimed, said])


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
    yield from of_nodes(hosts, cluster, wanted)
    yield of_dns(cluster["dns"])
    yield from of_storage_classes(cluster, wanted)
    yield of_pod_security(cluster["namespace"], wanted)
    yield from of_images(hosts, cluster, wanted["images"])


def node_of(name: str, answer: Mapping[str, Any]) -> str:
    """Return what Kubernetes calls a host."""
    return str((answer.get("facts") or {}).get("node") or name)


def of_nodes(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on what fits no node, and on hosts that are no nodes or have no room for what shall run there; one line where all do."""
    asked, nodes = Wanted(wanted["values"]), cluster["nodes"]
    beside = others(cluster["pods"], wanted["release"], wanted["namespace"])
    wrong = [("release", *reason) for reason in cannot_be(asked)]
    for name, answer in hosts.items():
        node = nodes.get(node_of(name, answer))
        kinds = [kind for kind in ("master", "worker") if name in wanted[f"{kind}s"]]
        if node is None:
            no_node = f"its nodes are {', '.join(nodes)}: set alluxio_node_name." if nodes else "it has none yet: join this host."
            wrong.append(("nodes", f"{name} is no node of the cluster", no_node))
            continue
        # What /dev/shm holds its host itself tells.
        reasons = [*takes_no_pods(node, asked, kinds), *too_little(node, asked, kinds, beside.get(node_of(name, answer), []))]
        wrong += [("nodes", f"{name} {reason}", remedy) for reason, remedy in reasons]
    for check, text, remedy in wrong:
        yield Check("cluster", check, FAIL, text, f"{remedy[0].upper()}{remedy[1:]}")
    if not wrong:
        yield Check("cluster", "nodes", OK, f"{len(hosts)} hosts are nodes that have room for the pods")


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


def of_storage_classes(cluster: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Check]:
    """Yield lines on the storage class of the volumes that deploy makes, and on the claims that name another one or wait for somebody else's volumes."""
    made, classes, values, wrong = wanted["storage_class"], cluster["storage_classes"], wanted["values"], list[tuple[str, str]]()
    journal, socket, metastore = (values.get(part) or {} for part in ("journal", "shortCircuit", "metastore"))
    uses = socket.get("enabled", True) and socket.get("policy", "uuid") == "uuid" and socket.get("volumeType") == CLAIM
    for part, claims in (("journal", journal if journal.get("volumeType", CLAIM) == CLAIM else {}), ("shortCircuit", socket if uses else {})):
        if claims and (asked := claims.get("storageClass", made)) != made:
            text = f'{part}.storageClass of the values is "{asked}", and deploy makes the volumes for its claims with "{made}"'
            wrong.append((text, f"Set persistent_volumes_storage_class to {asked}, or {part}.storageClass in alluxio_chart_values to {made}."))
    if metastore.get("mountPath") and metastore.get("volumeType", CLAIM) != "emptyDir":
        asked = metastore.get("storageClass") or "standard"
        if asked not in classes and asked not in cluster["volume_classes"]:
            text = f'metastore.storageClass of the values is "{asked}", of which there is neither class nor volume: {", ".join(classes) or "none"} is there'
            wrong.append((text, "Set it to one that is there, or make the class or a volume for each master; deploy makes none for the metastore."))
        elif asked in classes and classes[asked] == UNPROVISIONED and asked not in cluster["volume_classes"]:
            text = f'metastore.storageClass of the values is "{asked}", which makes no volumes, and none of it is there'
            wrong.append((text, "Make a volume for each master, or name a class that makes them; deploy makes none for the metastore."))
    for text, remedy in wrong:
        yield Check("cluster", "StorageClass", FAIL, text, remedy)
    if not wrong:
        yield Check("cluster", "StorageClass", OK, f"{made} of {classes[made]}" if made in classes else f"{made} is made by deploy")


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
    """Yield lines on where the chart comes from, where that is elsewhere, and on one that cannot be read."""
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
    if not (unread := wanted["chart_unread"]) or verdict == FAIL:
        return
    if source and not found["helm"]:
        text = f"{source} is not fetched, for there is no helm yet: of requests and limits those are looked at that your values say"
        yield Check("controller", "chart", WARN, text, "Run the playbook install_helm, then doctor again.")
    else:
        yield Check("controller", "chart", FAIL, unread, "Until it can be read, of requests and limits those are looked at that your values say.")


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
