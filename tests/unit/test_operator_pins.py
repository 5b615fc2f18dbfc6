"""What of a data set is never evicted."""

from __future__ import annotations

from typing import Any

import pytest
from alnair_operator.planning import Worker

from tests.unit.operator_tools import Fake, declared, engine, settled

PARTS = {"train/a": 10, "train/b": 10, "val/a": 10, "top": 10}
ROOT, TRAIN, VAL = "/datasets/x", "/datasets/x/train", "/datasets/x/val"


@pytest.mark.parametrize(
    ("preload", "said"), [("none", "so Alluxio loads what it gets to know of it"), ("metadata", "so Alluxio loads them"), ("all", "All 4")]
)
@pytest.mark.parametrize(("parts", "pinned"), [([], {ROOT}), (["train"], {TRAIN})])
def test_what_is_declared_to_be_pinned_is_whatever_is_loaded_of_it(preload: str, said: str, parts: list[str], pinned: set[str]) -> None:
    fake = Fake(PARTS)
    one = engine(fake)
    status = settled(one, declared(pin=True, preload=preload, subPaths=parts))
    assert status["phase"] == "Complete" and said.replace("4", "2" if parts else "4") in status["message"]
    assert fake.pinned == pinned and status["pinned"] == sorted(pinned)
    # And is not when that is declared, whatever else is by then.
    for other in ("none", preload):
        let = settled(one, declared(preload=other, generation=2), status)
        assert let["phase"] == "Complete" and "pinned" not in let["message"] and (fake.pinned, let["pinned"]) == (set(), [])


@pytest.mark.parametrize("preload", ["none", "metadata", "all"])
@pytest.mark.parametrize(
    ("before", "after"), [(["train", "val"], ["train"]), (["train"], ["val"]), ([], ["train"]), (["train", "val"], []), (["train/a"], ["train"])]
)
def test_a_part_that_is_not_meant_any_more_is_let_go_and_all_else_stays(preload: str, before: list[str], after: list[str]) -> None:
    fake = Fake(PARTS)
    one = engine(fake)
    status = settled(one, declared(pin=True, preload=preload, subPaths=before))
    fake.calls.clear()
    dataset = declared(pin=True, preload=preload, subPaths=after, generation=2)
    status = settled(one, dataset, status)
    assert fake.pinned == set(dataset.loaded_paths) == set(status["pinned"])
    assert not {f"pin {ROOT}/{part} False" for part in before if part in after} & set(fake.calls), "it could be evicted for a moment"
    # Whatever was pinned is told, so that a rerun lets nothing go.
    fake.calls.clear()
    settled(one, declared(pin=True, preload=preload, subPaths=after, reload="1", generation=2), status)
    assert not [call for call in fake.calls if call.endswith("False")]


def test_what_an_operator_of_before_has_pinned_is_let_go_too() -> None:
    fake = Fake(PARTS)
    one = engine(fake)
    status: dict[str, Any] = {**settled(one, declared(pin=True, subPaths=["train", "val"])), "pinned": True}
    settled(one, declared(pin=True, subPaths=["train"], generation=2), status)
    assert fake.pinned == {TRAIN}
    assert settled(one, declared(preload="none", generation=3), status)["phase"] == "Complete" and fake.pinned == set()


def test_what_does_not_fit_is_not_pinned_for_alluxio_would_load_it_all_the_same() -> None:
    fake = Fake(capacity=1000)
    one = engine(fake)
    status = settled(one, declared(pin=True))
    assert status["phase"] == "TooLarge" and fake.pinned == set()
    fake.size = [Worker("w0", 10_000, 0)]
    while status["phase"] != "Loading":
        status = one.step(declared(pin=True), status).status
    assert fake.pinned == {ROOT}, "what is loaded is kept from the first file on"
    assert settled(one, declared(pin=True), status)["pinned"] == [ROOT]


def test_a_part_that_is_not_at_the_source_cannot_be_pinned_and_that_is_said() -> None:
    status = settled(engine(Fake(PARTS)), declared(pin=True, preload="none", subPaths=["tarin"]))
    assert status["phase"] == "Failed" and "/datasets/x/tarin cannot be pinned" in status["message"]


def test_what_another_data_set_has_at_a_path_of_before_stays_pinned() -> None:
    fake = Fake(PARTS)
    one, heir = engine(fake), declared("heir", path=ROOT, pin=True, subPaths=["val"])
    status = settled(one, declared(pin=True, subPaths=["train", "val"]))
    moved = declared(pin=True, path="/datasets/z", generation=2)
    first = one.step(moved, one.step(moved, status).status).status
    assert settled(one, heir)["phase"] == "Complete" and fake.pinned == {VAL}
    # By what the process knew that was killed before its status was written.
    settled(one, moved, {**first, "pinned": status["pinned"], "phase": "Mounting"}, (heir,))
    assert fake.pinned == {VAL, "/datasets/z"}
