"""Training whose data set fails, or whose operator does: on the source, held, or waiting for its return."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
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
    leader,
    metrics,
    numbered,
    on_node,
    operator_pods,
    pod,
    put,
    scale_operator,
    served_from,
    shares,
    shoot_replica,
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


def test_a_training_of_which_a_part_cannot_be_loaded_starts_all_the_same_or_is_held(objects: Objects, store: s3.Endpoint, team: Pods) -> None:
    sums = put(store, "patchy", numbered(12))
    objects.stored("patchy", store, preload="metadata")
    objects.reach("patchy", "Complete")
    lost, there, *_ = sorted(sums)
    with store.errors(1.0, lost.rpartition("/")[2]):
        objects.change("patchy", preload="all")
        made = team.start(pod("starts", {"/data": f"{ROOT}/patchy"}, f"md5sum '/data/{there}'"))
        held = team.start(pod("held", {"/data": f"{ROOT}/patchy"}, SUMS, annotations={"alnair.io/onFailure": "hold"}))
        assert gates(made) == gates(held) == ["alnair.io/dataset"]
        objects.reach("patchy", "Incomplete", seconds=600)
        team.ended("starts", 90)
        assert team.log("starts").split()[0] == sums[there]
        why = f"data set {NAMESPACE}/patchy is Incomplete: 1 of {len(sums)} files are not wholly cached"
        for name, what in (("starts", "It starts, and what is not cached is read from the source (onFailure: source)"), ("held", "It is held")):
            until("a warning says why", partial(warnings, team, name, f"{what}: {why}"), 60)
        assert gates(team.read("held")) == ["alnair.io/dataset"]
    # Mended, it goes.
    objects.reload("patchy")
    until("it is Complete", lambda: objects.status("patchy").get("phase") == "Complete", 180)
    team.ended("held")
    assert sums_in(team.log("held")) == sums


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
    hooks = kubernetes.client.AdmissionregistrationV1Api(core.api_client).read_mutating_webhook_configuration(f"alnair-operator.{NAMESPACE}").webhooks
    started = time.monotonic()
    made = team.start(pod("trainer", {"/data": f"{ROOT}/uncared"}, "ls /data; sleep 200"))
    # The API server's answer: one that waits for a webhook in vain does so for all of its time.
    assert time.monotonic() - started < min(hook.timeout_seconds for hook in hooks)
    assert (served_from(made), gates(made), made.spec.init_containers) == ([f"{ROOT}/uncared"], [], None)
    # As long as this takes here without any hold. Who is held has nobody that lets him go, at a gate for ever, in a container for ten minutes.
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
            (hold,) = team.ended("trainer", 120).status.init_container_statuses
            # As long as is said, one question, which may wait for five seconds, the pause of two after it, and what Python takes to start.
            held = (hold.state.terminated.finished_at - hold.state.terminated.started_at).total_seconds()
            assert 30 <= held <= 30 + 15, hold
    finally:
        assert served.run("deploy_operator").status == "successful"
        scale_operator(core, 2)


def test_the_replica_that_leads_is_killed_and_followed_by_the_other(objects: Objects, store: s3.Endpoint, core: Any, execute: Callable[..., str]) -> None:
    scale_operator(core, 2)
    # More than fits into the jobs that are active at a time, eight per worker of 64 files each: what was not sent the other one has to send.
    sums = put(store, "followed", numbered(1_100), size=10)
    store.reads(forget=True)
    with store.holding("/followed/class"):
        objects.stored("followed", store)
        until("the jobs are written down", lambda: len(objects.status("followed").get("jobs") or []) >= 8 * len(nodes()), 120)
        first = leader(core)
        (other,) = [item.metadata.name for item in operator_pods(core) if item.metadata.name != first]
        shoot_replica(core, first)
        # The time that is promised (docs/datasets.md).
        until("the other one leads", lambda: leader(core) == other, 20)
    objects.reach("followed", "Complete", seconds=400)
    assert leader(core) == other
    assert shares(execute, "/datasets/followed") == dict.fromkeys(sums, 100)
    # Jobs that were written down are joined: what they load is not loaded again.
    reads = {path: count for path, count in store.reads().items() if "/followed/class" in path}
    assert len(reads) == len(sums) and sum(count > 1 for count in reads.values()) <= len(sums) // 5, reads


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
