"""A callback that every run of the runner loads: ansible-playbook ends when the runner that started it is killed.

ansible-runner lets it ignore that its terminal is gone, and the thread that prints what tasks say dies there: it would wait for ever and keep its lock.
"""

from __future__ import annotations

import ctypes
import os
import signal

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
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # It has been killed already, and the kernel tells nothing of that any more.
        if os.getppid() != int(os.environ["ALNAIR_RUNNER"]):
            os.kill(os.getpid(), signal.SIGTERM)
