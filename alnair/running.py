"""Run a playbook by ansible-runner, so that one interrupt ends all of it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alnair import processes
from alnair.home import settings
from alnair.result import Failure, Result


class Cancelled(Exception):
    """Another thread wants the run to end."""


def whole(paths: str) -> str:
    """Return a path, or a list of some as KUBECONFIG may be, with nothing left to where it is read or by whom."""
    return os.pathsep.join(os.path.abspath(os.path.expanduser(path)) for path in paths.split(os.pathsep))


def limited(hosts: list[str], folder: Path) -> str | None:
    """Return what limits a run to hosts; None where there are none, which means all.

    By a file in a folder: one argument may have no more than 128 KiB, which thousands of names outgrow.
    """
    if not hosts:
        return None
    (folder / "limit").write_text("\n".join(hosts), encoding="utf-8")
    # With a comma, for where there is none Ansible parts words at colons and spaces, which the folder's name may have.
    return f"@{folder}/limit,"


def play(home: Path, playbook: Path, inventory: Path, result: Result, *, limit: list[str], words: list[str], extra_vars: dict[str, Any], verbosity: int,
         told: Callable[[dict[str, Any]], None], tick: Callable[[], None], interrupted: Callable[[], None],
         cancel: threading.Event | None) -> None:  # fmt: skip
    """Run a playbook and put into a result how it ended.

    Args:
        home: Folder of the collection.
        playbook: The playbook's path.
        inventory: Folder or file.
        result: What ``told`` fills; its status is set here.
        limit: Names of the hosts that take part; all where it is empty.
        words: Further words of ansible-playbook's command line.
        extra_vars: Variables that win over all others.
        verbosity: How much ansible-playbook says, 0 to 5.
        told: Takes each event of ansible-runner as it comes.
        tick: Called twice a second.
        interrupted: Called at the first interrupt, before the run is ended in order; a second one kills it.
        cancel: Ends the run in order when it is set, as an interrupt does.

    Raises:
        Exception: what ``told`` raised; the run is ended then.
    """
    import ansible_runner

    # A folder for each run: ansible-runner reads options of an earlier run again from a folder that is used twice.
    # The sockets lie by themselves because their paths may have no more than 107 characters, and TMPDIR may be long.
    with tempfile.TemporaryDirectory(prefix="alnair-") as folder, tempfile.TemporaryDirectory(prefix="alnair-", dir="/tmp") as sockets_folder:
        sockets = Path(sockets_folder)

        raised: list[Exception] = []

        def handle(event: dict[str, Any]) -> bool:
            # This is a thread of ansible-runner, in which an error would be lost.
            try:
                if not raised:
                    told(event)
            except Exception as error:  # noqa: BLE001
                raised.append(error)
            return False

        thread, runner = ansible_runner.run_async(
            private_data_dir=folder, project_dir=str(home), playbook=str(playbook),
            inventory=str(inventory), limit=limited(limit, Path(folder)), cmdline=" ".join(words) or None,
            extravars=extra_vars, verbosity=verbosity or None, quiet=verbosity == 0, event_handler=handle,
            # Its own one would take SIGINT and SIGTERM for itself and end less than all.
            cancel_callback=lambda: False,
            envvars={
                **settings(home),
                # ansible-runner would switch the check of host keys off, whatever inventory and ansible.cfg say.
                "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
                processes.MARK: str(sockets),
                # What is printed is given on as it comes, and ansible-playbook's own terminal is none of the user's.
                **({} if sys.stdout.isatty() or os.environ.get("FORCE_COLOR") else {"ANSIBLE_NOCOLOR": "True"}),
                # Beside those of the user.
                "ANSIBLE_CALLBACK_PLUGINS": ":".join(filter(None, [os.environ.get("ANSIBLE_CALLBACK_PLUGINS"), str(Path(__file__).with_name("callback"))])),
                "ALNAIR_RUNNER": str(os.getpid()),
                "ALNAIR_RUNNER_FOLDERS": os.pathsep.join([folder, sockets_folder]),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                # ansible-playbook runs in another folder than the user.
                **({"KUBECONFIG": whole(os.environ["KUBECONFIG"])} if os.environ.get("KUBECONFIG") else {}),
            },
        )  # fmt: skip
        try:
            while thread.is_alive():
                thread.join(0.5)
                tick()
                if raised or (cancel and cancel.is_set()):
                    raise Cancelled
            result.status = "failed" if result.failures else "unreachable" if result.unreachable else "successful"
            if result.status == "successful" and runner.status != "successful":
                result.status = "failed"
                text = runner.stdout.read()[-2000:] if runner.stdout else ""
                result.failures.append(Failure("localhost", "start of ansible-playbook", text.strip() or f"it ended with {runner.rc}"))
        except (KeyboardInterrupt, Cancelled) as reason:
            try:
                if isinstance(reason, KeyboardInterrupt):
                    interrupted()
                processes.end_run(sockets)
                thread.join(5)
            except KeyboardInterrupt:
                processes.kill(processes.of_run(sockets))
            result.status = "interrupted"
        finally:
            with contextlib.suppress(KeyboardInterrupt):
                processes.end_connections(sockets)
        if raised:
            raise raised[0]
