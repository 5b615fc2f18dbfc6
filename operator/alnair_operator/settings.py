"""What the operator is told by its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


class SettingsError(Exception):
    """A variable of the environment is missing or holds what cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What the operator is told.

    Attributes:
        namespace: The operator's own namespace.
        watch: Namespaces whose objects it looks at; empty for all.
        masters: Alluxio's masters, as host:port.
        job_masters: Alluxio's job masters, as host:port.
        fuse: Where Alluxio's FUSE file system is mounted on each host.
        roots: Host paths below which data sets lie.
        prefixes: Namespaces that are limited, each with the paths in Alluxio that its pods and data sets may have.
        credentials: Namespaces other than the operator's own, each with the Secrets of the operator's that data sets declared there may name.
        on_failure: What a pod does whose data set cannot be loaded: start on the ``source``, or ``hold``.
        hold_seconds: How long an init container waits at most.
        image: Image of the operator, for Jobs and init containers.
        pull_secrets: Whether nodes need a Secret to fetch that image.
        webhook_port: Port of the webhook.
        metrics_port: Port of metrics, health and of what init containers ask.
        user: Who the operator is to Alluxio.
        service: Host and port under which init containers reach the operator.
        remount_seconds: How long the nodes know files of a path that was unmounted; what is mounted there next waits so long.
    """

    namespace: str
    watch: tuple[str, ...] = ()
    masters: tuple[str, ...] = ()
    job_masters: tuple[str, ...] = ()
    fuse: str = "/mnt/alluxio-fuse"
    roots: tuple[str, ...] = ()
    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_failure: str = "source"
    hold_seconds: int = 600
    image: str = ""
    pull_secrets: bool = False
    webhook_port: int = 9443
    metrics_port: int = 8002
    user: str = "alluxio"
    service: str = ""
    remount_seconds: int = 120

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Return what an environment says.

        Raises:
            SettingsError: it lacks something, or a value cannot be used.
        """

        def words(name: str, separator: str = ",") -> tuple[str, ...]:
            return tuple(word.strip() for word in environment.get(name, "").split(separator) if word.strip())

        def number(name: str, default: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isdigit():
                raise SettingsError(f"{name} is {text!r}; it must be a whole number, such as {default}")
            return int(text)

        def lists(name: str, example: str) -> dict[str, tuple[str, ...]]:
            try:
                return {str(key): tuple(map(str, values)) for key, values in json.loads(environment.get(name) or "{}").items()}
            except (ValueError, AttributeError, TypeError):
                raise SettingsError(f"{name} is no JSON of namespaces with lists, such as {example}") from None

        namespace = environment.get("ALNAIR_NAMESPACE", "")
        if not namespace:
            raise SettingsError("ALNAIR_NAMESPACE is not set; it must name the operator's own namespace")
        on_failure = environment.get("ALNAIR_ON_FAILURE") or "source"
        if on_failure not in ("source", "hold"):
            raise SettingsError(f"ALNAIR_ON_FAILURE is {on_failure!r}; it must be source or hold")
        metrics_port = number("ALNAIR_METRICS_PORT", 8002)
        # Kubernetes tells each pod the addresses of the services that were there before it; pods on the host's network know no names.
        host = environment.get("ALNAIR_OPERATOR_SERVICE_HOST") or f"alnair-operator.{namespace}.svc"
        host = f"[{host}]" if ":" in host else host
        return cls(
            namespace=namespace, watch=words("ALNAIR_WATCH"), masters=words("ALNAIR_MASTERS"), job_masters=words("ALNAIR_JOB_MASTERS"),
            fuse=(environment.get("ALNAIR_FUSE") or "/mnt/alluxio-fuse").rstrip("/"), roots=tuple(root.rstrip("/") for root in words("ALNAIR_ROOTS", ":")),
            prefixes=lists("ALNAIR_PREFIXES", '{"team-a": ["/datasets/team-a"]}'), credentials=lists("ALNAIR_CREDENTIALS", '{"team-a": ["team-a-s3"]}'),
            on_failure=on_failure, hold_seconds=number("ALNAIR_HOLD_SECONDS", 600), image=environment.get("ALNAIR_IMAGE", ""),
            pull_secrets=environment.get("ALNAIR_PULL_SECRETS") == "true",
            webhook_port=number("ALNAIR_WEBHOOK_PORT", 9443), metrics_port=metrics_port, user=environment.get("ALNAIR_USER") or "alluxio",
            service=f"{host}:{metrics_port}", remount_seconds=number("ALNAIR_REMOUNT_SECONDS", 120),
        )  # fmt: skip
