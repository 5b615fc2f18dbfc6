"""A callback that every run of the runner loads: ansible-playbook ends when the runner that started it is killed, and takes its folders away in its place.

ansible-runner lets it ignore that its terminal is gone, and the thread that prints what tasks say dies there: it would wait for ever and keep its lock.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import time
from types import FrameType

from ansible.constants import DEFAULT_LOCAL_TMP  # pylint: disable=no-name-in-module
from ansible.plugins.callback import CallbackBase

# Of linux/prctl.h.
PR_SET_PDEATHSIG = 1


class CallbackModule(CallbackBase):
    """Asks the kernel for SIGTERM at the end of the parent, by which ansible-playbook ends its workers, too."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ends_with_runner"

    def __init__(self) -> None:
        super().__init__()
        self.own, self.runner, self.before = os.getpid(), int(os.environ["ALNAIR_RUNNER"]), signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self.end)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # It has been killed already, and the kernel tells nothing of that any more.
        if os.getppid() != self.runner:
            os.kill(os.getpid(), signal.SIGTERM)

    def end(self, number: int, frame: FrameType | None) -> None:
        """Remove what Ansible leaves when it ends by this signal, and the folders of a runner that is gone: they hold variables, which may be secret."""
        # A worker that was just begun has this from its parent.
        if os.getpid() == self.own:
            # The kernel tells of the end of the thread that began this, which may come before that of the whole runner.
            deadline = time.monotonic() + 0.5
            while os.getppid() == self.runner and time.monotonic() < deadline:
                time.sleep(0.02)
            left = os.environ["ALNAIR_RUNNER_FOLDERS"].split(os.pathsep) if os.getppid() != self.runner else []
            for folder in (DEFAULT_LOCAL_TMP, *left):
                shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, self.before)
        os.kill(os.getpid(), number)
