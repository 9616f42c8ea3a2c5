from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.engine import advance, replay
from causeway.events import (
    Address,
    AnyEvent,
    Now,
    Quality,
    ReadingsObserved,
    ReadingsReceived,
    Reason,
    Rejected,
    Step,
)
from causeway.site import Site
from ingest.plausibility import (
    FUTURE_NS,
    LATE_NS,
    NS,
    REMEMBERED_MAX,
    SKEW_PERIOD_NS,
    TRIM_EVERY,
    WINDOW_NS,
    Plausibility,
)

START = 1_763_980_800 * NS
DEPTH = "sg-1/depth_m"
STAGE = "tg-phu-an/stage_m"
BATTERY = "tg-phu-an/battery_v"

Reading = tuple[str, int, float]  # point, observed at, value


@pytest.fixture
def core(site: Site) -> Plausibility:
    return Plausibility(site)


def received(
    readings: Iterable[Reading], source: str = "mqtt", quality: Quality = Quality.GOOD
) -> ReadingsReceived:
    rows = list(readings)
    return ReadingsReceived(
        source=source,
        points=tuple(r[0] for r in rows),
        observed_at_ns=tuple(r[1] for r in rows),
        values=tuple(r[2] for r in rows),
        qualities=(quality,) * len(rows),
    )


def judge(
    core: Plausibility,
    readings: Sequence[Reading],
    at_ns: int,
    source: str = "mqtt",
    quality: Quality = Quality.GOOD,
) -> tuple[list[tuple[str, int, float, Quality]], list[Rejected]]:
    """What was observed, row by row, and what was rejected."""
    answers = list(core.step(received(readings, source, quality), Now(at_ns, Address(1, 0))))
    observed = [
        row
        for e in answers
        if isinstance(e, ReadingsObserved)
        for row in zip(e.points, e.observed_at_ns, e.values, e.qualities, strict=True)
    ]
    return observed, [e for e in answers if isinstance(e, Rejected)]


def judge_one(
    core: Plausibility, reading: Reading, at_ns: int, source: str = "mqtt"
) -> Quality | Reason:
    """The quality that one reading was given, or why it was rejected."""
    observed, rejected = judge(core, [reading], at_ns, source)
    return observed[0][3] if observed else rejected[0].reason


def test_a_plausible_batch_is_observed_as_it_came(core: Plausibility) -> None:
    batch = [(DEPTH, START, 0.2), (STAGE, START, 1.5)]
    observed, rejected = judge(core, batch, START)
    assert observed == [(*row, Quality.GOOD) for row in batch]
    assert rejected == []


@pytest.mark.parametrize(
    ("reading", "source", "reason"),
    [
        (("x/depth_m", START, 0.2), "mqtt", Reason.UNKNOWN_POINT),
        ((DEPTH, START, 2.01), "mqtt", Reason.OUT_OF_RANGE),
        ((DEPTH, START, -0.01), "mqtt", Reason.OUT_OF_RANGE),
        ((DEPTH, START, float("nan")), "mqtt", Reason.NOT_A_NUMBER),
        ((DEPTH, START, float("inf")), "mqtt", Reason.NOT_A_NUMBER),
        ((DEPTH, START, 0.2), "tg-phu-an", Reason.WRONG_SOURCE),
        ((DEPTH, START - LATE_NS - 1, 0.2), "mqtt", Reason.LATE),
        ((DEPTH, 0, 0.2), "mqtt", Reason.LATE),
        ((DEPTH, START + FUTURE_NS + 1, 0.2), "mqtt", Reason.FUTURE),
        ((DEPTH, 4_070_908_800 * NS, 0.2), "mqtt", Reason.FUTURE),  # the year 2099
    ],
)
def test_what_cannot_be_is_rejected_with_its_reason(
    core: Plausibility, reading: Reading, source: str, reason: Reason
) -> None:
    observed, rejected = judge(core, [reading], START, source)
    assert observed == []
    assert [(r.reason, r.count) for r in rejected] == [(reason, 1)]
    assert reading[0] in rejected[0].sample


