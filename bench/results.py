"""The figures of a run, and what they say about the goals."""

import statistics
from dataclasses import dataclass

from measures import MEASURES


class Results:
    """For each measure and proxy, a figure of every round."""

    def __init__(self):
        self.figures = {}
        self.left_out = []

    def add(self, measure, kind, figure):
        self.figures.setdefault(measure, {}).setdefault(kind, []).append(figure)

    def leave_out(self, what):
        if what not in self.left_out:
            self.left_out.append(what)

    def of(self, measure):
        return self.figures.get(measure, {})

    def median(self, measure, kind):
        """None where there is no figure."""
        figures = self.of(measure).get(kind)
        return statistics.median(figures) if figures else None


@dataclass(frozen=True)
class Verdict:
    """A goal and what was measured; `measured` is None where figures are missing."""

    measure: object
    goal: object
    reference: str | None
    measured: float | None

    @property
    def met(self):
        """By the figure as it is printed: 1.004 is 1.00. None when there is none."""
        if self.measured is None:
            return None
        measured = round(self.measured, 2)
        return measured <= self.goal.limit if self.goal.at == "most" else measured >= self.goal.limit


def verdicts(results, cases):
    """Of every goal of these cases."""
    return [
        _verdict(results, measure, goal) for measure in MEASURES if measure.case in cases for goal in measure.goals
    ]


def _verdict(results, measure, goal):
    figure = results.median(measure.key, goal.of)
    if not goal.against:
        return Verdict(measure, goal, None, figure)
    there = {kind: results.median(measure.key, kind) for kind in goal.against}
    there = {kind: median for kind, median in there.items() if median}
    if figure is None or not there:
        return Verdict(measure, goal, None, None)
    best = (min if measure.better == "lower" else max)(there, key=there.get)
    return Verdict(measure, goal, best, figure / there[best])
