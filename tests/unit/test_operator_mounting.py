"""How sources get into Alluxio and out of it again."""

from __future__ import annotations

from typing import Any

import kubernetes
import pytest
from alnair_operator import datasets
from alnair_operator.alluxio import Mount
from alnair_operator.cluster import Cluster
from alnair_operator.datasets import Dataset
from alnair_operator.jvm import AlluxioAway
from alnair_operator.mounting import MountJob
from alnair_operator.settings import Settings

from tests.unit.operator_tools import Fake, declared, engine, settled


def test_a_mount_that_is_refused_fails_with_its_reason() -> None:
    status = settled(engine(Fake()), declared(source="/refused"))
    assert status["phase"] == "Failed" and status["message"] == "/refused cannot be mounted: permission denied."
    assert status["conditions"][0]["status"] == "False"


def test_the_mount_of_somebody_else_is_not_touched() -> None:
    fake = Fake()
    fake.table["/datasets/x"] = Mount("/other", True, {})
    status = settled(engine(fake), declared())
    assert status["phase"] == "Failed" and "/other" in status["message"] and fake.calls == []


def test_a_source_that_is_declared_anew_is_mounted_anew() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared())
    status = settled(one, declared(source="/srv/y", generation=2), status)
    assert status["phase"] == "Complete" and status["observedGeneration"] == 2 and fake.table["/datasets/x"].ufs == "/srv/y"
    status = settled(one, declared(source="/srv/y", path="/datasets/z", readOnly=False, generation=3), status)
    assert list(fake.table) == ["/datasets/z"] and not fake.table["/datasets/z"].read_only


def test_credentials_are_seen_by_a_job_alone() -> None:
    fake, answers = Fake(), [MountJob("active", "pulling"), MountJob("done")]

    def mount_job(dataset: Dataset, ufs: str) -> MountJob:
        answer = answers.pop(0)
        if answer.state == "done":
            fake.table[dataset.path] = Mount(ufs, True, {"s3a.secretKey": "******"})
        return answer

    status = settled(engine(fake, mount_job=mount_job), declared(source="s3://b/p", credentials="keys"))
    assert status["phase"] == "Complete" and fake.calls == []
    # What is loaded is no matter of the mount; another load asked for may have other credentials.
    status = settled(engine(fake, mount_job=mount_job), declared(source="s3://b/p", credentials="keys", preload="metadata", generation=2), status)
    assert status["phase"] == "Complete" and answers == []
    answers.append(MountJob("done"))
    settled(engine(fake, mount_job=mount_job), declared(source="s3://b/p", credentials="keys", generation=3, reload="again"), status)
    assert answers == []
    failing = engine(fake, mount_job=lambda dataset, ufs: MountJob("failed", "403 Forbidden"))
    status = settled(failing, declared("y", source="s3://b/p", credentials="keys"))
    assert status["phase"] == "Failed" and "403 Forbidden" in status["message"] and "Secret keys" in status["message"]


class Batch:
    """Jobs of an API server; what is deleted goes when the test says so."""

    def __init__(self) -> None:
        self.jobs, self.deleted = dict[str, Any](), list[str]()

    def read_namespaced_job(self, name: str, namespace: str, **_options: Any) -> Any:
        if name not in self.jobs:
            raise kubernetes.client.ApiException(status=404)
        return self.jobs[name]

    def create_namespaced_job(self, namespace: str, body: Any, **_options: Any) -> None:
        self.jobs[body["metadata"]["name"]] = body

    def list_namespaced_job(self, namespace: str, **_options: Any) -> Any:
        return {"items": list(self.jobs.values())}

    def delete_namespaced_job(self, name: str, namespace: str, **_options: Any) -> None:
        self.deleted.append(name)


def test_what_is_declared_anew_is_mounted_when_the_job_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, batch = Cluster.__new__(Cluster), Batch()
    cluster.settings, cluster.batch = Settings("alluxio", image="operator:1"), batch
    monkeypatch.setattr(cluster, "plain", lambda item: item, raising=False)
    monkeypatch.setattr(cluster, "pods", lambda *_words: [], raising=False)
    first, second = declared(source="s3://b/p", credentials="keys"), declared(source="s3://b/p", credentials="keys", generation=2)
    assert cluster.mount_job(first, "s3://b/p").state == "active"
    (old,) = batch.jobs
    assert cluster.mount_job(second, "s3://b/p").state == "active"
    assert batch.deleted == [old] and list(batch.jobs) == [old]
    del batch.jobs[old]
    assert cluster.mount_job(second, "s3://b/p").state == "active"
    (new,) = batch.jobs
    assert new != old