def test_rejections_are_counted_by_device_and_reason_with_the_first_sample(
    core: Plausibility,
) -> None:
    batch = [(DEPTH, START + i, 9.0 + i) for i in range(5)]
    batch += [(STAGE, START, 99.0), (DEPTH, START, 0.3)]
    observed, rejected = judge(core, batch, START)
    assert observed == [(DEPTH, START, 0.3, Quality.GOOD)]
    assert [(r.source, r.reason, r.count) for r in rejected] == [
        ("sg-1", Reason.OUT_OF_RANGE, 5),
        ("tg-phu-an", Reason.OUT_OF_RANGE, 1),
    ]
    assert "sg-1/depth_m = 9 " in rejected[0].sample


def test_the_first_value_of_a_time_wins(core: Plausibility) -> None:
    assert judge_one(core, (DEPTH, START, 0.2), START) is Quality.GOOD
    assert judge_one(core, (DEPTH, START, 0.2), START + NS) is Reason.DUPLICATE
    assert judge_one(core, (DEPTH, START, 0.3), START + NS) is Reason.CONFLICT
    observed, rejected = judge(
        core, [(STAGE, START, 1.0), (STAGE, START, 1.0), (STAGE, START, 1.1)], START
    )
    assert [row[2] for row in observed] == [1.0]
    assert [r.reason for r in rejected] == [Reason.DUPLICATE, Reason.CONFLICT]


def test_a_value_that_was_rejected_does_not_block_a_good_one_of_the_same_time(
    core: Plausibility,
) -> None:
    assert judge_one(core, (DEPTH, START, 9.9), START) is Reason.OUT_OF_RANGE
    assert judge_one(core, (DEPTH, START, 0.2), START) is Quality.GOOD


def test_a_reading_out_of_order_is_history_and_not_to_decide_on(core: Plausibility) -> None:
    assert judge_one(core, (DEPTH, START + 5 * NS, 0.5), START + 5 * NS) is Quality.GOOD
    assert judge_one(core, (DEPTH, START + 3 * NS, 0.3), START + 5 * NS) is Quality.STALE
    assert judge_one(core, (DEPTH, START + 3 * NS, 0.3), START + 5 * NS) is Reason.DUPLICATE
    assert judge_one(core, (DEPTH, START + 4 * NS, 0.4), START + 5 * NS) is Quality.STALE


def test_a_reading_older_than_the_window_behind_the_newest_is_late(core: Plausibility) -> None:
    now = START + 2 * WINDOW_NS
    assert judge_one(core, (BATTERY, now, 12.0), now) is Quality.GOOD
    assert judge_one(core, (BATTERY, now - WINDOW_NS, 12.0), now) is Quality.STALE
    assert judge_one(core, (BATTERY, now - WINDOW_NS - 1, 12.0), now) is Reason.LATE


def test_a_backlog_after_an_outage_is_kept_as_history_until_it_is_fresh(
    core: Plausibility,
) -> None:
    now = START + 3_000 * NS
    backlog = [(DEPTH, START + i * 10 * NS, 0.2) for i in range(301)]
    observed, rejected = judge(core, backlog, now)
    assert rejected == []
    qualities = [row[3] for row in observed]
    assert qualities == [Quality.STALE] * 297 + [Quality.GOOD] * 4  # 30 s is not yet stale


def test_a_jump_is_uncertain_and_the_value_that_comes_back_is_not(core: Plausibility) -> None:
    values = [1.50, 1.51, 3.00, 1.52, 1.53]
    given = [
        judge_one(core, (STAGE, START + i * NS, v), START + i * NS) for i, v in enumerate(values)
    ]
    assert given == [
        Quality.GOOD,
        Quality.GOOD,
        Quality.UNCERTAIN,
        Quality.GOOD,
        Quality.GOOD,
    ]


