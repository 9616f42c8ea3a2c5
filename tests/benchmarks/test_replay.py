"""The made-up evening that the benchmarks run on is one of work, and replays the same."""

from benchmarks.city import Evening, city, recorded
from benchmarks.replay import replay_bench
from causeway.centre import cores_of
from causeway.events import AlarmRaised, ClosureProposed, CommandConfirmed, CoreFailed, Rejected


def test_an_evening_replays_as_it_was_recorded_and_is_measured() -> None:
    found = replay_bench(seconds=20, rounds=1)  # raises at the first difference
    assert found["readings"] == 20 * len(city().points)
    assert found["steps_per_s"]


def test_an_evening_gives_the_cores_something_to_do() -> None:
    site = city()
    kinds = {type(event) for step in recorded(cores_of(site), site, 60) for event in step.events}
    assert {AlarmRaised, ClosureProposed, CommandConfirmed} <= kinds
    assert not {CoreFailed, Rejected} & kinds


def test_an_evening_is_the_same_each_time() -> None:
    site = city()
    one, other = Evening(site), Evening(site)
    assert [list(one.second(n)) for n in range(3)] == [list(other.second(n)) for n in range(3)]
