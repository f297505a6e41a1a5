"""The figures as bars: results.svg, one panel for each measure."""

from dataclasses import dataclass
from html import escape

from measures import MEASURES
from results import verdicts

WIDTH, COLUMNS, MARGIN, GAP = 1240, 2, 28, 36
ROW, BAR, HEAD, FOOT = 24, 15, 52, 20
LABELS, FIGURES = 190, 66  # Widths left and right of the bars.
COLOURS = {
    "nginx": "#9aa5b1",
    "nginx-new": "#9aa5b1",
    "haproxy": "#6b7785",
    "haproxy-new": "#6b7785",
    "dtr-lb": "#1f6feb",
    "dtr-lb-no-log": "#8fbcff",
    "envoy": "#f2c199",
    "envoy-bootstrap": "#f2c199",
    "envoy-filter": "#e8730c",
}
INK, FAINT, GOOD, BAD = "#1c2128", "#5c6670", "#1a7f37", "#cf222e"
STYLE = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"'


@dataclass(frozen=True)
class Bar:
    label: str
    colour: str
    median: float
    least: float
    most: float
    goals: list  # The strictest, if any: its figure, and whether it is met.


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    better: str
    digits: int
    bars: list

    @property
    def height(self):
        return HEAD + ROW * len(self.bars) + FOOT


def draw(bench, subtitle):
    """The whole picture, as text."""
    panels = _panels(bench)
    heights = [MARGIN + 64] * COLUMNS
    width = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
    body = []
    for panel in panels:  # Each goes where there is most room.
        column = heights.index(min(heights))
        body += _panel(panel, MARGIN + column * (width + GAP), heights[column], width)
        heights[column] += panel.height
    height = max(heights) + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" {STYLE}>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(MARGIN, MARGIN + 14, "dtr-lb beside NGINX, HAProxy and Envoy", INK, 22, weight=600),
            _text(WIDTH - MARGIN, MARGIN + 14, f"medians of one run; {subtitle}", FAINT, 12, anchor="end"),
            *_legend(MARGIN, MARGIN + 42),
            *body,
            "</svg>\n",
        ]
    )


def _panels(bench):
    """One for each measure; those of one case that only dtr-lb has are rows of one."""
    panels = {}
    for measure in MEASURES:
        bars = _bars(bench, measure)
        if not bars:
            continue
        if measure.case == "life":
            measure_of = measure.title.rpartition(", ")
            bars = [Bar(measure_of[2], *list(vars(bar).values())[1:]) for bar in bars]
            title, key = measure_of[0], measure.case
        else:
            title, key = measure.title, measure.key
        panel = panels.setdefault(key, Panel(title, measure.unit, measure.better, measure.digits, []))
        panel.bars.extend(bars)
    return list(panels.values())


def _bars(bench, measure):
    bars = []
    for key, kind in bench.kinds.items():
        figures = bench.results.of(measure.key).get(key)
        if not figures:
            continue
        goals = []
        for verdict in verdicts(bench.results, (measure.case,)):
            if verdict.measure is measure and verdict.goal.of == key and verdict.met is not None:
                base = bench.results.median(measure.key, verdict.reference) if verdict.reference else 1
                goals.append((verdict.goal.limit * base, verdict.met))
        strictest = min if measure.better == "lower" else max
        goals = [strictest(goals)] if goals else []
        median = bench.results.median(measure.key, key)
        bars.append(Bar(kind.title, COLOURS[key], median, min(figures), max(figures), goals))
    return bars


def _panel(panel, left, top, width):
    better = "more is better" if panel.better == "higher" else "less is better"
    start, room = left + LABELS, width - LABELS - FIGURES
    most = max([bar.most for bar in panel.bars] + [goal for bar in panel.bars for goal, _ in bar.goals]) or 1
    yield _text(left, top + 22, panel.title, INK, 15, weight=600)
    yield _text(left, top + 40, f"{panel.unit}, {better}", FAINT, 12)
    for number, bar in enumerate(panel.bars):
        middle = top + HEAD + ROW * number + ROW / 2
        end, far = start + room * bar.median / most, start + room * bar.most / most
        own = INK if "dtr-lb" in bar.label or "our filter" in bar.label else FAINT
        yield _text(start - 8, middle + 4, bar.label, own, 12, anchor="end")
        yield _rect(start, middle - BAR / 2, end - start, BAR, bar.colour)
        if bar.most > bar.least:
            near = start + room * bar.least / most
            yield _rect(near, middle - 0.75, far - near, 1.5, INK, opacity=0.55)
        beyond = far
        for goal, met in bar.goals:
            at = start + room * goal / most
            beyond = max(beyond, at + 1) if abs(at - end) < FIGURES else beyond
            yield _rect(at - 1.25, middle - ROW / 2 + 1, 2.5, ROW - 2, GOOD if met else BAD)
        yield _text(beyond + 7, middle + 4, f"{bar.median:,.{panel.digits}f}", INK, 12, weight=600)


def _legend(left, middle):
    at = left
    for colour, text in (
        (COLOURS["dtr-lb"], "dtr-lb"),
        (COLOURS["nginx"], "NGINX"),
        (COLOURS["haproxy"], "HAProxy"),
        (COLOURS["envoy"], "Envoy"),
        (COLOURS["envoy-filter"], "Envoy with our filter"),
    ):
        yield _rect(at, middle - 6, 12, 12, colour)
        yield _text(at + 18, middle + 4, text, INK, 12)
        at += 44 + 6.6 * len(text)
    for colour, text in ((GOOD, "goal of this bar, met"), (BAD, "missed")):
        yield _rect(at + 4, middle - 9, 2.5, 18, colour)
        yield _text(at + 14, middle + 4, text, INK, 12)
        at += 34 + 6.6 * len(text)
    yield _rect(at, middle - 0.75, 22, 1.5, INK, opacity=0.55)
    yield _text(at + 30, middle + 4, "least to most of the rounds", INK, 12)


def _rect(x, y, width, height, colour, opacity=1):
    faint = f' opacity="{opacity}"' if opacity != 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" fill="{colour}"{faint}/>'


def _text(x, y, text, colour, size, weight=400, anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
