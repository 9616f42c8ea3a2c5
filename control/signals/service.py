"""How a junction's queues would go under a plan: the model in which the planner searches.

Per lane a queue at the stop line of expected vehicles, in steps of a second. A queue's first
vehicle goes its own way with a probability for each movement of its lane; a movement that is red,
or waits for others, holds back all behind it. Green without conflict serves at the saturation rate,
a permissive one in the gaps of those it yields to, an exit lane only while it has room. What a plan
costs is the time that vehicles wait, with an amount for each stop and for the queues left at its
end.

Compiled with numba; a plan of a minute takes some ten microseconds. Arrays are (L) lanes,
(M) movements sorted by lane, (E) exits, (S) stages, (H) seconds ahead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from control.compiling import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RED, WAITS, GOES = 0, 1, 2  # what a stage tells a movement

SATURATION_VEH_S = 0.52  # of a lane of cars
STARTUP_S = 1.5  # until the first of a standing queue has gone
YELLOW_USED_S = 1.5  # of the yellow, by who cannot stop any more
CRITICAL_GAP_S, FOLLOW_UP_S = 7.5, 2.2
STOP_S = 2.0  # what a stop costs besides the wait: braking and getting under way
LEFT_AT_END_S = (
    5.0  # for each vehicle still there at the plan's end, and as much again as there are
)
WAITING_SERVICE = 0.4  # of the saturation rate, where only the order of size matters
NEXT_S, CHOICE_S, WANTED_S = 3, 12, 15  # how far the rule of thumb looks ahead
LEAVE = 0.8  # a stage is left when it serves less than this share of what another would


class Frame(NamedTuple):
    """A layout as arrays; `first[l]` to `first[l + 1]` are lane l's movements."""

    exit: Ints  # (M)
    first: Ints  # (L + 1)
    yields: Ints  # whom each movement lets pass, one after the other
    yields_first: Ints  # (M + 1)
    aspect: Ints  # (S, M)
    yellow_s: int
    min_green_s: int
    max_green_s: int


class Moment(NamedTuple):
    """The junction as it stands. Rates in vehicles/s, arrivals in expected vehicles a second."""

    stage: int
    green_s: int
    head: Floats  # (M) by which movement the first vehicle of each lane will leave
    turn: Floats  # (M) the same of any vehicle
    arrive: Floats  # (L, H) at the stop line, were nothing in the way; those who stand come first
    arrived: Floats  # (L, H + 1) how many of them before each second
    saturation: Floats  # (M)
    room: Floats  # (E) vehicles that an exit lane can take now
    drain: Floats  # (E) and how many more each second
    weight: Floats  # (L) what a second of one who waits costs
    crowd: Floats  # (M) how many vehicles go in place of one passenger car: each closes a gap
    least_s: Ints  # (S) the minimum green of each stage, with the pedestrians who have called
    bound_s: int  # before that the present stage cannot be left
    asks: Floats  # (L) what a second costs besides until the last that asks for priority has gone
    asks_at: Floats  # (L) which vehicle of the lane that is, counted as they arrive
    asks_from_s: Ints  # (L) when it would be at the stop line


@compiled()
def gap_rate(foes: float, critical_s: float, follow_s: float) -> float:
    """Vehicles/s that can pass a flow of `foes` vehicles/s (potential capacity, HCM6 eq. 20-32)."""
    if foes < 1e-3:
        return 1.0 / follow_s
    return foes * math.exp(-foes * critical_s) / (1.0 - math.exp(-foes * follow_s))


@compiled()
def asked(moment: Moment, lane: int, queue: float, t: int) -> float:
    """What this second costs for a vehicle with priority that waits in a lane's queue."""
    if moment.asks[lane] <= 0.0 or t < moment.asks_from_s[lane]:
        return 0.0
    gone = moment.arrived[lane, t + 1] - queue
    return moment.asks[lane] if gone < moment.asks_at[lane] - 0.5 else 0.0