def test_a_data_set_that_goes_while_a_job_mounts_it_leaves_no_mount() -> None:
    fake, left = Fake(), [False, True]
    dataset = declared(source="s3://b/p", credentials="keys")
    one = engine(fake, mount_job=lambda dataset, ufs: MountJob("active"), end_mounts=lambda dataset: left.pop(0))
    with pytest.raises(AlluxioAway, match="has not ended yet"):
        one.remove(dataset, {"phase": "Mounting"})
    # The Job did it at its last moment.
    fake.table["/datasets/x"] = Mount("s3://b/p", True, {})
    one.remove(dataset, {"phase": "Mounting"})
    assert fake.table == {}


def test_a_job_ends_before_what_names_no_credentials_any_more_is_mounted_or_goes() -> None:
    for goes in (False, True):
        fake, left = Fake(), [False, True]
        one = engine(fake, mount_job=lambda dataset, ufs: MountJob("active"), end_mounts=lambda dataset, left=left: left.pop(0))
        status = dict[str, Any]()
        while not status.get("mounted"):
            status = one.step(declared(source="s3://b/p", credentials="keys"), status).status
        plain = declared(source="s3://b/p", generation=2)
        if goes:
            with pytest.raises(AlluxioAway, match="has not ended yet"):
                one.remove(plain, status)
        else:
            for _ in range(2):
                status = one.step(plain, status).status
            assert "has not ended yet" in status["message"] and fake.calls == [] and left == [True]
        # It did it at its last moment.
        fake.table["/datasets/x"] = Mount("s3://b/p", True, {"s3a.secretKey": "******"})
        if goes:
            one.remove(plain, status)
            assert fake.table == {}
        else:
            assert settled(one, plain, status)["phase"] == "Complete" and "s3a.secretKey" not in fake.table["/datasets/x"].options


def test_a_data_set_that_goes_is_unmounted_and_its_jobs_are_cancelled() -> None:
    fake = Fake()
    one, status = engine(fake), dict[str, Any]()
    while status.get("phase") != "Loading" or not status.get("jobs"):
        status = one.step(declared(), status).status
    one.remove(declared(), status)
    assert fake.table == {} and any(call.startswith("cancel") for call in fake.calls)
    one.remove(declared(), status)


@pytest.mark.parametrize("source", ["s3://b//p", "s3://b/p//", "hdfs://h:1/a//b"])
def test_a_source_with_an_empty_part_is_refused_and_never_mounted_anew(source: str) -> None:
    fake = Fake()
    status = settled(engine(fake), declared(source=source))
    assert status["phase"] == "Failed" and "has an empty part (//)" in status["message"] and fake.calls == []


def test_paths_at_which_alluxio_sees_a_source_are_written_as_alluxio_does() -> None:
    for local in ("/srv//nfs/", "//srv/./nfs", "/srv/x/../nfs"):
        assert datasets.ufs(declared(source="nfs://s/x", options={"alnair.localPath": local}), {}) == "/srv/nfs"
        assert datasets.ufs(declared(source="pvc://c"), {"c": local}) == "/srv/nfs"
        assert datasets.folder_of(declared(source="nfs://s/x", options={"alnair.localPath": local})) == "/srv/nfs"


def test_a_path_that_changes_takes_its_sync_interval_along() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared(syncInterval="10m"))
    status = settled(one, declared(path="/datasets/z", syncInterval="10m", generation=2), status)
    assert fake.intervals == {"/datasets/x": "-1", "/datasets/z": "10m"}
    # Another one has come to the path that it leaves.
    status = settled(one, declared(path="/datasets/y", generation=3), status, (declared("heir", path="/datasets/z"),))
    assert fake.intervals == {"/datasets/x": "-1", "/datasets/z": "10m"}
    status = settled(one, declared(path="/datasets/y", syncInterval="5m", generation=4), status)
    assert settled(one, declared(path="/datasets/y", generation=5), status)["interval"] == "-1 /datasets/y" and fake.intervals["/datasets/y"] == "-1"


def test_whatever_comes_to_a_path_next_does_not_inherit_its_sync_interval() -> None:
    fake = Fake()
    one = engine(fake)
    status = settled(one, declared(path="/with space", syncInterval="10m"))
    one.remove(declared(path="/with space", syncInterval="10m"), status)
    assert fake.intervals == {"/with space": "-1"}
    plain = Fake()
    one = engine(plain)
    one.remove(declared(), settled(one, declared()))
    assert plain.intervals == {}, "nothing was said, so nothing is taken back"


def test_a_status_of_an_operator_that_noted_no_path_is_understood() -> None:
    fake = Fake()
    one = engine(fake)
    status = {**settled(one, declared(syncInterval="10m")), "interval": "10m"}
    fake.intervals.clear()
    assert settled(one, declared(syncInterval="10m", reload="1"), status)["interval"] == "10m /datasets/x" and fake.intervals == {}
