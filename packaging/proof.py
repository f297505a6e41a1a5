"""What the proofs share: Docker, waiting for something, and saying what was seen."""

import pathlib
import subprocess
import sys
import time

BUSYBOX = pathlib.Path("/bin/busybox")
LIMIT = 60


def docker(*arguments, check=True):
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if check and run.returncode != 0:
        sys.exit(f"error: docker {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout.strip()


def eventually(what, condition, limit=LIMIT):
    """Waits until the condition gives something; tells what was seen last if not."""
    end, last = time.monotonic() + limit, None
    while time.monotonic() < end:
        last, done = condition()
        if done:
            print(f"  {what}: {last}", flush=True)
            return last
        time.sleep(0.1)
    sys.exit(f"FAILED: {what}: not within {limit} s, last {last!r}")


def prove(what, seen, right):
    if not right:
        sys.exit(f"FAILED: {what}: {seen!r}")
    print(f"  {what}: {seen}", flush=True)


def nothing_is_proven(why):
    print(f"nothing is proven: {why}", file=sys.stderr)
    sys.exit(3)


def need_engine_and_busybox():
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        nothing_is_proven("no Docker engine answers here")
    if not BUSYBOX.exists():
        nothing_is_proven(f"{BUSYBOX} is missing; install busybox-static")
