"""What runs said, and table and goals from the rows of results."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import rich.table

Row = dict[str, Any]
# What is measured, in words, beside which case, and how many times its wall time is the goal.
KINDS = {
    "noop": ("nothing to do", "shell steps", 2.0),
    "first": ("first deploy", "helm install --wait", 1.15),
    "upgrade": ("upgrade, without proof", "helm upgrade --wait", 1.15),
}


def events(text: str) -> tuple[int, float]:
    """Return the number of changes and the seconds of proving backups from what a playbook's run printed as lines of JSON."""
    changes, proof = 0, 0.0
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("_event") == "v2_runner_on_ok":
            proof += sum(result.get("proof_seconds", 0) for result in event["hosts"].values())
        elif event.get("_event") == "v2_playbook_on_stats":
            changes = sum(host["changed"] for host in event["stats"].values())
    return changes, proof


def volumes(items: list[Row], namespace: str) -> Row:
    """Return the persistent volumes of a namespace's claims as somebody would write them by hand, to be applied."""
    listed = []
    for item in items:
        claim = item["spec"].get("claimRef", {})
        if claim.get("namespace") == namespace:
            spec = {**item["spec"], "claimRef": {key: claim[key] for key in ("name", "namespace")}}
            meta = {key: item["metadata"][key] for key in ("name", "labels") if key in item["metadata"]}
            listed.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec})
    return {"apiVersion": "v1", "kind": "List", "items": listed}


def labels(nodes: list[Row], prefix: str) -> dict[str, list[str]]:
    """Return the labels that begin with something, by node; nodes without any are left out."""
    found = {node["metadata"]["name"]: node["metadata"]["labels"].items() for node in nodes}
    return {name: words for name, pairs in found.items() if (words := [f"{key}={value}" for key, value in pairs if key.startswith(prefix)])}


def ssh_config(hosts: dict[str, str], access: Path) -> str:
    """Return ssh's configuration for hosts by name and address, with the key and the pinned host keys of a folder."""
    named = "".join(f"Host {name}\nHostName {address}\n" for name, address in hosts.items())
    keys = f"IdentityFile {access / 'id_ed25519'}\nUserKnownHostsFile {access / 'known_hosts'}\n"
    return f"{named}Host *\nUser root\n{keys}StrictHostKeyChecking yes\nBatchMode yes\n"


def ratio(rows: list[Row], what: str, field: str) -> float | None:
    """Return how many times the other case's median the roles took; None where one of them was not measured."""
    found = {row["case"]: statistics.median(row[field]) for row in rows if row["what"] == what}
    return found["alnair"] / found["bare"] if found.keys() == {"alnair", "bare"} else None


def table(rows: list[Row]) -> rich.table.Table:
    """Return the medians, how many times the other's Alnair's are, and whether the goal on wall time is reached; on CPU there is none."""
    found = rich.table.Table(title="Medians, in seconds", title_justify="left")
    for title in ("what", "case", "runs", "wall", "all Ready", "controller's CPU", "proof", "load before", "x wall", "x all Ready", "x CPU", "goal"):
        found.add_column(title, justify="left" if title in ("what", "case", "goal") else "right")
    for row in rows:
        text, other, most = KINDS[row["what"]]
        figures = [f"{statistics.median(row[field]):.1f}" for field in ("seconds", "ready_seconds", "cpu_controller", "proof_seconds", "load")]
        wall, ready, cpu = (ratio(rows, row["what"], field) for field in ("seconds", "ready_seconds", "cpu_controller"))
        mine = row["case"] == "alnair"
        goal = f"at most {most:g}: {'reached' if wall <= most else 'missed'}" if wall else ""
        times = [f"{wall:.2f}", f"{ready:.2f}", f"{cpu:.2f}", goal] if mine and wall and ready and cpu else []
        found.add_row(text if mine else "", "Alnair" if mine else other, str(len(row["seconds"])), *figures, *times, end_section=not mine)
    return found
