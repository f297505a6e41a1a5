"""The figures as text and as Markdown."""

import datetime

import machine
from measures import MEASURES, NAMES
from results import verdicts
from settings import FULL

MISSED, MET, UNKNOWN = "missed", "met", "not measured"


class Outcome:
    """What came of a run, to be printed."""

    def __init__(self, bench, command):
        self.bench, self.command = bench, command
        self.results, self.settings = bench.results, bench.settings
        self.measures = [one for one in MEASURES if one.case in bench.wanted and self.results.of(one.key)]
        self.verdicts = verdicts(self.results, bench.wanted)

    def text(self):
        lines = []
        for measure in self.measures:
            lines.append(f"\n{measure.title}, {measure.unit}")
            header, *rows = self._figures(measure)
            lines += _aligned([header, *rows], str.rjust)
        if self.settings.name != "smoke":  # Whose figures say nothing.
            lines.append("\ngoals")
            goals = ((state, what, limit, measured) for what, limit, measured, state in self._goals())
            lines += _aligned(goals, str.ljust)
        lines += ["\nabout this run"] + [f"  {remark}" for remark in self._remarks()]
        return "\n".join(lines)

    def markdown(self):
        parts = [
            "# Results",
            "Written by `just bench`. dtr-lb at its default settings, with its access log on and\n"
            "written to a file, beside NGINX (stream), HAProxy and Envoy; all of them on one machine,\n"
            "in one run, in turn. Figures are medians; ratios are of medians.",
            "![The figures as bars](results.svg)",
            "## Goals",
            _table([("goal", "limit", "measured", ""), *self._goals()]),
            "## Figures",
            "`dtr-lb : this` is dtr-lb's figure divided by that of the row.",
        ]
        for measure in self.measures:
            better = "more" if measure.better == "higher" else "less"
            parts += [f"### {measure.title}", f"{measure.unit}; {better} is better.", _table(self._figures(measure))]
        machine_rows = [("", ""), *self.bench.machine, ("date", f"{today()}"), ("command", f"`{self.command}`")]
        parts += ["## Machine and versions", _table(machine_rows)]
        parts.append("\n".join(f"- {remark}" for remark in self._versions()))
        parts += ["## About this run", "\n".join(f"- {remark}" for remark in self._remarks())]
        return "\n\n".join(parts) + "\n"

    def _figures(self, measure):
        """A header, and a row for each proxy."""
        rows = [("", "median", "least to most", "rounds", "dtr-lb : this")]
        own = self.results.median(measure.key, "dtr-lb")
        for key, kind in self.bench.kinds.items():
            figures = self.results.of(measure.key).get(key)
            if not figures:
                continue
            median = self.results.median(measure.key, key)
            ratio = f"{own / median:.2f}" if own is not None and median and key != "dtr-lb" else ""
            spread = f"{_figure(min(figures), measure)} to {_figure(max(figures), measure)}"
            rows.append((kind.title, _figure(median, measure), spread, str(len(figures)), ratio))
        return rows

    def _goals(self):
        for verdict in self.verdicts:
            goal, measure = verdict.goal, verdict.measure
            what = f"{measure.title}, {NAMES[goal.of]}" + (f" ({goal.note})" if goal.note else "")
            sign = "≤" if goal.at == "most" else "≥"
            if goal.against:
                against = dict.fromkeys(NAMES[key] for key in goal.against)
                limit = f"{sign} {goal.limit:.2f} of {' and of '.join(against)}"
            else:
                limit = f"{sign} {goal.limit:g} {measure.unit}"
            digits = 2 if goal.against else measure.digits
            measured = "" if verdict.measured is None else f"{verdict.measured:.{digits}f}"
            if verdict.reference:
                measured += f" of {self.bench.kinds[verdict.reference].title}"
            yield what, limit, measured, {True: MET, False: MISSED, None: UNKNOWN}[verdict.met]

    def _versions(self):
        found = self.bench.programs.found.values()
        return [one.title for one in found]

    def _remarks(self):
        """How it was measured, and everything that differs from the full form."""
        settings = self.settings
        yield f"{settings.rounds} rounds; {settings.seconds:g} s of load in each, of which wrk takes whole seconds"
        yield f"{settings.bulk >> 20} MiB of bulk each way"
        storm = f"{settings.storm_rate} new ones a second for {settings.storm_seconds:g} s"
        yield f"{settings.held} connections held, {storm}"
        yield f"{settings.probed} replicas probed for {settings.probe_seconds:g} s"
        if settings.held < FULL.held and settings.name == "full":
            yield f"NOT {FULL.held} held: a process may open {machine.files()} files here, two for each (ulimit -Hn)"
        if settings.name != "full":
            yield f"--{settings.name}: shorter and smaller than a full run"
        if self.bench.network_problem:
            yield f"in the machine's own network, since another can't be made: {self.bench.network_problem}"
        else:
            yield "in a network namespace of its own: loopback alone, no firewall, no connection tracking"
        yield f"workers: {machine.CORES} for each proxy; load, proxy and replicas share the cores"
        yield "probes of /_ping every 2 s by HAProxy, dtr-lb and Envoy; NGINX's stream module has none"
        yield "access logs: dtr-lb's on, into a file, save where a row says off, and those of our bootstrap; the others' off, their default"
        yield "of several versions of a peer, a goal counts the better one"
        yield from self.results.left_out


def _figure(value, measure):
    return f"{value:.{measure.digits}f}"


def _aligned(rows, justify):
    """Columns of text; `justify` is for all but the first."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *map(justify, row[1:], widths[1:])]
        yield "  " + "  ".join(cells).rstrip()


def _table(rows):
    header, *body = rows
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *body])


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
