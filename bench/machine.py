"""The machine: what it is, and how many connections its limits allow."""

import os
import platform
import resource
from pathlib import Path

CORES = len(os.sched_getaffinity(0))


def describe():
    """Label and value, for the report."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    return [
        ("CPU", cpu()),
        ("memory", f"{int(memory.split()[1]) / (1 << 20):.0f} GiB"),
        ("system", f"{_distribution()}, Linux {platform.release().partition('-')[0]}"),
        ("open files", f"{files()}"),
        ("load average before", f"{os.getloadavg()[0]:.2f}"),
    ]


def raise_file_limit():
    """As many open files as may be, for this process and what it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 40_000), max(hard, 40_000)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def most_held(wanted):
    """How many connections a proxy can hold: each takes two of its files, dtr-lb keeps an
    eighth for pipes, and the storm needs some while the others are held."""
    possible = (files() * 7 // 16 - 750) // 1000 * 1000
    return min(wanted, max(possible, 100))


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(models, platform.machine())}, {CORES} cores"


def _distribution():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"
