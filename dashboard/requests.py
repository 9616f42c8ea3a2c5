"""Decides what a message of the page means: an event with the operator's name, or why it is none.

In comes JSON text as docs/INTERFACES.md has it, field for field; out goes the input event for the
engine. Whether a pump may really start is the interlocks' to say: here only what cannot be meant is
turned away, so that nobody waits for an asset that does not exist.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from causeway import events as e
from causeway.events import AnyEvent
from causeway.site import Site

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9_.:-]{1,120}$")]
Number = Annotated[int, Meta(ge=0, le=2**53)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Why = Annotated[str, Meta(max_length=200)]
OVERRIDE_S, OVERRIDE_S_MAX = 120.0, 900.0  # after that a junction is automatic again by itself
SHELF_S_MAX = 86_400.0  # a day: an alarm is not to be forgotten on the shelf


class Message(Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """The common part: the page's own number, which the answer repeats."""

    id: Number = 0


class Resync(Message, frozen=True, tag="resync"):
    """The page has seen a gap and wants a snapshot."""


class Acknowledge(Message, frozen=True, tag="acknowledge", kw_only=True):
    """An operator has seen an alarm."""

    alarm: Id


class Shelve(Message, frozen=True, tag="shelve", kw_only=True):
    """An alarm is put aside for a time."""

    alarm: Id
    for_s: Annotated[float, Meta(gt=0, le=SHELF_S_MAX)]
    why: Why = ""


class Unshelve(Message, frozen=True, tag="unshelve", kw_only=True):
    """An alarm is taken back."""

    alarm: Id


class Mode(Message, frozen=True, tag="mode", kw_only=True):
    """An asset is taken in hand, or given back."""

    asset: Id
    mode: e.ControlMode


class Pump(Message, frozen=True, tag="pump", kw_only=True):
    """A pump is to run or stop."""

    pump: Id
    run: bool


class Gate(Message, frozen=True, tag="gate", kw_only=True):
    """A gate is to move."""

    gate: Id
    opening_ratio: Ratio


class Stage(Message, frozen=True, tag="stage", kw_only=True):
    """A junction is to go to a stage."""

    junction: Id
    stage: Id


class Override(Message, frozen=True, tag="override", kw_only=True):
    """A junction is held or advanced for a time, or released."""

    junction: Id
    action: e.SignalOverride
    for_s: Annotated[float, Meta(gt=0, le=OVERRIDE_S_MAX)] = OVERRIDE_S


class Sign(Message, frozen=True, tag="sign", kw_only=True):
    """A sign is to show a text."""

    sign: Id
    text: Annotated[str, Meta(max_length=200)]


class Lighting(Message, frozen=True, tag="lighting", kw_only=True):
    """A circuit is to give a level."""

    circuit: Id
    level_ratio: Ratio


class Closure(Message, frozen=True, tag="closure", kw_only=True):
    """A proposed closure is approved or declined."""

    segment: Id
    approved: bool


Request = (
    Resync
    | Acknowledge
    | Shelve
    | Unshelve
    | Mode
    | Pump
    | Gate
    | Stage
    | Override
    | Sign
    | Lighting
    | Closure
)

_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


class NotMeant(Exception):
    """A message that cannot be acted on; `id` is the page's number where it could be read."""

    def __init__(self, id_: int, why: str) -> None:
        self.id = id_
        self.why = why
        super().__init__(why)


class _Numbered(Struct):
    id: int = 0


def decode_request(text: str) -> Request:
    """Raises NotMeant with what was wrong."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        try:
            number = msgspec.json.decode(text, type=_Numbered).id
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            number = 0
        raise NotMeant(number, f"malformed: {error}") from None


def event_of(request: Request, operator: str, site: Site) -> AnyEvent | None:
    """The input that a request stands for; None for a resync, which is no event.

    Raises NotMeant where the request names what this site has not.
    """
    by = f"operator:{operator}"
    match request:
        case Resync():
            return None
        case Acknowledge():
            return e.AlarmAcknowledgeRequested(alarm=request.alarm, operator=operator)
        case Shelve():
            return e.AlarmShelveRequested(
                alarm=request.alarm, operator=operator, for_s=request.for_s, why=request.why
            )
        case Unshelve():
            return e.AlarmUnshelveRequested(alarm=request.alarm, operator=operator)
        case Mode():
            _known(request, request.asset, _commanded_assets(site))
            return e.ControlModeRequested(asset=request.asset, mode=request.mode, operator=operator)
        case Override():
            _known(request, request.junction, [j.id for j in site.junctions])
            return e.SignalOverrideRequested(
                junction=request.junction,
                action=request.action,
                for_s=request.for_s,
                operator=operator,
            )
        case Closure():
            _known(request, request.segment, [s.id for s in site.segments])
            return e.ClosureDecided(
                segment=request.segment, approved=request.approved, operator=operator
            )
        case _:
            return _command_request(request, by, site)


def _command_request(
    request: Pump | Gate | Stage | Sign | Lighting, by: str, site: Site
) -> AnyEvent:
    match request:
        case Pump():
            _known(request, request.pump, [p.id for p in site.pumps])
            return e.PumpRequested(pump=request.pump, run=request.run, by=by)
        case Gate():
            _known(request, request.gate, [g.id for g in site.gates])
            return e.GateRequested(gate=request.gate, opening_ratio=request.opening_ratio, by=by)
        case Stage():
            stages = {j.id: [s.id for s in j.stages] for j in site.junctions}
            _known(request, request.junction, list(stages))
            _known(request, request.stage, stages[request.junction])
            return e.StageRequested(junction=request.junction, stage=request.stage, by=by)
        case Sign():
            signs = {s.id: s for s in site.signs}
            _known(request, request.sign, list(signs))
            sign = signs[request.sign]
            lines = request.text.split("\n")
            if len(lines) > sign.rows or any(len(line) > sign.columns for line in lines):
                why = f"text: expected at most {sign.rows} lines of {sign.columns} characters"
                raise NotMeant(request.id, why)
            return e.SignRequested(sign=request.sign, text=request.text, by=by)
        case Lighting():
            _known(request, request.circuit, [c.id for c in site.circuits])
            return e.LightingRequested(
                circuit=request.circuit, level_ratio=request.level_ratio, by=by
            )


def _commanded_assets(site: Site) -> list[str]:
    return [
        *(p.id for p in site.pumps),
        *(g.id for g in site.gates),
        *(j.id for j in site.junctions),
        *(s.id for s in site.signs),
        *(lc.id for lc in site.circuits),
    ]


def _known(request: Message, name: str, names: list[str]) -> None:
    if name not in names:
        raise NotMeant(request.id, f"{name}: no such thing in this site")
