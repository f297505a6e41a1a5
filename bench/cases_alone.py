"""The cases in which a proxy runs alone, or none does."""

import json
import shutil
import subprocess
import time

import http1
import replicas
from held import Held, Storm
from proxies import cache_folder

FRESH = ("nginx", "nginx-new", "haproxy", "haproxy-new", "dtr-lb", "envoy", "envoy-filter")
PROBING = ("haproxy", "haproxy-new", "dtr-lb", "envoy")


def held(case):
    """Many quiet connections; a storm of new ones meanwhile; and each of them once more.

    A fresh process every time: memory that was freed is not given back. What it needed to
    start it may give back late, or use for the first connections: they are not counted."""
    settings = case.settings
    replica = replicas.start(case.folder, case.programs, settings.bulk)

    def measure(proxy):
        proxy.start()
        try:
            holding, first = Held(proxy.address), settings.held // 4
            try:
                holding.hold(first)
                time.sleep(0.5)
                before = proxy.process.memory()
                holding.hold(settings.held)
                time.sleep(0.5)
                grown = proxy.process.memory() - before
                storm = Storm(proxy.address, settings.storm_rate, settings.storm_seconds)
                lost = holding.lost()
            finally:
                holding.close()
        finally:
            proxy.end()
        return {
            "held_memory": grown / (settings.held - first) / 1000,
            "storm_failed": storm.failed,
            "storm_p99": storm.percentile(99),
            "storm_slowest": storm.percentile(100),
            "held_lost": lost,
        }

    case.round_by_round(settings.held_rounds, case.prepared(FRESH, replica.endpoints), measure)


def start(case):
    """From exec to the first connection served; of dtr-lb once more, with what it kept."""
    replica = replicas.start(case.folder, case.programs, case.settings.bulk)

    def once(proxy):
        begun = time.monotonic()
        try:
            return (proxy.start() - begun) * 1000
        finally:
            proxy.end()

    def measure(proxy):
        shutil.rmtree(cache_folder(proxy.folder), ignore_errors=True)
        cold = once(proxy)
        return {"start_cold": cold} | ({"start_warm": once(proxy)} if proxy.kind.key == "dtr-lb" else {})

    case.round_by_round(case.settings.start_rounds, case.prepared(FRESH, replica.endpoints), measure)


def probes(case):
    """Many replicas, all of them one server, and nothing to do but probe them."""
    settings, port = case.settings, replicas.free_port()
    endpoints = [(f"127.1.{number // 250}.{number % 250 + 1}", port) for number in range(settings.probed)]
    replica = replicas.start(case.folder, case.programs, settings.bulk, endpoints)

    def measure(proxy):
        proxy.start()
        try:
            time.sleep(settings.probe_pause)
            asked, cpu, begun = replica.requests(), proxy.process.cpu(), time.monotonic()
            time.sleep(settings.probe_seconds)
            used, took = proxy.process.cpu() - cpu, time.monotonic() - begun
            asked = replica.requests() - asked
        finally:
            proxy.end()
        expected = settings.probed * took / 2  # One every 2 s, each proxy's default or as configured.
        if asked < expected / 2:
            raise http1.Failed(f"{asked} probes came in {took:.0f} s instead of {expected:.0f}")
        return {"probes_cpu": used / took * 100}

    case.round_by_round(settings.probe_rounds, case.prepared(PROBING, endpoints), measure)


def size(case):
    """Of the binary, and of the module that it writes for Envoy."""
    binary = case.programs["dtr-lb"].argv[0]
    case.bench.results.add("binary_size", "dtr-lb", binary.stat().st_size / 1e6)
    config = case.folder / "lb.json"
    config.write_text('{ "fqdn": "bench.test", "replicas": [{ "address": "192.0.2.1" }] }')
    command = [binary, "envoy", "--config", config, "--out", case.folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise http1.Failed(f"dtr-lb envoy: {done.stderr.strip()}")
    module = case.folder / "dtr_lb_filter.wasm"
    case.bench.results.add("module_size", "dtr-lb", module.stat().st_size / 1000)


def life(case):
    """What a connection costs in the filter's VM, with no sockets: by target/release/filter-life."""
    tool = case.programs["dtr-lb"].argv[0].with_name("filter-life")
    if not tool.is_file():
        case.bench.results.leave_out(f"life: {tool} is no file; build it with cargo build --release --workspace")
        return
    for number in range(case.settings.life_rounds):
        case.bench.progress(f"life: round {number + 1} of {case.settings.life_rounds}")
        for count in (3, 30, 300, 1000):
            command = [tool, "--replicas", str(count), "--connections", str(case.settings.life_connections)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise http1.Failed(f"{tool} failed: {done.stderr.strip()}")
            case.bench.results.add(f"life_{count}", "dtr-lb", json.loads(done.stdout)["ns_per_connection"] / 1000)
