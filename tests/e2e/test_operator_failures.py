"""Training whose data set fails, or whose operator does: on the source, held, or waiting for its return."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any

import kubernetes
import pytest
import s3
from caching import (
    NAMESPACE,
    ROOT,
    SECRET,
    SUMS,
    Objects,
    Pods,
    folder,
    fuse_sums,
    gates,
    kill_operator,
    metrics,
    numbered,
    on_node,
    operator_pods,
    pod,
    put,
    scale_operator,
    served_from,
    sums_in,
    until,
)  # fmt: skip
from reading import nodes

from alnair_runner import Alnair

# They need the lab with LAB_DATASETS=1, as make test-all raises it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def warnings(team: Pods, name: str, word: str) -> list[str]:
    """Return the warnings of a pod that have a word in them."""
    return [line for line in team.events(name) if line.startswith("Warning") and word in line]


def failing(objects: Objects, store: s3.Endpoint, name: str) -> None:
    """Make a data set that cannot be loaded, although its pods' folder is there."""
    folder(name, numbered(3))
    objects.stored(name, store, credentials="no-such-secret")


def test_a_training_whose_data_cannot_be_loaded_starts_on_the_source_with_a_warning(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "unloadable")
    objects.reach("unloadable", "Failed", seconds=240)
    made = team.start(pod("trainer", {"/data": f"{ROOT}/unloadable"}, "ls /data"))
    assert served_from(made) == [f"{ROOT}/unloadable"]
    team.ended("trainer", 60)
    until("a warning says why", lambda: warnings(team, "trainer", "unloadable"), 60)


def test_a_training_whose_data_do_not_fit_starts_without_them_or_is_held(objects: Objects, team: Pods) -> None:
    # Sparse, so that it costs no disk: only its size is asked for.
    on_node(f"mkdir -p {ROOT}/vast && truncate -s 8G {ROOT}/vast/all && chown -R 1000:1000 {ROOT}/vast")
    try:
        objects.make("vast", f"{ROOT}/vast")
        line = "stat --format %s /data/all"
        made = team.start(pod("starts", {"/data": f"{ROOT}/vast"}, line))
        held = team.start(pod("held", {"/data": f"{ROOT}/vast"}, line, annotations={"alnair.io/onFailure": "hold"}))
        assert gates(made) == gates(held) == ["alnair.io/dataset"]
        objects.reach("vast", "TooLarge")
        team.ended("starts", 90)
        assert team.log("starts").strip() == str(8 * 2**30)
        for name in ("starts", "held"):
            (warning,) = until("a warning says why", partial(warnings, team, name, "vast"), 60)
            # What it has, and what there is.
            assert len(re.findall(r"\d[\d.]* [KMGT]?i?B", warning)) >= 2, warning
        assert gates(team.read("held")) == ["alnair.io/dataset"]
    finally:
        objects.remove("vast")
        on_node(f"rm -r {ROOT}/vast")


def test_a_training_that_shall_be_held_is_held(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "holding")
    made = team.start(pod("trainer", {"/data": f"{ROOT}/holding"}, "ls /data", annotations={"alnair.io/onFailure": "hold"}))
    assert gates(made) == ["alnair.io/dataset"]
    objects.reach("holding", "Failed", seconds=240)
    time.sleep(20)
    assert gates(team.read("trainer")) == ["alnair.io/dataset"]
    assert [line for line in team.events("trainer") if line.startswith("Warning")]


def test_without_the_webhook_pods_start_on_the_source_and_are_counted_later(objects: Objects, team: Pods, core: Any, away: Any) -> None:
    folder("uncared", numbered(2))
    away()
    started = time.monotonic()
    made = team.start(pod("trainer", {"/data": f"{ROOT}/uncared"}, "ls /data; sleep 200"))
    # The API server gives a webhook five seconds.
    assert time.monotonic() - started < 8
    assert (served_from(made), gates(made)) == ([f"{ROOT}/uncared"], [])
    until("it runs", lambda: team.read("trainer").status.phase == "Running", 60)
    scale_operator(core, 2)

    def counted() -> bool:
        found = re.findall(r"^alnair_pods_on_source (\d+)", metrics(core), re.MULTILINE)
        return any(float(count) >= 1 for count in found)

    until("it is counted", counted, 90, 2)


def test_a_gated_pod_waits_for_the_operators_return(objects: Objects, store: s3.Endpoint, team: Pods, core: Any, away: Any) -> None:
    put(store, "patient", numbered(30), size=200_000)
    with store.narrow("8mbit"):
        objects.stored("patient", store)
        made = team.start(pod("trainer", {"/data": f"{ROOT}/patient"}, "ls /data"))
        assert gates(made)
        away()
        time.sleep(30)
        assert gates(team.read("trainer")), "nobody was there to lift it"
    scale_operator(core, 2)
    back = time.monotonic()
    until("the gate is lifted", lambda: not gates(team.read("trainer")), 60)
    assert time.monotonic() - back < 60
    team.ended("trainer")


