"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LABELS = ("namespace", "dataset")
BYTES = Gauge("alnair_dataset_bytes", "Bytes of the data set at its source.", LABELS)
CACHED = Gauge("alnair_dataset_cached_bytes", "Bytes of the data set that are cached.", LABELS)
FILES = Gauge("alnair_dataset_files", "Files of the data set.", LABELS)
FAILED = Gauge("alnair_dataset_failed_files", "Files that could not be loaded.", LABELS)
RATE = Gauge("alnair_dataset_load_bytes_per_second", "Bytes per second of the load that is under way.", LABELS)
PHASE = Gauge("alnair_dataset_phase", "1 for the phase in which the data set is.", (*LABELS, "phase"))
LEADER = Gauge("alnair_operator_leader", "1 where this replica acts.")
HELD = Gauge("alnair_pods_held", "Pods that wait for their data sets.")
OLDEST = Gauge("alnair_pods_held_oldest_seconds", "How long the oldest of them has been waiting.")
UNSERVED = Gauge("alnair_pods_on_source", "Pods that asked for the cache and read from the source, because the webhook was away or the cache unready.")
STARTED_UNSERVED = Counter("alnair_pods_started_on_source_total", "Such pods since this replica leads, each counted once, those that have ended among them.")
RELEASED = Counter("alnair_pods_released_total", "Pods whose gate was lifted.", ("outcome",))
REVIEWS = Counter("alnair_admission_reviews_total", "Objects that the webhook has looked at.", ("outcome",))
REVIEW_SECONDS = Histogram("alnair_admission_seconds", "Time that the webhook took.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 4))
STEP_ERRORS = Counter("alnair_dataset_step_errors_total", "Steps of data sets that ended in an error of the operator itself.", LABELS)
