"""The proxies that are compared: how each is configured and started.

All of them have as many workers as the machine has cores, and all that can probe /_ping
of each replica every 2 s; NGINX's stream module has no such checks.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable

import envoys
import machine
from processes import Process
from programs import Program
from replicas import free_port, wait_for


@dataclass(frozen=True)
class Kind:
    """A proxy that can be started, by its key in the tables of measures and cases."""

    key: str
    title: str
    program: Program
    balancer: Program
    configure: Callable


@dataclass(frozen=True)
class Place:
    """Where one is started: its files, its address, and what it balances over."""

    folder: Path
    address: tuple
    endpoints: list
    balancer: Program


@dataclass(frozen=True)
class Command:
    argv: list
    environment: dict = field(default_factory=dict)


class Proxy:
    """One that is configured, and once it is started, runs."""

    def __init__(self, kind, folder, endpoints):
        self.kind, self.folder, self.process = kind, folder / kind.key, None
        self.folder.mkdir(exist_ok=True)
        self.address = ("127.0.0.1", free_port())
        place = Place(self.folder, self.address, endpoints, kind.balancer)
        self.command = kind.configure(kind.program, place)

    def start(self):
        """Waits for the first connection it serves, and gives when that was."""
        self.process = Process(self.command.argv, self.folder / "log", self.command.environment)
        try:
            return wait_for(self.process, self.address, "/small", pause=0.0005)
        except Exception:
            self.end()
            raise

    def end(self):
        if self.process:
            self.process.end()


def kinds(programs):
    """Those whose programs are there."""
    return [
        Kind(key, programs[program].title + besides, programs[program], programs["dtr-lb"], configure)
        for key, (program, besides, configure) in KINDS.items()
        if program in programs
    ]


def nginx(program, place):
    servers = "".join(f"server {address}:{port};" for address, port in place.endpoints)
    load = f"load_module {program.modules}/ngx_stream_module.so;\n" if program.modules else ""
    conf, log = place.folder / "nginx.conf", place.folder / "error.log"
    conf.write_text(
        f"{load}daemon off; pid {place.folder}/nginx.pid; error_log {log} error;\n"
        f"worker_processes {machine.CORES};\n"
        f"events {{ worker_connections {machine.files() - 64}; }}\n"
        f"stream {{ upstream r {{ {servers} }}\n"
        f"server {{ listen {_bind(place)} reuseport backlog=4096; proxy_pass r; }} }}\n"
    )
    return Command([*program.argv, "-e", log, "-p", place.folder, "-c", conf])


def haproxy(program, place):
    numbered = enumerate(place.endpoints, 1)
    servers = "".join(f"  server r{number} {address}:{port}\n" for number, (address, port) in numbered)
    connections = (machine.files() - 2 * len(place.endpoints) - 200) // 2
    conf = place.folder / "haproxy.cfg"
    conf.write_text(
        f"global\n  maxconn {connections}\n  nbthread {machine.CORES}\n"
        f"defaults\n  mode tcp\n  maxconn {connections}\n"
        "  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        "  option httpchk GET /_ping\n  default-server check inter 2s\n"
        f"listen r\n  bind {_bind(place)} backlog 4096\n  balance leastconn\n{servers}"
    )
    return Command([*program.argv, "-db", "-f", conf])


def dtr_lb(program, place, log=""):
    """At its default settings, in which the access log is on; `log` is DTR_LB_LOG, and
    empty is its default. As for all of them, what it prints goes to a file."""
    replicas = [{"address": address, "ports": {"80": port}} for address, port in place.endpoints]
    config = {
        "fqdn": "bench.test",
        "replicas": replicas,
        "listeners": [{"bind": _bind(place), "port": 80}],
        "health": {"target": "http:80/_ping"},
    }
    path = place.folder / "lb.json"
    path.write_text(json.dumps(config))
    return Command(
        [*program.argv, "run", "--config", path],
        # Where compiled modules are kept: none but this benchmark's own.
        {"DTR_LB_LOG": log, "DTR_LB_CACHE_DIR": str(cache_folder(place.folder))},
    )


def cache_folder(folder):
    return folder / "cache"


def envoy(program, place):
    return Command(envoys.plain(program, place))


def envoy_of_ours(program, place, prepare=lambda yaml: yaml):
    """What `dtr-lb envoy` writes for the configuration that dtr-lb itself has."""
    _, _, *config = dtr_lb(place.balancer, place).argv
    return Command(envoys.written(program, place, config, prepare))


def _bind(place):
    return f"{place.address[0]}:{place.address[1]}"


# In the order of the tables: the program, what the title says besides, and how it is configured.
KINDS = {
    "nginx": ("nginx", "", nginx),
    "nginx-new": ("nginx-new", "", nginx),
    "haproxy": ("haproxy", "", haproxy),
    "haproxy-new": ("haproxy-new", "", haproxy),
    "dtr-lb": ("dtr-lb", "", dtr_lb),
    "dtr-lb-no-log": ("dtr-lb", ", access log off", partial(dtr_lb, log="access=off")),
    "envoy": ("envoy", ", round robin", envoy),
    "envoy-bootstrap": ("envoy", ", our bootstrap", partial(envoy_of_ours, prepare=envoys.without_filter)),
    "envoy-filter": ("envoy", ", our filter", envoy_of_ours),
}
