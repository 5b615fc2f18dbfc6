"""A Lease that one run holds on its cluster: taken, renewed while the run lives, deleted at its end, and taken over when it expired.

This runs as a process of its own beside ansible-playbook. It prints one line as soon as it knows whether it has the Lease.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils.kube import ClusterAway, client, retried

try:
    import kubernetes
    from kubernetes.client import ApiException as Refused
except ImportError as error:
    # Whoever starts this reads the last line.
    if __name__ == "__main__":
        sys.exit(str(error))


def now() -> datetime.datetime:
    """Return the time as the API takes it."""
    return datetime.datetime.now(datetime.UTC)


def refusal(lease: Any, identity: str, when: datetime.datetime) -> str:
    """Return who has a Lease, or nothing when it is free for an identity.

    Args:
        lease: A V1Lease.
        identity: Who wants it.
        when: Now.
    """
    spec = lease.spec
    if spec.holder_identity in (None, "", identity) or spec.renew_time is None:
        return ""
    if when - spec.renew_time > datetime.timedelta(seconds=spec.lease_duration_seconds or 0):
        return ""
    return told(spec)


def renewed(read: Callable[[], Any], lease: Any) -> Any:
    """Return a Lease that expired by the clock of this machine once its holder renews it after all, for that clock may be ahead; None when nobody does.

    Args:
        read: Reads the Lease; None where there is none.
        lease: The V1Lease as it was read first.
    """
    # Its holder renews it four times in its time; so two of them may fail.
    deadline = time.monotonic() + (lease.spec.lease_duration_seconds or 0) / 2
    while time.monotonic() < deadline:
        time.sleep(1)
        found = read()
        if found is None:
            return None
        if (found.spec.holder_identity, found.spec.renew_time) != (lease.spec.holder_identity, lease.spec.renew_time):
            return found
    return None


def told(spec: Any) -> str:
    """Return who has a Lease, and since when."""
    return f"{spec.holder_identity} since {spec.acquire_time.astimezone():%H:%M:%S}"


class Keeper:
    """Keeps the Lease for one run."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.api = kubernetes.client.CoordinationV1Api(client(options))
        self.lease: Any = None

    def spec(self, acquired: datetime.datetime) -> Any:
        """Return what the Lease says while this run has it."""
        return kubernetes.client.V1LeaseSpec(holder_identity=self.options["identity"], lease_duration_seconds=self.options["seconds"],
                                             acquire_time=acquired, renew_time=now())  # fmt: skip

    def take(self, patience: float) -> str:
        """Take or renew the Lease; return who has it where it is somebody else's.

        Args:
            patience: Seconds for which an API server that is away is waited for.
        """
        name, namespace = self.options["name"], self.options["namespace"]

        def read() -> Any:
            return retried(self.api.read_namespaced_lease, name, namespace, seconds=patience, missing=None)

        for _attempt in range(3):
            found = read()
            if found and (holder := refusal(found, self.options["identity"], now())):
                return holder
            mine = found and found.spec.holder_identity == self.options["identity"]
            if found and not mine and found.spec.holder_identity and (other := renewed(read, found)):
                return told(other.spec)
            metadata = kubernetes.client.V1ObjectMeta(name=name, resource_version=found.metadata.resource_version if found else None)
            body = kubernetes.client.V1Lease(metadata=metadata, spec=self.spec(found.spec.acquire_time if mine else now()))
            try:
                if found:
                    self.lease = retried(self.api.replace_namespaced_lease, name, namespace, body, seconds=patience)
                else:
                    self.lease = retried(self.api.create_namespaced_lease, namespace, body, seconds=patience)
            except Refused as error:
                # Somebody else was quicker, or removed it just now.
                if error.status not in (404, 409):
                    raise
                continue
            return ""
        return "runs that begin at this moment"

    def give_back(self) -> None:
        """Delete the Lease where it is still this run's."""
        found = retried(self.api.read_namespaced_lease, self.options["name"], self.options["namespace"], missing=None)
        if found and found.spec.holder_identity == self.options["identity"]:
            condition = kubernetes.client.V1DeleteOptions(preconditions=kubernetes.client.V1Preconditions(resource_version=found.metadata.resource_version))
            retried(self.api.delete_namespaced_lease, self.options["name"], self.options["namespace"], body=condition, missing=None)


def main() -> None:
    """Take the Lease, say so, and keep it until the process that it is for has ended."""
    options = json.loads(sys.argv[1])
    run = os.pidfd_open(options["pid"])
    try:
        keeper = Keeper(options)
        holder = keeper.take(5)
        answer = {"holder": holder}
    except ClusterAway as error:
        answer = {"error": str(error)}
    except Refused as error:
        said = json.loads(error.body or "{}").get("message", "")
        answer = {"error": f"The Lease {options['namespace']}/{options['name']} cannot be taken: {error.reason}. {said}"}
    print(json.dumps(answer), flush=True)
    # Who started this waits for no more than that line.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if answer != {"holder": ""}:
        return
    ended = select.poll()
    ended.register(run, select.POLLIN)
    while not ended.poll(options["seconds"] * 1000 / 4):
        try:
            if keeper.take(options["seconds"] / 4):
                # This machine slept for longer than the Lease lasts, and another run began: two must not go on.
                signal.pidfd_send_signal(run, signal.SIGTERM)
                return
        except (ClusterAway, Refused):
            # While the API server is away nobody else can take it either.
            continue
    with contextlib.suppress(ClusterAway, Refused):
        keeper.give_back()


if __name__ == "__main__":
    main()
