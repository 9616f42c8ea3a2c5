"""Measures what a replay costs: `causeway bench replay`.

An evening of the demo's city is stepped through the product's own cores, encoded, and replayed by
fresh ones, each step compared byte for byte, as `causeway replay --check` does. Beside it, as the
baseline, the same bytes are decoded and encoded again without a core in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.city import city, recorded
from causeway.centre import cores_of
from causeway.engine import Replay
from causeway.events import Address, Now, ReadingsObserved, Step
from causeway.wire import decode_step, encode_step

SECONDS = 150  # of the evening
ROUNDS = 3


def replay_bench(seconds: int = SECONDS, rounds: int = ROUNDS) -> dict[str, object]:
    """Medians of some rounds, by this process's CPU time."""
    site = city()
    steps = recorded(cores_of(site), site, seconds)
    bodies = [encode_step(step) for step in steps]
    decode_s = median(_cpu_s(lambda: [decode_step(body) for body in bodies]) for _ in range(rounds))
    encode_s = median(_cpu_s(lambda: [encode_step(step) for step in steps]) for _ in range(rounds))
    replay_s = median(_cpu_s(lambda: _replay(bodies)) for _ in range(rounds))
    return {
        "simulated_s": seconds,
        "steps": len(steps),
        "readings": sum(_readings(step) for step in steps),
        "answers": sum(len(step.events) - 1 for step in steps),
        "bytes_per_step": round(sum(map(len, bodies)) / len(bodies)),
        "steps_per_s": round(len(steps) / replay_s),
        "us_per_step": round(replay_s / len(steps) * 1e6, 1),
        "times_real_time": round(seconds / replay_s, 1),
        "us_per_step_by_core": _by_core(steps),
        "baseline": "the same bytes decoded and encoded, without a core",
        "baseline_steps_per_s": round(len(steps) / (decode_s + encode_s)),
        "decode_us_per_step": round(decode_s / len(steps) * 1e6, 1),
        "encode_us_per_step": round(encode_s / len(steps) * 1e6, 1),
    }


def _replay(bodies: Sequence[bytes]) -> None:
    replaying = Replay(cores_of(city()))
    for number, body in enumerate(bodies, 1):
        difference = replaying.feed(number, decode_step(body))
        assert difference is None, f"step {number} replays otherwise"


def _by_core(steps: Sequence[Step]) -> dict[str, float]:
    """What each core takes of a step, the dearest first; each event is offered as recorded."""
    costs: dict[str, float] = {}
    for core in cores_of(city()):
        heard = [
            (event, Now(step.at_ns, Address(number, index)))
            for number, step in enumerate(steps, 1)
            for index, event in enumerate(step.events)
            if type(event) in core.hears
        ]
        started = time.process_time()
        for event, now in heard:
            for _ in core.step(event, now):
                pass
        costs[core.name] = round((time.process_time() - started) / len(steps) * 1e6, 1)
    return dict(sorted(costs.items(), key=lambda item: -item[1]))


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _readings(step: Step) -> int:
    return sum(len(e.points) for e in step.events if isinstance(e, ReadingsObserved))
