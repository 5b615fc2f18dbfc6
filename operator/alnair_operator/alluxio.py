"""Alluxio by its own Java client, inside this process. No command line, no other container."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from alnair_operator import masterlog
from alnair_operator.jvm import HOME, AlluxioAway, AlluxioError, java_errors, start_jvm
from alnair_operator.planning import File, Worker, unsaved

LOG = logging.getLogger(__name__)
READ_BYTES = 1 << 20
FINISHED = ("COMPLETED", "FAILED", "CANCELED")


class Mount(NamedTuple):
    """A mount point.

    Attributes:
        ufs: URI of the source.
        read_only: Whether it is written to by nobody.
        options: Its options; credentials among them are masked.
    """

    ufs: str
    read_only: bool
    options: dict[str, str]


class Job(NamedTuple):
    """A load job.

    Attributes:
        status: CREATED, RUNNING, COMPLETED, FAILED, CANCELED, or GONE where the job service does not know it.
        failures: Reason by path, of the tasks that failed; the empty path stands for the job as a whole.
    """

    status: str
    failures: dict[str, str]

    @property
    def over(self) -> bool:
        """Tell whether it does nothing more."""
        return self.status in (*FINISHED, "GONE")


class Alluxio:
    """A cluster of Alluxio. Its methods may be called from several threads at once."""

    def __init__(self, masters: Sequence[str], job_masters: Sequence[str], user: str, home: str = HOME, properties: Mapping[str, str] | None = None) -> None:
        """Connect; nothing is asked yet.

        Args:
            masters: The masters, as host:port.
            job_masters: The job masters, as host:port.
            user: Who asks.
            home: Folder of Alluxio's jars.
            properties: Further properties of the client.
        """
        import jpype

        start_jvm(home)
        self.java = jpype.JPackage("java")
        self.alluxio = jpype.JPackage("alluxio")
        # Values that are not said by the cluster: how long to try, and who asks.
        said = {
            "alluxio.master.rpc.addresses": ",".join(masters),
            "alluxio.job.master.rpc.addresses": ",".join(job_masters),
            "alluxio.security.login.username": user,
            "alluxio.user.metrics.collection.enabled": "false",
            "alluxio.user.short.circuit.enabled": "false",
            "alluxio.user.app.id": "alnair-operator",
            **(properties or {}),
        }
        configuration = self.alluxio.conf.InstancedConfiguration(self.alluxio.conf.Configuration.copyProperties())
        for name, value in said.items():
            if value:
                key = self.alluxio.conf.PropertyKey.fromString(name)
                configuration.set(key, jpype.JObject(key.parseValue(value), "java.lang.Object"))
        self.configuration = configuration
        self.lock = threading.Lock()
        self._context: Any = None
        self._files: Any = None
        self._jobs: Any = None
        self._blocks: Any = None

    @property
    def context(self) -> Any:
        """Return the client's context, made when it is first needed."""
        with self.lock:
            if self._context is None:
                with java_errors("Alluxio's masters cannot be reached"):
                    self._context = self.alluxio.client.file.FileSystemContext.create(self.configuration)
            return self._context

    @property
    def files(self) -> Any:
        """Return the file system."""
        context = self.context
        with self.lock:
            if self._files is None:
                with java_errors("Alluxio's masters cannot be reached"):
                    self._files = self.alluxio.client.file.FileSystem.Factory.create(context)
            return self._files

    @property
    def jobs(self) -> Any:
        """Return the client of the job service."""
        with self.lock:
            if self._jobs is None:
                with java_errors("Alluxio's job service cannot be reached"):
                    context = self.alluxio.ClientContext.create(self.configuration)
                    builder = self.alluxio.worker.job.JobMasterClientContext.newBuilder(context)
                    self._jobs = self.alluxio.client.job.JobMasterClient.Factory.create(builder.build())
            return self._jobs

    @property
    def blocks(self) -> Any:
        """Return the client of the master's blocks."""
        context = self.context
        with self.lock:
            if self._blocks is None:
                self._blocks = self.alluxio.client.block.BlockMasterClient.Factory.create(context.getMasterClientContext())
            return self._blocks

    def uri(self, path: str) -> Any:
        """Return a path as Alluxio's client takes it."""
        return self.alluxio.AlluxioURI(path)

    def common(self, interval: int) -> Any:
        """Return the options that say how old metadata may be, in milliseconds; -1 for any age."""
        return self.alluxio.grpc.FileSystemMasterCommonPOptions.newBuilder().setSyncIntervalMs(interval).build()

    def listing(self, interval: int = -1, recursive: bool = True) -> Any:
        """Return the options of a listing."""
        kind = self.alluxio.grpc.LoadMetadataPType
        builder = self.alluxio.grpc.ListStatusPOptions.newBuilder().setRecursive(recursive).setCommonOptions(self.common(interval))
        return builder.setLoadMetadataType(kind.NEVER if interval < 0 else kind.ALWAYS)

    def mounts(self) -> dict[str, Mount]:
        """Return the mount points, by their paths."""
        found = {}
        with java_errors("The mount table cannot be read"):
            for entry in self.files.getMountTable(False).entrySet():
                info = entry.getValue()
                options = {str(item.getKey()): str(item.getValue()) for item in info.getProperties().entrySet()}
                found[str(entry.getKey())] = Mount(str(info.getUfsUri()), bool(info.getReadOnly()), options)
        return found

    def mount(self, path: str, ufs: str, read_only: bool, options: Mapping[str, str], update: bool = False) -> None:
        """Mount a source.

        Args:
            path: Where, in Alluxio.
            ufs: URI of the source.
            read_only: Whether nobody may write to it through Alluxio.
            options: Alluxio's properties for this mount, credentials among them.
            update: Whether it is mounted already and gets other options.

        Raises:
            AlluxioError: Alluxio refused.
        """
        builder = self.alluxio.grpc.MountPOptions.newBuilder().setReadOnly(read_only).setShared(True)
        for name, value in options.items():
            builder.putProperties(name, value)
        parent = path.rsplit("/", 1)[0]
        with java_errors(f"{ufs} cannot be mounted at {path}"):
            if update:
                self.files.updateMount(self.uri(path), builder.build())
                return
            if parent and not self.files.exists(self.uri(parent)):
                grpc = self.alluxio.grpc
                made = grpc.CreateDirectoryPOptions.newBuilder().setRecursive(True).setAllowExists(True).setWriteType(grpc.WritePType.MUST_CACHE).build()
                self.files.createDirectory(self.uri(parent), made)
            self.files.mount(self.uri(path), self.alluxio.AlluxioURI(ufs), builder.build())

    def hush(self) -> None:
        """Keep the options of mounts, credentials among them, out of the leading master's log until it ends.

        Raises:
            AlluxioError: the master does not take that.
        """
        with java_errors("The leading master cannot be asked for its web port"):
            leader = self.context.getMasterAddress().getHostString()
            client = self.alluxio.client.meta.RetryHandlingMetaMasterClient(self.context.getMasterClientContext())
            try:
                port = client.getMasterInfo(self.java.util.Collections.singleton(self.alluxio.grpc.MasterInfoField.WEB_PORT)).getWebPort()
            finally:
                client.close()
        for logger, level in masterlog.QUIET.items():
            masterlog.set_level(f"http://{leader}:{port}", logger, level)

    def unmount(self, path: str) -> None:
        """Take a mount point away; the source keeps all that it has."""
        with java_errors(f"{path} cannot be unmounted"):
            self.files.unmount(self.uri(path))

    def sync(self, path: str, twice: bool = False) -> None:
        """Make Alluxio look at the source again, the whole tree; twice for folders that it cannot list: most it forgets, and then finds them, as empty ones."""
        with java_errors(f"The source of {path} cannot be listed"):
            if self.files.getStatus(self.uri(path), self.status_options(0)).isFolder():
                listing = self.listing(0).setLoadMetadataOnly(True)
                for interval in (0, -1) if twice else (0,):
                    self.files.loadMetadata(self.uri(path), listing.setCommonOptions(self.common(interval)).build())

    def status_options(self, interval: int) -> Any:
        """Return the options of a look at one path."""
        kind = self.alluxio.grpc.LoadMetadataPType
        builder = self.alluxio.grpc.GetStatusPOptions.newBuilder().setCommonOptions(self.common(interval))
        return builder.setLoadMetadataType(kind.NEVER if interval < 0 else kind.ALWAYS).build()

    def each(self, path: str, take: Callable[[File], None], replicas: int = 1, empty: Callable[[str], None] = lambda path: None) -> None:
        """Hand over each file below a path, one after the other; the whole list is never held.

        Args:
            path: A folder or a file in Alluxio.
            take: Gets the file.
            replicas: Copies of each block without which a file does not count as whole.
            empty: Gets the path of a folder in which Alluxio knows nothing.
        """
        import jpype

        wrong: list[Exception] = []

        def accept(status: Any) -> None:
            # An exception must not cross the JVM: it would come back as another one.
            if not wrong:
                try:
                    if not status.isFolder():
                        take(self.file(status, replicas))
                    elif not status.getLength():
                        empty(str(status.getPath()))
                except Exception as error:  # noqa: BLE001
                    wrong.append(error)

        with java_errors(f"{path} cannot be listed"):
            status = self.files.getStatus(self.uri(path), self.status_options(-1))
            if not status.isFolder():
                accept(status)
            else:
                consumer = jpype.JProxy("java.util.function.Consumer", dict={"accept": accept})
                self.files.iterateStatus(self.uri(path), self.listing().build(), consumer)
        if wrong:
            raise wrong[0]

    def file(self, status: Any, replicas: int = 1) -> File:
        """Return what a status of Alluxio's says of a file."""
        length, percent = int(status.getLength()), int(status.getInAlluxioPercentage())
        # A file that is being written has no length yet that could be relied on.
        completed = bool(status.isCompleted())
        whole = percent >= 100 and completed
        held = cached = length if percent >= 100 else length * percent // 100
        if replicas > 1 and length:
            blocks = [block.getBlockInfo() for block in status.getFileBlockInfos()]
            copies = [(int(block.getLocations().size()), int(block.getLength())) for block in blocks]
            whole = whole and all(count >= replicas for count, _bytes in copies)
            held = sum(min(count, replicas) * size for count, size in copies)
        changed, fingerprint = int(status.getLastModificationTimeMs()), str(status.getUfsFingerprint() or "")
        return File(str(status.getPath()), length, cached, whole, changed, fingerprint, held, unsaved(str(status.getPersistenceState()), completed, percent))

    def status(self, path: str, interval: int = -1, replicas: int = 1) -> File | None:
        """Return a file, or None where Alluxio has none of that path.

        Args:
            path: Its path.
            interval: How old what Alluxio knows may be, in milliseconds; -1 for any age.
            replicas: As for each.
        """
        try:
            with java_errors(f"{path} cannot be looked at"):
                return self.file(self.files.getStatus(self.uri(path), self.status_options(interval)), replicas)
        except AlluxioAway:
            raise
        except AlluxioError as error:
            if "does not exist" in str(error):
                return None
            raise

    def free(self, path: str) -> None:
        """Take a path out of the cache, pinned or not; the source keeps it."""
        with java_errors(f"{path} cannot be freed"):
            self.files.free(self.uri(path), self.alluxio.grpc.FreePOptions.newBuilder().setRecursive(True).setForced(True).build())

    def pin(self, path: str, pinned: bool) -> None:
        """Pin a path in the cache, or let it be evicted."""
        with java_errors(f"{path} cannot be pinned"):
            self.files.setAttribute(self.uri(path), self.alluxio.grpc.SetAttributePOptions.newBuilder().setRecursive(True).setPinned(pinned).build())

    def sync_interval(self, path: str, interval: str) -> None:
        """Say how old what Alluxio knows of a path may be for whoever reads there, such as 10m; 0 for none, -1 to say nothing of it any more.

        Clients take it over when they ask for their configuration again.
        """
        with java_errors(f"The sync interval of {path} cannot be set"):
            client = self.alluxio.client.meta.RetryHandlingMetaMasterConfigClient(self.context.getMasterClientContext())
            try:
                key = self.alluxio.conf.PropertyKey.fromString("alluxio.user.file.metadata.sync.interval")
                if interval == "-1":
                    client.removePathConfiguration(self.uri(path), self.java.util.Collections.singleton(key))
                else:
                    client.setPathConfiguration(self.uri(path), self.java.util.Collections.singletonMap(key, interval))
            finally:
                client.close()

    def forget(self, path: str) -> None:
        """Drop what Alluxio knows and holds of a path; the source keeps it, and the next look finds it anew."""
        with java_errors(f"{path} cannot be dropped from the cache"):
            options = self.alluxio.grpc.DeletePOptions.newBuilder().setRecursive(True).setAlluxioOnly(True).setUnchecked(True).build()
            self.files.delete(self.uri(path), options)

    def persist(self, path: str) -> None:
        """Ask Alluxio to write to the source, by and by, a file that only workers hold; of one that it is at it begins anew."""
        with java_errors(f"{path} cannot be written to its source"):
            self.files.persist(self.uri(path))

    def workers(self) -> list[Worker]:
        """Return the live workers with their space."""
        with java_errors("The workers cannot be listed"):
            return [
                Worker(str(info.getAddress().getHost()), int(info.getCapacityBytes()), int(info.getUsedBytes())) for info in self.blocks.getWorkerInfoList()
            ]

    def read(self, path: str, take: Callable[[bytes], None], cache: bool = True) -> None:
        """Read a file through the cache.

        Args:
            path: Its path.
            take: Gets the bytes, portion by portion.
            cache: Whether what was not cached is cached by the reading.
        """
        import jpype

        kind = self.alluxio.grpc.ReadPType
        with java_errors(f"{path} cannot be read"):
            options = self.alluxio.grpc.OpenFilePOptions.newBuilder().setReadType(kind.CACHE if cache else kind.NO_CACHE).build()
            stream = self.files.openFile(self.uri(path), options)
            try:
                buffer = jpype.JArray(jpype.JByte)(READ_BYTES)
                while (count := stream.read(buffer, 0, READ_BYTES)) > 0:
                    take(bytes(memoryview(buffer)[:count]))
            finally:
                stream.close()

    def load(self, paths: Sequence[str], replicas: int = 1) -> int:
        """Send a job that loads files; returns its number.

        Args:
            paths: The files.
            replicas: Copies of each block.
        """
        import jpype

        with java_errors("A load job cannot be sent"):
            configs = self.java.util.HashSet()
            nobody = self.java.util.ArrayList()
            for path in paths:
                config = self.java.util.HashMap()
                # The job service makes the load's configuration from this map and must be told of which kind it is.
                config.put("@type", "alluxio.job.plan.load.LoadConfig")
                config.put("filePath", path)
                config.put("replication", jpype.java.lang.Integer(replicas))
                for name in ("workerSet", "excludedWorkerSet", "localityIds", "excludedLocalityIds"):
                    config.put(name, nobody)
                config.put("directCache", jpype.java.lang.Boolean(True))
                configs.add(config)
            return int(self.jobs.run(self.alluxio.job.plan.BatchedJobConfig("Load", configs)))

    def job(self, number: int) -> Job:
        """Return how far a job is; that of one which the job service has forgotten is GONE."""
        try:
            with java_errors(f"Load job {number} cannot be looked at"):
                status = str(self.jobs.getJobStatus(number).getStatus())
                return Job(status, self.failures(number) if status == "FAILED" else {})
        except AlluxioAway:
            raise
        except AlluxioError as error:
            if "does not exist" in str(error):
                return Job("GONE", {})
            raise

    def failures(self, number: int) -> dict[str, str]:
        """Return the reasons of a job that failed, by path."""
        info = self.jobs.getJobStatusDetailed(number)
        found = {}
        for task in info.getChildren():
            if str(task.getStatus()) == "FAILED":
                found[str(task.getDescription() or "")] = str(task.getErrorMessage() or task.getErrorType() or "failed").splitlines()[0][:300]
        if not found:
            found[""] = str(info.getErrorMessage() or info.getErrorType() or "failed").splitlines()[0][:300]
        return found

    def cancel(self, number: int) -> None:
        """Cancel a job; one that is over stays as it is."""
        with contextlib.suppress(AlluxioError), java_errors(f"Load job {number} cannot be cancelled"):
            self.jobs.cancel(number)
