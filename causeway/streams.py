"""The table of streams: period, staleness, queue bound, overflow, journalled? One row a type.

The table is what the documents show, what the liveness checks derive from, and what a test holds
against the event union, so that no type can be added without a decision about each column.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, get_args

from causeway import events as e
from causeway.frame import EncodedFrame
from causeway.tracks import Tracks


class Overflow(StrEnum):
    """What happens to the one more than the bound."""

    WAIT = "wait"  # the sender waits: a broker or a PLC can
    DROP_OLDEST = "drop_oldest"  # counted
    FAIL = "fail"  # loudly: a command that cannot be queued is an error


class Stream(NamedTuple):
    """One row. Seconds; None where there is no period, or where silence means nothing."""

    period_s: float | None
    stale_s: float | None
    bound: int
    overflow: Overflow
    journalled: bool


_INPUT = Stream(None, None, 1_024, Overflow.WAIT, journalled=True)
_OPERATOR = Stream(None, None, 64, Overflow.FAIL, journalled=True)
_COMMAND = Stream(None, None, 64, Overflow.FAIL, journalled=True)
_ANSWER = Stream(None, None, 4_096, Overflow.WAIT, journalled=True)

STREAMS: dict[type, Stream] = {
    EncodedFrame: Stream(0.5, 10.0, 1, Overflow.DROP_OLDEST, journalled=False),
    Tracks: Stream(1.0, 5.0, 1, Overflow.DROP_OLDEST, journalled=False),
    e.EngineStarted: _INPUT,
    e.Tick: Stream(1.0, 5.0, 1, Overflow.DROP_OLDEST, journalled=True),
    e.ReadingsReceived: Stream(1.0, 30.0, 1_024, Overflow.WAIT, journalled=True),
    e.SignalsObserved: Stream(1.0, 10.0, 1_024, Overflow.WAIT, journalled=True),
    e.SignObserved: Stream(10.0, 60.0, 1_024, Overflow.WAIT, journalled=True),
    e.LightingObserved: Stream(10.0, 60.0, 1_024, Overflow.WAIT, journalled=True),
    e.CommandAnswered: _INPUT,
    e.WatchdogObserved: _INPUT,
    e.SourceReached: _INPUT,
    e.SourceLost: _INPUT,
    e.Rejected: _INPUT,
    e.CameraHealthObserved: _INPUT,
    e.TrafficMeasured: Stream(5.0, 30.0, 1_024, Overflow.WAIT, journalled=True),
    e.RoadWaterMeasured: Stream(10.0, 60.0, 1_024, Overflow.WAIT, journalled=True),
    e.StagesPlanned: Stream(1.0, 5.0, 64, Overflow.WAIT, journalled=True),
    e.StagePlanningLost: _INPUT,
    e.InundationForecast: Stream(300.0, 900.0, 4, Overflow.WAIT, journalled=True),
    e.ForecastIssued: Stream(300.0, 900.0, 64, Overflow.WAIT, journalled=True),
    e.SignalsMeasured: Stream(10.0, 60.0, 64, Overflow.WAIT, journalled=True),
    e.IncidentDetected: _INPUT,
    e.IncidentEnded: _INPUT,
    e.AlarmAcknowledgeRequested: _OPERATOR,
    e.AlarmShelveRequested: _OPERATOR,
    e.AlarmUnshelveRequested: _OPERATOR,
    e.ControlModeRequested: _OPERATOR,
    e.ClosureDecided: _OPERATOR,
    e.SignalOverrideRequested: _OPERATOR,
    e.PumpRequested: _OPERATOR,
    e.GateRequested: _OPERATOR,
    e.StageRequested: _OPERATOR,
    e.SignRequested: _OPERATOR,
    e.LightingRequested: _OPERATOR,
    e.PumpCommanded: _COMMAND,
    e.GateCommanded: _COMMAND,
    e.StageCommanded: _COMMAND,
    e.SignCommanded: _COMMAND,
    e.LightingCommanded: _COMMAND,
    e.CommandSent: _INPUT,
    e.CommandExpired: _INPUT,
    e.ReadingsObserved: _ANSWER,
    e.CommandRefused: _ANSWER,
    e.CommandConfirmed: _ANSWER,
    e.CommandUnconfirmed: _ANSWER,
    e.TideLevelChanged: _ANSWER,
    e.InundationChanged: _ANSWER,
    e.ClosureProposed: _ANSWER,
    e.ClosureWithdrawn: _ANSWER,
    e.FloodAlertChanged: _ANSWER,
    e.BasinAlertChanged: _ANSWER,
    e.StandingWaterChanged: _ANSWER,
    e.OutlookScored: _ANSWER,
    e.FloodAlertScored: _ANSWER,
    e.AlarmRaised: _ANSWER,
    e.AlarmReturned: _ANSWER,
    e.AlarmAcknowledged: _ANSWER,
    e.AlarmShelved: _ANSWER,
    e.AlarmUnshelved: _ANSWER,
    e.ControlModeChanged: _ANSWER,
    e.SignalMethodChanged: _ANSWER,
    e.SignalOverridden: _ANSWER,
    e.CoreFailed: _ANSWER,
    e.CascadeCut: _ANSWER,
}

EVENT_TYPES: tuple[type, ...] = get_args(e.AnyEvent)
