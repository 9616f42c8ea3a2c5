"""The walk over the signal safety layer, and whether it would see a rule that is missing."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.safety import walk
from control.signals import safety

SOURCE = Path(safety.__file__).read_text()
STEPS = 60_000
DROPPED_STEPS = 100_000

# What stands in safety.py, and what stands there instead once a rule is dropped. Some rules stand
# behind one another: of those the last one is dropped with the first. Four more are too rarely the
# only one that holds: the million steps show some, test_safety.py each: the minimum green by the
# centre's clock, a command of another run, a clock that stands still, an overtaken report.
LAMPS = ("if state.aspects != _aspects(junction, state.stage):", "if False:")
AHEAD = (
    "if (ahead_s := clock_off_s(state, seen.seen_at_ns, self._stretch)) > 0:",
    "if (ahead_s := 0):",
)
GREEN_S = "min(at_ns - seen.green_since_ns, shown_ns) / NS"
AWAITED = ("if at_ns < seen.awaited_until_ns:", "if False:")
UNDER_WAY = "if seen.seen_at_ns < seen.pending_until_ns:"
DROPPED = {
    "a stage that the site does not have": [
        (
            'return "unknown_stage", f"seen {request.stage!r}, expected one of {known}"',
            "return None",
        )
    ],
    "a stage that gives green to groups that conflict": [
        ("if (pair := conflicting(junction, aspects)) is not None:", "if False:")
    ],
    "who has the junction in hand": [
        ("if seen.manual != request.by.startswith(OPERATOR):", "if False:")
    ],
    "a state that is stale": [
        ("if state is None or self._is_stale(seen, at_ns):", "if state is None:")
    ],
    "a fault": [("if state.fault:", "if False:")],
    "a controller's clock that is ahead": [
        AHEAD,
        ("and not clock_off_s(state, at_ns, self._stretch)", ""),
    ],
    "a controller that is in other hands": [
        ("if state.mode is not SignalMode.CENTRE:", "if False:")
    ],
    "lamps that are not those of the stage": [LAMPS],
    "lamps that conflict": [
        LAMPS,
        ("if (pair := conflicting(junction, state.aspects)) is not None:", "if False:"),
    ],
    "a change-over": [LAMPS, ("if state.interval is not Interval.GREEN:", "if False:")],
    "the stage that is green already": [("if state.stage == request.stage:", "if False:")],
    "the minimum green": [("if green_s < junction.min_green_s:", "if False:")],
    "the minimum green by the controller's clock": [
        (GREEN_S, "(at_ns - seen.green_since_ns) / NS")
    ],
    "a command under way": [(UNDER_WAY, "if False:"), AWAITED],
    "a command under way, by the controller's clock": [
        (UNDER_WAY, "if at_ns < seen.pending_until_ns:"),
        AWAITED,
    ],
    "what was seen before the start": [
        ("self._stretch = event.stretch\n                self._forget()", "pass")
    ],
    "that a green may be another than before": [
        ("and before.stage == state.stage", ""),
        (
            "and 0 <= state.observed_at_ns - before.observed_at_ns <= "
            "self._change_ns(state.junction)",
            "",
        ),
        ("and not self._is_stale(seen, at_ns)", ""),
    ],
    "that a command is numbered": [("seen.sequence = following(seen.sequence)", "pass")],
}


def without(changes: list[tuple[str, str]]) -> type[safety.SignalSafety]:
    """The safety layer with a rule dropped."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    changed = ModuleType("changed")
    sys.modules["changed"] = changed
    exec(compile(source, "changed", "exec"), changed.__dict__)
    return changed.SignalSafety


def test_no_random_step_brings_blind_lamps_to_harm():
    found = walk(STEPS)
    assert (found.steps, found.conflicts, found.shortened, found.unfit) == (STEPS, 0, 0, 0)
    assert found.commands > 500
    assert found.refused > 10 * found.commands


@pytest.mark.parametrize("rule", DROPPED)
def test_the_walk_sees_a_rule_that_is_missing(rule):
    assert walk(DROPPED_STEPS, make=without(DROPPED[rule]), until_wrong=True).wrong
