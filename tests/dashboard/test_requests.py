from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway import events as e
from causeway.events import AnyEvent, ControlMode
from causeway.site import Site
from dashboard.requests import NotMeant, decode_request, event_of


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (
            '{"do": "acknowledge", "id": 1, "alarm": "TIDE-tg-phu-an"}',
            e.AlarmAcknowledgeRequested(alarm="TIDE-tg-phu-an", operator="an"),
        ),
        (
            '{"do": "shelve", "id": 2, "alarm": "TIDE-tg-phu-an", "for_s": 900, "why": "known"}',
            e.AlarmShelveRequested(alarm="TIDE-tg-phu-an", operator="an", for_s=900.0, why="known"),
        ),
        (
            '{"do": "unshelve", "id": 3, "alarm": "TIDE-tg-phu-an"}',
            e.AlarmUnshelveRequested(alarm="TIDE-tg-phu-an", operator="an"),
        ),
        (
            '{"do": "mode", "id": 4, "asset": "p-1", "mode": "manual"}',
            e.ControlModeRequested(asset="p-1", mode=ControlMode.MANUAL, operator="an"),
        ),
        (
            '{"do": "pump", "id": 5, "pump": "p-1", "run": false}',
            e.PumpRequested(pump="p-1", run=False, by="operator:an"),
        ),
        (
            '{"do": "gate", "id": 6, "gate": "g-1", "opening_ratio": 0.0}',
            e.GateRequested(gate="g-1", opening_ratio=0.0, by="operator:an"),
        ),
        (
            '{"do": "stage", "id": 7, "junction": "j-01", "stage": "ew"}',
            e.StageRequested(junction="j-01", stage="ew", by="operator:an"),
        ),
        (
            '{"do": "sign", "id": 8, "sign": "vms-01", "text": "NGẬP 35 CM"}',
            e.SignRequested(sign="vms-01", text="NGẬP 35 CM", by="operator:an"),
        ),
        (
            '{"do": "lighting", "id": 9, "circuit": "lc-01", "level_ratio": 0.5}',
            e.LightingRequested(circuit="lc-01", level_ratio=0.5, by="operator:an"),
        ),
        (
            '{"do": "closure", "id": 10, "segment": "rd-1", "approved": true}',
            e.ClosureDecided(segment="rd-1", approved=True, operator="an"),
        ),
    ],
)
def test_a_message_of_the_interfaces_becomes_its_event(
    site: Site, text: str, event: AnyEvent
) -> None:
    assert event_of(decode_request(text), "an", site) == event


def test_a_resync_is_no_event(site: Site) -> None:
    assert event_of(decode_request('{"do": "resync"}'), "an", site) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("[]", 0),
        ("null", 0),
        ('{"do": "explode", "id": 7}', 7),
        ('{"do": "pump", "id": 7, "pump": "p-1", "run": "yes"}', 7),
        ('{"do": "pump", "id": 7, "pump": "p-1"}', 7),
        ('{"do": "pump", "id": 7, "pump": "p-1", "run": true, "by": "operator:root"}', 7),
        ('{"do": "gate", "id": 7, "gate": "g-1", "opening_ratio": 1.5}', 7),
        ('{"do": "gate", "id": 7, "gate": "g-1", "opening_ratio": NaN}', 0),
        ('{"do": "shelve", "id": 7, "alarm": "A", "for_s": -1}', 7),
        ('{"do": "acknowledge", "id": 7, "alarm": "a b\\n"}', 7),
        ('{"do": "acknowledge", "id": -7, "alarm": "A"}', -7),
    ],
)
def test_a_message_that_is_not_of_the_form_is_refused_under_its_number(
    text: str, number: int
) -> None:
    with pytest.raises(NotMeant) as refused:
        decode_request(text)
    assert refused.value.id == number
    assert refused.value.why.startswith("malformed")


@pytest.mark.parametrize(
    "text",
    [
        '{"do": "pump", "id": 1, "pump": "p-9", "run": true}',
        '{"do": "gate", "id": 1, "gate": "p-1", "opening_ratio": 1}',
        '{"do": "stage", "id": 1, "junction": "j-01", "stage": "up"}',
        '{"do": "mode", "id": 1, "asset": "rd-1", "mode": "manual"}',
        '{"do": "closure", "id": 1, "segment": "p-1", "approved": true}',
        '{"do": "lighting", "id": 1, "circuit": "none", "level_ratio": 1}',
        '{"do": "sign", "id": 1, "sign": "vms-01", "text": "a\\nb\\nc\\nd"}',
        '{"do": "sign", "id": 1, "sign": "vms-01", "text": "012345678901234567890"}',
    ],
)
def test_what_the_site_has_not_cannot_be_meant(site: Site, text: str) -> None:
    with pytest.raises(NotMeant) as refused:
        event_of(decode_request(text), "an", site)
    assert refused.value.id == 1


@given(
    st.text()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: msgspec.json.encode(v).decode())
)
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(NotMeant):
        decode_request(text)


def test_an_override_is_an_event_with_a_time(site: Site) -> None:
    text = '{"do": "override", "id": 1, "junction": "j-01", "action": "hold"}'
    event = event_of(decode_request(text), "an", site)
    assert event == e.SignalOverrideRequested(
        junction="j-01", action=e.SignalOverride.HOLD, for_s=120.0, operator="an"
    )


@pytest.mark.parametrize(
    "wrong", ['"action": "stop"', '"action": "hold", "for_s": 0', '"action": "hold", "for_s": 901']
)
def test_an_override_without_sense_is_not_meant(wrong: str) -> None:
    with pytest.raises(NotMeant):
        decode_request('{"do": "override", "id": 1, "junction": "j-01", ' + wrong + "}")
