from datetime import UTC, datetime

import pytest

from causeway.events import (
    ControlMode,
    ControlModeChanged,
    LightingCommanded,
    LightingObserved,
    LightingRequested,
    Tick,
)
from causeway.site import LonLat
from control.lighting import LightingCommands, StreetLighting, sun_elevation_deg

NS = 1_000_000_000
SAIGON = LonLat(106.7, 10.77)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def test_the_sun_stands_where_the_almanac_says():
    # 2025-03-20: equinox; on the equator at longitude 0 the sun is overhead at about 12:07 UTC.
    assert sun_elevation_deg(LonLat(0, 0), at("2025-03-20T12:07:30")) == pytest.approx(90, abs=0.3)
    # Solstices at Greenwich, transit: 90 - latitude +- 23.44.
    assert sun_elevation_deg(LonLat(0, 51.48), at("2025-06-21T12:02:00")) == pytest.approx(
        90 - 51.48 + 23.44, abs=0.05
    )
    assert sun_elevation_deg(LonLat(0, 51.48), at("2025-12-21T11:58:00")) == pytest.approx(
        90 - 51.48 - 23.44, abs=0.05
    )


def test_the_lights_of_saigon_go_on_after_sunset(site, bench):
    step = bench(StreetLighting(site))  # sunset on 2025-11-24: 17:28 local, 10:28 UTC
    step.at_ns = at("2025-11-24T10:20:00")
    step(LightingObserved(circuit="lc-1", observed_at_ns=1, level_ratio=0.0))
    assert step(Tick()) == []
    answers = [a for _ in range(90) for a in step(Tick(), after_s=10)]
    assert answers[0].level_ratio == 1.0


def test_a_circuit_that_obeys_is_not_asked_again_and_one_that_does_not_is(site, bench):
    step = bench(StreetLighting(site))
    step.at_ns = at("2025-11-24T14:00:00")
    step(LightingObserved(circuit="lc-1", observed_at_ns=1, level_ratio=0.0))
    assert len(step(Tick())) == 1
    assert step(Tick(), after_s=59) == []
    assert len(step(Tick(), after_s=10)) == 1
    step(LightingObserved(circuit="lc-1", observed_at_ns=2, level_ratio=0.99))
    assert step(Tick(), after_s=120) == []


def test_a_circuit_in_manual_mode_is_left_alone(site, bench):
    step = bench(StreetLighting(site))
    step.at_ns = at("2025-11-24T14:00:00")
    step(LightingObserved(circuit="lc-1", observed_at_ns=1, level_ratio=0.0))
    step(ControlModeChanged(asset="lc-1", mode=ControlMode.MANUAL, operator="an"))
    assert step(Tick()) == []


def test_a_request_becomes_a_command_that_goes_on_from_the_circuits_sequence(site, bench):
    step = bench(LightingCommands(site))
    step(LightingObserved(circuit="lc-1", observed_at_ns=1, level_ratio=0.0, sequence=7))
    (command,) = step(LightingRequested(circuit="lc-1", level_ratio=0.5, by="lighting"))
    assert command == LightingCommanded(
        circuit="lc-1",
        level_ratio=0.5,
        sequence=8,
        issued_at_ns=step.at_ns,
        expires_at_ns=step.at_ns + 30 * NS,
    )


@pytest.mark.parametrize(
    ("request_", "interlock"),
    [
        (LightingRequested(circuit="lc-9", level_ratio=0.5, by="lighting"), "unknown_asset"),
        (LightingRequested(circuit="lc-1", level_ratio=1.5, by="lighting"), "out_of_range"),
        (LightingRequested(circuit="lc-1", level_ratio=float("nan"), by="x"), "out_of_range"),
        (LightingRequested(circuit="lc-1", level_ratio=0.5, by="operator:an"), "control_mode"),
    ],
)
def test_what_does_not_fit_is_refused(site, bench, request_, interlock):
    (refused,) = bench(LightingCommands(site))(request_)
    assert refused.interlock == interlock


def test_the_engine_is_refused_while_a_person_holds_the_circuit(site, bench):
    step = bench(LightingCommands(site))
    step(ControlModeChanged(asset="lc-1", mode=ControlMode.MANUAL, operator="an"))
    (refused,) = step(LightingRequested(circuit="lc-1", level_ratio=0.5, by="lighting"))
    assert refused.interlock == "control_mode"
    (command,) = step(LightingRequested(circuit="lc-1", level_ratio=0.5, by="operator:an"))
    assert isinstance(command, LightingCommanded)
