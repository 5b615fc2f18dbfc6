"""What Alluxio's masters write into their logs."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

from alnair_operator.jvm import AlluxioError

# What Alluxio writes of a mount, and of one that fails, with all of its options; levels that leave it out.
QUIET = {"alluxio.master.file.meta.MountTable": "WARN", "alluxio.master.file.FileSystemMasterClientServiceHandler": "ERROR"}


def set_level(master: str, logger: str, level: str) -> None:
    """Set the level of one of a master's loggers by its REST API, as `alluxio logLevel` does.

    Args:
        master: URL of the master's web port.
        logger: Name of the logger.
        level: What it shall write from now on.

    Raises:
        AlluxioError: it does not.
    """
    query = urllib.parse.urlencode({"logName": logger, "level": level})
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{master}/api/v1/master/logLevel?{query}", method="POST"), timeout=10) as answer:
            told = json.load(answer)
    except (OSError, ValueError) as error:
        told = {"message": str(error)}
    if told.get("level") != level:
        raise AlluxioError(
            f"Alluxio's master would write credentials into its log: {master} did not set the level of {logger} to {level} ({told.get('message')}). "
            "Its web port must be open to the operator, and its image must log by reload4j as Alluxio's own does"
        )
