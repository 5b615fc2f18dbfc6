"""A release's workers: which of them the leading master counts as live beside the pods that there are. Pods are as the API's JSON says them."""

from __future__ import annotations

from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import kube, masters, pods

try:
    import kubernetes
except ImportError:
    kubernetes = None

# The command would wait for two minutes until clients know by themselves; a pod that was told to end does not. Masters act at its first word, so that it is
# no matter that it ends without having seen the worker idle; with 255 it has told them nothing.
DECOMMISSION = """
export JAVA_TOOL_OPTIONS="$JAVA_TOOL_OPTIONS -Dalluxio.user.worker.list.refresh.interval=1s"
timeout 15 alluxio fsadmin decommissionWorker --addresses "$1" --wait 0s || [ $? -ne 255 ]
"""
CONTAINER = "alluxio-worker"


def of(there: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods that are workers."""
    return [pod for pod in there if (pod["metadata"].get("labels") or {}).get("role") == CONTAINER]


def amiss(found: masters.Leader | None, there: list[dict[str, Any]], *, patient: bool) -> str | None:
    """Return what the leading master says against the release, or None when the workers that it counts as live are those of the pods.

    Args:
        found: The leading master.
        there: The release's pods.
        patient: Whether to wait for it to forget workers whose pods are gone: until it does, clients still try them.
    """
    if found is None:
        return "no master answers on its web port as the leading one"
    live = {address for addresses in found.workers for address in addresses}
    known = of(there)
    unknown = sorted(pod["metadata"]["name"] for pod in known if (pod.get("status") or {}).get("podIP") not in live)
    if unknown:
        return (f"{found.name} does not count as live: {', '.join(unknown)}. Their logs tell whether they register; one that was decommissioned does so when "
                "its pod is removed")  # fmt: skip
    if patient and len(found.workers) > len(known):
        return f"{found.name} counts {len(found.workers)} workers as live, but there are {len(known)}"
    return None


def ending(found: masters.Leader, there: list[dict[str, Any]]) -> dict[str, str]:
    """Return the workers that were told to end and that the leading master counts as live: their addresses, as fsadmin wants them, by the uids of their pods.

    An address that it knows of two workers, which share a node's, would name either.
    """
    hosts = [addresses[0] for addresses in found.workers]
    wanted = {}
    for pod in of(there):
        own = next((addresses for addresses in found.workers if (pod.get("status") or {}).get("podIP") in addresses), None)
        ports = [port["containerPort"] for item in pod["spec"]["containers"] for port in item.get("ports") or []
                 if (item["name"], port.get("name")) == (CONTAINER, "web")]  # fmt: skip
        if own and ports and pod["metadata"].get("deletionTimestamp") and hosts.count(own[0]) == 1:
            wanted[pod["metadata"]["uid"]] = f"{own[0]}:{ports[0]}"
    return wanted


def decommission(release: masters.Masters, there: list[dict[str, Any]], told: dict[str, str]) -> bool:
    """Have the leading master take workers that were told to end off its list, once each; masters before 2.9.4 do not know the command and keep them.

    It is a courtesy to readers, who else try such workers until the master forgets them: what goes wrong with it is no matter of the release.

    Args:
        release: The masters.
        there: The release's pods.
        told: The workers of which a master was told already: their hosts by the uids of their pods, no host where it did not heed it. New ones are added.

    Returns:
        Whether that took seconds.
    """
    if all(pod["metadata"]["uid"] in told for pod in of(there) if pod["metadata"].get("deletionTimestamp")):
        return False
    leader = release.leader()
    wanted = {uid: address for uid, address in ending(leader, there).items() if uid not in told} if leader else {}
    if not leader or not wanted:
        return False
    heeded = True
    try:
        # Not tried for long: on a node whose worker has ended meanwhile the next one has the same address.
        pods.execute(release.core, release.pod(leader.name), DECOMMISSION, ",".join(wanted.values()), timeout=20, away=0)
    except (pods.CutOff, kube.ClusterAway):
        # The master itself may have been about to end: the next one is told anew.
        return False
    except (pods.PodError, kubernetes.client.ApiException):
        heeded = False
    told.update({uid: address.rpartition(":")[0] if heeded else "" for uid, address in wanted.items()})
    return True


def struck(found: masters.Leader | None, there: list[dict[str, Any]], told: dict[str, str]) -> list[str]:
    """Return the Ready workers that the leading master does not count as live on hosts where it was told of the one before: it may have taken them for that.

    Args:
        found: The leading master.
        there: The release's pods.
        told: As decommission left it.
    """
    live = {address for addresses in found.workers for address in addresses} if found else set[str]()
    return [
        pod["metadata"]["name"]
        for pod in of(there)
        if found and pod["status"].get("hostIP") in told.values() and pod["status"].get("podIP") not in live and not pod["metadata"].get("deletionTimestamp")
    ]
