"""Signal controllers and clocks that fail, through all cores: no command, an alarm, and back.

The field are the simulated city's own cabinets; their reports and answers enter as inputs.
"""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from causeway.centre import cores_of
from causeway.engine import advance
from causeway.events import (
    Address,
    AlarmRaised,
    AlarmReturned,
    CommandAnswered,
    CommandSent,
    EngineStarted,
    SignalsObserved,
    SignalState,
    StageCommanded,
    Tick,
)
from causeway.site import load_site
from sims.controllers import SignalController, SignalFault

NS = 1_000_000_000
START_NS = 1_763_980_800 * NS
JUNCTIONS = 5
CITY = load_site(Path(__file__).parents[3] / "sims" / "cities" / "saigon")
SITE = msgspec.structs.replace(  # nothing but signals, so that all alarms are theirs
    CITY, junctions=CITY.junctions[:JUNCTIONS], gauges=(), signs=(), circuits=(), cameras=()
)
J, OTHER = SITE.junctions[0].id, SITE.junctions[1].id


class Streets:
    """Five cabinets, the centre's cores between them, and what may be wrong."""

    def __init__(self):
        self.true_ns = START_NS
        self.centre_off_s = 0.0
        self.off_s = Counter()
        self.silent, self.deaf, self.cut = set(), set(), set()
        self.aspects = {}  # what a cabinet says that it shows, against the truth
        self.commands = Counter()
        self.alarms = {}
        self.raised = Counter()
        self.cabinets = {j.id: SignalController(j, START_NS) for j in SITE.junctions}
        self._cores = cores_of(SITE)
        self._number = 0
        self._at_ns = 0
        self._feed(EngineStarted(version="", site_hash=""))
        self.run(60)

    def run(self, seconds):
        """Let time pass; counts the commands and keeps the alarms that hold."""
        self.commands.clear()
        for _ in range(seconds):
            self.true_ns += NS
            states = tuple(self._report(id_) for id_ in self.cabinets if id_ not in self.silent)
            self._feed(SignalsObserved(states=states))
            self._feed(Tick())

    def clock_ns(self, id_):
        return self.true_ns + int(self.off_s[id_] * NS)

    def _report(self, id_):
        cabinet, now_ns = self.cabinets[id_], self.clock_ns(id_)
        if id_ not in self.cut:
            cabinet.heartbeat(now_ns)
        cabinet.tick(now_ns)
        said = cabinet.report(now_ns)
        aspects = self.aspects.get(id_, said.aspects)
        return SignalState(
            id_, now_ns, said.stage, said.interval, aspects, said.mode, said.sequence, said.fault
        )

    def _feed(self, event):
        self._number += 1
        self._at_ns = max(self._at_ns, self.true_ns + int(self.centre_off_s * NS))
        for index, answer in enumerate(advance(self._cores, event, self._number, self._at_ns)):
            if isinstance(answer, AlarmRaised):
                self.alarms[answer.alarm] = answer
                self.raised[answer.alarm, answer.priority] += 1
            elif isinstance(answer, AlarmReturned):
                del self.alarms[answer.alarm]
            elif isinstance(answer, StageCommanded):
                self._send(answer, Address(self._number, index))

    def _send(self, command, address):
        id_, sequence = command.junction, command.sequence
        self.commands[id_] += 1
        self._feed(CommandSent(command=address, target=id_, sequence=sequence))
        if id_ in self.silent | self.deaf | self.cut:
            return
        names = ("sequence", "issued_at_ns", "expires_at_ns", "stage")
        order = msgspec.json.encode({name: getattr(command, name) for name in names})
        said = self.cabinets[id_].command(order, self.clock_ns(id_))
        self._feed(
            CommandAnswered(
                target=id_,
                sequence=sequence,
                accepted=said.accepted,
                result=said.result,
                observed_at_ns=said.at_ns,
            )
        )


@pytest.fixture
def streets():
    return Streets()


def test_healthy_streets_are_commanded_without_an_alarm(streets):
    streets.run(90)
    assert all(streets.commands[id_] >= 2 for id_ in streets.cabinets)
    assert streets.alarms == {}


def test_a_controller_that_stops_answering(streets):
    streets.silent.add(J)
    streets.run(15)
    assert streets.alarms[f"SRC-{J}"].priority == 2
    streets.run(90)
    assert streets.commands[J] == 0 < streets.commands[OTHER]
    streets.silent.clear()
    streets.run(90)
    assert streets.commands[J] > 0
    assert streets.alarms == {}


def test_a_controller_that_does_not_hear_the_centre(streets):
    streets.cut.add(J)
    streets.run(50)
    assert streets.alarms[f"SIG-{J}-LOCAL"].text_en.endswith("do not hear the centre")
    streets.run(90)
    assert streets.commands[J] == 0 < streets.commands[OTHER]
    streets.cut.clear()
    streets.run(150)
    assert streets.commands[J] > 0
    assert streets.alarms == {}


def test_conflicting_greens_that_the_monitor_trips_on(streets):
    cabinet = streets.cabinets[J]
    red = next(
        g for g, a in zip(SITE.junctions[0].groups, cabinet.aspects, strict=True) if a == "r"
    )
    cabinet.break_down(SignalFault("conflict", red.id))
    streets.run(90)
    assert streets.commands[J] == 0 < streets.commands[OTHER]
    assert set(cabinet.aspects) == {"o"}
    alarm = streets.alarms[f"SIG-{J}"]
    assert (alarm.priority, "fault conflict" in alarm.text_en) == (1, True)
    cabinet.repair("conflict", streets.true_ns)
    streets.run(90)
    assert streets.commands[J] > 0
    assert streets.alarms == {}


def test_conflicting_greens_that_no_monitor_trips_on(streets):
    streets.aspects[J] = "G" * len(SITE.junctions[0].groups)
    streets.run(90)
    assert streets.commands[J] == 0 < streets.commands[OTHER]
    alarm = streets.alarms[f"SIG-{J}"]
    assert (alarm.priority, "conflicting green" in alarm.text_en) == (1, True)
    streets.aspects.clear()
    streets.run(90)
    assert streets.commands[J] > 0
    assert streets.alarms == {}


def test_a_controller_that_ignores_commands(streets):
    streets.deaf.add(J)
    streets.run(120)
    assert streets.raised[f"CMD-{J}", 2]
    streets.run(300)
    assert streets.commands[J] <= 5  # one try a minute
    streets.deaf.clear()
    streets.run(180)
    assert streets.commands[J] >= 3
    assert streets.alarms == {}


@pytest.mark.parametrize("off_s", [600, 4, -600, -7])
def test_a_controllers_clock_that_jumps(streets, off_s):
    streets.off_s[J] = off_s
    streets.run(20)
    assert streets.alarms[f"CLOCK-{J}"].text_en.endswith("it is given no commands")
    streets.run(60)
    assert streets.commands[J] == 0 < streets.commands[OTHER]
    streets.off_s.clear()
    streets.run(150)
    assert streets.commands[J] > 0
    assert streets.alarms == {}


@pytest.mark.parametrize("off_s", [90, -90])
def test_the_centres_clock_that_jumps(streets, off_s):
    streets.centre_off_s = off_s
    streets.run(20)
    assert [*streets.alarms] == ["CLOCK-centre"]
    assert streets.alarms["CLOCK-centre"].priority == 1
    streets.run(60)
    assert streets.commands.total() == 0
    assert [*streets.alarms] == ["CLOCK-centre"]
    streets.centre_off_s = 0.0
    streets.run(200)
    assert all(streets.commands[id_] > 0 for id_ in streets.cabinets)
    assert streets.alarms == {}
