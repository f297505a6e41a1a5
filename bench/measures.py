"""What is measured, in which unit, and the goals. Everything that prints reads this table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A limit of a ratio of two proxies, or of a figure itself when there is no `against`.

    With several in `against`, the better one counts.
    """

    at: str  # "most" or "least"
    limit: float
    against: tuple = ()
    of: str = "dtr-lb"
    note: str = ""


@dataclass(frozen=True)
class Measure:
    key: str
    case: str
    title: str
    unit: str
    goals: tuple = ()
    better: str = "lower"
    digits: int = 2


NGINX = ("nginx", "nginx-new")
HAPROXY = ("haproxy", "haproxy-new")
BOTH = NGINX + HAPROXY
OF_FILTER = "envoy-filter"

MEASURES = (
    Measure(
        "short_cpu",
        "short",
        "Short connection: CPU of the proxy",
        "µs",
        (
            Goal("most", 1.00, HAPROXY, note="must"),
            Goal("most", 1.00, BOTH),
            Goal("most", 1.05, ("dtr-lb-no-log",), note="what the access log costs"),
            Goal("most", 1.10, ("envoy-bootstrap",), of=OF_FILTER),
        ),
    ),
    Measure(
        "short_p99",
        "short",
        "Short connection: 99th percentile, 16 clients at full speed",
        "ms",
        (Goal("most", 1.00, HAPROXY),),
    ),
    Measure(
        "kept_cpu",
        "kept",
        "Request on a kept connection: CPU of the proxy",
        "µs",
        (Goal("most", 1.00, NGINX), Goal("most", 1.02, ("envoy",), of=OF_FILTER)),
    ),
    Measure(
        "down_cpu",
        "down",
        "Bulk from a replica: CPU of the proxy",
        "s/GiB",
        (Goal("most", 0.35, BOTH), Goal("most", 1.02, ("envoy",), of=OF_FILTER)),
        digits=3,
    ),
    Measure(
        "down_rate",
        "down",
        "Bulk from a replica: throughput of one connection",
        "GiB/s",
        (Goal("least", 1.2, BOTH),),
        better="higher",
    ),
    Measure(
        "up_cpu",
        "up",
        "Bulk to a replica: CPU of the proxy",
        "s/GiB",
        (Goal("most", 0.35, BOTH), Goal("most", 1.02, ("envoy",), of=OF_FILTER)),
        digits=3,
    ),
    Measure(
        "up_rate",
        "up",
        "Bulk to a replica: throughput of one connection",
        "GiB/s",
        (Goal("least", 1.2, BOTH),),
        better="higher",
    ),
    Measure("held_memory", "held", "Quiet connection: memory of the proxy", "kB", (Goal("most", 2.5),)),
    Measure(
        "storm_failed",
        "held",
        "Storm while quiet ones are held: new connections that failed",
        "connections",
        (Goal("most", 0),),
        digits=0,
    ),
    Measure("storm_p99", "held", "Storm while quiet ones are held: 99th percentile", "ms", digits=1),
    Measure("storm_slowest", "held", "Storm while quiet ones are held: the slowest new connection", "ms", digits=1),
    Measure(
        "held_lost",
        "held",
        "Quiet connections that do not answer after the storm",
        "connections",
        (Goal("most", 0),),
        digits=0,
    ),
    Measure(
        "start_cold",
        "start",
        "Start, from exec to the first connection served",
        "ms",
        (Goal("most", 100),),
        digits=1,
    ),
    Measure(
        "start_warm",
        "start",
        "Start with the compiled module at hand",
        "ms",
        (Goal("most", 30),),
        digits=1,
    ),
    Measure("module_size", "size", "Module of the filter", "kB", (Goal("most", 250),), digits=0),
    Measure("binary_size", "size", "Binary", "MB", (Goal("most", 15),), digits=1),
    Measure("life_3", "life", "A connection's life in the filter, 3 replicas", "µs", (Goal("most", 1.2),)),
    Measure("life_30", "life", "A connection's life in the filter, 30 replicas", "µs"),
    Measure("life_300", "life", "A connection's life in the filter, 300 replicas", "µs"),
    Measure("life_1000", "life", "A connection's life in the filter, 1,000 replicas", "µs", (Goal("most", 1.5),)),
    Measure("probes_cpu", "probes", "Probes of 1,000 replicas: CPU", "% of a core", (Goal("most", 3),)),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
CASES = tuple(dict.fromkeys(measure.case for measure in MEASURES))

# Of proxies, where a version would be too much.
NAMES = {
    "nginx": "NGINX",
    "nginx-new": "NGINX",
    "haproxy": "HAProxy",
    "haproxy-new": "HAProxy",
    "dtr-lb": "dtr-lb",
    "dtr-lb-no-log": "dtr-lb with its access log off",
    "envoy": "Envoy",
    "envoy-bootstrap": "Envoy with our bootstrap alone",
    "envoy-filter": "Envoy with our filter",
}
