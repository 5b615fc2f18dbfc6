"""The alert rules of the chart: what Prometheus' own tool says of them, and that each is told where users look."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from chart_tools import CHART, TOOLS, find, render

from alnair.cli import main

HOME = Path(__file__).parents[2]
RULES = CHART / "prometheus" / "alerts.yml"
CASES = Path(__file__).parent / "files" / "alerts.yml"
METRICS: dict[str, Any] = {"enabled": True, "prometheusRule": {"enabled": True, "labels": {"team": "a"}}}


def promtool(*words: str | Path) -> str:
    done = subprocess.run([TOOLS.parent / "prometheus" / "usr" / "bin" / "promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def scraped() -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = yaml.safe_load((CHART / "prometheus" / "scrape.yml").read_text())["scrape_configs"]
    return jobs


def test_each_alert_fires_where_it_should_and_nowhere_else() -> None:
    promtool("test", "rules", CASES)
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test.get("alert_rule_test", [])]
    for rule in rules():
        assert {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]} == {True, False}, rule["alert"]


def test_prometheus_takes_the_way_to_scrape_without_its_operator(tmp_path: Path) -> None:
    jobs = [{**job, "static_configs": [{"targets": ["127.0.0.1:1"]}]} for job in scraped()]
    # Debian's Prometheus is built without the discovery of pods.
    assert [job.pop("kubernetes_sd_configs") for job in jobs] == [[{"role": "pod"}]] * 2
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "scrape_configs": jobs}))
    assert f"{len(rules())} rules found" in promtool("check", "config", config)


def test_both_ways_to_scrape_set_the_labels_that_the_rules_need() -> None:
    release, operator = ({item.get("target_label") for item in job["relabel_configs"]} - {None} for job in scraped())
    # The operator's own labels are namespace, pod, service, container, endpoint and job.
    monitored = {
        "namespace",
        "pod",
        *find(render({"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}}), "ServiceMonitor", "alluxio")["spec"]["podTargetLabels"],
    }
    for rule in rules():
        grouped = {label for found in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in found.split(", ")}
        used = grouped | set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) | set(re.findall(r"(\w+)=~?\"", rule["expr"])) - {"__name__"}
        assert used <= (operator if rule["alert"].startswith("Alnair") else release), rule["alert"]
    assert release == monitored


def test_an_alert_says_how_bad_it_is_what_it_is_about_and_what_to_do() -> None:
    page = (HOME / "docs" / "monitoring.md").read_text()
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        named = re.findall(r"alnair_runner\.py (\w+)", rule["annotations"]["description"])
        assert named and {*named} <= {*main.commands}, rule["alert"]
        assert f"`{rule['alert']}`" in page


def test_rules_ask_for_what_the_operator_tells() -> None:
    told = set(re.findall(r'"(alnair_[a-z_]+)"', (HOME / "operator" / "alnair_operator" / "metrics.py").read_text(encoding="utf-8")))
    asked = {name for rule in rules() for name in re.findall(r"\balnair_[a-z_]+", rule["expr"])}
    assert asked and asked <= told


def test_the_values_of_the_page_are_such_that_the_chart_takes() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (HOME / "docs" / "monitoring.md").read_text(), re.DOTALL)
    kinds = [{item["kind"] for item in render(yaml.safe_load(text)["alluxio_chart_values"])} for text in shown]
    assert kinds[1] - kinds[0] == {"PrometheusRule", "ServiceMonitor"}


def test_the_rules_lie_where_the_operator_looks_as_the_file_has_them() -> None:
    found = find(render({"metrics": METRICS}), "PrometheusRule", "alluxio")
    assert found["apiVersion"] == "monitoring.coreos.com/v1"
    assert found["metadata"]["labels"]["team"] == "a"
    assert found["spec"] == yaml.safe_load(RULES.read_text())
