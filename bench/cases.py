"""The cases: what is done to each proxy, and what is read meanwhile."""

import http1
import load
import replicas
from proxies import Proxy

REAL = ("nginx", "nginx-new", "haproxy", "haproxy-new", "dtr-lb", "envoy", "envoy-bootstrap", "envoy-filter")


class Case:
    """What all cases share: rounds over proxies, and what happens when one fails."""

    def __init__(self, name, bench):
        self.name, self.bench = name, bench
        self.settings, self.programs = bench.settings, bench.programs
        self.folder = bench.folder / name
        self.folder.mkdir()
        self.folder.chmod(0o755)  # NGINX's workers are another user.

    def kinds(self, keys):
        return [self.bench.kinds[key] for key in keys if key in self.bench.kinds]

    def round_by_round(self, rounds, proxies, measure):
        """Each proxy in turn, round after round, so that what else the machine does falls
        on all of them alike. `measure` gives figures by the measure's key. A proxy that
        fails is left out of the rest, and the report says so."""
        failed = set()
        for number in range(rounds):
            self.bench.progress(f"{self.name}: round {number + 1} of {rounds}")
            for proxy in proxies:
                if proxy.kind.key in failed:
                    continue
                try:
                    for key, figure in measure(proxy).items():
                        self.bench.results.add(key, proxy.kind.key, figure)
                except (http1.Failed, OSError) as failure:
                    failed.add(proxy.kind.key)
                    self.fail(proxy.kind, failure)

    def prepared(self, keys, endpoints):
        """Configured but not started."""
        proxies = []
        for kind in self.kinds(keys):
            try:
                proxies.append(Proxy(kind, self.folder, endpoints))
            except http1.Failed as failure:
                self.fail(kind, failure)
        return proxies

    def started(self, keys, endpoints):
        proxies = []
        for proxy in self.prepared(keys, endpoints):
            try:
                proxy.start()
                proxies.append(proxy)
            except (http1.Failed, OSError) as failure:
                self.fail(proxy.kind, failure)
        return proxies

    def fail(self, kind, failure):
        self.bench.fail(f"{self.name}, {kind.title}: {failure}")


def short(case):
    """One request on each connection."""
    keys = (*REAL[:5], "dtr-lb-no-log", *REAL[5:])

    def measure(proxy):
        cpu, done = _requests(case, proxy, load.CLOSE)
        return {"short_cpu": cpu, "short_p99": done.p99}

    _on_running(case, keys, replicas.start, measure)


def kept(case):
    """One request after another on connections that are kept."""
    _on_running(case, REAL, replicas.start, lambda proxy: {"kept_cpu": _requests(case, proxy)[0]})


def _requests(case, proxy, header=""):
    before = proxy.process.cpu()
    done = load.requests(case.programs, proxy.address, case.settings.seconds, header)
    if done.errors:
        case.bench.note(f"{case.name}, {proxy.kind.title}: wrk saw errors of its sockets: {done.errors}")
    return (proxy.process.cpu() - before) * 1e6 / done.count, done


def down(case):
    """One stream, from an NGINX that sends with sendfile."""
    size = case.settings.bulk
    _on_running(case, REAL, replicas.start, lambda proxy: _bulk(proxy, size, "down", load.download, size))


def up(case):
    """One stream, into a sink that costs next to nothing."""
    size, path = case.settings.bulk, replicas.files(case.folder, case.settings.bulk) / "large"
    _on_running(case, REAL, replicas.start_sink, lambda proxy: _bulk(proxy, size, "up", load.upload, path, size))


def _bulk(proxy, size, way, transfer, *arguments):
    before = proxy.process.cpu()
    took = transfer(proxy.address, *arguments)
    gib = size / (1 << 30)
    return {f"{way}_cpu": (proxy.process.cpu() - before) / gib, f"{way}_rate": gib / took}


def _on_running(case, keys, start, measure):
    """All proxies run side by side; one at a time has load."""
    replica = start(case.folder, case.programs, case.settings.bulk)
    proxies = case.started(keys, replica.endpoints)
    case.round_by_round(case.settings.rounds, proxies, measure)
    for proxy in proxies:
        if b"log lines were dropped" in proxy.process.log.read_bytes():
            case.bench.note(f"{case.name}, {proxy.kind.title}: it dropped lines of its log, since they came too fast")
