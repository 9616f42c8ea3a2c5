"""A centre that is killed while it commands, and one that is stopped, start again.

The simulated field is a process of its own, and so is the centre; both read one clock that runs six
times as fast as the wall's. Who looks on has the broker's topics, a PLC's registers, the journal
and the wall's feed. One story is told, once for all tests: an operator lowers a gate; while it
travels, the centre is killed between a decision and its sending; the field goes on alone; a second
centre starts; it is stopped cleanly, and a third one starts.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import aiomqtt
import msgspec
import nats
import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from websockets.asyncio.client import ClientConnection, connect

from causeway.centre import cores_of
from causeway.children import CAUSEWAY, Child, Children
from causeway.clock import ScaledClock, clock_spec
from causeway.commands import COMMAND_TYPES
from causeway.engine import replay
from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandExpired,
    CommandSent,
    CommandUnconfirmed,
    EngineStarted,
    GateCommanded,
    Step,
    target_of,
)
from causeway.journal import JournalReader
from causeway.servers import Nats, Postgres, start_nats, start_postgres
from causeway.site import Site, load_site
from causeway.wire import decode_step
from control.signals.safety import conflicting
from ingest.payloads import ROOT
from sims.scenario import load_scenario

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

NS = 1_000_000_000
CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"
SPEED = 6.0
SLACK_S = 2.5 * SPEED  # of the clock: what a busy machine may need of the wall's
SIGNAL_SILENCE_S, PLC_SILENCE_S = 10.0, 15.0  # docs/INTERFACES.md
PLC, GATE, WANTED_RATIO = "plc-g-thi-nghe", "g-thi-nghe", 0.5
MAILBOX, ANSWER = 100, 100
WAIT_S = 180.0  # of a busy machine

# The tide rises through the open gates, and stays below their closing level.
SCENARIO = """
id = "rising_tide"
name = "Triều lên"
name_en = "Rising tide"
start = 2025-11-06T14:30:00+07:00
seed = 5

[traffic]
veh_h = 1500.0
motorbike_share = 0.78
"""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.05)


# --- who looks on --------------------------------------------------------------------------------


class SignalSeen(NamedTuple):
    """A signal state as it was published."""

    junction: str
    at_ns: int
    interval: str
    aspects: str
    mode: str


class Sent(NamedTuple):
    """A command as it left the centre, and when by the clock."""

    target: str
    sequence: int
    at_ns: int


class Topics:
    """What was published of signals, commands and the heartbeat."""

    def __init__(self, url: str, clock: ScaledClock) -> None:
        self.signals: list[SignalSeen] = []
        self.commands: list[Sent] = []
        self.heartbeats_ns: list[int] = []
        self._url = urlsplit(url)
        self._clock = clock

    def modes(self) -> dict[str, str]:
        """Of each junction, as last seen."""
        return {seen.junction: seen.mode for seen in self.signals}

    async def watch(self) -> None:
        async with aiomqtt.Client(
            self._url.hostname or "",
            self._url.port or 0,
            username=self._url.username,
            password=self._url.password,
            identifier="watch",
        ) as client:
            for topic in ("signal/+/state", "+/+/command", "centre/heartbeat"):
                await client.subscribe(ROOT + topic, qos=0)
            async for message in client.messages:
                kind, target = str(message.topic).removeprefix(ROOT).split("/")[:2]
                assert isinstance(message.payload, bytes)
                self._take(kind, target, str(message.topic), msgspec.json.decode(message.payload))

    def _take(self, kind: str, target: str, topic: str, said: dict[str, Any]) -> None:
        if kind == "centre":
            self.heartbeats_ns.append(said["at_ns"])
        elif topic.endswith("command"):
            self.commands.append(Sent(target, said["sequence"], self._clock.now_ns()))
        else:
            shown = (said["at_ns"], said["interval"], said["aspects"], said["mode"])
            self.signals.append(SignalSeen(target, *shown))


class PlcSeen(NamedTuple):
    """A PLC's registers at a moment of the clock."""

    at_ns: int
    opening_ratio: float
    taken_over: bool
    mailbox: tuple[int, ...]


