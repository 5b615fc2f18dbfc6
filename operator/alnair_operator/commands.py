"""The words of the operator's image, as typed or as run by a Job."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from alnair_operator import datasets, sources
from alnair_operator.datasets import Dataset, DatasetError
from alnair_operator.settings import Settings, SettingsError

CREDENTIALS = "/credentials"
LAST_WORDS = "/dev/termination-log"
ASK_SECONDS = 2
# Exit codes: something differs or was refused, and it could not be done at all.
DIFFERS, BROKEN = 1, 2


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    found = argparse.ArgumentParser(prog="alnair_operator", description=__doc__)
    words = found.add_subparsers(dest="word", required=True)
    words.add_parser("run", help="run the operator")
    words.add_parser("hold", help="wait until the data sets of this pod are cached")
    for word, text in {"mount": "mount it with the credentials of its Secret", "check": "compare the cache with the source",
                       "repair": "put right what differs", "checksum": "sum up what the cache hands out"}.items():  # fmt: skip
        one = words.add_parser(word, help=text)
        one.add_argument("name", help="the data set, or namespace/name")
        if word in ("check", "repair"):
            one.add_argument("--content", action="store_true", help="compare bytes, too")
            one.add_argument("--sample", type=int, default=0, metavar="N", help="compare the bytes of N files, chosen by chance (0: all)")
        if word == "checksum":
            one.add_argument("path", nargs="?", default="", help="a folder or file of it")
        if word != "mount":
            one.add_argument("--json", action="store_true", help="print JSON")
    return found


def declared(name: str, environment: Mapping[str, str]) -> Dataset:
    """Return the data set that is meant: that of the environment, or that of the API.

    Raises:
        DatasetError: there is none of that name.
    """
    if text := environment.get("ALNAIR_DATASET"):
        return Dataset.of(json.loads(text))
    from alnair_operator.cluster import Cluster

    namespace, _slash, short = name.rpartition("/")
    settings = Settings.of(environment)
    item = Cluster(settings).read_dataset(namespace or settings.namespace, short)
    if item is None:
        raise DatasetError(f"There is no data set {short} in namespace {namespace or settings.namespace}; name it as namespace/name where it is in another")
    return Dataset.of(item)


def credentials(folder: str = CREDENTIALS) -> dict[str, str]:
    """Return the properties of a Secret that is mounted: a file for each."""
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        # Kubernetes keeps its own links beside the files.
        if not name.startswith("..") and os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                found[name] = file.read().strip("\n")
    return found


def connect(environment: Mapping[str, str]) -> Any:
    """Return Alluxio."""
    from alnair_operator.alluxio import Alluxio
    from alnair_operator.jvm import HOME

    settings = Settings.of(environment)
    return Alluxio(settings.masters, settings.job_masters, settings.user, environment.get("ALLUXIO_HOME") or HOME)


def hidden(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text without what is secret."""
    for value in sorted(secrets.values(), key=len, reverse=True):
        if len(value) > 3:
            text = text.replace(value, "******")
    return text


def mount(dataset: Dataset, alluxio: Any, environment: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Mount a data set with credentials, or give its mount others."""
    ufs = environment.get("ALNAIR_UFS") or datasets.ufs(dataset, {})
    found = alluxio.mounts().get(dataset.path)
    if found and not datasets.same_ufs(found.ufs, ufs):
        raise DatasetError(f"{dataset.path} is a mount of {found.ufs} already")
    if secrets:
        alluxio.hush()
    # What must fail Alluxio never sees.
    if dataset.source.startswith("s3://") and (refused := sources.Bucket(dataset.source, dataset.options, secrets, tries=1).refusal()):
        raise DatasetError(refused)
    alluxio.mount(dataset.path, ufs, dataset.read_only, {**datasets.mount_options(dataset), **secrets}, update=bool(found))


def hold(environment: Mapping[str, str], pause: float = ASK_SECONDS) -> int:
    """Wait until the data sets of this pod are cached, or the time of one that shall start all the same is over; returns the exit code.

    Args:
        environment: What the webhook has told this container.
        pause: Seconds between two questions.
    """
    on_failure = environment.get("ALNAIR_ON_FAILURE") or "source"
    query = urllib.parse.urlencode(
        {"datasets": environment.get("ALNAIR_DATASETS", ""), "onFailure": on_failure, "since": environment.get("ALNAIR_SINCE") or "0"}
    )
    limit = float(environment.get("ALNAIR_HOLD_SECONDS") or 600)
    end, last = time.monotonic() + limit, ""
    # Who shall be held waits here without end: a container that fails is the end of a pod that is never restarted.
    while on_failure == "hold" or time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{environment['ALNAIR_HOLD_URL']}?{query}", timeout=5) as answer:
                verdict = json.loads(answer.read())
        except (OSError, ValueError) as error:
            verdict = {"word": "wait", "message": f"the data set operator does not answer: {error}"}
        if verdict["message"] != last:
            last = verdict["message"]
            print(f"{verdict['word']}: {last}", flush=True)
        if verdict["word"] in ("go", "source"):
            return 0
        time.sleep(pause)
    text = f"After {limit:.0f} s the data sets are not cached: {last}. The pod starts all the same (onFailure: {on_failure})."
    print(text, flush=True)
    # By it the operator knows, and tells, why the pod was let go.
    last_words(text)
    return 0


def last_words(text: str) -> None:
    """Leave a text where Kubernetes looks for why a container ended."""
    if os.path.exists(LAST_WORDS):
        with open(LAST_WORDS, "w", encoding="utf-8") as file:
            file.write(text)


def work(arguments: argparse.Namespace, environment: Mapping[str, str], secrets: Mapping[str, str]) -> int:
    """Do what is asked with a data set; returns the exit code."""
    from alnair_operator import check

    dataset = declared(arguments.name, environment)
    alluxio = connect(environment)
    if arguments.word == "mount":
        mount(dataset, alluxio, environment, secrets)
        print(f"{dataset.name}: {dataset.source} is mounted at {dataset.path}.")
        return 0
    if arguments.word == "checksum":
        sums = check.checksums(dataset, alluxio, arguments.path)
        lines = [*(f"{found}  {name}" for name, found in sorted(sums["files"].items())), f"{sums['checksum']}  {sums['path']} ({sums['count']} files)"]
        print(json.dumps(sums) if arguments.json else "\n".join(lines))
        return 0
    mounted = alluxio.mounts().get(dataset.path)
    if mounted is None:
        raise DatasetError(f"{dataset.path} is not mounted in Alluxio: load the data set first")
    source = sources.of(dataset.source, mounted.ufs, dataset.options, secrets)
    call = check.repair if arguments.word == "repair" else check.compare
    report = call(dataset, alluxio, source, arguments.content, arguments.sample)
    print(json.dumps(report.json()) if arguments.json else report.table())
    return DIFFERS if report.differences else 0


def main(words: list[str] | None = None) -> int:
    """Run a word; returns the exit code."""
    arguments, environment = parser().parse_args(words), os.environ
    secrets: dict[str, str] = {}
    try:
        if arguments.word == "hold":
            return hold(environment)
        if arguments.word == "run":
            from alnair_operator.run import run

            return run(Settings.of(environment))
        secrets = credentials()
        return work(arguments, environment, secrets)
    except Exception as error:
        from alnair_operator.jvm import AlluxioError

        if not isinstance(error, (AlluxioError, DatasetError, SettingsError, OSError)) and environment.get("ALNAIR_DEBUG"):
            raise
        text = hidden(f"{arguments.word}: {error}", secrets)
        print(text, file=sys.stderr, flush=True)
        last_words(text)
        return BROKEN
