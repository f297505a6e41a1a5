"""Short and kept requests as fast as a proxy serves them, and streams of bulk."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

import http1

CLIENTS = 16
CLOSE = "Connection: close"
SPARE = 30


@dataclass(frozen=True)
class Load:
    count: int
    p99: float  # ms
    errors: str = ""


def requests(programs, address, seconds, header=""):
    """With wrk, 16 clients at a time; without it one client, one request after another."""
    if "wrk" not in programs:
        return _one_by_one(address, seconds, header)
    command = [*programs["wrk"].argv, "-t1", f"-c{CLIENTS}", f"-d{max(1, round(seconds))}s", "--latency"]
    command += ["-H", header] if header else []
    command.append(f"http://{address[0]}:{address[1]}/small")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SPARE)
    printed = done.stdout
    count = re.search(r"(\d+) requests in", printed)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", printed)
    if not count or not p99 or count[1] == "0" or "Non-2xx" in printed:
        raise http1.Failed(f"wrk: {' / '.join((printed + done.stderr).split(chr(10)))}")
    errors = re.search(r"Socket errors: (.*)", printed)
    unit = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Load(int(count[1]), float(p99[1]) * unit, errors[1] if errors else "")


def _one_by_one(address, seconds, header):
    end, took, connection = time.monotonic() + seconds, [], None
    header = header and header + "\r\n"
    while (begun := time.monotonic()) < end:
        connection = connection or http1.connect(address)
        http1.get(connection, "/small", header)
        if header:
            connection.close()
            connection = None
        took.append(time.monotonic() - begun)
    if connection:
        connection.close()
    if not took:
        raise http1.Failed("not one request was answered")
    took.sort()
    return Load(len(took), took[min(len(took) - 1, len(took) * 99 // 100)] * 1000)


def download(address, size):
    """One stream of that many bytes from a replica; gives its seconds."""
    with http1.connect(address, limit=60) as connection:
        begun = time.monotonic()
        length = http1.get(connection, "/large")
        took = time.monotonic() - begun
    if length != size:
        raise http1.Failed(f"{length} bytes came instead of {size}")
    return took


def upload(address, path, size):
    """The file, in one stream to a replica, until that has answered; gives its seconds."""
    head = f"POST /sink HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {size}\r\n\r\n".encode()
    with http1.connect(address, limit=60) as connection, open(path, "rb") as file:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.monotonic()
        connection.sendall(head)
        try:
            sent = connection.sendfile(file, count=size)
            http1.read_answer(connection)
        except OSError as error:
            raise http1.Failed(f"the upload failed: {error}") from error
        took = time.monotonic() - begun
    if sent != size:
        raise http1.Failed(f"{sent} bytes went instead of {size}")
    return took