class Registers:
    """What stands in the gate's PLC, several times a second."""

    def __init__(self, port: int, clock: ScaledClock) -> None:
        self.seen: list[PlcSeen] = []
        self._port = port
        self._clock = clock

    @property
    def opening_ratio(self) -> float:
        return self.seen[-1].opening_ratio if self.seen else -1.0

    async def watch(self) -> None:
        while True:
            client = AsyncModbusTcpClient("127.0.0.1", port=self._port, timeout=5, retries=0)
            with suppress(ModbusException):
                await client.connect()
                while client.connected:
                    await self._read(client)
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.2)

    async def _read(self, client: AsyncModbusTcpClient) -> None:
        opening = await client.read_input_registers(0, count=1)
        answer = await client.read_input_registers(ANSWER, count=5)
        mailbox = await client.read_holding_registers(MAILBOX, count=7)
        self.seen.append(
            PlcSeen(
                at_ns=self._clock.now_ns(),
                opening_ratio=opening.registers[0] / 10_000,
                taken_over=bool(answer.registers[2]),
                mailbox=tuple(mailbox.registers),
            )
        )


class Page:
    """A page of the wall: its tables, and what an operator asks there."""

    def __init__(self, connection: ClientConnection) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self._connection = connection
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int) -> Page:
        """As it stands after its first snapshot."""
        url = f"ws://127.0.0.1:{port}/feed"
        page = cls(await connect(url, compression=None, max_size=None))
        await until(lambda: bool(page.tables))
        return page

    async def close(self) -> None:
        self._reading.cancel()
        await self._connection.close()

    async def ask(self, do: str, **what: object) -> None:
        """Once it is journalled."""
        id_ = next(self._ids)
        await self._connection.send(msgspec.json.encode({"do": do, "id": id_, **what}).decode())
        await until(lambda: id_ in self._answers)
        assert self._answers[id_]["ok"], self._answers[id_]

    async def _read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, bytes)
            said = msgspec.json.decode(zlib.decompress(message))
            match said["kind"]:
                case "answer":
                    self._answers[said["id"]] = said
                case "snapshot":
                    self.tables = said["tables"]
                case _:
                    for table, rows in said.get("set", {}).items():
                        for key, row in rows.items():
                            self.tables[table].setdefault(key, {}).update(row)
                    for table, keys in said.get("drop", {}).items():
                        for key in keys:
                            self.tables[table].pop(key, None)


# --- the city ------------------------------------------------------------------------------------


class City:
    """Servers, field, and the centre that is at work now."""

    def __init__(self, children: Children, folder: Path, servers: tuple[Nats, Postgres]) -> None:
        self.nats, self.postgres = servers
        self.site: Site = load_site(CITY)
        self.scenario = folder / "rising_tide.toml"
        self.scenario.write_text(SCENARIO)
        start_ns = load_scenario(self.scenario, self.site).start_ns
        self.clock = ScaledClock(start_ns, time.time_ns(), SPEED)
        ports = free_ports(1 + len(self.site.plcs))
        self.port = ports.pop()
        self.plcs = dict(zip((plc.id for plc in self.site.plcs), ports, strict=True))
        self.topics = Topics(self.nats.mqtt_url_centre, self.clock)
        self.registers = Registers(self.plcs[PLC], self.clock)
        self.centre: Child
        self._children = children
        self._folder = folder
        self._centres = itertools.count(1)

    async def start_field(self) -> None:
        await self._children.start(
            "field",
            [
                *(CAUSEWAY, "field", "--scenario", str(self.scenario), "--no-cameras"),
                *("--data", str(self._folder / "field"), *self._shared()),
            ],
            env={**os.environ, "CAUSEWAY_MQTT_URL": self.nats.mqtt_url_field},
        )

    async def start_centre(self) -> Page:
        """Give its page, as it first shows."""
        name = f"centre-{next(self._centres)}"
        self.centre = await self._children.start(
            name,
            [
                *(CAUSEWAY, "up", "--site", str(CITY), "--port", str(self.port), "--no-forecast"),
                *("--data", str(self._folder / "centre"), *self._shared()),
                *("--signals", "greedy"),  # at this speed the planner takes half a core
            ],
            env={
                **os.environ,
                "CAUSEWAY_MQTT_URL": self.nats.mqtt_url_centre,
                "CAUSEWAY_NATS_URL": self.nats.nats_url,
                "CAUSEWAY_DATABASE_URL": self.postgres.dsn,
            },
        )
        await until(lambda: "The wall: " in self.centre.log_tail())
        return await Page.open(self.port)

    def _shared(self) -> tuple[str, ...]:
        plcs = (f"--plc={plc}=127.0.0.1:{port}" for plc, port in self.plcs.items())
        return ("--clock", clock_spec(self.clock), *plcs)

    async def steps(self, first: int = 1) -> list[tuple[int, Step]]:
        reader = await JournalReader.connect(self.nats.nats_url)
        try:
            return [numbered async for numbered in reader.read(first)]
        finally:
            await reader.close()

    async def kill_between_a_decision_and_its_sending(self, now: Callable[[], bool]) -> None:
        """Halt the centre at a command's step while `now` holds, and kill it if nothing left."""
        client = await nats.connect(self.nats.nats_url)
        decided = await client.subscribe("causeway.journal")
        try:
            async for message in decided.messages:
                if not (now() and any(map(is_command, decode_step(message.data).events))):
                    continue
                os.kill(self.centre.pid, signal.SIGSTOP)
                await asyncio.sleep(0.1)  # what it had handed to the kernel is at the server then
                number = int(message.reply.rpartition(".")[2])
                if sent_of(await self.steps(number)).issuperset(commands_of(number, message.data)):
                    os.kill(self.centre.pid, signal.SIGCONT)
                    continue
                self.centre.kill()
                return
        finally:
            await client.close()


