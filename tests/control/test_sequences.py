from hypothesis import given
from hypothesis import strategies as st

from control.sequences import SEQUENCE_MAX, following, newest

SEQUENCES = st.integers(1, SEQUENCE_MAX)


def test_the_first_sequence_is_one_and_the_last_wraps_to_one():
    assert following(0) == 1
    assert following(SEQUENCE_MAX) == 1


@given(SEQUENCES)
def test_the_following_sequence_is_new_to_the_device(last):
    assert 1 <= (following(last) - last) % 65_536 <= 32_767


def test_a_device_that_is_ahead_is_believed():
    assert newest(3, 41) == 41
    assert newest(65_530, 2) == 2


def test_a_device_that_is_behind_or_has_taken_nothing_changes_nothing():
    assert newest(41, 40) == 41
    assert newest(41, 0) == 41
    assert newest(40_000, 0) == 40_000
