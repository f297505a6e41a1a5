"""Envoy, three times: as anybody has it, with our bootstrap only, and with our filter."""

import json
import subprocess

import http1
import machine


def plain(program, place):
    """One cluster, round robin, with Envoy's own checks; its limits of connections are
    raised, since the default is 1024, and nothing else."""
    config = {
        "static_resources": {
            "listeners": [
                {
                    "name": "traffic",
                    "address": _address(place.address),
                    "filter_chains": [{"filters": [_tcp_proxy()]}],
                }
            ],
            "clusters": [
                {
                    "name": "replicas",
                    "type": "STATIC",
                    "lb_policy": "ROUND_ROBIN",
                    "circuit_breakers": {"thresholds": [{"max_connections": 1 << 20, "max_pending_requests": 1 << 20}]},
                    "health_checks": [
                        {
                            "interval": "2s",
                            "no_traffic_interval": "2s",  # Otherwise a minute.
                            "timeout": "2s",
                            "unhealthy_threshold": 3,
                            "healthy_threshold": 2,
                            "http_health_check": {"path": "/_ping"},
                        }
                    ],
                    "load_assignment": {
                        "cluster_name": "replicas",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address(one)}} for one in place.endpoints]}
                        ],
                    },
                }
            ],
        }
    }
    path = place.folder / "envoy.json"
    path.write_text(json.dumps(config))
    return _command(program, path)


def written(program, place, config, prepare):
    """The bootstrap that `dtr-lb envoy` writes, once it is prepared."""
    command = [*place.balancer.argv, "envoy", *config, "--out", place.folder, "--envoy-admin", "127.0.0.1:0"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise http1.Failed(f"dtr-lb envoy: {done.stderr.strip()}")
    path = place.folder / "envoy.yaml"
    path.write_text(prepare(path.read_text()))
    return _command(program, path)


def without_filter(yaml):
    """The same, less each network filter of WebAssembly: its line, and those further in."""
    kept, inside, removed = [], None, 0
    for line in yaml.splitlines():
        indent = len(line) - len(line.lstrip())
        if inside is not None and indent > inside:
            continue
        inside = indent if line.strip() == "- name: envoy.filters.network.wasm" else None
        removed += inside is not None
        if inside is None:
            kept.append(line)
    if not removed:
        raise http1.Failed("the bootstrap has no envoy.filters.network.wasm to leave out")
    return "\n".join(kept) + "\n"


def _command(program, path):
    # Hot restart needs shared memory, which a process that is killed leaves behind.
    options = ["--disable-hot-restart", "--concurrency", machine.CORES, "--log-level", "warning"]
    return [*program.argv, "--config-path", path, *options]


def _tcp_proxy():
    kind = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    typed = {"@type": kind, "stat_prefix": "traffic", "cluster": "replicas"}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": typed}


def _address(endpoint):
    return {"socket_address": {"address": endpoint[0], "port_value": endpoint[1]}}
