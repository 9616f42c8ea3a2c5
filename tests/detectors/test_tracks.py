import pytest

from detectors.counting import Counting
from detectors.tracks import Sighting, Tracks
from detectors.view import View

NS = 1_000_000_000
STEP_NS = NS // 10
HEIGHT, WIDTH = 180, 320


def driven(tracks, way, frames, start_ns=NS):
    """Tracks after frames in which each thing is at way(n): a list of (x, foot)."""
    for n in range(frames):
        places = [Sighting(x, foot, 20.0, 15.0) for x, foot in way(n)]
        yield tracks.see(places, start_ns + n * STEP_NS)


def straight(x, foot, vx):
    return lambda n: [(x + vx * n, foot)]


def view_of(passes):
    """What is learnt from so many tracks, each (foot, vx) a frame."""
    view = View(HEIGHT, WIDTH)
    for number, (foot, vx) in enumerate(passes):
        tracks = Tracks()
        x = 10 if vx > 0 else WIDTH - 10
        for _ in driven(tracks, straight(x, foot, vx), 40, NS * (1 + 60 * number)):
            pass
        for track in tracks.live:
            view.learn(track)
    return view


def test_a_thing_that_moves_keeps_one_track_and_its_speed_is_found():
    tracks = Tracks()
    live = list(driven(tracks, straight(20, 90, 6.0), 30))[-1]
    assert len(live) == 1
    assert live[0].vx == pytest.approx(60.0, rel=0.05)
    assert live[0].vy == pytest.approx(0.0, abs=1.0)


def test_two_that_pass_each_other_keep_their_tracks():
    tracks = Tracks()
    numbers = set()
    for live in driven(tracks, lambda n: [(20 + 6 * n, 90), (290 - 6 * n, 104)], 45):
        numbers |= {t.number for t in live}
    assert numbers == {1, 2}
    assert live[0].vx * live[1].vx < 0


def test_a_doubtful_sighting_carries_a_track_on_but_begins_none():
    tracks = Tracks()
    for n in range(20):
        score = 0.9 if n < 10 else 0.2
        faint = Sighting(250, 60, 20, 15, 0.2)
        live = tracks.see([Sighting(20 + 4 * n, 90, 20, 15, score), faint], NS + n * STEP_NS)
    assert [t.hits for t in live] == [20]


def test_a_track_that_is_not_seen_ends():
    tracks = Tracks()
    list(driven(tracks, straight(20, 90, 6.0), 10))
    for n in range(10, 25):
        tracks.see([], NS + n * STEP_NS)
    assert tracks.live == []


def test_each_vehicle_that_crosses_the_line_counts_once():
    view = view_of([(90, 6.0)] * 4)
    counting, tracks = Counting(), Tracks(view.expected)
    for live in driven(tracks, lambda n: [(10 + 6 * n, 90), (-100 + 6 * n, 90)], 60):
        counting.see([*live, *tracks.ended], view)
    assert counting.total == 2


def counted(view, vx):
    """What is counted of one that drives over the picture."""
    counting, tracks = Counting(), Tracks(view.expected)
    for live in driven(tracks, straight(10 if vx > 0 else WIDTH - 10, 90, vx), 48):
        counting.see([*live, *tracks.ended], view)
    return counting.total


def test_who_comes_alone_against_the_others_is_not_counted():
    view = view_of([(90, 6.0)] * 4 + [(90, -6.0)])
    assert (counted(view, 6.0), counted(view, -6.0)) == (1, 0)


def test_a_road_that_is_driven_both_ways_is_counted_both_ways():
    view = view_of([(90, 6.0)] * 4 + [(120, -6.0)] * 3)
    assert (counted(view, 6.0), counted(view, -6.0)) == (1, 1)


def test_what_lies_between_driven_lanes_is_road():
    view = View(HEIGHT, WIDTH)
    for number, x in enumerate((80, 80, 230, 230)):
        tracks = Tracks()
        for _ in driven(tracks, lambda n, x=x: [(x, 40 + 3 * n)], 40, NS * (1 + 60 * number)):
            pass
        for track in tracks.live:
            view.learn(track)
    assert view.on_road(155, 100)
    assert not view.on_road(20, 100)
    assert not view.on_road(300, 100)


def stood(view, size_after):
    """One that stands for four seconds and drives on with another size."""
    tracks = Tracks()
    for n in range(60):
        x, size = (100, (40, 30)) if n < 40 else (100 + 5 * (n - 40), size_after)
        live = tracks.see([Sighting(x, 90, *size)], NS + n * STEP_NS)
    assert len(live) == 1
    view.learn(live[0])


def test_where_one_stood_and_drove_on_vehicles_wait():
    view = View(HEIGHT, WIDTH)
    stood(view, (40, 30))
    assert view.waits(100, 75)
    assert not view.waits(100, 75, times=2)
    stood(view, (40, 30))
    assert view.waits(100, 75, times=2)


def test_a_driver_who_walks_from_a_car_makes_no_place_to_wait():
    view = View(HEIGHT, WIDTH)
    stood(view, (10, 28))
    assert not view.waits(100, 75)


def test_what_trembles_on_the_line_is_not_counted():
    view = view_of([(90, 6.0)] * 4)
    at = view.line.at
    counting, tracks = Counting(), Tracks(view.expected)
    for live in driven(tracks, lambda n: [(at + (4 if n % 2 else -4), 90)], 60):
        counting.see(live, view)
    assert counting.total == 0


def test_a_view_learns_directions_by_tracks_and_forgets_who_wandered():
    view = view_of([(90, 6.0)] * 4 + [(150, -6.0)] * 3)
    assert view.direction(160, 82).x > 0.99
    assert view.direction(160, 142).x < -0.99
    assert view.learnt == 7
    wandering = Tracks()
    for _ in driven(wandering, lambda n: [(160 + (30 if n % 20 < 10 else 0), 40)], 60):
        pass
    for track in wandering.live:
        view.learn(track)
    assert view.learnt == 7


def test_the_count_line_lies_where_vehicles_are_large():
    view = View(HEIGHT, WIDTH)
    for number in range(4):
        tracks = Tracks()
        for n in range(40):
            size = 5.0 + n
            place = Sighting(100 + 50 * number / 3, 20 + 3.0 * n, size, size)
            tracks.see([place], NS * (1 + 60 * number) + n * STEP_NS)
        for track in tracks.live:
            view.learn(track)
    assert (view.line.x, view.line.y) == (0.0, 1.0)
    assert view.line.at > 90
