"""Processes the benchmark starts: their CPU time, their memory, and their end."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

_running = []


class Process:
    """A process in a group of its own, so that its children end with it."""

    def __init__(self, command, log, environment=None):
        self.command, self.log = command, log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                process_group=0,
            )
        _running.append(self)

    @property
    def pid(self):
        return self.process.pid

    def has_ended(self):
        return self.process.poll() is not None

    def cpu(self):
        """Seconds of CPU so far, of the process and its children.

        From each process's CPU clock, which counts nanoseconds and keeps what threads
        used that have ended. utime and stime in /proc/PID/stat are ticks of 10 ms.
        """
        # clock_getcpuclockid(3): the clock of process N is ~N << 3, and 2 its scheduler's.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in _family(self.pid))

    def memory(self):
        """Resident bytes, of the process and its children."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in _family(self.pid)]
        return sum(int(re.search(r"VmRSS:\s+(\d+)", one)[1]) for one in status) * 1024

    def end(self):
        """Ends the group at once: nothing in it has anything to save."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self in _running:
            _running.remove(self)

    def last_lines(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it printed nothing"


def end_all():
    for process in list(_running):
        process.end()


def _family(pid):
    """A process and its children; NGINX's workers are children."""
    children = [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [pid] + [below for child in children for below in _family(child)]
