"""How a data set becomes what it is declared to be: step by step, each step from the status alone, so that any process can take the next."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alnair_operator import datasets, looking, planning
from alnair_operator.datasets import Dataset, DatasetError, size
from alnair_operator.jvm import AlluxioAway, AlluxioError
from alnair_operator.loading import STALL_SECONDS, Load
from alnair_operator.mounting import Mounting, MountJob
from alnair_operator.planning import Survey
from alnair_operator.room import Room, evictable, free
from alnair_operator.steps import Status, Step, conditions, kept, lasting, moment_of, text_of
from alnair_operator.unmounted import Unmounted

LOG = logging.getLogger(__name__)
UNDER_WAY = ("Pending", "Mounting", "Syncing", "Loading")
SETTLED = ("Complete", "Incomplete", "Failed", "TooLarge")
AWAY_SECONDS, TOO_LARGE_SECONDS = 10, 60
# Load jobs that are active at a time, per worker, over all data sets.
JOBS_PER_WORKER = 8
# How long it is waited for space that is freed for a load.
ROOM_SECONDS = 90
# Workers free by and by; for so long what Alluxio says of a data set that was freed may be of before.
FREEING_SECONDS = 15
# How often what was complete is read back: a worker may have been lost since, or files evicted.
VERIFY_SECONDS = 60
# A load is read back against a fresh look at the source so many times before it is left as it is: a source that changes all the time has no end.
VERIFICATIONS = 3
# How long one step looks at its load before the status is written.
LOOK_SECONDS, LOOK_PAUSE = 1.0, 0.1
# The word in the annotation that cancels by which what is cached is freed, too.
FREE = "free"
# A look at a data set that is so old does for a pod that is made now.
FRESH_SECONDS = 10


class Engine:
    """Takes data sets from phase to phase."""

    def __init__(self, alluxio: Any, mount_job: Callable[[Dataset, str], MountJob] | None = None,
                 end_mounts: Callable[[Dataset], bool] = lambda dataset: True,
                 claims: Callable[[Dataset], Mapping[str, str]] = lambda dataset: {}, unmounted: Unmounted | None = None,
                 now: Callable[[], float] = time.time, pause: Callable[[float], None] = time.sleep) -> None:  # fmt: skip
        """Begin.

        Args:
            alluxio: Alluxio, as in alluxio.py.
            mount_job: Makes the Job that mounts with credentials the source's URI, or looks at it.
            end_mounts: Ends Jobs that mount a data set, and tells whether none is left.
            claims: Returns the host path of the data set's claim, by its name.
            unmounted: What was unmounted a short while ago; None where nothing is mounted later for that.
            now: Tells seconds since 1970.
            pause: Waits so many seconds.
        """
        self.alluxio, self.now, self.pause = alluxio, now, pause
        self.mounts, self.room = Mounting(alluxio, mount_job, end_mounts, claims, unmounted or Unmounted()), Room(alluxio)
        self.loads: dict[str, Load] = {}
        # When each was last looked at, file by file, and those that pods wait to have looked at again.
        self.looked: dict[str, float] = {}
        self.wanted: set[str] = set()

    def step(self, dataset: Dataset, status: Mapping[str, Any], others: Sequence[Dataset] = ()) -> Step:
        """Take the next step.

        Args:
            dataset: The data set.
            status: Its status, as the last step left it.
            others: All other data sets, those that are being removed among them.
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
            step = Step({**before, "message": f"{error}. It is tried again every {AWAY_SECONDS} s."}, AWAY_SECONDS, firm=True)
        except (AlluxioError, DatasetError) as error:
            step = self.settle(dataset, {**before, "observedCancel": dataset.cancel}, "Failed", f"{str(error).rstrip('.')}.")
        self.wanted.discard(dataset.key)
        after = step.status
        if after["phase"] != status.get("phase"):
            kind = "Warning" if after["phase"] in ("Incomplete", "Failed", "TooLarge") else "Normal"
            step.events.insert(0, (kind, after["phase"], after.get("message") or after["phase"]))
        if after["phase"] != "Loading":
            self.room.release(dataset.key)
            self.loads.pop(dataset.key, None)
        after["conditions"] = conditions(after, dataset.generation, before.get("conditions") or [], text_of(self.now()))
        return step

    def anew(self, dataset: Dataset, before: Status) -> Status:
        """Return the status with which a declaration that changed, or a wish for another load, begins."""
        load = self.loads.pop(dataset.key, None)
        jobs = sorted(load.active) if load else before.get("jobs") or []
        return {**kept(before), "phase": "Pending", "message": "It is looked at.", "observedGeneration": dataset.generation, "observedReload": dataset.reload,
                "jobs": jobs, "failedFiles": [], "failedCount": 0}  # fmt: skip

    def cancelled(self, dataset: Dataset, before: Status) -> Step:
        """End the load that is under way, as somebody asks, and free what is cached where that is asked for, too; all else stays as it is."""
        again = f"It is loaded with another text in the annotation {datasets.RELOAD}."
        words = dataset.cancel.split()
        # What is at its path may be another data set's, which is not for this one to free.
        asked = before["phase"] in UNDER_WAY or FREE in words
        held = asked and self.mounts.has_mounted(dataset, before.get("mounted") or {})
        if before["phase"] in UNDER_WAY:
            self.stop(dataset, before)
            before["jobs"] = []
            if before["phase"] in ("Pending", "Mounting"):
                if dataset.credentials:
                    self.mounts.end_mounts(dataset)
                if not held:
                    return self.settle(dataset, before, "Failed", f"It was cancelled before it was mounted. {again}")
        if FREE in words and held:
            why = " ".join(words[words.index(FREE) + 1 :])
            return self.freed(dataset, before, f"It was freed {why or 'because somebody asked for it'}. {again}")
        if before["phase"] not in UNDER_WAY or dataset.preload != "all":
            return Step(before)
        cached, whole = size(before.get("cachedBytes") or 0), size(before.get("bytes") or 0)
        if before["phase"] == "Loading":
            before.pop("loadedAt", None)
        return self.settle(dataset, before, "Incomplete", f"Its load was cancelled with {cached} of {whole} cached. {again}")

    def freed(self, dataset: Dataset, before: Status, message: str) -> Step:
        """Take a data set out of the cache; the source keeps it."""
        kept = free(self.alluxio, dataset)
        after = {key: value for key, value in before.items() if key != "loadedAt"} | kept.figures(before.get("bytes") or 0) | {"freedAt": text_of(self.now())}
        if dataset.preload == "all":
            return self.settle(dataset, after, "Incomplete", message + kept.sentence)
        after["message"] = kept.sentence.strip() or before.get("message", "")
        return Step(after, 0 if after["phase"] in UNDER_WAY else VERIFY_SECONDS)

    def freeing(self, status: Status) -> bool:
        """Tell whether workers may still hold what was freed."""
        return self.now() - moment_of(status.get("freedAt") or "") < FREEING_SECONDS

    def stop(self, dataset: Dataset, status: Mapping[str, Any]) -> None:
        """Cancel the jobs of a load that are left, be they this process's or those of the one before."""
        load = self.loads.pop(dataset.key, None) or Load(dataset, status.get("jobs") or [])
        load.stop(self.alluxio)

    def settle(self, dataset: Dataset, before: Status, phase: str, message: str) -> Step:
        """Return the step that ends in a phase in which it stays."""
        # Jobs that went on could be ended by nobody, for no status names them, and would fill space that is promised to another load.
        self.stop(dataset, before)
        after = {**lasting(before), "phase": phase, "message": message, "settledAt": text_of(self.now())}
        if phase == "Complete":
            after.setdefault("loadedAt", after["settledAt"])
        return Step(after, TOO_LARGE_SECONDS if phase == "TooLarge" else VERIFY_SECONDS)

    def pending(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Look at the declaration."""
        if wrong := datasets.problem(dataset, others):
            return self.settle(dataset, before, "Failed", wrong)
        if going := next((other for other in others if other.leaving and datasets.overlap(dataset, other)), None):
            # It would take the mount of this one away, or keep it from being made.
            return Step({**before, "message": f"{going.path} of data set {going.key}, which is removed, is unmounted first."}, 1)
        return Step({**before, "phase": "Mounting", "message": f"{dataset.source} is mounted at {dataset.path}.", "mountingSince": text_of(self.now())})

    def mounting(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Mount the source, unless it is, or another one was mounted there since this one was looked at."""
        if wrong := datasets.problem(dataset, others):
            return self.settle(dataset, before, "Failed", wrong)
        waited = self.now() - moment_of(before.get("mountingSince") or "")
        wait = self.mounts.mount(dataset, before.get("mounted") or {}, others, waited)
        if wait and wait.begun:
            return Step({**before, "mounted": self.mounts.begun(dataset, before.get("mounted") or {}), "message": wait.message}, wait.seconds)
        if wait:
            # Nothing of it is mounted, and its time begins with the end of the wait.
            left = {key: value for key, value in before.items() if key != "mounted"}
            return Step({**left, "message": wait.message, "mountingSince": text_of(self.now() + wait.seconds)}, wait.seconds)
        after: Status = {**before, "mounted": self.mounts.mounted(dataset, before.get("mounted") or {})}
        after["interval"] = self.mounts.keep_fresh(dataset, before.get("interval") or "", others)
        after["pinned"] = self.mounts.unpin(dataset, before.get("pinned"))
        if dataset.preload == "none":
            after["pinned"] = self.mounts.pin(dataset)
            how = "It is pinned, so Alluxio loads what it gets to know of it" if dataset.pin else "Nothing is loaded before it is read"
            return self.settle(dataset, after, "Complete", f"It is mounted. {how} (preload: none).")
        return Step({**after, "phase": "Syncing", "message": f"{dataset.source} is listed."})

    def syncing(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Let Alluxio list the source, and see whether what is lacking fits."""
        if self.freeing(before):
            return Step({**before, "message": "The workers free what was cached of it."}, 1)
        if running := [number for number in before.get("jobs") or [] if not self.alluxio.job(number).over]:
            since = before.get("waitingSince") or text_of(self.now())
            if self.now() - moment_of(since) < STALL_SECONDS:
                return Step({**before, "jobs": running, "waitingSince": since, "message": f"{len(running)} jobs of an earlier load are waited for."}, 1)
            for number in running:
                self.alluxio.cancel(number)
        if not before.get("evicted"):
            looking.sync(self.alluxio, dataset)
        survey = self.look(dataset, closely=True)
        after = {key: value for key, value in before.items() if key != "waitingSince"} | {**survey.figures(dataset.replicas), "jobs": []}
        if not survey.files:
            raise DatasetError(
                f"No file was found in {', '.join(dataset.loaded_paths)}, which is {dataset.source}: is it empty, or gone, or is its path another?"
            )
        if survey.files < (before.get("files") or 0):
            # What one listing of the source does not name may be its fault: fewer files than before are believed when they are seen twice.
            return Step({**after, "message": f"{dataset.source} is listed once more, for it has fewer files than before."}, LOOK_PAUSE)
        if dataset.preload == "metadata" or not survey.lacking:
            after["pinned"] = self.mounts.pin(dataset)
        if dataset.preload == "metadata":
            how = "They are pinned, so Alluxio loads them" if dataset.pin else "None is loaded before it is read"
            known = f"{survey.files} files with {size(survey.bytes)} are known. {how} (preload: metadata)."
            return self.settle(dataset, after, "Complete", f"{known}{survey.hollow}")
        if not survey.lacking:
            return self.settle(dataset, after, "Complete", f"All {survey.files} files with {size(survey.bytes)} are cached.{survey.hollow}")
        return self.admit(dataset, after, survey, others)

    def look(self, dataset: Dataset, closely: bool = False) -> Survey:
        """Return what Alluxio knows of the data set's files; closely, folders that seem to be empty are listed once more."""
        begun = self.now()
        survey = (looking.look_closely if closely else looking.look)(self.alluxio, dataset)
        self.looked[dataset.key] = begun
        return survey

    def fresh(self, dataset: Dataset, moment: float) -> bool:
        """Tell whether that a data set is Complete was seen about when a pod was made, or since; if not, it is looked at again."""
        if dataset.preload != "all" or self.looked.get(dataset.key, 0.0) > moment - FRESH_SECONDS:
            return True
        self.wanted.add(dataset.key)
        return False

    def admit(self, dataset: Dataset, before: Status, survey: Survey, others: Sequence[Dataset]) -> Step:
        """Let a load begin if it fits, with the space of what may be evicted for it."""
        needed = survey.needed(dataset.replicas)
        if why := self.room.admit(dataset, needed):
            return self.make_room(dataset, before, needed, why, others)
        # Not before it is let in: Alluxio loads by itself what is pinned, however little room there is.
        after = {key: value for key, value in before.items() if key not in ("evicted", "victims")} | {"pinned": self.mounts.pin(dataset)}
        message = f"{survey.lacking} of {survey.files} files, {size(needed)}, are loaded."
        return Step({**after, "phase": "Loading", "message": message, "verifications": 0})

    def make_room(self, dataset: Dataset, before: Status, needed: int, why: str, others: Sequence[Dataset]) -> Step:
        """Have data sets freed that may be evicted for a load, no more than it takes; nothing is where that would not do."""
        if self.now() - moment_of(before.get("evicted") or "") < ROOM_SECONDS:
            return Step({**before, "message": "The space of what is evicted is freed."}, 2)
        freed = list(before.get("victims") or [])
        mounts = self.alluxio.mounts()
        victims = self.room.victims(dataset, needed, [other for other in others if other.name not in freed and self.mounts.holds(other, mounts)])
        if not victims:
            named = ", ".join(evictable(dataset))
            return self.settle(dataset, before, "TooLarge", f"{why} What may be evicted for it ({named}) holds too little." if named else why)
        message = f"{', '.join(victims)} are freed to make room: {why}"
        return Step({**before, "phase": "Syncing", "message": message, "evicted": text_of(self.now()), "victims": freed + victims}, 2, victims=victims)

    def loading(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Go on with the load."""
        load = self.loads.get(dataset.key)
        if load is None:
            load = self.loads[dataset.key] = Load(dataset, before.get("jobs") or [])
        limit = planning.share(JOBS_PER_WORKER * max(1, len(self.alluxio.workers())), len(self.loads))
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
            rate, left = planning.window(list(load.samples), load.needed)
            self.room.promise(dataset.key, load.needed)
            after.update(load.survey.figures(dataset.replicas), cachedFiles=load.whole, cachedBytes=load.cached, neededBytes=load.needed, rate=rate)
            after.update(failedCount=len(load.failures), failedFiles=planning.shown(load.failures))
            after["cachedPercent"] = min(99, load.cached * 100 // load.survey.bytes) if load.survey.bytes else 0
            after["message"] = f"{size(load.cached)} of {size(load.survey.bytes)} and {load.whole} of {load.survey.files} files are cached."
            after.pop("secondsLeft", None)
            if left is not None:
                after["secondsLeft"] = left
        return self.verify(dataset, after, load) if load.over else Step(after, LOOK_PAUSE)

    def verify(self, dataset: Dataset, before: Status, load: Load) -> Step:
        """Read back what a load has brought, against a fresh look at the source."""
        looking.sync(self.alluxio, dataset)
        survey, tried = self.look(dataset, closely=True), int(before.get("verifications") or 0) + 1
        after = {**before, **survey.figures(dataset.replicas), "verifications": tried, "jobs": []}
        # As in syncing.
        shrunk = survey.files < load.survey.files
        if not survey.files:
            raise DatasetError(f"No file is found any more in {', '.join(dataset.loaded_paths)}, which is {dataset.source}: is it gone?")
        if not survey.lacking and not (shrunk and tried < VERIFICATIONS):
            after.update(failedCount=0, failedFiles=[], loadedAt=text_of(self.now()))
            message = f"All {survey.files} files with {size(survey.bytes)} are cached, read back file by file.{survey.hollow}"
            return self.settle(dataset, after, "Complete", message)
        if (shrunk or survey.lacking > len(load.failures)) and tried < VERIFICATIONS:
            # New at the source, changed there, or lost with a worker: another load, for which there must be room again.
            self.loads.pop(dataset.key, None)
            if why := self.room.admit(dataset, survey.needed(dataset.replicas)):
                return self.settle(dataset, after, "TooLarge", why)
            return Step(after, LOOK_PAUSE)
        for path, reason in sorted(load.failures.items()):
            LOG.warning("Data set %s: %s is not cached: %s", dataset.key, path, reason)
        known = len(load.failures)
        # Its time (ttl) begins with this load.
        after.pop("loadedAt", None)
        after.update(failedCount=survey.lacking, failedFiles=planning.shown(load.failures))
        reasons = f" The first is {min(load.failures)}: {load.failures[min(load.failures)].rstrip('.')}." if known else ""
        message = f"{survey.lacking} of {survey.files} files are not wholly cached, {size(survey.needed(dataset.replicas))} are lacking.{reasons}"
        return self.settle(dataset, after, "Incomplete", f"{message} They are tried again with another text in the annotation {datasets.RELOAD}.")

    def complete(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Read back what was complete, and free it when its time is over."""
        if dataset.preload == "none":
            return Step(before, VERIFY_SECONDS)
        if outlived := self.outlived(dataset, before):
            return outlived
        begun = self.now()
        survey = self.look(dataset)
        after = {**before, **survey.figures(dataset.replicas)}
        # A pass over a million files takes a while; it must not be all that is done.
        delay = max(VERIFY_SECONDS, 20 * (self.now() - begun))
        if dataset.preload == "metadata":
            return Step(after, delay)
        if survey.files < (before.get("files") or 0):
            # By a listing that somebody's reading has caused (syncInterval), and may be wrong.
            return Step({**before, "phase": "Syncing", "message": f"{dataset.source} is listed, for Alluxio knows fewer files than before."})
        if survey.lacking:
            lost = survey.lost(dataset.replicas)
            if dataset.key in self.wanted:
                return Step({**after, "phase": "Syncing", "message": f"{lost} They are loaded again, for pods wait for them."})
            return self.settle(dataset, after, "Incomplete", f"{lost} They are loaded with another text in the annotation {datasets.RELOAD}.")
        return Step(after, max(1.0, min(delay, self.end_of(dataset, after) - self.now())))

    def end_of(self, dataset: Dataset, status: Status) -> float:
        """Return when the time of what is cached is over (ttl), in seconds since 1970; infinity for never. What never was whole has a time, too."""
        life = datasets.seconds(dataset.ttl)
        if life <= 0 or dataset.preload != "all" or not status.get("cachedBytes"):
            return math.inf
        return moment_of(status.get("loadedAt") or status.get("settledAt") or "") + life

    def outlived(self, dataset: Dataset, before: Status) -> Step | None:
        """Free what is cached when its time is over; returns nothing where it is not."""
        if self.now() < self.end_of(dataset, before):
            return None
        again = f"It is loaded again with another text in the annotation {datasets.RELOAD}."
        return self.freed(dataset, before, f"It was freed, {dataset.ttl} after its load (ttl). {again}")

    def incomplete(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """See whether it is whole by now: repaired, or read through the cache."""
        if dataset.preload != "all" or self.freeing(before):
            return Step(before, VERIFY_SECONDS)
        if outlived := self.outlived(dataset, before):
            return outlived
        begun = self.now()
        survey = self.look(dataset)
        after = {**before, **survey.figures(dataset.replicas)}
        if not survey.lacking:
            # From its start: what was declared may not be mounted, where that was cancelled.
            return Step({**after, "phase": "Pending", "message": f"It is cached by now; {dataset.source} is listed."})
        if survey.cached < (before.get("cachedBytes") or 0):
            after["message"] = f"{survey.lost(dataset.replicas)} They are loaded with another text in the annotation {datasets.RELOAD}."
        return Step(after, max(1.0, min(max(VERIFY_SECONDS, 20 * (self.now() - begun)), self.end_of(dataset, after) - self.now())))

    def failed(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """Stay."""
        return Step(before, VERIFY_SECONDS)

    def toolarge(self, dataset: Dataset, before: Status, others: Sequence[Dataset]) -> Step:
        """See whether there is room now."""
        if outlived := self.outlived(dataset, before):
            return outlived
        if self.room.fits(dataset, before.get("neededBytes") or 0):
            return Step(before, TOO_LARGE_SECONDS)
        survey = self.look(dataset)
        return self.admit(dataset, {**before, **survey.figures(dataset.replicas)}, survey, others)

    def remove(self, dataset: Dataset, status: Mapping[str, Any], others: Sequence[Dataset] = ()) -> None:
        """Unmount a data set that is deleted; the source keeps all that it has.

        Args:
            dataset: The data set.
            status: Its status.
            others: Those of the others that are mounted; one may have its path from another declaration of it.

        Raises:
            AlluxioAway: a Job that mounts it has not ended yet.
            AlluxioError: Alluxio refused.
        """
        # It would mount what nobody unmounts any more.
        self.mounts.end_job(dataset, status.get("mounted") or {})
        self.stop(dataset, status)
        self.room.release(dataset.key)
        self.looked.pop(dataset.key, None)
        self.mounts.forget_interval(status.get("interval") or "", others)
        # That the mount has begun may not have been written down yet.
        if status.get("mounted") or status.get("phase") == "Mounting":
            self.mounts.unmount(dataset, status.get("mounted") or {}, others)
