"""The state machines of tracks, on tracks that are made."""

from types import SimpleNamespace

import cv2
import numpy as np

from causeway.events import IncidentDetected, IncidentEnded, IncidentKind
from detectors.queueing import Queueing
from detectors.standing import Standing
from detectors.tracks import Sighting, Tracks
from detectors.view import View
from detectors.walking import Walking
from detectors.wrong_way import WrongWay

NS = 1_000_000_000
STEP_S = 0.1
HEIGHT, WIDTH = 180, 320
NOISE = np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)
TEXTURE = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)


def learnt(foot=90, ways=5, vx=6.0):
    """A view of a road on which some have passed."""
    view = View(HEIGHT, WIDTH)
    for number in range(ways):
        tracks = Tracks()
        for n in range(45):
            x = (10 if vx > 0 else 310) + vx * n
            tracks.see([Sighting(x, foot, 20, 15)], (1 + 60 * number) * NS + n * NS // 10)
        for track in tracks.live:
            view.learn(track)
    return view


def scene(at_ns, shift_px=0.0):
    """All of the picture moves by so many pixels to the right since the one before."""
    everywhere = np.ones((HEIGHT, WIDTH), np.bool_)
    return SimpleNamespace(
        at_ns=at_ns,
        dt_s=STEP_S,
        grey=np.roll(TEXTURE, round(shift_px), axis=1),
        grey_before=TEXTURE,
        road=everywhere,
        foreground=everywhere,
        moving=everywhere,
    )


def said(machine, view, things, frames, shift_px=0.0):
    """The incidents that a machine tells of things(n), a list of sightings."""
    tracks, events = Tracks(), []
    for n in range(frames):
        at_ns = 10_000 * NS + round(n * STEP_S * NS)
        live = tracks.see(things(n), at_ns)
        events += machine.see(live, view, scene(at_ns, shift_px))
    return [e for e in events if isinstance(e, IncidentDetected)], events


def car(x, foot=90, kind="car"):
    return Sighting(x, foot, 20, 15, 0.9, kind)


def test_who_drives_against_the_others_is_told_once():
    found, _ = said(WrongWay("c"), learnt(), lambda n: [car(300 - 4 * n)], 50, shift_px=-4)
    assert [i.kind for i in found] == [IncidentKind.WRONG_WAY]


def test_a_slow_one_that_drives_against_the_others_is_told():
    found, _ = said(WrongWay("c"), learnt(), lambda n: [car(300 - n)], 60, shift_px=-1)
    assert [i.kind for i in found] == [IncidentKind.WRONG_WAY]


def test_what_comes_in_over_the_edge_is_judged_as_soon_as_it_is_whole():
    def comes_in(n):
        shown = max(1, min(20, 5 * n))
        return [Sighting(320 - 5 * n + shown / 2, 90, shown, 15, 0.9, "car")]

    found, _ = said(WrongWay("c"), learnt(), comes_in, 18, shift_px=-5)
    assert [i.kind for i in found] == [IncidentKind.WRONG_WAY]


def test_who_drives_with_the_others_is_not_told():
    found, _ = said(WrongWay("c"), learnt(), lambda n: [car(10 + 4 * n)], 50, shift_px=4)
    assert found == []


def test_a_track_that_the_flow_does_not_bear_out_is_not_told():
    found, _ = said(WrongWay("c"), learnt(), lambda n: [car(300 - 4 * n)], 50, shift_px=4)
    assert found == []


def test_where_nobody_has_passed_no_way_is_wrong():
    found, _ = said(WrongWay("c"), View(HEIGHT, WIDTH), lambda n: [car(300 - 4 * n)], 50, -4)
    assert found == []


def passing(n):
    """A vehicle each three seconds."""
    return [car(10 + 6 * (n % 30), foot=110)]


def test_a_vehicle_that_stands_while_others_pass_is_told_after_ten_seconds():
    found, events = said(Standing("c"), learnt(), lambda n: [car(150), *passing(n)], 150)
    assert [i.kind for i in found] == [IncidentKind.STOPPED_VEHICLE]
    assert not any(isinstance(e, IncidentEnded) for e in events)


def test_a_vehicle_of_a_queue_is_not_told():
    queue = [car(150), car(182), car(214)]
    found, _ = said(Standing("c"), learnt(), lambda n: [*queue, *passing(n)], 150)
    assert found == []


def test_a_vehicle_that_stands_alone_on_an_empty_road_is_not_told():
    found, _ = said(Standing("c"), learnt(), lambda n: [car(150)], 150)
    assert found == []


def test_two_that_run_into_each_other_and_stay_are_a_collision():
    def crash(n):
        n = min(n, 20)
        return [car(40 + 5 * n), car(258 - 5 * n, foot=92)]

    found, _ = said(Standing("c"), learnt(), crash, 80)
    assert IncidentKind.COLLISION in {i.kind for i in found}


def bus_stop(people_foot, passer_foot):
    """One pulls up, people stand near it, and another drives past."""

    def at(n):
        bus = car(min(40 + 6 * n, 160))
        people = [car(150 + 12 * k, people_foot, "person") for k in range(2)]
        return [bus, *people, car(10 + 6 * max(0, n - 5), passer_foot)]

    return at


def test_who_drives_past_a_vehicle_that_stops_at_a_kerb_with_people_is_no_collision():
    found, _ = said(Standing("c"), learnt(), bus_stop(people_foot=140, passer_foot=99), 80)
    assert IncidentKind.COLLISION not in {i.kind for i in found}


def test_one_that_comes_to_rest_beside_the_road_after_a_blow_is_a_collision():
    def crash(n):
        struck = [car(110 + min(n, 14) * 3, 90 + 4 * max(0, min(n, 25) - 11))]
        people = [car(150, 91, "person")] if n > 14 else []
        return [*struck, car(20 + 9 * min(n, 12), foot=91), *people]

    found, _ = said(Standing("c"), learnt(), crash, 90)
    assert IncidentKind.COLLISION in {i.kind for i in found}


def test_a_first_queue_may_be_a_jam_and_a_place_where_many_waited_is_not():
    row = [20 + 35 * k for k in range(8)]

    def jammed(times):
        view = learnt()
        view.waited[:] = times
        return said(Queueing("c"), view, lambda n: [car(x + 0.2 * n) for x in row], 90)[0]

    assert [i.kind for i in jammed(1)] == [IncidentKind.CONGESTION]
    assert jammed(2) == []


def test_a_person_on_the_carriageway_is_told_and_one_beside_it_is_not():
    on_road = said(Walking("c"), learnt(), lambda n: [car(100 + n, 88, "person")], 50)[0]
    beside = said(Walking("c"), learnt(), lambda n: [car(100 + n, 160, "person")], 50)[0]
    assert [i.kind for i in on_road] == [IncidentKind.PEDESTRIAN]
    assert beside == []


def test_a_road_full_of_vehicles_that_creep_is_jammed_and_one_that_flows_is_not():
    row = [20 + 35 * k for k in range(8)]
    creeping = said(Queueing("c"), learnt(), lambda n: [car(x + 0.2 * n) for x in row], 90)[0]
    flowing = said(Queueing("c"), learnt(), lambda n: [car((x + 6 * n) % 300) for x in row], 90)[0]
    assert [i.kind for i in creeping] == [IncidentKind.CONGESTION]
    assert flowing == []
