"""Decides what state each alarm is in (ISA-18.2), from its condition and from the operators.

In come facts, which `conditions.py` turns into conditions, the operators' acknowledgements and
shelving, and ticks; out go `AlarmRaised`, `AlarmReturned`, `AlarmAcknowledged`, `AlarmShelved` and
`AlarmUnshelved`, or `CommandRefused` for a request that cannot be met.

Laws of this file:
1. An alarm leaves the table only when its condition is normal and a person has acknowledged it.
2. A higher priority needs a new acknowledgement, and takes the alarm off the shelf.
3. Nothing stays on the shelf for more than 8 hours; what comes off it active is unacknowledged.
4. An answer's cause is the fact that made or ended the condition, however long the delay.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    Address,
    AlarmAcknowledged,
    AlarmAcknowledgeRequested,
    AlarmRaised,
    AlarmReturned,
    AlarmShelved,
    AlarmShelveRequested,
    AlarmUnshelved,
    AlarmUnshelveRequested,
    AnyEvent,
    CommandRefused,
    Now,
    Tick,
)
from causeway.site import Site
from control.conditions import Change, Condition, Conditions

NS = 1_000_000_000
SHELF_MAX_S = 8 * 3_600.0


class _Alarm(Struct):
    """One alarm. `raised` is what was last announced: None before the on delay is over."""

    condition: Condition
    holds: bool  # whether the condition is there now
    since_ns: int  # since when it is or is not
    because: Address  # the fact that said so
    raised: Condition | None = None
    active: bool = False  # raised and not yet returned
    acknowledged: bool = True
    shelved_until_ns: int = 0  # 0: not shelved
    shelved_because: Address | None = None


class Alarms:
    """The alarm table."""

    name = "alarms"
    hears = Conditions.hears | {
        AlarmAcknowledgeRequested,
        AlarmShelveRequested,
        AlarmUnshelveRequested,
        Tick,
    }

    def __init__(self, site: Site) -> None:
        self._conditions = Conditions(site)
        self._alarms: dict[str, _Alarm] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case AlarmAcknowledgeRequested():
                yield self._acknowledge(event)
            case AlarmShelveRequested():
                yield self._shelve(event, now)
            case AlarmUnshelveRequested():
                yield from self._take_back(event, now)
            case Tick():
                yield from self._changes(event, now)
                for tag in list(self._alarms):
                    yield from self._pass_time(tag, now.at_ns)
            case _:
                yield from self._changes(event, now)

    def _changes(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        for change in self._conditions.changes(event, now.at_ns):
            yield from self._take(change, now)

    def _take(self, change: Change, now: Now) -> Iterator[AnyEvent]:
        alarm = self._alarms.get(change.alarm)
        if change.condition is None:
            if alarm is None or not alarm.holds:
                return
            alarm.holds, alarm.since_ns, alarm.because = False, now.at_ns, now.address
        elif alarm is None:
            alarm = _Alarm(change.condition, True, now.at_ns, now.address)
            self._alarms[change.alarm] = alarm
        elif alarm.holds:
            if alarm.condition == change.condition:
                return
            alarm.condition, alarm.because = change.condition, now.address
        else:
            alarm.condition, alarm.holds = change.condition, True
            alarm.since_ns, alarm.because = now.at_ns, now.address
        yield from self._settle(change.alarm, now.at_ns)

    def _pass_time(self, tag: str, at_ns: int) -> Iterator[AnyEvent]:
        alarm = self._alarms[tag]
        if alarm.shelved_until_ns and at_ns >= alarm.shelved_until_ns:
            yield from self._unshelve(tag, "", alarm.shelved_because)
        if tag in self._alarms:
            yield from self._settle(tag, at_ns)

    def _settle(self, tag: str, at_ns: int) -> Iterator[AnyEvent]:
        """Raise or return the alarm where its condition has held, or been away, for long enough."""
        alarm = self._alarms[tag]
        lasted_s = (at_ns - alarm.since_ns) / NS
        if alarm.holds:
            news = not alarm.active or alarm.condition != alarm.raised
            if news and (alarm.active or lasted_s >= alarm.condition.on_s):
                yield from self._raise(tag, alarm)
        elif lasted_s >= alarm.condition.off_s or not alarm.active:
            if alarm.active:
                alarm.active = False
                yield AlarmReturned(alarm=tag, because=alarm.because)
            self._forget(tag)

    def _raise(self, tag: str, alarm: _Alarm) -> Iterator[AnyEvent]:
        higher = alarm.raised is not None and alarm.condition.priority < alarm.raised.priority
        if higher and alarm.shelved_until_ns:
            alarm.shelved_until_ns = 0
            yield AlarmUnshelved(alarm=tag, operator="", because=alarm.because)
        if higher or not alarm.active:
            alarm.acknowledged = False
        alarm.active, alarm.raised = True, alarm.condition
        yield _announcement(tag, alarm, alarm.condition)

    def _acknowledge(self, request: AlarmAcknowledgeRequested) -> AnyEvent:
        alarm = self._alarms.get(request.alarm)
        if alarm is None or (alarm.acknowledged and not alarm.active):
            return _refused(request.alarm, request.operator, "unknown_alarm", "no such alarm")
        alarm.acknowledged = True
        self._forget(request.alarm)
        return AlarmAcknowledged(alarm=request.alarm, operator=request.operator)

    def _shelve(self, request: AlarmShelveRequested, now: Now) -> AnyEvent:
        alarm = self._alarms.get(request.alarm)
        if alarm is None or alarm.raised is None:
            return _refused(request.alarm, request.operator, "unknown_alarm", "no such alarm")
        if not 0 < request.for_s <= SHELF_MAX_S:
            why = f"for {request.for_s:.0f} s, expected up to {SHELF_MAX_S:.0f} s"
            return _refused(request.alarm, request.operator, "shelf_time", why)
        alarm.shelved_until_ns = now.at_ns + int(request.for_s * NS)
        alarm.shelved_because = now.address
        return AlarmShelved(
            alarm=request.alarm, operator=request.operator, until_at_ns=alarm.shelved_until_ns
        )

    def _take_back(self, request: AlarmUnshelveRequested, now: Now) -> Iterator[AnyEvent]:
        alarm = self._alarms.get(request.alarm)
        if alarm is None or not alarm.shelved_until_ns:
            yield _refused(request.alarm, request.operator, "not_shelved", "it is not on the shelf")
        else:
            yield from self._unshelve(request.alarm, request.operator, now.address)

    def _unshelve(self, tag: str, operator: str, because: Address | None) -> Iterator[AnyEvent]:
        alarm = self._alarms[tag]
        alarm.shelved_until_ns = 0
        yield AlarmUnshelved(alarm=tag, operator=operator, because=because)
        if alarm.active and alarm.raised is not None:
            alarm.acknowledged = False
            yield _announcement(tag, alarm, alarm.raised)
        self._forget(tag)

    def _forget(self, tag: str) -> None:
        """Let go of an alarm that is normal: nothing holds, nothing waits for a person."""
        alarm = self._alarms[tag]
        if not (alarm.holds or alarm.active or alarm.shelved_until_ns) and alarm.acknowledged:
            del self._alarms[tag]

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._alarms, self._conditions.encode()))

    def restore(self, state: bytes) -> None:
        self._alarms, conditions = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Alarm], bytes]
        )
        self._conditions.restore(conditions)


def _announcement(tag: str, alarm: _Alarm, condition: Condition) -> AlarmRaised:
    return AlarmRaised(
        alarm=tag,
        priority=condition.priority,
        asset=condition.asset,
        kind=condition.kind,
        text_vi=condition.text_vi,
        text_en=condition.text_en,
        acknowledged=alarm.acknowledged,
        because=alarm.because,
    )


def _refused(alarm: str, operator: str, interlock: str, why: str) -> CommandRefused:
    return CommandRefused(target=alarm, interlock=interlock, why=why, by=f"operator:{operator}")
