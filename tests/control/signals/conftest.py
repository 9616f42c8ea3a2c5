import pytest

from causeway.events import Interval, SignalMode, SignalsObserved, SignalState

ASPECTS = {"ns": "GGrr", "ew": "rrGG"}


@pytest.fixture
def shows():
    """A report of junction j-01, by default green in its stage under the centre."""

    def report(
        stage,
        interval=Interval.GREEN,
        mode=SignalMode.CENTRE,
        aspects=None,
        fault="",
        sequence=0,
        junction="j-01",
        at_ns=1,  # the bench's own moment
    ):
        if aspects is None:
            letter = {Interval.GREEN: "G", Interval.YELLOW: "y"}.get(interval, "r")
            aspects = ASPECTS.get(stage, "rrrr").replace("G", letter)
        state = SignalState(junction, at_ns, stage, interval, aspects, mode, sequence, fault)
        return SignalsObserved(states=(state,))

    return report