def test_a_pod_held_by_an_init_container_starts_after_a_bounded_wait(served: Alnair, objects: Objects, store: s3.Endpoint, team: Pods, core: Any) -> None:
    put(store, "bounded", numbered(40), size=200_000)
    assert served.run("deploy_operator", extra_vars={"dataset_operator_hold_seconds": 30}).status == "successful"
    try:
        with store.narrow("2mbit"):
            objects.stored("bounded", store)
            # Mounted: until then the kubelet would wait for the folder, and not the container.
            until("it is loading", lambda: objects.status("bounded").get("phase") == "Loading", 90)
            team.start(pod("trainer", {"/data": f"{ROOT}/bounded"}, "ls /data", node=next(iter(nodes()))))
            scale_operator(core, 0)
            team.ended("trainer", 120)
    finally:
        assert served.run("deploy_operator").status == "successful"
        scale_operator(core, 2)


def test_the_replica_that_leads_is_killed_and_followed_by_the_other(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    leases = kubernetes.client.CoordinationV1Api(core.api_client)

    def leader() -> str:
        return str(leases.read_namespaced_lease("alnair-operator", NAMESPACE).spec.holder_identity).partition("_")[0]

    sums = put(store, "followed", numbered(80), size=200_000)
    with store.narrow("8mbit"):
        objects.stored("followed", store)
        until("it is loading", lambda: objects.status("followed").get("phase") == "Loading", 90)
        first = leader()
        (other,) = [item.metadata.name for item in operator_pods(core) if item.metadata.name != first]
        loaded = objects.status("followed").get("cachedBytes", 0)
        core.delete_namespaced_pod(first, NAMESPACE, grace_period_seconds=0)
        # The Lease lasts 15 s; the other one looks every 4 s.
        until("the other one leads", lambda: leader() == other, 30)
        until("the load goes on", lambda: objects.status("followed").get("cachedBytes", 0) > loaded, 60)
        assert objects.status("followed")["phase"] == "Loading", "the load was to last longer than the change"
    objects.reach("followed", "Complete", seconds=240)
    assert fuse_sums("/datasets/followed") == sums


def test_all_replicas_are_killed_and_the_next_ones_go_on(objects: Objects, store: s3.Endpoint, core: Any) -> None:
    sums = put(store, "resumed", numbered(80), size=200_000)
    with store.narrow("16mbit"):
        objects.stored("resumed", store)
        until("it is loading", lambda: objects.status("resumed").get("phase") == "Loading", 90)
        kill_operator(core)
    objects.reach("resumed", "Complete", seconds=240)
    assert fuse_sums("/datasets/resumed") == sums


def test_a_training_whose_data_set_failed_a_while_ago_starts_on_the_source_while_that_is_tried_again(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "failed-before")
    objects.reach("failed-before", "Failed", seconds=240)
    # So long that a pod lets it be tried again; that takes longer than the webhook waits.
    time.sleep(35)
    for name in ("first", "second"):
        made = team.start(pod(name, {"/data": f"{ROOT}/failed-before"}, "ls /data"))
        assert (served_from(made), gates(made)) == ([f"{ROOT}/failed-before"], [])
        until("it is tried again", lambda: objects.status("failed-before").get("phase") in ("Pending", "Mounting"), 20)
    for name in ("first", "second"):
        team.ended(name, 60)


def test_a_gate_stays_where_the_mount_has_failed_until_that_is_mended(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "unmountable")
    sums = put(store, "unmountable", numbered(5))
    made = team.start(pod("trainer", {"/data": f"{ROOT}/unmountable"}, SUMS))
    assert gates(made) == ["alnair.io/dataset"]
    objects.reach("unmountable", "Failed", seconds=240)
    # It would wait for its volume for ever.
    until("a warning says why it waits", lambda: warnings(team, "trainer", "no mount"), 60)
    assert gates(team.read("trainer")) == ["alnair.io/dataset"]
    objects.change("unmountable", credentials=SECRET)
    objects.reach("unmountable", "Complete")
    team.ended("trainer")
    assert sums_in(team.log("trainer")) == sums


def test_a_pod_that_names_its_node_starts_on_the_source_where_a_mount_takes_its_time(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    failing(objects, store, "unhurried")
    made = team.start(pod("trainer", {"/data": f"{ROOT}/unhurried"}, "ls /data", node=next(iter(nodes()))))
    assert (served_from(made), made.spec.init_containers) == ([f"{ROOT}/unhurried"], None)
    team.ended("trainer", 60)


def test_a_pod_that_shall_be_held_and_is_never_restarted_is_held_beyond_the_bound(served: Alnair, objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    sums = put(store, "unbounded", numbered(60), size=200_000)
    assert served.run("deploy_operator", extra_vars={"dataset_operator_hold_seconds": 15}).status == "successful"
    try:
        with store.narrow("1mbit"):
            objects.stored("unbounded", store)
            until("it is loading", lambda: objects.status("unbounded").get("phase") == "Loading", 90)
            held = pod("trainer", {"/data": f"{ROOT}/unbounded"}, SUMS, node=next(iter(nodes())), annotations={"alnair.io/onFailure": "hold"})
            assert held["spec"]["restartPolicy"] == "Never"
            team.start(held)

            def holder() -> Any:
                found = team.read("trainer").status.init_container_statuses
                return found and found[0].state.running and found[0]

            until("it is held", holder, 60)
            time.sleep(25)
            assert objects.status("unbounded")["phase"] == "Loading", "the load was to last longer than the bound"
            assert (team.read("trainer").status.phase, holder().restart_count) == ("Pending", 0)
        objects.reach("unbounded", "Complete", seconds=240)
        team.ended("trainer")
        assert sums_in(team.log("trainer")) == sums
    finally:
        assert served.run("deploy_operator").status == "successful"