def test_the_noise_between_two_quick_readings_is_no_jump(core: Plausibility) -> None:
    judge_one(core, (STAGE, START, 1.500), START)
    assert judge_one(core, (STAGE, START + NS // 10, 1.508), START + NS) is Quality.GOOD
    assert judge_one(core, (STAGE, START + NS // 5, 1.530), START + NS) is Quality.UNCERTAIN


def test_a_jump_is_counted_with_both_values(core: Plausibility) -> None:
    judge(core, [(STAGE, START, 1.5)], START)
    observed, rejected = judge(core, [(STAGE, START + NS, 3.0)], START + NS)
    assert observed == [(STAGE, START + NS, 3.0, Quality.UNCERTAIN)]
    assert [(r.source, r.reason, r.count) for r in rejected] == [
        ("tg-phu-an", Reason.RATE_OF_CHANGE, 1)
    ]
    assert rejected[0].sample == "tg-phu-an/stage_m: 3 after 1.5"


def test_a_step_that_lasts_is_believed_once_the_quantity_could_have_come_there(
    core: Plausibility,
) -> None:
    judge_one(core, (STAGE, START, 1.0), START)  # may change by 0.01 m/s: 0.5 m take 50 s
    given = {
        s: judge_one(core, (STAGE, START + s * NS, 1.5), START + s * NS) for s in range(10, 70, 10)
    }
    assert given == {
        10: Quality.UNCERTAIN,
        20: Quality.UNCERTAIN,
        30: Quality.UNCERTAIN,
        40: Quality.UNCERTAIN,
        50: Quality.GOOD,
        60: Quality.GOOD,
    }


def test_what_the_device_calls_bad_stays_bad_and_is_no_measure_for_others(
    core: Plausibility,
) -> None:
    judge(core, [(STAGE, START, 1.5)], START)
    observed, rejected = judge(core, [(STAGE, START + NS, 3.9)], START + NS, quality=Quality.BAD)
    assert [row[3] for row in observed] == [Quality.BAD]
    assert rejected == []
    assert judge_one(core, (STAGE, START + 2 * NS, 1.51), START + 2 * NS) is Quality.GOOD


def test_a_clock_that_runs_ahead_makes_readings_uncertain_and_is_told_once_a_period(
    core: Plausibility,
) -> None:
    told: list[tuple[int, int]] = []
    for s in range(121):
        now = START + s * NS
        observed, rejected = judge(core, [(DEPTH, now + 5 * NS, 0.2)], now)
        assert [row[3] for row in observed] == [Quality.UNCERTAIN]
        told += [(s, r.count) for r in rejected if r.reason is Reason.CLOCK_SKEW]
    assert told == [(0, 1), (60, 60), (120, 60)]


def test_a_clock_that_lags_in_every_reading_of_a_period_makes_readings_uncertain(
    core: Plausibility,
) -> None:
    qualities: list[Quality | Reason] = []
    samples: list[str] = []
    for s in range(0, 200, 5):
        now = START + s * NS
        observed, rejected = judge(core, [(DEPTH, now - 15 * NS, 0.2)], now)
        qualities += [row[3] for row in observed]
        samples += [r.sample for r in rejected]
    first = qualities.index(Quality.UNCERTAIN)
    assert first == SKEW_PERIOD_NS // NS // 5 + 1
    assert set(qualities[first:]) == {Quality.UNCERTAIN}
    assert samples[0] == "sg-1: 15.0 s behind"
    assert len(samples) == 3


def test_a_slow_delivery_is_no_lagging_clock(core: Plausibility) -> None:
    for s in range(0, 300, 5):
        now = START + s * NS
        delay_s = 25 if s % 50 else 1
        observed, rejected = judge(core, [(DEPTH, now - delay_s * NS, 0.2)], now)
        assert all(row[3] is not Quality.UNCERTAIN for row in observed)
        assert all(r.reason is not Reason.CLOCK_SKEW for r in rejected)


def test_the_memory_of_a_point_is_bounded_and_what_it_forgot_is_late(core: Plausibility) -> None:
    """Ten readings a second for 1,000 s: more than may be remembered within the window."""
    count = 10_000
    step_ns = NS // 10
    for i in range(0, count, 100):
        batch = [(BATTERY, START + j * step_ns, 12.0) for j in range(i, i + 100)]
        observed, _ = judge(core, batch, batch[-1][1])
        assert len(observed) == 100
    assert len(core.encode()) < (REMEMBERED_MAX + TRIM_EVERY) * 16 + 1_000
    now = START + count * step_ns
    again = [(BATTERY, START + j * step_ns, 12.0) for j in range(count)]
    observed, rejected = judge(core, again, now)
    assert observed == []
    assert {r.reason for r in rejected} == {Reason.LATE, Reason.DUPLICATE}
    assert sum(r.count for r in rejected) == count


_readings = st.tuples(
    st.sampled_from([DEPTH, STAGE, BATTERY, "rg-1/rain_mm_h"]),
    st.integers(-700, 70),
    st.sampled_from([0.0, 0.1, 0.5, 1.9, 3.5, 9.0]),
)
_batches = st.lists(
    st.tuples(st.integers(0, 400), st.lists(_readings, max_size=12)), min_size=1, max_size=12
)


def steps_of(batches: list[tuple[int, list[Reading]]]) -> list[tuple[int, ReadingsReceived]]:
    """Each batch as (time of its step, input); its readings lie some seconds from that time."""
    steps = []
    now = START
    for wait_s, rows in batches:
        now += wait_s * NS
        steps.append((now, received([(p, now + s * NS, v) for p, s, v in rows])))
    return steps


def answers_of(core: Plausibility, steps: list[tuple[int, ReadingsReceived]]) -> list[AnyEvent]:
    return [
        answer
        for number, (at_ns, event) in enumerate(steps, 1)
        for answer in advance([core], event, number, at_ns)[1:]
    ]


@given(batches=_batches)
def test_a_point_and_time_are_never_observed_twice(
    site: Site, batches: list[tuple[int, list[Reading]]]
) -> None:
    steps = steps_of([*batches, *batches])
    seen = [
        identity
        for answer in answers_of(Plausibility(site), steps)
        if isinstance(answer, ReadingsObserved)
        for identity in zip(answer.points, answer.observed_at_ns, strict=True)
    ]
    assert len(seen) == len(set(seen))


@given(batches=_batches, sent_again=st.integers(0, 11))
def test_a_redelivery_changes_nothing(
    site: Site, batches: list[tuple[int, list[Reading]]], sent_again: int
) -> None:
    steps = steps_of(batches)
    at_ns = steps[-1][0]
    core = Plausibility(site)
    answers_of(core, steps)
    _, event = steps[sent_again % len(steps)]
    repeated = answers_of(core, [(at_ns, event)])
    first = answers_of(Plausibility(site), steps)
    known = {
        identity
        for answer in first
        if isinstance(answer, ReadingsObserved)
        for identity in zip(answer.points, answer.observed_at_ns, strict=True)
    }
    again = {
        identity
        for answer in repeated
        if isinstance(answer, ReadingsObserved)
        for identity in zip(answer.points, answer.observed_at_ns, strict=True)
    }
    assert not known & again


@given(batches=_batches)
def test_every_reading_is_observed_or_counted(
    site: Site, batches: list[tuple[int, list[Reading]]]
) -> None:
    """CLOCK_SKEW and RATE_OF_CHANGE count readings that were taken."""
    core = Plausibility(site)
    marks = (Reason.CLOCK_SKEW, Reason.RATE_OF_CHANGE)
    for at_ns, event in steps_of(batches):
        answers = answers_of(core, [(at_ns, event)])
        taken = sum(len(a.points) for a in answers if isinstance(a, ReadingsObserved))
        refused = sum(a.count for a in answers if isinstance(a, Rejected) and a.reason not in marks)
        assert taken + refused == len(event.points)


@given(batches=_batches, cut=st.integers(0, 11))
def test_restored_from_a_snapshot_it_goes_on_as_if_never_stopped(
    site: Site, batches: list[tuple[int, list[Reading]]], cut: int
) -> None:
    steps = steps_of(batches)
    cut %= len(steps) + 1
    running = Plausibility(site)
    answers_of(running, steps[:cut])
    restored = Plausibility(site)
    answers_of(restored, steps_of([(1, [(DEPTH, 0, 1.0)])]))  # a state that is to be replaced
    restored.restore(running.encode())
    assert restored.encode() == running.encode()
    assert answers_of(restored, steps[cut:]) == answers_of(running, steps[cut:])
    assert restored.encode() == running.encode()


@settings(max_examples=20)
@given(batches=_batches)
def test_a_replay_gives_the_same_bytes(
    site: Site, batches: list[tuple[int, list[Reading]]]
) -> None:
    core = Plausibility(site)
    recorded = [
        (number, Step("w", at_ns, advance([core], event, number, at_ns)))
        for number, (at_ns, event) in enumerate(steps_of(batches), 1)
    ]
    assert replay([Plausibility(site)], recorded).first_difference is None