def is_command(event: AnyEvent) -> bool:
    return isinstance(event, COMMAND_TYPES)


def commands_of(number: int, body: bytes) -> set[Address]:
    events = enumerate(decode_step(body).events)
    return {Address(number, index) for index, event in events if is_command(event)}


def sent_of(steps: list[tuple[int, Step]]) -> set[Address]:
    events = (event for _, step in steps for event in step.events)
    return {event.command for event in events if isinstance(event, CommandSent)}


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


# --- the story -----------------------------------------------------------------------------------


class Story:
    """What happened, for the tests to look at."""

    killed_ns: int
    restarted_ns: int
    stopped_at_step: int
    third_step: int
    alarms_at_the_stop: dict[str, dict[str, Any]]
    alarms_of_the_third: dict[str, dict[str, Any]]
    steps: list[tuple[int, Step]]

    def __init__(self, city: City) -> None:
        self.site = city.site
        self.signals = city.topics.signals
        self.sent = city.topics.commands
        self.heartbeats_ns = city.topics.heartbeats_ns
        self.plc = city.registers.seen

    def steps_of_run(self, run: int) -> list[tuple[int, Step]]:
        """Of the first, second or third centre."""
        runs = itertools.count()
        count = 0
        found = []
        for number, step in self.steps:
            if isinstance(step.events[0], EngineStarted):
                count = next(runs) + 1
            if count == run:
                found.append((number, step))
        return found

    def events_of_run(self, run: int) -> Iterator[tuple[Address, AnyEvent]]:
        for number, step in self.steps_of_run(run):
            for index, event in enumerate(step.events):
                yield Address(number, index), event

    def commands_of_run(self, run: int) -> dict[Address, AnyCommand]:
        return {
            address: cast(AnyCommand, event)
            for address, event in self.events_of_run(run)
            if is_command(event)
        }


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that every user can get to."""
    with tempfile.TemporaryDirectory(prefix="causeway-restart-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(folder: Path) -> Story:
    children = Children(folder / "log")
    try:
        servers = await asyncio.gather(
            start_nats(children, folder / "servers"), start_postgres(children, folder / "servers")
        )
        city = City(children, folder, servers)
        story = Story(city)
        async with asyncio.timeout(6 * WAIT_S), asyncio.TaskGroup() as looking_on:
            watching = [looking_on.create_task(w.watch()) for w in (city.topics, city.registers)]
            await tell(city, story)
            for task in watching:
                task.cancel()
        return story
    finally:
        await children.stop_all()


async def tell(city: City, story: Story) -> None:
    await city.start_field()
    first = await city.start_centre()
    await until(lambda: set(city.topics.modes().values()) == {"centre"})
    await first.ask("mode", asset=GATE, mode="manual")
    await until(lambda: first.tables["gates"].get(GATE, {}).get("opening") == 1.0)
    await until(lambda: first.tables["sources"][PLC]["local"] is False)
    await first.ask("gate", gate=GATE, opening_ratio=WANTED_RATIO)
    await city.kill_between_a_decision_and_its_sending(
        lambda: WANTED_RATIO + 0.1 < city.registers.opening_ratio < 0.95
    )
    story.killed_ns = city.clock.now_ns()
    await first.close()

    await until(lambda: set(city.topics.modes().values()) == {"local"})
    await until(lambda: city.registers.seen[-1].taken_over)
    await stands_still(city.registers)

    story.restarted_ns = city.clock.now_ns()
    second = await city.start_centre()
    await until(lambda: f"CMD-{GATE}" in second.tables["alarms"])
    await second.ask("acknowledge", alarm=f"CMD-{GATE}")
    await until(lambda: second.tables["alarms"][f"CMD-{GATE}"]["state"] == "ack")
    await until(lambda: confirmed_signals(second, story.restarted_ns) >= 3)
    story.alarms_at_the_stop = second.tables["alarms"]
    await second.close()
    await city.centre.stop(WAIT_S)
    assert city.centre.exit_code == 0

    story.stopped_at_step = (await city.steps())[-1][0]
    third_ns = city.clock.now_ns()
    third = await city.start_centre()
    story.alarms_of_the_third = {tag: dict(row) for tag, row in third.tables["alarms"].items()}
    await until(lambda: third.tables["sources"][PLC]["local"] is False)
    await until(lambda: third.tables["points"][f"{GATE}/opening_ratio"]["at"] > third_ns / NS)
    async with asyncio.timeout(WAIT_S):  # an interlock may still refuse the first time
        while city.registers.opening_ratio <= WANTED_RATIO + 0.02:
            await third.ask("gate", gate=GATE, opening_ratio=0.6)
            await asyncio.sleep(2.0)
    await until(lambda: confirmed_signals(third, third_ns) >= 3)
    await third.close()
    await city.centre.stop(WAIT_S)
    story.steps = await city.steps()


def confirmed_signals(page: Page, since_ns: int) -> int:
    """How many signal commands that were given since then have been seen obeyed."""
    rows = [row for row in page.tables["commands"].values() if row["at"] > since_ns / NS]
    return sum(row["state"] == "confirmed" and row["kind"] == "stage" for row in rows)


async def stands_still(registers: Registers) -> None:
    """The gate has not moved for two seconds."""
    await until(
        lambda: (
            len({seen.opening_ratio for seen in registers.seen[-15:]}) == 1
            and len(registers.seen) > 15
        )
    )


# --- the field alone -----------------------------------------------------------------------------


async def test_no_two_conflicting_groups_are_ever_green(story: Story) -> None:
    junctions = {j.id: j for j in story.site.junctions}
    assert {seen.junction for seen in story.signals} == set(junctions)
    for seen in story.signals:
        assert conflicting(junctions[seen.junction], seen.aspects) is None, seen


async def test_the_signals_go_to_their_local_plan_in_their_watchdog_time(story: Story) -> None:
    before = {s.junction: s for s in story.signals if s.at_ns <= story.killed_ns}
    green = [s for s in before.values() if s.interval == "green" and s.mode == "centre"]
    assert len(green) > len(before) / 4  # the kill came in mid-green
    last_beat_ns = max(at_ns for at_ns in story.heartbeats_ns if at_ns <= story.killed_ns)
    for junction in before:
        alone = next(
            s
            for s in story.signals
            if s.junction == junction and s.at_ns > story.killed_ns and s.mode == "local"
        )
        assert (alone.at_ns - last_beat_ns) / NS < SIGNAL_SILENCE_S + SLACK_S, alone


async def test_the_plc_takes_over_and_its_gate_ends_where_it_was_going(story: Story) -> None:
    alone = [s for s in story.plc if story.killed_ns < s.at_ns < story.restarted_ns]
    assert 0.02 < alone[0].opening_ratio - WANTED_RATIO < 0.5  # the kill came in mid-travel
    taken_over = next(s for s in alone if s.taken_over)
    assert (taken_over.at_ns - story.killed_ns) / NS < PLC_SILENCE_S + SLACK_S
    assert abs(alone[-1].opening_ratio - WANTED_RATIO) < 0.01
    assert all(s.opening_ratio >= WANTED_RATIO - 0.01 for s in alone)


# --- the second centre ---------------------------------------------------------------------------


async def test_nothing_that_was_decided_before_the_kill_is_sent_after_it(story: Story) -> None:
    decided = story.commands_of_run(1).values()
    old = {(target_of(command), command.sequence) for command in decided}
    by_mqtt = {(s.target, s.sequence) for s in story.sent if s.at_ns > story.killed_ns}
    assert len(by_mqtt) >= 6
    assert not by_mqtt & old
    gate = [command for command in decided if isinstance(command, GateCommanded)]
    mailboxes = [s.mailbox for s in story.plc if s.at_ns > story.killed_ns]
    changes = [now for before, now in itertools.pairwise(mailboxes) if now != before]
    assert len(changes) == 1  # of the third centre
    assert changes[0][0] not in {c.sequence for c in gate}


async def test_what_was_under_way_is_known_to_have_ended(story: Story) -> None:
    commands = story.commands_of_run(1)
    sent = sent_of(story.steps_of_run(1))
    ends = (CommandConfirmed, CommandUnconfirmed, CommandExpired)
    ended = {e.command for _, e in story.events_of_run(1) if isinstance(e, ends)}
    first = story.steps_of_run(2)[0][1].events
    expired = {e.command for e in first if isinstance(e, CommandExpired)}
    unconfirmed = {e.command for e in first if isinstance(e, CommandUnconfirmed)}
    assert expired == set(commands) - sent - ended
    assert unconfirmed == (set(commands) & sent) - ended
    assert expired
    assert GATE in {target_of(commands[address]) for address in unconfirmed}
    raised = {e.asset for e in first if type(e).__name__ == "AlarmRaised" and e.kind == "command"}
    assert raised == {target_of(commands[address]) for address in unconfirmed}


async def test_control_goes_on_after_the_restart(story: Story) -> None:
    for run in (2, 3):
        confirmed = [e for _, e in story.events_of_run(run) if isinstance(e, CommandConfirmed)]
        assert {e.command for e in confirmed} <= set(story.commands_of_run(run))
        assert len(confirmed) >= 3


async def test_a_replay_of_all_three_is_identical(story: Story) -> None:
    """So what the second and third took up was what the ones before them had."""
    replayed = replay(cores_of(story.site), story.steps)
    assert replayed.steps == len(story.steps)
    assert replayed.first_difference is None


# --- the third centre ----------------------------------------------------------------------------


async def test_a_clean_stop_is_restored_from_its_snapshot(story: Story) -> None:
    number, step = story.steps_of_run(3)[0]
    assert number == story.stopped_at_step + 1
    assert isinstance(step.events[0], EngineStarted)
    assert step.events[0].restored_step == story.stopped_at_step


async def test_the_sequences_go_on_over_every_restart(story: Story) -> None:
    last: dict[str, int] = {}
    plc_of = {target: plc.id for plc in story.site.plcs for target in plc.targets}
    for run in (1, 2, 3):
        for command in story.commands_of_run(run).values():
            target = target_of(command)
            device = plc_of.get(target, target)
            assert command.sequence > last.get(device, 0), (run, command)
            last[device] = command.sequence
    accepted = [
        e
        for _, e in story.events_of_run(3)
        if isinstance(e, CommandAnswered) and e.accepted and e.sequence == last[PLC]
    ]
    assert GATE in {e.target for e in accepted}


async def test_the_wall_still_has_the_alarms_and_who_acknowledged_them(story: Story) -> None:
    alarm = f"CMD-{GATE}"
    assert story.alarms_at_the_stop[alarm]["state"] == "ack"
    assert story.alarms_at_the_stop[alarm]["by"]
    assert story.alarms_of_the_third[alarm] == story.alarms_at_the_stop[alarm]
    for tag, row in story.alarms_at_the_stop.items():
        now = story.alarms_of_the_third.get(tag)
        if now is None:  # acknowledged before, and normal again since
            assert row["state"] == "ack"
            continue
        returned = {row["state"], "rtn_unack"} if row["state"] == "unack" else {row["state"]}
        assert now["state"] in returned
        assert {**now, "state": ""} == {**row, "state": ""}