@compiled()
def serve(
    frame: Frame,
    moment: Moment,
    stage: int,
    before: int,
    since: int,
    yellow: bool,
    queue: Floats,
    head: Floats,
    room: Floats,
    flow: Floats,
    t: int,
) -> float:
    """One second of a stage, or of the yellow before it; gives its cost in vehicle seconds.

    `before` is the stage that ended, or -1; `since` how long the present interval has lasted.
    Changes `queue`, `head` and `room`, fills `flow` with what passes on each movement.
    """
    lanes = len(queue)
    some_wait = False
    for lane in range(lanes):
        a, b = frame.first[lane], frame.first[lane + 1]
        if queue[lane] <= 0.0:
            for m in range(a, b):
                flow[m] = 0.0
            continue
        ready = min(1.0, queue[lane] * 2.0)
        for m in range(a, b):
            aspect = frame.aspect[stage, m]
            rate = 0.0
            if yellow:
                was = frame.aspect[before, m]
                if was == GOES and aspect == GOES:
                    rate = moment.saturation[m]
                elif was == GOES and since < YELLOW_USED_S:
                    rate = moment.saturation[m] * min(1.0, YELLOW_USED_S - since)
                elif was == WAITS and aspect > RED and head[m] > 0.0:
                    rate = -1.0
                elif was == WAITS and since < 1:
                    rate = 1.0  # who waits in the middle of the junction clears it
            elif aspect == GOES:
                rate = moment.saturation[m]
                if since < STARTUP_S and before >= 0 and frame.aspect[before, m] == RED:
                    rate *= max(0.0, 1.0 - (STARTUP_S - since))
            elif aspect == WAITS and head[m] > 0.0:
                rate = -1.0
            if rate < 0.0:  # when it is known who goes first
                some_wait = True
            else:
                rate *= head[m] * ready * min(1.0, max(0.0, room[frame.exit[m]]))
            flow[m] = rate
    if some_wait:
        for lane in range(lanes):
            if queue[lane] <= 0.0:
                continue
            ready = min(1.0, queue[lane] * 2.0)
            for m in range(frame.first[lane], frame.first[lane + 1]):
                if flow[m] < 0.0:
                    foes = 0.0
                    for i in range(frame.yields_first[m], frame.yields_first[m + 1]):
                        foes += max(0.0, flow[frame.yields[i]]) * moment.crowd[frame.yields[i]]
                    rate = min(moment.saturation[m], gap_rate(foes, CRITICAL_GAP_S, FOLLOW_UP_S))
                    flow[m] = rate * head[m] * ready * min(1.0, max(0.0, room[frame.exit[m]]))
    cost = 0.0
    for lane in range(lanes):
        if queue[lane] <= 0.0:
            continue
        a, b = frame.first[lane], frame.first[lane + 1]
        total = 0.0
        for m in range(a, b):
            total += flow[m]
        if total > 0.0:
            if total > queue[lane]:
                for m in range(a, b):
                    flow[m] *= queue[lane] / total
                total = queue[lane]
            left = queue[lane] - total
            if left < 1e-3:
                left = 0.0
            for m in range(a, b):
                if left < 0.05:
                    head[m] = moment.turn[m]
                else:
                    head[m] = max(0.0, head[m] - flow[m] + total * moment.turn[m])
                room[frame.exit[m]] -= flow[m]
            queue[lane] = left
        stops = STOP_S * min(moment.arrive[lane, t], queue[lane])
        cost += moment.weight[lane] * (queue[lane] + stops)
        cost += asked(moment, lane, queue[lane], t)
    for e in range(len(room)):
        room[e] += moment.drain[e]
    return cost


@compiled()
def rates_of(frame: Frame, moment: Moment) -> Floats:
    """(S, L) at what rate each stage serves each lane, roughly.

    By the turns taken there or, if it is more, by that which the lane's first vehicle will take.
    """
    stages, lanes = frame.aspect.shape[0], len(frame.first) - 1
    rates = np.zeros((stages, lanes))
    for s in range(stages):
        for lane in range(lanes):
            rate = first = 0.0
            for m in range(frame.first[lane], frame.first[lane + 1]):
                share = 0.0
                if frame.aspect[s, m] == GOES:
                    share = moment.saturation[m]
                elif frame.aspect[s, m] == WAITS:
                    share = WAITING_SERVICE * moment.saturation[m]
                rate += moment.turn[m] * share
                first += moment.head[m] * share
            rates[s, lane] = max(rate, first)
    return rates


@compiled()
def served(
    rates: Floats, moment: Moment, stage: int, queue: Floats, t: int, window_s: int
) -> float:
    """How many vehicles a stage could serve in a time, of those queued and soon to come."""
    horizon = moment.arrive.shape[1]
    upto, since = min(horizon, t + 1 + window_s), min(horizon, t + 1)
    vehicles = 0.0
    for lane in range(len(queue)):
        rate = rates[stage, lane]
        if rate > 0.0:
            near = queue[lane] + moment.arrived[lane, upto] - moment.arrived[lane, since]
            vehicles += min(near, rate * window_s)
    return vehicles


