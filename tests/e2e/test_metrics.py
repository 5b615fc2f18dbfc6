"""Dashboard and alert rules ask for metrics that this Alluxio exports, and a real Prometheus answers them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monitoring
import pytest
from caching import OPERATOR, until
from conftest import NAMESPACE

PROGRAM = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair" / "lab" / "prometheus" / "usr" / "bin" / "prometheus"
# Names of metrics in a query whose texts in quotes are left out: Alluxio's own, and whatever has labels. Prometheus makes "up" itself.
NAME = re.compile(r"\b(?:Cluster|Master|Worker|Client)_\w+|\b[A-Za-z_]\w*(?=\{)")


def queried() -> set[str]:
    """Return what dashboard and rules ask for, each as a pattern of a metric's name."""
    queries = {**monitoring.panels(), **monitoring.alerts()}.values()
    plain = {name for query in queries for name in NAME.findall(re.sub(r'"[^"]*"', '""', query))}
    return plain - {"up"} | {pattern for query in queries for pattern in re.findall(r'__name__=~"([^"]+)"', query)}


def test_each_metric_of_dashboard_and_alerts_is_exported(core: Any, execute: Callable[..., str]) -> None:
    # Operations of FUSE are counted from the first one on.
    monitoring.read_through_fuse(core, execute, NAMESPACE)
    lines = [line for page in monitoring.pages(core, NAMESPACE).values() for line in page.splitlines() if not line.startswith("#")]
    names = {line.split("{")[0].split(" ")[0] for line in lines}
    assert any(name.startswith("Client_Fuse_") for name in names)
    assert {pattern for pattern in queried() if not any(re.fullmatch(pattern, name) for name in names)} == set()


@pytest.mark.long
def test_prometheus_answers_every_panel_and_judges_every_rule(core: Any, execute: Callable[..., str], tmp_path: Path) -> None:
    with monitoring.prometheus(core, NAMESPACE, tmp_path, PROGRAM) as found:

        def hits() -> list[float]:
            """Read, and return the hit ratio of the last seconds once the masters were told of reads."""
            monitoring.read_through_fuse(core, execute, NAMESPACE)
            (query,) = [query for title, query in monitoring.panels().items() if title.startswith("Hit ratio (")]
            return [ratio for sample in found.ask(query) if 0 <= (ratio := float(sample["value"][1])) <= 1]

        until("a hit ratio of what is read", hits, 120, pause=2)
        assert [title for title, query in monitoring.panels().items() if not found.ask(query)] == []
        releases = {name: {(sample["metric"]["namespace"], sample["metric"]["release"]) for sample in found.ask(monitoring.without_thresholds(query))}
                    for name, query in monitoring.alerts().items()}  # fmt: skip
        assert releases == {name: {(NAMESPACE, "alluxio")} for name in monitoring.alerts()}
        rules = {rule["name"]: rule for group in found.get("rules")["groups"] for rule in group["rules"]}
        assert {name: rule["health"] for name, rule in rules.items()} == dict.fromkeys(rules, "ok")
        assert {*monitoring.alerts()} < {*rules}
        assert [rules[name]["state"] for name in ("AlluxioWorkerLost", "AlluxioNoLeader", "AlluxioFuseDown")] == ["inactive"] * 3


@pytest.mark.long
@pytest.mark.usefixtures("served")
def test_prometheus_scrapes_the_operator_of_data_sets_and_judges_its_rules(core: Any, tmp_path: Path) -> None:
    replicas = {pod.metadata.name for pod in core.list_namespaced_pod(NAMESPACE, label_selector=OPERATOR).items}
    assert replicas
    with monitoring.prometheus(core, NAMESPACE, tmp_path, PROGRAM) as found:

        def scraped(query: str) -> list[tuple[str, str]]:
            return sorted((sample["metric"]["pod"], sample["value"][1]) for sample in found.ask(query))

        assert scraped('up{role="alnair-operator"}') == sorted((pod, "1") for pod in replicas)
        until("one replica acts", lambda: [value for _pod, value in scraped("alnair_operator_leader")].count("1") == 1, 60)
        queries = {name: monitoring.without_thresholds(query) for name, query in monitoring.alerts(operator=True).items()}
        assert {name: [sample["metric"] for sample in found.ask(query)] for name, query in queries.items()} == {
            name: [{"namespace": NAMESPACE}] for name in queries
        }

        def judged() -> dict[str, Any]:
            rules = {rule["name"]: rule for group in found.get("rules")["groups"] for rule in group["rules"]}
            return {name: (rules[name]["health"], rules[name]["state"]) for name in queries}

        until("both rules were judged and are at rest", lambda: judged() == dict.fromkeys(queries, ("ok", "inactive")), 30)


@pytest.mark.long
def test_a_checkpoint_ends_a_large_journal(core: Any, execute: Callable[..., str]) -> None:
    def entries() -> float:
        page = monitoring.pages(core, NAMESPACE)["alluxio-master-0"]
        return sum(float(value) for value in re.findall(r"^Master_JournalEntriesSinceCheckPoint\S* (\S+)$", page, re.MULTILINE))

    monitoring.read_through_fuse(core, execute, NAMESPACE)
    before = entries()
    assert before > 0
    execute("alluxio-master-0", "alluxio fsadmin journal checkpoint", "alluxio-master")
    assert entries() < before
