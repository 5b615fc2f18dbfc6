"""How a data set becomes what it is declared to be: step by step, each step from the status alone, so that any process can take the next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from alnair_operator import datasets, planning
from alnair_operator.datasets import Dataset, DatasetError, size
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.loading import Load
from alnair_operator.planning import Survey

LOG = logging.getLogger(__name__)
Status = dict[str, Any]
UNDER_WAY = ("Pending", "Mounting", "Syncing", "Loading")
SETTLED = ("Complete", "Incomplete", "Failed", "TooLarge")
AWAY_SECONDS, TOO_LARGE_SECONDS, FREE_SECONDS = 10, 60, 90
# How often what was complete is read back: a worker may have been lost since, or files evicted.
VERIFY_SECONDS = 60
# A load is read back against a fresh look at the source so many times before it is left as it is: a source that changes all the time has no end.
VERIFICATIONS = 3
# How long one step looks at its load before the status is written.
LOOK_SECONDS, LOOK_PAUSE = 1.0, 0.1
# What a mount job may have seen of the source before it is given up.
MOUNT_SECONDS = 240


def text_of(moment: float) -> str:
    """Return a time as Kubernetes writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> float:
    """Return the seconds since 1970 of a time as Kubernetes writes it; 0 for none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


@dataclass
class Step:
    """What came of a step.

    Attributes:
        status: The status from now on.
        delay: Seconds until the next step.
        events: Events to tell: kind (Normal or Warning), reason, sentence.
        freed: Names of data sets that were freed to make room, in the same namespace.
    """

    status: Status
    delay: float = 0.0
    events: list[tuple[str, str, str]] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)


@dataclass
class MountJob:
    """How far a Job is that mounts with credentials: active, done, or failed with a reason."""

    state: str
    reason: str = ""


class Engine:
    """Takes data sets from phase to phase."""

    def __init__(self, alluxio: Any, jobs_per_worker: int = 8, mount_job: Callable[[Dataset, str], MountJob] | None = None,
                 end_mounts: Callable[[Dataset], bool] = lambda dataset: True,
                 claims: Callable[[Dataset], Mapping[str, str]] = lambda dataset: {}, now: Callable[[], float] = time.time,
                 pause: Callable[[float], None] = time.sleep) -> None:  # fmt: skip
        """Begin.

        Args:
            alluxio: Alluxio, as in alluxio.py.
            jobs_per_worker: Load jobs that are active at a time, per worker, over all data sets.
            mount_job: Makes the Job that mounts with credentials the source's URI, or looks at it.
            end_mounts: Ends Jobs that mount a data set, and tells whether none is left.
            claims: Returns the host path of the data set's claim, by its name.
            now: Tells seconds since 1970.
            pause: Waits so many seconds.
        """
        self.alluxio, self.jobs_per_worker, self.claims, self.now, self.pause = alluxio, jobs_per_worker, claims, now, pause
        self.mount_job, self.end_mounts = mount_job, end_mounts
        self.loads: dict[str, Load] = {}
        self.reserved: dict[str, int] = {}
        # One gate at a time: two loads must not both be promised the same space.
        self.gate = threading.Lock()

    def step(self, dataset: Dataset, status: Mapping[str, Any], others: Sequence[Dataset] = ()) -> Step:
        """Take the next step.

        Args:
            dataset: The data set.
            status: Its status, as the last step left it.
            others: All other data sets.
        """
        before: Status = dict(status)
        if before.get("observedGeneration") != dataset.generation or (before.get("observedReload") or "") != dataset.reload or not before.get("phase"):
            before = self.anew(dataset, before)
        phase = before["phase"]
        try:
            if (before.get("observedCancel") or "") != dataset.cancel:
                step = self.cancelled(dataset, {**before, "observedCancel": dataset.cancel})
            else:
                step = getattr(self, phase.lower())(dataset, before, others)
        except AlluxioAway as error:
            step = Step({**before, "message": f"{error}. It is tried again every {AWAY_SECONDS} s."}, AWAY_SECONDS)
        except (AlluxioError, DatasetError) as error:
            step = self.settle(dataset, before, "Failed", f"{str(error).rstrip('.')}.")
        after = step.status
        if after["phase"] != status.get("phase"):
            kind = "Warning" if after["phase"] in ("Incomplete", "Failed", "TooLarge") else "Normal"
            step.events.insert(0, (kind, after["phase"], after.get("message") or after["phase"]))
        if after["phase"] != "Loading":
            self.reserved.pop(dataset.key, None)
            self.loads.pop(dataset.key, None)
        after["conditions"] = conditions(dataset, after, before.get("conditions") or [], self.now())
        return step

    def anew(self, dataset: Dataset, before: Status) -> Status:
        """Return the status with which a declaration that changed, or a wish for another load, begins."""
        load = self.loads.pop(dataset.key, None)
        kept: Status = {
            name: before[name]
            for name in ("files", "bytes", "cachedBytes", "cachedPercent", "size", "conditions", "mounted", "pinned", "interval", "loadedAt", "observedCancel")
            if name in before
        }
        jobs = sorted(load.active) if load else before.get("jobs") or []
        return {**kept, "phase": "Pending", "message": "It is looked at.", "observedGeneration": dataset.generation, "observedReload": dataset.reload,
                "jobs": jobs, "failedFiles": [], "failedCount": 0}  # fmt: skip

    def cancelled(self, dataset: Dataset, before: Status) -> Step:
        """End the load that is under way, as somebody asks; what is not under way stays as it is."""
        if before["phase"] not in UNDER_WAY:
            return Step(before)
        load = self.loads.get(dataset.key) or Load(dataset, before.get("jobs") or [])
        load.stop(self.alluxio)
        again = f"It is loaded with another text in the annotation {datasets.RELOAD}."
        if before["phase"] in ("Pending", "Mounting"):
            if dataset.credentials:
                self.end_mounts(dataset)
            return self.settle(dataset, before, "Failed", f"It was cancelled before it was mounted. {again}")
        cached, whole = size(before.get("cachedBytes") or 0), size(before.get("bytes") or 0)
        return self.settle(dataset, before, "Incomplete", f"Its load was cancelled with {cached} of {whole} cached. {again}")

    def settle(self, dataset: Dataset, before: Status, phase: str, message: str) -> Step:
        """Return the step that ends in a phase in which it stays."""
        after = {key: value for key, value in before.items() if key not in ("rate", "secondsLeft", "jobs", "verifications", "evicted", "mountingSince")}
        after.update(phase=phase, message=message, settledAt=text_of(self.now()))
        if phase == "Complete":
            after["loadedAt"] = after["settledAt"]
        return Step(after, TOO_LARGE_SECONDS if phase == "TooLarge" else VERIFY_SECONDS)

    def pending(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Look at the declaration."""
        if wrong := datasets.problem(dataset, others):
            return self.settle(dataset, before, "Failed", wrong)
        return Step({**before, "phase": "Mounting", "message": f"{dataset.source} is mounted at {dataset.path}.", "mountingSince": text_of(self.now())})

    def mounting(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Mount the source, unless it is."""
        ufs, mounts = datasets.ufs(dataset, self.claims(dataset)), self.alluxio.mounts()
        found, options = mounts.get(dataset.path), datasets.mount_options(dataset)
        after = {**before, "mounted": {"path": dataset.path, "source": dataset.source}}
        old = (before.get("mounted") or {}).get("path")
        if old and old != dataset.path and old in mounts and not any(other.path == old for other in others):
            self.alluxio.unmount(old)
        if found and not datasets.same_ufs(found.ufs, ufs):
            if old != dataset.path:
                raise DatasetError(f"{dataset.path} is a mount of {found.ufs} already. Give the data set another path, or unmount that one first")
            self.alluxio.unmount(dataset.path)
            found = None
        if dataset.credentials:
            return self.mounting_by_job(dataset, after, ufs)
        # Alluxio's own answer holds the masks of credentials of an earlier declaration, too: those must go.
        if found and (found.read_only != dataset.read_only or found.options != options):
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options, update=True)
        elif not found:
            self.alluxio.mount(dataset.path, ufs, dataset.read_only, options)
        return self.mounted(dataset, after)

    def mounted(self, dataset: Dataset, before: Status) -> Step:
        """Go on after the mount."""
        if dataset.sync_interval != (before.get("interval") or "-1"):
            self.alluxio.sync_interval(dataset.path, dataset.sync_interval)
            before = {**before, "interval": dataset.sync_interval}
        if dataset.preload == "none":
            return self.settle(dataset, before, "Complete", "It is mounted. Nothing is loaded before it is read (preload: none).")
        return Step({**before, "phase": "Syncing", "message": f"{dataset.source} is listed."})

    def mounting_by_job(self, dataset: Dataset, before: Status, ufs: str) -> Step:
        """Let a Job mount that sees the credentials, which the operator does not."""
        if not self.mount_job:
            raise DatasetError(f"Data set {dataset.name} names credentials, and nothing here can make a Job that reads them")
        job = self.mount_job(dataset, ufs)
        if job.state == "failed":
            raise DatasetError(f"{dataset.source} could not be mounted with the credentials of Secret {dataset.credentials}: {job.reason}")
        if job.state == "done":
            return self.mounted(dataset, before)
        waited = self.now() - moment_of(before.get("mountingSince") or "")
        if waited > MOUNT_SECONDS:
            raise DatasetError(f"The Job that mounts {dataset.source} did not end within {MOUNT_SECONDS} s: {job.reason or 'is there a Secret of that name?'}")
        return Step({**before, "message": f"{dataset.source} is mounted by a Job that has Secret {dataset.credentials}. {job.reason}".strip()}, 2)

    def syncing(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Let Alluxio list the source, and see whether what is lacking fits."""
        if running := [number for number in before.get("jobs") or [] if not self.alluxio.job(number).over]:
            return Step({**before, "jobs": running, "message": f"{len(running)} jobs of an earlier load are waited for."}, 1)
        if not before.get("evicted"):
            for path in dataset.loaded_paths:
                self.alluxio.sync(path)
        if dataset.pin or before.get("pinned"):
            for path in dataset.loaded_paths:
                self.alluxio.pin(path, dataset.pin)
        survey = self.look(dataset)
        after = {**before, **figures(survey), "jobs": [], "pinned": dataset.pin}
        if not survey.files:
            raise DatasetError(
                f"No file was found in {', '.join(dataset.loaded_paths)}, which is {dataset.source}: is it empty, or gone, or is its path another?"
            )
        if dataset.preload == "metadata":
            return self.settle(
                dataset, after, "Complete", f"{survey.files} files with {size(survey.bytes)} are known. None is loaded before it is read (preload: metadata)."
            )
        if not survey.lacking:
            return self.settle(dataset, after, "Complete", f"All {survey.files} files with {size(survey.bytes)} are cached.")
        return self.admit(dataset, after, survey, others)

    def look(self, dataset: Dataset) -> Survey:
        """Return what Alluxio knows of the data set's files."""
        survey = Survey()
        for path in dataset.loaded_paths:
            self.alluxio.each(path, survey.add, dataset.replicas)
        return survey

    def admit(self, dataset: Dataset, before: Status, survey: Survey, others: Sequence[Dataset]) -> Step:
        """Let a load begin if it fits, with the space of what may be evicted for it."""
        needed, freed = max(0, survey.bytes - survey.cached) * dataset.replicas, list[str]()
        with self.gate:
            if why := self.fits(dataset, needed):
                victims = [other for other in others if other.namespace == dataset.namespace and other.name in dataset.evict]
                if not victims:
                    return self.settle(dataset, before, "TooLarge", why)
                if before.get("evicted"):
                    return self.evicting(dataset, before, why)
                for other in victims:
                    self.alluxio.free(other.path)
                    freed.append(other.name)
                message = f"{', '.join(freed)} are freed to make room: {why}"
                return Step({**before, "phase": "Syncing", "message": message, "evicted": text_of(self.now())}, 2, freed=freed)
            self.reserved[dataset.key] = needed
        after = {key: value for key, value in before.items() if key != "evicted"}
        message = f"{survey.lacking} of {survey.files} files, {size(needed)}, are loaded."
        return Step({**after, "phase": "Loading", "message": message, "verifications": 0})

    def fits(self, dataset: Dataset, needed: int) -> str:
        """Return why a load does not fit, or nothing."""
        promised = sum(count for key, count in self.reserved.items() if key != dataset.key)
        return planning.too_large(needed, self.alluxio.workers(), promised, dataset.replicas)

    def evicting(self, dataset: Dataset, before: Status, why: str) -> Step:
        """Wait until the workers have freed what was evicted."""
        if self.now() - moment_of(before["evicted"]) > FREE_SECONDS:
            return self.settle(dataset, before, "TooLarge", f"{why} {', '.join(dataset.evict)} were freed before.")
        return Step({**before, "message": f"The space of {', '.join(dataset.evict)} is freed."}, 2)

    def loading(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Go on with the load."""
        load = self.loads.get(dataset.key)
        if load is None:
            load = self.loads[dataset.key] = Load(dataset, before.get("jobs") or [])
            # After a restart nobody else may be promised what this load still needs.
            self.reserved.setdefault(dataset.key, max(0, (before.get("bytes") or 0) - (before.get("cachedBytes") or 0)) * dataset.replicas)
        limit = planning.share(self.jobs_per_worker * max(1, len(self.alluxio.workers())), len(self.loads))
        end = self.now() + LOOK_SECONDS
        known = set(load.active)
        while not load.over:
            load.step(self.alluxio, limit)
            # The first jobs are written down at once: who comes after a crash shall know them.
            if self.now() >= end or load.over or (load.active and not known):
                break
            self.pause(LOOK_PAUSE)
        after = {**before, "jobs": sorted(load.active)}
        if load.surveyed:
            rate, left = planning.window(list(load.samples), load.survey.bytes - load.cached)
            self.reserved[dataset.key] = max(0, load.survey.bytes - load.cached) * dataset.replicas
            after.update(figures(load.survey), cachedBytes=load.cached, rate=rate, failedCount=len(load.failures), failedFiles=planning.shown(load.failures))
            after["cachedPercent"] = min(99, load.cached * 100 // load.survey.bytes) if load.survey.bytes else 0
            after["message"] = f"{size(load.cached)} of {size(load.survey.bytes)} in {load.survey.files} files are cached."
            after.pop("secondsLeft", None)
            if left is not None:
                after["secondsLeft"] = left
        return self.verify(dataset, after, load) if load.over else Step(after, LOOK_PAUSE)

    def verify(self, dataset: Dataset, before: Status, load: Load) -> Step:
        """Read back what a load has brought, against a fresh look at the source."""
        for path in dataset.loaded_paths:
            self.alluxio.sync(path)
        survey, tried = self.look(dataset), int(before.get("verifications") or 0) + 1
        after = {**before, **figures(survey), "verifications": tried, "jobs": []}
        # What one listing of the source does not name may be its fault: fewer files than before are believed when they are seen twice.
        shrunk = survey.files < load.survey.files
        if not survey.files:
            raise DatasetError(f"No file is found any more in {', '.join(dataset.loaded_paths)}, which is {dataset.source}: is it gone?")
        if not survey.lacking and not (shrunk and tried < VERIFICATIONS):
            after.update(failedCount=0, failedFiles=[])
            return self.settle(dataset, after, "Complete", f"All {survey.files} files with {size(survey.bytes)} are cached, read back file by file.")
        if (shrunk or survey.lacking > len(load.failures)) and tried < VERIFICATIONS:
            # New at the source, changed there, or lost with a worker: another load, for which there must be room again.
            self.loads.pop(dataset.key, None)
            if why := self.fits(dataset, max(0, survey.bytes - survey.cached) * dataset.replicas):
                return self.settle(dataset, after, "TooLarge", why)
            return Step(after, LOOK_PAUSE)
        known = len(load.failures)
        after.update(failedCount=survey.lacking, failedFiles=planning.shown(load.failures))
        reasons = f" The first is {min(load.failures)}: {load.failures[min(load.failures)].rstrip('.')}." if known else ""
        message = f"{survey.lacking} of {survey.files} files are not wholly cached, {size(survey.bytes - survey.cached)} are lacking.{reasons}"
        return self.settle(dataset, after, "Incomplete", f"{message} They are tried again with another text in the annotation {datasets.RELOAD}.")

    def complete(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Read back what was complete, and free it when its time is over."""
        if dataset.preload != "all":
            return Step(before, VERIFY_SECONDS)
        life = datasets.seconds(dataset.ttl)
        end = moment_of(before.get("loadedAt") or "") + life
        if life > 0 and self.now() >= end:
            for path in dataset.loaded_paths:
                self.alluxio.free(path)
            message = f"It was freed, {dataset.ttl} after its load (ttl). It is loaded again with another text in the annotation {datasets.RELOAD}."
            return self.settle(dataset, {**before, "cachedBytes": 0, "cachedPercent": 0}, "Incomplete", message)
        begun = self.now()
        survey = self.look(dataset)
        after = {**before, **figures(survey)}
        if survey.lacking:
            lost = (
                f"{survey.lacking} of {survey.files} files, {size(survey.bytes - survey.cached)}, are not cached any more or are new: "
                "evicted, lost with a worker, or found since."
            )
            return self.settle(dataset, after, "Incomplete", f"{lost} They are loaded with another text in the annotation {datasets.RELOAD}.")
        # A pass over a million files takes a while; it must not be all that is done.
        delay = max(VERIFY_SECONDS, 20 * (self.now() - begun))
        return Step(after, max(1.0, min(delay, end - self.now())) if life > 0 else delay)

    def incomplete(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """See whether it is whole by now: repaired, or read through the cache."""
        begun = self.now()
        if dataset.preload != "all" or self.look(dataset).lacking:
            return Step(before, max(VERIFY_SECONDS, 20 * (self.now() - begun)))
        return Step({**before, "phase": "Syncing", "message": f"It is cached by now; {dataset.source} is listed."})

    def failed(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Stay."""
        return Step(before, VERIFY_SECONDS)

    def toolarge(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """See whether there is room now."""
        if self.fits(dataset, max(0, (before.get("bytes") or 0) - (before.get("cachedBytes") or 0)) * dataset.replicas):
            return Step(before, TOO_LARGE_SECONDS)
        survey = self.look(dataset)
        return self.admit(dataset, {**before, **figures(survey)}, survey, others)

    def remove(self, dataset: Dataset, status: Mapping[str, Any]) -> None:
        """Unmount a data set that is deleted; the source keeps all that it has.

        Raises:
            AlluxioAway: a Job that mounts it has not ended yet.
            AlluxioError: Alluxio refused.
        """
        # It would mount what nobody unmounts any more.
        if dataset.credentials and not self.end_mounts(dataset):
            raise AlluxioAway(f"The Job that mounts {dataset.source} has not ended yet")
        load = self.loads.pop(dataset.key, None) or Load(dataset, status.get("jobs") or [])
        load.stop(self.alluxio)
        self.reserved.pop(dataset.key, None)
        # That the mount has begun may not have been written down yet.
        path = (status.get("mounted") or {}).get("path") or (dataset.path if status.get("phase") == "Mounting" else "")
        if path and path in self.alluxio.mounts():
            self.alluxio.unmount(path)


def figures(survey: Survey) -> Status:
    """Return what a pass over the files says, as the status holds it."""
    return {"files": survey.files, "bytes": survey.bytes, "cachedBytes": survey.cached, "cachedPercent": survey.percent, "size": size(survey.bytes)}


def conditions(dataset: Dataset, status: Mapping[str, Any], before: Sequence[Mapping[str, Any]], now: float) -> list[Status]:
    """Return the conditions of a status: Ready is True when it is Complete."""
    value = "True" if status["phase"] == "Complete" else "False"
    old = next((item for item in before if item.get("type") == "Ready"), {})
    since = old.get("lastTransitionTime") if old.get("status") == value else None
    return [{"type": "Ready", "status": value, "reason": status["phase"], "message": status.get("message") or "", "observedGeneration": dataset.generation,
             "lastTransitionTime": since or text_of(now)}]  # fmt: skip