@compiled()
def follow(
    frame: Frame,
    moment: Moment,
    rates: Floats,
    following: int,
    queue: Floats,
    head: Floats,
    room: Floats,
    flow: Floats,
    t: int,
    cost: float,
    bound: float,
    record: Floats,
) -> float:
    """The cost up to the horizon when the present stage ends at `t` and `following` comes.

    After that a rule of thumb goes on: a stage is left when another would serve clearly more, for
    the one that would serve most. Gives up past `bound`. `record` (M, H) takes the flows, unless
    it is (M, 0).
    """
    horizon = moment.arrive.shape[1]
    recording = record.shape[1] > 0
    before, stage, since, yellow = moment.stage, following, 0, True
    while t < horizon:
        if yellow and since >= frame.yellow_s:
            yellow, since = False, 0
        if not yellow and since >= moment.least_s[stage]:
            limit = 0.0
            if since < frame.max_green_s:
                limit = served(rates, moment, stage, queue, t, NEXT_S) / LEAVE
            most, choice = 0.0, stage
            for s in range(frame.aspect.shape[0]):
                if s != stage and served(rates, moment, s, queue, t, NEXT_S) > limit:
                    would = served(rates, moment, s, queue, t, CHOICE_S)
                    if would > most:
                        most, choice = would, s
            if choice != stage:
                before, stage, since, yellow = stage, choice, 0, True
        cost += serve(frame, moment, stage, before, since, yellow, queue, head, room, flow, t)
        if recording:
            record[:, t] = flow
        since += 1
        t += 1
        if t < horizon:
            for lane in range(len(queue)):
                queue[lane] += moment.arrive[lane, t]
        if cost > bound:
            return cost
    for lane in range(len(queue)):
        cost += moment.weight[lane] * queue[lane] * (LEFT_AT_END_S + queue[lane])
        cost += LEFT_AT_END_S * asked(moment, lane, queue[lane], horizon - 1)
    return cost


@compiled()
def search(
    frame: Frame, moment: Moment, holds: Ints, record: Floats
) -> tuple[int, int, float, int, float]:
    """The best plan: how long to hold the present stage, and which comes then (-1: none is wanted).

    Gives them and the plan's cost, then the best other next stage and its cost. `holds` are the
    seconds to try, rising, beyond the minimum green. `record` (M, H) takes the flows of the plan.
    """
    horizon = moment.arrive.shape[1]
    stages, lanes, movements = frame.aspect.shape[0], len(frame.first) - 1, len(frame.exit)
    rates = rates_of(frame, moment)
    nothing = np.zeros((movements, 0))
    flow = np.zeros(movements)
    queue, head, room = np.zeros(lanes), moment.head.copy(), moment.room.copy()
    queue += moment.arrive[:, 0]
    q, h, r = queue.copy(), head.copy(), room.copy()
    best = np.full(stages, 1e18)
    when = np.zeros(stages, np.int64)
    must = max(0, frame.min_green_s - moment.green_s, moment.bound_s)
    cost, held = 0.0, 0
    for i in range(len(holds)):
        hold = holds[i] + must
        if hold >= horizon - 5 or (i > 0 and moment.green_s + hold > frame.max_green_s):
            break
        while held < hold:
            green_s = moment.green_s + held
            cost += serve(
                frame, moment, moment.stage, -1, green_s, False, queue, head, room, flow, held
            )
            held += 1
            queue += moment.arrive[:, held]
        if cost > best.min():
            break
        for s in range(stages):
            if s == moment.stage or served(rates, moment, s, queue, held, WANTED_S) < 0.05:
                continue
            q[:], h[:], r[:] = queue, head, room
            bound = min(best[s], 1.5 * best.min())
            total = follow(frame, moment, rates, s, q, h, r, flow, held, cost, bound, nothing)
            if total < best[s]:
                best[s], when[s] = total, hold
    following = int(np.argmin(best))
    least = best[following]
    hold = when[following]
    if least >= 1e18:
        following, hold = -1, horizon - 1
    other, other_cost = -1, 1e18
    for s in range(stages):
        if s != following and best[s] < other_cost:
            other, other_cost = s, best[s]
    queue[:], head[:], room[:] = moment.arrive[:, 0], moment.head, moment.room
    for t in range(hold):
        green_s = moment.green_s + t
        serve(frame, moment, moment.stage, -1, green_s, False, queue, head, room, flow, t)
        record[:, t] = flow
        queue += moment.arrive[:, t + 1]
    if following >= 0:
        follow(frame, moment, rates, following, queue, head, room, flow, hold, 0.0, 1e18, record)
    return hold, following, least, other, other_cost
