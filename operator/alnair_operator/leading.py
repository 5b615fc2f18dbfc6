"""Which replica of the operator acts: the one that holds a Lease."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

import kubernetes

from alnair_operator.cluster import ERRORS, Cluster, Object

LOG = logging.getLogger(__name__)
LEASE = "alnair-operator"
LEASE_SECONDS, RENEW_SECONDS = 15, 4


class Leader:
    """The Lease that says which replica acts."""

    def __init__(self, cluster: Cluster, identity: str) -> None:
        """Begin as one that does not lead."""
        self.cluster, self.identity = cluster, identity
        self.renewed = 0.0
        self.seen: tuple[str, float] = ("", 0.0)

    @property
    def leads(self) -> bool:
        """Tell whether this replica may act now."""
        return time.monotonic() - self.renewed < LEASE_SECONDS - RENEW_SECONDS

    def acquire(self) -> bool:
        """Take the Lease, or renew it; tells whether it is held."""
        began, namespace = time.monotonic(), self.cluster.settings.namespace
        try:
            lease = self.cluster.leases.read_namespaced_lease(LEASE, namespace, _request_timeout=(2, 3))
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
            body: Object = {"metadata": {"name": LEASE, "namespace": namespace}, "spec": self.spec(0)}
            return self.write(self.cluster.leases.create_namespaced_lease, (namespace, body), began)
        spec = lease.spec
        if spec.holder_identity and spec.holder_identity != self.identity:
            # The clocks of two nodes differ: what counts is how long this replica has seen no renewal.
            mark = f"{spec.holder_identity} {spec.renew_time}"
            if mark != self.seen[0]:
                self.seen = (mark, began)
            if began - self.seen[1] < (spec.lease_duration_seconds or LEASE_SECONDS):
                return False
        changes = (spec.lease_transitions or 0) + (spec.holder_identity != self.identity)
        body = {"metadata": {"name": LEASE, "namespace": namespace, "resourceVersion": lease.metadata.resource_version}, "spec": self.spec(changes)}
        return self.write(self.cluster.leases.replace_namespaced_lease, (LEASE, namespace, body), began)

    def spec(self, changes: int) -> Object:
        """Return what the Lease says while this replica holds it."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "acquireTime": now, "renewTime": now, "leaseTransitions": changes}

    def write(self, call: Any, arguments: tuple[Any, ...], began: float) -> bool:
        """Write the Lease; tells False where another replica was faster."""
        try:
            call(*arguments, _request_timeout=(2, 3))
        except kubernetes.client.ApiException as error:
            if error.status == 409:
                return False
            raise
        self.renewed = began
        return True

    def give_up(self) -> None:
        """Let another replica lead at once."""
        if not self.leads:
            return
        namespace = self.cluster.settings.namespace
        body = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
        try:
            self.cluster.leases.patch_namespaced_lease(LEASE, namespace, body, _request_timeout=(2, 3))
        except ERRORS as error:
            LOG.warning("The Lease could not be given back: %s", error)
