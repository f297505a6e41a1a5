#!/usr/bin/env python3
"""Side by side with NGINX and HAProxy: CPU and memory of each proxy in one run.

usage: bench/compare.py [--rounds N] [--seconds S] [--only CASE] [PATH/TO/dtr-lb]

Needs nginx (with the stream module), haproxy and wrk. Three NGINX servers on
loopback are the replicas. Each case runs on each proxy in turn, round after
round, and the median of the rounds counts, so that what else the machine does
falls on all of them alike. What is printed are ratios to the better peer; the
figures they come from stand beside them.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
GIB = 1 << 30
GOALS = {"short": 1.0, "kept": 1.0, "bulk": 0.40, "quiet": None}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def family(pid):
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [below for child in children for below in family(int(child))]


class Proxy:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not listens(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} does not listen on port {port}: {' '.join(command)}")
            time.sleep(0.05)

    def cpu(self):
        """Seconds of CPU so far."""
        total = 0
        for pid in family(self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def memory(self):
        """Resident bytes."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in family(self.process.pid)]
        return sum(int(re.search(r"VmRSS:\s+(\d+)", one)[1]) for one in status) * 1024

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def replicas(folder):
    ports = [free_port() for _ in range(3)]
    root = folder / "root"
    root.mkdir()
    (root / "_ping").write_text('{"Error":"","Healthy":true}')
    (root / "small").write_bytes(b"x" * 1024)
    with open(root / "large", "wb") as large:
        large.truncate(GIB)
    servers = "".join(f"server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}\n" for port in ports)
    conf = folder / "replicas.conf"
    conf.write_text(
        f"daemon off; pid {folder}/replicas.pid; error_log /dev/null; worker_processes 1;\n"
        "events { worker_connections 9000; }\n"
        "http { access_log off; sendfile on; keepalive_requests 100000000; keepalive_timeout 1h;\n"
        f"{servers} }}\n"
    )
    return Proxy("replicas", ["nginx", "-c", str(conf)], ports[0]), ports


def nginx(folder, ports):
    port, conf = free_port(), folder / "nginx.conf"
    servers = "".join(f"server 127.0.0.1:{one};" for one in ports)
    module = next(Path("/usr/lib/nginx/modules").glob("ngx_stream_module.so"), None)
    load = f"load_module {module};\n" if module else ""
    conf.write_text(
        f"{load}daemon off; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 2;\n"
        "events { worker_connections 9000; }\n"
        f"stream {{ upstream r {{ {servers} }} server {{ listen 127.0.0.1:{port} reuseport backlog=4096; proxy_pass r; }} }}\n"
    )
    return Proxy("nginx", ["nginx", "-c", str(conf)], port)


def haproxy(folder, ports):
    port, conf = free_port(), folder / "haproxy.cfg"
    servers = "".join(f"  server r{one} 127.0.0.1:{one}\n" for one in ports)
    conf.write_text(
        "global\n  maxconn 8000\n  nbthread 2\ndefaults\n  mode tcp\n  timeout connect 5s\n"
        "  timeout client 1h\n  timeout server 1h\n"
        f"listen r\n  bind 127.0.0.1:{port} backlog 4096\n  balance leastconn\n{servers}"
    )
    return Proxy("haproxy", ["haproxy", "-db", "-f", str(conf)], port)


def dtr_lb(binary, folder, ports):
    port, conf = free_port(), folder / "lb.json"
    config = {
        "fqdn": "bench.test",
        "replicas": [
            {"name": f"r{index}", "address": "127.0.0.1", "ports": {"80": one}}
            for index, one in enumerate(ports, 1)
        ],
        "listeners": [{"bind": f"127.0.0.1:{port}", "port": 80}],
        "health": {"target": "http:80/_ping"},
    }
    conf.write_text(json.dumps(config))
    os.environ["DTR_LB_LOG"] = "warn"
    return Proxy("dtr-lb", [str(binary), "run", "--config", str(conf)], port)


def wrk(port, seconds, connections, *headers):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += [word for header in headers for word in ("-H", header)]
    printed = subprocess.run(command + [f"http://127.0.0.1:{port}/small"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in", printed)
    if not found or found[1] == "0" or "Non-2xx" in printed:
        sys.exit(f"wrk on port {port}:\n{printed}")
    return int(found[1])


def short(proxy, seconds):
    """Microseconds of CPU for a connection with one request."""
    before = proxy.cpu()
    count = wrk(proxy.port, seconds, 16, "Connection: close")
    return (proxy.cpu() - before) * 1e6 / count


def kept(proxy, seconds):
    """Microseconds of CPU for a request on a kept connection."""
    before = proxy.cpu()
    count = wrk(proxy.port, seconds, 16)
    return (proxy.cpu() - before) * 1e6 / count


def bulk(proxy, _seconds):
    """Seconds of CPU for a GiB."""
    before = proxy.cpu()
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/large") as answer:
        buffer, total = bytearray(1 << 20), 0
        while count := answer.readinto(buffer):
            total += count
    assert total == GIB, f"{total} bytes of {GIB}"
    return proxy.cpu() - before


def quiet(proxy, _seconds):
    """Bytes of memory for a connection that says nothing."""
    before, held = proxy.memory(), []
    for _ in range(4000):
        one = socket.create_connection(("127.0.0.1", proxy.port))
        one.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        one.recv(4096)
        held.append(one)
    time.sleep(0.5)
    after = proxy.memory()
    for one in held:
        one.close()
    return (after - before) / len(held)


CASES = {"short": (short, "µs"), "kept": (kept, "µs"), "bulk": (bulk, "s/GiB"), "quiet": (quiet, "B")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", type=Path, default=ROOT / "target/release/dtr-lb")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", choices=CASES)
    arguments = parser.parse_args()
    missing = [tool for tool in ("nginx", "haproxy", "wrk") if not shutil.which(tool)]
    if missing or not arguments.binary.is_file():
        sys.exit(f"missing: {', '.join(missing) or arguments.binary}; install it, or build with cargo build --release")
    folder = Path(tempfile.mkdtemp(prefix="dtr-lb-bench-"))
    folder.chmod(0o755)  # NGINX's workers are another user.
    running = []
    try:
        backend, ports = replicas(folder)
        running.append(backend)
        # One by one: who was started is ended, also when the next does not start.
        for start in (nginx, haproxy, lambda *where: dtr_lb(arguments.binary, *where)):
            running.append(start(folder, ports))
        proxies = running[1:]
        print(f"{'case':6} {'':6}" + "".join(f"{one.name:>10}" for one in proxies) + f"{'ratio':>8} {'goal':>6}")
        for case, (measure, unit) in CASES.items():
            if arguments.only not in (None, case):
                continue
            # Memory that is freed is not given back, so a second round would see none.
            rounds = 1 if case == "quiet" else arguments.rounds
            seen = {one.name: [] for one in proxies}
            for _ in range(rounds):
                for one in proxies:
                    seen[one.name].append(measure(one, arguments.seconds))
            medians = {name: statistics.median(values) for name, values in seen.items()}
            ratio = medians["dtr-lb"] / min(medians["nginx"], medians["haproxy"])
            figures = "".join(f"{medians[one.name]:10.2f}" for one in proxies)
            print(f"{case:6} {unit:6}{figures}{ratio:8.2f} {GOALS[case] or '':>6}", flush=True)
    finally:
        for one in running:
            one.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
