"""What the proxies balance over: NGINX, or the stand-in where it is missing."""

import socket
import sys
import time
from pathlib import Path

import http1
import machine
from processes import Process

STAND_IN = Path(__file__).with_name("stand_in.py")


class Replicas:
    """One process of one worker that listens on several addresses."""

    def __init__(self, folder, endpoints, command):
        self.endpoints = endpoints
        self.process = Process(command, folder / "replicas.log")
        wait_for(self.process, endpoints[-1], "/_ping")

    def requests(self):
        """How many it has been asked so far."""
        with http1.connect(self.endpoints[0]) as connection:
            return int(http1.text(connection, "/_requests").split()[9])

    def end(self):
        self.process.end()


def start(folder, programs, large, endpoints=None):
    """Files of 1 KiB and `large` bytes, sent with sendfile."""
    if "nginx" not in programs:
        return start_sink(folder, programs, large, endpoints)
    endpoints = endpoints or three()
    conf, log = folder / "replicas.conf", folder / "replicas.error.log"
    listen = "".join(f"listen {address}:{port} backlog=4096; " for address, port in endpoints)
    bodies = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{body}_temp_path {folder}/{body}; " for body in bodies)
    conf.write_text(
        f"daemon off; pid {folder}/replicas.pid; error_log {log} error; worker_processes 1;\n"
        f"events {{ worker_connections {machine.files() - 64}; }}\n"
        "http { access_log off; sendfile on; keepalive_requests 100000000; keepalive_timeout 1h;\n"
        f"{places}\nserver {{ {listen} root {files(folder, large)};\n"
        "location = /_requests { stub_status; } } }\n"
    )
    return Replicas(folder, endpoints, [*programs["nginx"].argv, "-e", log, "-p", folder, "-c", conf])


def start_sink(folder, _programs, large, endpoints=None):
    """The stand-in, which discards uploads at next to no cost."""
    endpoints = endpoints or three()
    places = [f"{address}:{port}" for address, port in endpoints]
    large_file = files(folder, large) / "large"
    return Replicas(folder, endpoints, [sys.executable, STAND_IN, large_file, *places])


def files(folder, large):
    """What the replicas serve, made once. It is sparse, and read once so that no disk is waited for."""
    root = folder / "root"
    if not root.is_dir():
        root.mkdir()
        (root / "_ping").write_text('{"Error":"","Healthy":true}')
        (root / "small").write_bytes(b"x" * 1024)
        with open(root / "large", "wb") as file:
            file.truncate(large)
        with open(root / "large", "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
    return root


def three():
    return [("127.0.0.1", free_port()) for _ in range(3)]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(process, endpoint, path, pause=0.05):
    """Waits until it serves a request there, and gives when that was."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            with http1.connect(endpoint) as connection:
                http1.get(connection, path)
                return time.monotonic()
        except http1.Failed as failure:
            if process.has_ended():
                raise http1.Failed(f"it ended at its start: {process.last_lines()}") from failure
            if time.monotonic() > deadline:
                raise http1.Failed(f"it does not serve after {START_LIMIT} s: {failure}") from failure
        time.sleep(pause)


START_LIMIT = 60
