"""Every fact and command that crosses a border, as one closed union of frozen structs.

A `Step` is one journal message: an input and all that the cores answered to it. What comes in
from the field, from child processes and from operators enters as an input; what the cores decide
leaves as an answer. `streams.py` says of each type how it is queued, and `wire.py` how it becomes
bytes.

Laws of this file:
1. A type never changes its meaning; a field that is added has a default, so that old journals
   decode.
2. Times are integer nanoseconds since the Unix epoch on the centre's clock (`at_ns`) or the
   device's own (`observed_at_ns`). Only `at_ns` sets an order.
3. No dict and no set inside an event: the bytes of a step must not depend on a hash seed.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct


class Address(NamedTuple):
    """Where an event stands: the stream sequence of its step and its place in that step."""

    step: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks an address for


class Quality(IntEnum):
    """How far a reading can be trusted (OPC UA's three classes, and stale)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2
    STALE = 3


class Reason(StrEnum):
    """Why something from outside was not taken as it came."""

    MALFORMED = "malformed"  # not JSON, not MessagePack, not of the payload's form
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_POINT = "unknown_point"
    WRONG_SOURCE = "wrong_source"  # a device speaks for a point that is another device's
    NOT_A_NUMBER = "not_a_number"  # NaN or infinite
    OUT_OF_RANGE = "out_of_range"
    RATE_OF_CHANGE = "rate_of_change"
    DUPLICATE = "duplicate"  # same point and time, same value
    CONFLICT = "conflict"  # same point and time, another value: the first one wins
    LATE = "late"
    FUTURE = "future"
    CLOCK_SKEW = "clock_skew"
    OVERSIZED = "oversized"
    TRUNCATED_FRAME = "truncated_frame"
    UNDECODABLE_FRAME = "undecodable_frame"
    REGISTER_MISMATCH = "register_mismatch"  # the device does not hold what the register map says
    NOT_PERMITTED = "not_permitted"


class Interval(StrEnum):
    """What a signal controller shows now (NTCIP 1202 words)."""

    GREEN = "green"
    YELLOW = "yellow"
    ALL_RED = "all_red"
    FLASHING = "flashing"
    DARK = "dark"
    UNKNOWN = "unknown"


class SignalMode(StrEnum):
    """Who decides the stage at a controller."""

    CENTRE = "centre"
    LOCAL = "local"  # the controller's own plan: the watchdog's answer to a silent centre
    FLASH = "flash"
    MANUAL = "manual"  # a police officer at the cabinet
    UNKNOWN = "unknown"


class CameraHealth(StrEnum):
    """Whether a camera's pictures can be believed."""

    OK = "ok"
    LOST = "lost"  # no frame
    FROZEN = "frozen"  # frames that do not change
    DARK = "dark"  # frames without light
    BLURRED = "blurred"  # frames without sharp edges: out of focus, or a wet dome
    BLOCKED = "blocked"  # frames of which something near hides most
    MOVED = "moved"  # frames of another view than the one that was learnt
    BROKEN = "broken"  # frames or a file that cannot be decoded
    UNKNOWN = "unknown"


class IncidentKind(StrEnum):
    """What a camera detector can find."""

    CONGESTION = "congestion"
    STOPPED_VEHICLE = "stopped_vehicle"
    COLLISION = "collision"
    WRONG_WAY = "wrong_way"
    PEDESTRIAN = "pedestrian"  # on the carriageway
    DEBRIS = "debris"
    WATER_ON_ROAD = "water_on_road"


class AlertOutcome(StrEnum):
    """What a flood alert came to."""

    HIT = "hit"  # it stood when the water came
    MISSED = "missed"  # water came without, or before it
    FALSE = "false"  # it was taken back and no water had come


class FloodCause(StrEnum):
    """Without what a street would stay dry."""

    RAIN = "rain"
    TIDE = "tide"
    BOTH = "both"  # neither alone would do it
    PUMP_FAILURE = "pump_failure"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """What stands on a street, by the site's dated rule."""

    NONE = "none"
    GATHERED = "gathered"  # tụ nước: it may yet run off
    FLOODED = "flooded"  # điểm ngập: still there when the rain has been over for the rule's time


class ControlMode(StrEnum):
    """Whether the engine or a person decides about an asset."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class SignalMethod(StrEnum):
    """By which rule the centre decides the stages of a junction that it controls."""

    PLANNER = "planner"  # the adaptive planner, from the roadside tracker
    GREEDY = "greedy"  # the longest queue, from the stop-line detectors
    FIXED = "fixed"  # the same time for each stage: no detector can be believed
    UNKNOWN = "unknown"


class SignalOverride(StrEnum):
    """What an operator does with a junction for a time."""

    HOLD = "hold"  # stay in the stage that is green
    ADVANCE = "advance"  # on to the next stage, and stay there
    RELEASE = "release"  # back to automatic


OUTLOOK_DEPTHS_M = (0.10, 0.20, 0.30, 0.50)


class Box(NamedTuple):
    """A rectangle in a picture, as shares of its width and height (0 to 1)."""

    left: float
    top: float
    width: float
    height: float


class SignalState(Struct, frozen=True):
    """What one signal controller reports.

    `aspects` has one letter for each signal group in the site's order: G green, y yellow, r red,
    o off or flashing. `sequence` is the last command that the controller took (0: none so far).
    """

    junction: str
    observed_at_ns: int
    stage: str
    interval: Interval
    aspects: str
    mode: SignalMode
    sequence: int = 0
    fault: str = ""


class StagePlan(Struct, frozen=True, array_like=True):
    """What a planner intends for a junction.

    `stage` is the one that it wants now (the present one: go on with it). The best plan holds the
    present stage for `hold_s` more, goes to `following` (empty: none is wanted) and costs
    `cost_veh_s`; the best with another next stage, `other` (empty: there is none), costs
    `other_cost_veh_s`. Costs are vehicle-seconds of waiting, vehicles in passenger-car units.
    """

    junction: str
    observed_at_ns: int  # of what the plan was made from
    stage: str
    hold_s: int
    following: str
    cost_veh_s: float
    other: str
    other_cost_veh_s: float
    method: SignalMethod = SignalMethod.PLANNER


class ApproachMeasures(Struct, frozen=True, array_like=True):
    """How one approach of a junction was served, over `SignalMeasures.over_s`."""

    group: str
    arrivals: int
    arrivals_on_green_ratio: float  # of the arrivals; 0 where there were none
    greens: int  # ended ones
    split_failures: int  # those that ended with some of their first queue still there
    queue_veh: int  # that stand now
    queue_veh_max: int
    delay_s: float  # mean of those that crossed, against driving through at the limit
    crossed: int


class SignalMeasures(Struct, frozen=True, array_like=True):
    """The measures of effectiveness of a junction, as ATSPM has them."""

    junction: str
    observed_at_ns: int
    over_s: int
    approaches: tuple[ApproachMeasures, ...]


class Event(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The common part. `because` is the event that this one follows from; inputs may have none."""

    because: Address | None = None


# --- inputs: the engine ---------------------------------------------------------------------------


class EngineStarted(Event, frozen=True, kw_only=True):
    """First step of every engine run: which program, which city, from which snapshot (0: none).

    `speed` is the clock's, times real time: what devices and networks need is real time, so the
    limits that allow for it are so much longer.
    """

    version: str
    site_hash: str
    restored_step: int = 0
    speed: float = 1.0

    @property
    def stretch(self) -> float:
        """By how much the limits that allow for devices and networks are longer; 1 or more."""
        return max(1.0, self.speed)


class Tick(Event, frozen=True, kw_only=True):
    """Time passes; the step's `at_ns` says how far."""


# --- inputs: the field ----------------------------------------------------------------------------


class ReadingsReceived(Event, frozen=True, kw_only=True):
    """A batch of readings as they came in; the four arrays have one length.

    `points` are site point ids, `values` finite. `source` is the device or PLC, or `mqtt` for a
    batch of several devices. The plausibility core answers it with ReadingsObserved and Rejected.
    """

    source: str
    points: tuple[str, ...]
    observed_at_ns: tuple[int, ...]
    values: tuple[float, ...]
    qualities: tuple[Quality, ...]


class ReadingsObserved(Event, frozen=True, kw_only=True):
    """The readings of a batch that were taken, with the quality that they were given.

    All that decides or stores reads this one: a (point, observed_at_ns) stands in it only once.
    """

    source: str
    points: tuple[str, ...]
    observed_at_ns: tuple[int, ...]
    values: tuple[float, ...]
    qualities: tuple[Quality, ...]


class SignalsObserved(Event, frozen=True, kw_only=True):
    """A batch of signal controllers' reports."""

    states: tuple[SignalState, ...]


class SignObserved(Event, frozen=True, kw_only=True):
    """What a message sign shows."""

    sign: str
    observed_at_ns: int
    text: str
    sequence: int = 0


class LightingObserved(Event, frozen=True, kw_only=True):
    """What a street-light circuit gives, 0 (off) to 1 (full)."""

    circuit: str
    observed_at_ns: int
    level_ratio: float
    sequence: int = 0


class CommandAnswered(Event, frozen=True, kw_only=True):
    """A device's answer to a command: taken, or refused with the device's own word for why."""

    target: str
    sequence: int
    accepted: bool
    result: str
    observed_at_ns: int


class WatchdogObserved(Event, frozen=True, kw_only=True):
    """Whether a PLC follows its own rules, having heard no count from the centre for too long."""

    plc: str
    taken_over: bool
    observed_at_ns: int


class SourceReached(Event, frozen=True, kw_only=True):
    """A device, PLC or camera answers (again)."""

    source: str


class SourceLost(Event, frozen=True, kw_only=True):
    """A device, PLC or camera has fallen silent."""

    source: str
    why: str


class Rejected(Event, frozen=True, kw_only=True):
    """Something from outside was not taken: how often since the last such event, and one sample."""

    source: str
    reason: Reason
    count: int
    sample: str = ""


# --- inputs: the cameras --------------------------------------------------------------------------


class CameraHealthObserved(Event, frozen=True, kw_only=True):
    """A camera's health has changed."""

    camera: str
    health: CameraHealth
    observed_at_ns: int
    why: str = ""


class TrafficMeasured(Event, frozen=True, kw_only=True):
    """What a camera saw of the traffic over an interval.

    `occupancy_ratio` is the share of the road surface under vehicles, `moving_ratio` the share of
    that which moves, `speed_px_s` the median of its movement in the picture.
    """

    camera: str
    observed_at_ns: int
    occupancy_ratio: float
    moving_ratio: float
    speed_px_s: float
    frames: int
    boxes: tuple[Box, ...] = ()


class RoadWaterMeasured(Event, frozen=True, kw_only=True):
    """How much a camera's road looks like one under water, by two signs.

    `sheen_ratio` is the share of the road that mirrors the sky, `hidden_ratio` the share of its
    markings that is gone while what is around the road looks as usual.
    """

    camera: str
    observed_at_ns: int
    sheen_ratio: float
    hidden_ratio: float


class IncidentDetected(Event, frozen=True, kw_only=True):
    """A camera detector has found an incident. `incident` is unique: camera, kind, first seen."""

    incident: str
    kind: IncidentKind
    camera: str
    first_seen_at_ns: int
    confidence: float
    why: str
    box: Box | None = None


class IncidentEnded(Event, frozen=True, kw_only=True):
    """The detector no longer sees it."""

    incident: str
    observed_at_ns: int
    why: str = ""


# --- inputs: the signal planner -------------------------------------------------------------------


class StagesPlanned(Event, frozen=True, kw_only=True):
    """A batch of plans, each the newest of its junction."""

    plans: tuple[StagePlan, ...]


class StagePlanningLost(Event, frozen=True, kw_only=True):
    """There are no plans now for these junctions (none named: for any), and why."""

    junctions: tuple[str, ...]
    why: str


class SignalsMeasured(Event, frozen=True, kw_only=True):
    """A batch of measures of effectiveness."""

    measures: tuple[SignalMeasures, ...]


# --- inputs: operators ----------------------------------------------------------------------------


class AlarmAcknowledgeRequested(Event, frozen=True, kw_only=True):
    """An operator has seen an alarm."""

    alarm: str
    operator: str


class AlarmShelveRequested(Event, frozen=True, kw_only=True):
    """An operator puts an alarm aside for a time (ISA-18.2 shelving)."""

    alarm: str
    operator: str
    for_s: float
    why: str = ""


class AlarmUnshelveRequested(Event, frozen=True, kw_only=True):
    """An operator takes an alarm back from the shelf."""

    alarm: str
    operator: str


class ControlModeRequested(Event, frozen=True, kw_only=True):
    """An operator takes an asset in hand, or gives it back to the engine."""

    asset: str
    mode: ControlMode
    operator: str


class ClosureDecided(Event, frozen=True, kw_only=True):
    """An operator approves or declines a proposed closure, or ends an approved one."""

    segment: str
    approved: bool
    operator: str


class SignalOverrideRequested(Event, frozen=True, kw_only=True):
    """An operator holds or advances a junction for a time, or releases it."""

    junction: str
    action: SignalOverride
    for_s: float
    operator: str


# --- requests: by an operator (an input) or by an engine (an answer); each meets an interlock -----


class PumpRequested(Event, frozen=True, kw_only=True):
    """`by` is the asking engine's name, or `operator:NAME`."""

    pump: str
    run: bool
    by: str
    why: str = ""


class GateRequested(Event, frozen=True, kw_only=True):
    """A tide gate is to move: 0 closed, 1 open."""

    gate: str
    opening_ratio: float
    by: str
    why: str = ""


class StageRequested(Event, frozen=True, kw_only=True):
    """A junction is to go to a stage."""

    junction: str
    stage: str
    by: str
    why: str = ""


class SignRequested(Event, frozen=True, kw_only=True):
    """A message sign is to show a text (empty: blank)."""

    sign: str
    text: str
    by: str
    why: str = ""


class LightingRequested(Event, frozen=True, kw_only=True):
    """A street-light circuit is to give a level, 0 to 1."""

    circuit: str
    level_ratio: float
    by: str
    why: str = ""


# --- answers: commands, the only events that a field writer acts on -------------------------------


class Commanded(Event, frozen=True, kw_only=True):
    """The common part of a command: the device refuses it when late, repeated or out of order.

    `sequence` rises by one for each command to a target and is never used twice.
    """

    sequence: int
    issued_at_ns: int
    expires_at_ns: int


class PumpCommanded(Commanded, frozen=True, kw_only=True):
    """Start or stop a pump."""

    pump: str
    run: bool


class GateCommanded(Commanded, frozen=True, kw_only=True):
    """Move a tide gate."""

    gate: str
    opening_ratio: float


class StageCommanded(Commanded, frozen=True, kw_only=True):
    """Take a junction to a stage; the controller makes the change-over itself."""

    junction: str
    stage: str


class SignCommanded(Commanded, frozen=True, kw_only=True):
    """Show a text."""

    sign: str
    text: str


class LightingCommanded(Commanded, frozen=True, kw_only=True):
    """Set a level."""

    circuit: str
    level_ratio: float


class CommandRefused(Event, frozen=True, kw_only=True):
    """An interlock has refused a request; `interlock` is its name, `why` what it saw and wanted."""

    target: str
    interlock: str
    why: str
    by: str


# --- inputs from the field writers, and what the confirmations answer -----------------------------


class CommandSent(Event, frozen=True, kw_only=True):
    """A command has left for the field. `command` is its address."""

    command: Address
    target: str
    sequence: int


class CommandExpired(Event, frozen=True, kw_only=True):
    """A command was not sent in its time, and never will be."""

    command: Address
    target: str
    sequence: int
    why: str


class CommandConfirmed(Event, frozen=True, kw_only=True):
    """The field was observed to do what was commanded."""

    command: Address
    target: str
    sequence: int
    took_ns: int


class CommandUnconfirmed(Event, frozen=True, kw_only=True):
    """A command was sent, and the field was not observed to obey in the time it should take.

    `superseded_by` is the sequence of a newer command for the target, which ended this one early
    (0: none did).
    """

    command: Address
    target: str
    sequence: int
    why: str
    superseded_by: int = 0


# --- answers: water -------------------------------------------------------------------------------


class TideLevelChanged(Event, frozen=True, kw_only=True):
    """A tide gauge passed an alarm level; 0 is below the first."""

    gauge: str
    level: int
    stage_m: float
    threshold_m: float


class InundationChanged(Event, frozen=True, kw_only=True):
    """A road segment's inundation level changed, or who cannot pass any more.

    0 is dry, 1 watch, 2 motorbikes, 3 cars, 4 buses and trucks. `kept_out` are the classes that the
    water keeps out: at level 4 emergency vehicles may still pass.
    """

    segment: str
    level: int
    depth_m: float
    point: str
    kept_out: tuple[str, ...] = ()


class ClosureProposed(Event, frozen=True, kw_only=True):
    """A segment should be closed to some vehicle classes; an operator decides.

    `in_force` are the classes that an earlier approval already keeps out; when they are all of
    `classes` there is nothing to decide. `expected_at_ns` is when a forecast has the water there,
    and `depth_m` then its peak (None: a gauge sees the water).
    """

    segment: str
    classes: tuple[str, ...]
    depth_m: float
    signs: tuple[str, ...]
    in_force: tuple[str, ...] = ()
    expected_at_ns: int | None = None


class ClosureWithdrawn(Event, frozen=True, kw_only=True):
    """The reason for a closure has gone."""

    segment: str
    depth_m: float


class PassageOutlook(Struct, frozen=True, array_like=True):
    """When a kind of vehicle is expected not to pass a street, and how surely.

    `kind` is motorbike, car, bus_truck or emergency; `probability` the share of the members that
    keep it out at some time ahead. From and until are their medians, leads in seconds; an `until_s`
    of None lies beyond what was forecast.
    """

    kind: str
    probability: float
    from_s: int
    until_s: int | None


class StreetOutlook(Struct, frozen=True, array_like=True):
    """What an ensemble expects of one street's low point.

    Depths by lead time in cm: the median and the bounds that one member in ten is outside of, each.
    `over` are the shares of the members that pass OUTLOOK_DEPTHS_M at some time ahead. The onset is
    the median lead of the first water over the second of them (None: too few members have it), the
    end that of the last. `closed` are the kinds of vehicles that some members keep out.
    """

    segment: str
    low_cm: tuple[int, ...]
    median_cm: tuple[int, ...]
    high_cm: tuple[int, ...]
    over: tuple[float, ...]
    peak_cm: int
    onset_s: int | None
    end_s: int | None
    cause: FloodCause
    closed: tuple[PassageOutlook, ...] = ()


class InundationForecast(Event, frozen=True, kw_only=True):
    """Which streets an ensemble of hydraulic models expects to be under water, and how deep.

    Streets that no member has under water are left out. `issued_at_ns` is the time up to which
    observations were used; `inputs` says which, and `faults` what was missing or not believed.
    """

    issued_at_ns: int
    lead_s: tuple[int, ...]
    members: int
    streets: tuple[StreetOutlook, ...]
    inputs: str
    faults: tuple[str, ...] = ()
    took_s: float = 0.0


class FloodAlertChanged(Event, frozen=True, kw_only=True):
    """A street's alert changed. `level`: 0 none, 1 watch, 2 warning, 3 emergency.

    `onset_at_ns` is when the forecast has the water over the depth of the alert (None: it is there,
    or no alert), `peak_m` the median peak, `probability` that of the level's depth.
    """

    segment: str
    level: int
    probability: float
    peak_m: float
    onset_at_ns: int | None = None
    cause: FloodCause
    why: str


class BasinAlertChanged(Event, frozen=True, kw_only=True):
    """A drainage basin's alert changed. `level`: 0 none, 1 watch, 2 warning, 3 emergency.

    `streets` are those that are warned of, or on watch where none is, `of` how many the basin has.
    `was` is the level before, `probability` and `peak_m` are the greatest of these streets', and
    `onset_at_ns` is their first (None: one is under water, or no alert). The basin's `name` stands
    here because its id may be an outlet's.
    """

    basin: str
    name: str
    level: int
    was: int
    probability: float
    peak_m: float
    onset_at_ns: int | None = None
    cause: FloodCause
    streets: tuple[str, ...]
    of: int
    why: str


class StandingWaterChanged(Event, frozen=True, kw_only=True):
    """Water gathers on a street, has become a flooded point, or has run off again.

    `since_at_ns` and `peak_m` are of this episode, `rain_ended_at_ns` when it last rained there
    (None: not as far as known).
    """

    segment: str
    standing: Standing
    was: Standing
    point: str
    depth_m: float
    peak_m: float
    since_at_ns: int
    rain_ended_at_ns: int | None = None


class OutlookScored(Event, frozen=True, kw_only=True):
    """How one forecast's depths at one lead were, at `streets` gauged streets with water to tell.

    The mean absolute errors are those of the median and of the depth at issue kept (persistence);
    `inside` is at how many the depth came within the band of eight members in ten.
    """

    issued_at_ns: int
    lead_s: int
    streets: int
    mae_m: float
    persistence_mae_m: float
    inside: int


class FloodAlertScored(Event, frozen=True, kw_only=True):
    """Whether a gauged street was warned of its flood; `lead_s` of a hit is how long before."""

    segment: str
    outcome: AlertOutcome
    lead_s: int | None = None


class ForecastIssued(Event, frozen=True, kw_only=True):
    """What a model expects of a point: one value for each lead time."""

    point: str
    model: str
    issued_at_ns: int
    lead_s: tuple[int, ...]
    values: tuple[float, ...]


# --- answers: alarms (ISA-18.2) -------------------------------------------------------------------


class AlarmRaised(Event, frozen=True, kw_only=True):
    """An alarm has become active, or an active one has changed its priority or text.

    `alarm` is the tag (`FLOOD-rd-nhc-1`), `priority` 1 (highest) to 4. `acknowledged` says that an
    earlier acknowledgement still stands: only the words or a lower priority are new.
    """

    alarm: str
    priority: int
    asset: str
    kind: str
    text_vi: str
    text_en: str
    acknowledged: bool = False


class AlarmReturned(Event, frozen=True, kw_only=True):
    """The condition has returned to normal."""

    alarm: str


class AlarmAcknowledged(Event, frozen=True, kw_only=True):
    """An operator's acknowledgement has been taken."""

    alarm: str
    operator: str


class AlarmShelved(Event, frozen=True, kw_only=True):
    """An alarm is on the shelf until then."""

    alarm: str
    operator: str
    until_at_ns: int


class AlarmUnshelved(Event, frozen=True, kw_only=True):
    """An alarm is back from the shelf: by an operator, or because its time is over (empty)."""

    alarm: str
    operator: str


class ControlModeChanged(Event, frozen=True, kw_only=True):
    """An asset is now decided by the engine or by a person."""

    asset: str
    mode: ControlMode
    operator: str


class SignalMethodChanged(Event, frozen=True, kw_only=True):
    """The stages of a junction are now decided by another method, and why not by the planner."""

    junction: str
    method: SignalMethod
    why: str = ""


class SignalOverridden(Event, frozen=True, kw_only=True):
    """An operator has a junction in hand until then; 0: no more."""

    junction: str
    action: SignalOverride
    until_at_ns: int
    operator: str


class CoreFailed(Event, frozen=True, kw_only=True):
    """A core met an event with an error; it has not answered it, or not to the end.

    `error` is the error's type, and no more: a text could differ from run to run.
    """

    core: str
    error: str


class CascadeCut(Event, frozen=True, kw_only=True):
    """The cores answered each other past the limit; so many events were left unanswered."""

    unanswered: int


AnyEvent = (
    EngineStarted
    | Tick
    | ReadingsReceived
    | ReadingsObserved
    | SignalsObserved
    | SignObserved
    | LightingObserved
    | CommandAnswered
    | WatchdogObserved
    | SourceReached
    | SourceLost
    | Rejected
    | CameraHealthObserved
    | TrafficMeasured
    | RoadWaterMeasured
    | StagesPlanned
    | StagePlanningLost
    | SignalsMeasured
    | IncidentDetected
    | IncidentEnded
    | AlarmAcknowledgeRequested
    | AlarmShelveRequested
    | AlarmUnshelveRequested
    | ControlModeRequested
    | ClosureDecided
    | SignalOverrideRequested
    | PumpRequested
    | GateRequested
    | StageRequested
    | SignRequested
    | LightingRequested
    | PumpCommanded
    | GateCommanded
    | StageCommanded
    | SignCommanded
    | LightingCommanded
    | CommandRefused
    | CommandSent
    | CommandExpired
    | CommandConfirmed
    | CommandUnconfirmed
    | TideLevelChanged
    | InundationChanged
    | ClosureProposed
    | ClosureWithdrawn
    | ForecastIssued
    | InundationForecast
    | FloodAlertChanged
    | BasinAlertChanged
    | StandingWaterChanged
    | OutlookScored
    | FloodAlertScored
    | AlarmRaised
    | AlarmReturned
    | AlarmAcknowledged
    | AlarmShelved
    | AlarmUnshelved
    | ControlModeChanged
    | SignalMethodChanged
    | SignalOverridden
    | CoreFailed
    | CascadeCut
)
AnyCommand = PumpCommanded | GateCommanded | StageCommanded | SignCommanded | LightingCommanded


def target_of(command: AnyCommand) -> str:
    """The asset that a command is for."""
    match command:
        case PumpCommanded():
            return command.pump
        case GateCommanded():
            return command.gate
        case StageCommanded():
            return command.junction
        case SignCommanded():
            return command.sign
        case LightingCommanded():
            return command.circuit


class Step(Struct, frozen=True):
    """One journal message. `events[0]` is the input; the rest are the cores' answers, in order.

    `writer` names the engine run that wrote it. `at_ns` is max(last, now) when the engine took the
    input and never goes back.
    """

    writer: str
    at_ns: int
    events: tuple[AnyEvent, ...]


class Now(NamedTuple):
    """What a core knows of the moment: the step's time, and the address of the event it answers."""

    at_ns: int
    address: Address
